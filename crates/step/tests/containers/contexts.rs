//! Contexts that are not git's.

use std::os::unix::fs::symlink;

use imgop_core::build::step::{ContextImage, StepContext};
use imgop_core::build::{BuildFailure, DockerfilePlace};
use imgop_registry::oci::{FilesImage, FilesLayer};
use imgop_registry::reference::Digest;
use imgop_registry::{Access, Registries, Settings};

use crate::built_image::BuiltImage;
use crate::pod::{Pod, block_on};
use crate::registry::{new_repository, shared};

#[test]
fn a_config_map_is_a_folder_of_plain_files() {
    let mut pod = Pod::of("FROM scratch\nCOPY . /c\n").with_files(&[("conf.d/a", "a"), ("run.sh", "r")]);
    if let StepContext::ConfigMap(of) = &mut pod.input.context {
        of.items.get_mut("run.sh").unwrap().1 = Some(0o755);
    }
    let image = pod.image();
    assert_eq!((image.text("c/conf.d/a").as_str(), image.owner("c/run.sh").as_str()), ("a", "0755 0:0"));
}

#[test]
fn a_sub_path_is_the_root_for_copy_and_must_be_there() {
    let files = [
        ("services/api/Dockerfile", "FROM scratch\nCOPY f /f\n"),
        ("services/api/f", "inner"),
        ("f", "outer"),
    ];
    let of = |sub_path: &str, dockerfile: DockerfilePlace| {
        let mut pod = Pod::of("").with_files(&files);
        (pod.input.sub_path, pod.input.dockerfile) = (Some(sub_path.to_owned()), dockerfile);
        pod
    };
    assert_eq!(of("services/api", DockerfilePlace::Default).image().text("f"), "inner");
    let (reason, message) = of("nope", DockerfilePlace::Default).fails_early();
    assert!(reason == BuildFailure::ContextInvalid && message.contains("\"nope\""), "{message}");
    let (reason, message) = of("services", DockerfilePlace::Path("../Dockerfile".into())).fails_early();
    assert!(reason == BuildFailure::ContextInvalid && message.contains("without .."), "{message}");
    let outside = of("services/api", DockerfilePlace::Inline("FROM scratch\nCOPY ../../f /f\n".into()));
    outside.prepare().succeeded();
    // Docker takes `..` away; either way nothing outside is copied.
    if outside.build().failed.is_none() {
        outside.push().succeeded();
        assert_ne!(outside.image().text("f"), "outer");
    }
}

#[test]
fn a_context_without_a_dockerfile_says_so() {
    let mut pod = Pod::of("").with_files(&[("f", "f")]);
    pod.input.dockerfile = DockerfilePlace::Default;
    let (reason, message) = pod.fails_early();
    assert!(
        reason == BuildFailure::ContextInvalid && message.contains("neither Dockerfile nor Containerfile"),
        "{message}"
    );
}

#[test]
fn the_files_of_an_image_are_a_context_without_those_that_a_layer_removed() {
    let busybox = crate::registry::busybox();
    let mut source = Pod::of(&format!(
        "FROM {busybox}\nRUN echo one > /kept && echo two > /gone && ln -s kept /link 2>/dev/null || /bin/busybox ln -s kept /link\nRUN /bin/busybox rm /gone\n"
    ));
    source.input.repository = format!("{}/base/files", shared().address).parse().unwrap();
    // Layers of their own, so that one removes what another has.
    source.image();
    let pushed = source.push().succeeded();
    assert!(pushed.layers.mounted > 0 && pushed.layers.built > 0, "{:?}", pushed.layers);
    assert_eq!(pushed.layers.base, 0, "the registry has those of the base");
    let digest = pushed.image.unwrap().digest;
    let mut pod = Pod::of("FROM scratch\nCOPY kept link /\nCOPY . /all\n");
    let name = format!("{}@{digest}", source.input.repository).parse().unwrap();
    pod.input.context = StepContext::Image(ContextImage { name });
    let report = pod.prepare().succeeded();
    assert_eq!(report.bases[0].digest, digest);
    let image = pod.image();
    assert_eq!((image.text("kept").as_str(), image.root.join("all/gone").exists()), ("one\n", false));
}

