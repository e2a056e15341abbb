//! Contexts that are not git's.

use std::os::unix::fs::symlink;

use imgop_core::build::step::{ContextImage, StepContext};
use imgop_core::build::{BuildFailure, DockerfilePlace};

use crate::pod::Pod;
use crate::registry::shared;

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
    let digest = source.push().succeeded().image.unwrap().digest;
    let mut pod = Pod::of("FROM scratch\nCOPY kept link /\nCOPY . /all\n");
    let name = format!("{}@{digest}", source.input.repository).parse().unwrap();
    pod.input.context = StepContext::Image(ContextImage { name });
    let report = pod.prepare().succeeded();
    assert_eq!(report.bases[0].digest, digest);
    let image = pod.image();
    assert_eq!((image.text("kept").as_str(), image.root.join("all/gone").exists()), ("one\n", false));
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