#[test]
fn a_pushed_folder_that_the_registry_removed_is_to_be_sent_again() {
    let mut pod = Pod::of("FROM scratch\nCOPY . /c\n");
    let name = format!("{}@{}", pod.input.repository, Digest::of(b"gone")).parse().unwrap();
    pod.input.context = StepContext::Image(ContextImage { name });
    let (reason, message) = pod.fails_early();
    assert_eq!(reason, BuildFailure::BaseImageNotFound, "{message}");
    assert!(message.contains("Run the same kubectl imgop build again"), "{message}");
}

#[test]
fn a_dockerfile_behind_a_link_is_refused() {
    let mut pod = Pod::of("").with_files(&[("f", "f")]);
    pod.input.dockerfile = DockerfilePlace::Path("link/Dockerfile".into());
    // As git would write it; a ConfigMap cannot hold a link.
    std::fs::create_dir_all(pod.path("/work/context")).unwrap();
    symlink("/etc", pod.path("/work/context/link")).unwrap();
    let (reason, message) = pod.fails_early();
    assert!(reason == BuildFailure::ContextInvalid && message.contains("passes one"), "{message}");
}

/// Pushes a tar archive with gzip as an image, as the plugin does with a folder.
fn pushed(archive: &[u8]) -> imgop_core::build::ImageReference {
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(archive).unwrap();
    let bytes = gzip.finish().unwrap();
    let layer =
        FilesLayer { digest: Digest::of(&bytes), size: bytes.len() as u64, diff_id: Digest::of(archive) };
    let image = FilesImage::of(&layer).unwrap();
    let repository = new_repository(shared()).parse().unwrap();
    let settings = Settings { system_proxy: false, ..Settings::default() };
    let client = Registries::new(settings).push_target(&repository, &Access::default());
    block_on(async {
        assert!(client.upload_blob(&layer.digest, bytes.into()).await.unwrap());
        client.upload_blob(&Digest::of(&image.config), image.config.clone().into()).await.unwrap();
        client.put_manifest(&image.manifest.digest.clone().into(), &image.manifest).await.unwrap();
    });
    format!("{repository}@{}", image.manifest.digest).parse().unwrap()
}

#[test]
fn a_folder_that_was_pushed_is_the_context_of_any_platform_with_its_links() {
    let mut archive = tar::Builder::new(Vec::new());
    let header = |kind: tar::EntryType, mode: u32, size: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header
    };
    let folder = header(tar::EntryType::Directory, 0o755, 0);
    archive.append_data(&mut folder.clone(), "logs", std::io::empty()).unwrap();
    let link = header(tar::EntryType::Symlink, 0o777, 0);
    archive.append_link(&mut link.clone(), "link", "src/run.sh").unwrap();
    archive.append_link(&mut link.clone(), "out", "/etc/hostname").unwrap();
    let file = header(tar::EntryType::Regular, 0o700, 3);
    archive.append_data(&mut file.clone(), "src/run.sh", "run".as_bytes()).unwrap();
    let name = pushed(&archive.into_inner().unwrap());
    for platform in ["linux/amd64", "linux/arm64"] {
        let mut pod = Pod::of("FROM scratch\nCOPY . /c\n");
        pod.input.platform = platform.parse().unwrap();
        pod.input.context = StepContext::Image(ContextImage { name: name.clone() });
        let report = pod.prepare().succeeded();
        assert_eq!(report.bases[0].image, name);
        let context = pod.path("/work/context");
        assert!(context.join("logs").is_dir(), "{platform}");
        assert_eq!(std::fs::read_link(context.join("link")).unwrap().to_str(), Some("src/run.sh"));
        assert_eq!(std::fs::read_link(context.join("out")).unwrap().to_str(), Some("/etc/hostname"));
        pod.build().succeeded();
        let pushed = pod.push().succeeded();
        assert_eq!((pushed.layers.built, pushed.layers.mounted), (1, 0));
        let digest = pushed.image.unwrap().digest;
        let image = BuiltImage::read(&format!("{}@{digest}", pod.input.repository), None);
        let (text, owner) = (image.text("c/src/run.sh"), image.owner("c/src/run.sh"));
        assert_eq!((text.as_str(), owner.as_str()), ("run", "0700 0:0"), "{platform}");
    }
}
