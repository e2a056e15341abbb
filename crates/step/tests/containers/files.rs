//! What becomes of files, links, owners and modes.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use imgop_core::build::step::place;
use imgop_core::build::{BuildFailure, DockerfilePlace};

use crate::built_image::BuiltImage;
use crate::pod::Pod;
use crate::registry::busybox;

fn with_busybox(dockerfile: &str) -> Pod {
    Pod::of(&dockerfile.replace("BB", &busybox()))
}

/// Builds and pushes what is prepared.
fn finished(pod: &Pod) -> BuiltImage {
    pod.build().succeeded();
    pushed(pod)
}

/// Pushes what is built.
fn pushed(pod: &Pod) -> BuiltImage {
    let pushed = pod.push().succeeded().image.unwrap();
    BuiltImage::read(&format!("{}@{}", pod.input.repository, pushed.digest), None)
}

#[test]
fn links_stay_links_and_copying_twice_gives_the_same() {
    let pod = with_busybox(
        "FROM BB\nRUN /bin/busybox ln -s /real /alias && /bin/busybox mkdir /real\nCOPY . /c/\nCOPY rel /c/rel\n\
         COPY rel /c/rel\nCOPY target.txt /alias/\n\
         RUN /bin/busybox test -L /c/dangling && /bin/busybox test \"$(/bin/busybox stat -c %h /c/a)\" = 2\n",
    )
    .with_files(&[("target.txt", "target"), ("a", "linked"), ("d/file", "d")]);
    pod.prepare().succeeded();
    let context = pod.path(place::WORK).join("context");
    for (link, target) in
        [("rel", "target.txt"), ("dangling", "nowhere"), ("loop", "loop"), ("d/link", "../target.txt")]
    {
        symlink(target, context.join(link)).unwrap();
    }
    fs::hard_link(context.join("a"), context.join("b")).unwrap();
    let image = finished(&pod);
    let target = |path: &str| fs::read_link(image.root.join(path)).map(|target| target.display().to_string());
    assert_eq!(target("c/dangling").unwrap(), "nowhere");
    assert_eq!(target("c/loop").unwrap(), "loop");
    assert_eq!(target("c/d/link").unwrap(), "../target.txt");
    assert_eq!((image.text("c/rel").as_str(), image.text("real/target.txt").as_str()), ("target", "target"));
    let inode = |path: &str| fs::metadata(image.root.join(path)).unwrap().ino();
    assert_eq!(inode("c/a"), inode("c/b"), "one file in the layer");
}

#[test]
fn a_link_to_itself_as_the_only_source_fails_the_step() {
    let pod = with_busybox("FROM BB\nCOPY loop /x\n").with_files(&[("f", "f")]);
    pod.prepare().succeeded();
    symlink("loop", pod.path(place::WORK).join("context/loop")).unwrap();
    let failed = pod.build().failed();
    assert_eq!(failed.reason, BuildFailure::StepFailed, "{failed}");
    assert!(failed.message.contains("step 2 of 2, line 2: `COPY loop /x`"), "{failed}");
}

#[test]
fn a_large_file_of_holes_is_a_small_layer() {
    let pod = with_busybox("FROM BB\nRUN /bin/busybox truncate -s 512M /lastlog\n");
    pod.prepare().succeeded();
    pod.build().succeeded();
    let image = pod.push().succeeded().image.unwrap();
    assert!(image.size < 20 << 20, "{} bytes", image.size);
}

#[test]
fn a_name_is_the_owner_that_the_base_knows_and_an_unknown_one_is_named() {
    let text = "FROM BB AS one\nRUN echo 'app:x:1001:1001::/:/bin/sh' >> /etc/passwd; echo 'app:x:1001:' >> /etc/group\n\
                COPY --chown=app:app --chmod=0640 f /n/e/w/f\nCOPY suid /suid\nFROM BB AS second\n\
                RUN /bin/busybox cp /bin/busybox /s && /bin/busybox chmod 4755 /s\nFROM one\nCOPY --from=second /s /s\n";
    let pod = with_busybox(text).with_files(&[("f", "f"), ("suid", "s")]);
    pod.prepare().succeeded();
    let context = pod.path(place::WORK).join("context");
    fs::set_permissions(context.join("suid"), fs::Permissions::from_mode(0o4755)).unwrap();
    let image = finished(&pod);
    assert_eq!(image.owner("n/e/w/f"), "0640 1001:1001");
    assert_eq!(image.owner("s"), "4755 0:0", "from a stage with its bit");
    assert_eq!(image.owner("suid"), "0755 0:0", "from the context without it");
    let failed =
        with_busybox("FROM BB\nCOPY --chown=nobody-here f /f\n").with_files(&[("f", "f")]).fails_late();
    assert_eq!(failed.reason, BuildFailure::StepFailed, "{failed}");
    assert!(failed.message.contains("line 2") && failed.message.contains("nobody-here"), "{failed}");
}

#[test]
fn an_unknown_user_is_named_at_the_next_run() {
    let failed = with_busybox("FROM BB\nUSER nobody-here\nRUN true\n").fails_late();
    assert_eq!(failed.reason, BuildFailure::StepFailed, "{failed}");
    assert!(failed.message.contains("line 3") && failed.message.contains("nobody-here"), "{failed}");
}

#[test]
fn a_working_folder_is_of_the_user_and_the_one_above_is_not() {
    let image = with_busybox(
        "FROM BB\nRUN /bin/busybox mkdir /w\nUSER 4242:4343\nWORKDIR /w/x\nRUN : > file; (: > /w/file) 2> /dev/null || echo refused > above\n",
    )
    .image();
    assert_eq!(
        (image.owner("w/x/file").ends_with("4242:4343"), image.text("w/x/above").as_str()),
        (true, "refused\n")
    );
}

#[test]
fn folders_that_are_left_out_but_for_a_file_and_a_context_that_is_all_left_out() {
    let of = |ignore: &str| {
        let files = [("keep.txt", "k"), ("dir/one", "1"), ("dir/two", "2"), (".dockerignore", ignore)];
        let mut pod = Pod::of("").with_files(&files);
        pod.input.dockerfile = DockerfilePlace::Inline("FROM scratch\nCOPY . /c/\n".into());
        pod.image()
    };
    let image = of("dir\n!dir*/one\nkeep.txt\n.dockerignore\n");
    assert_eq!((image.text("c/dir/one").as_str(), image.text("c/dir/two").as_str()), ("1", ""));
    let image = of("**\n");
    assert_eq!(
        image.layers().into_iter().flatten().filter(|entry| !entry.contains(" Directory ")).count(),
        0
    );
}

/// What is in an archive: its name, kind, target of a link, and mode.
type Entry = (&'static str, tar::EntryType, &'static str, u32);

/// Returns an archive of these; files hold their own names. The crate takes no paths that lead out of a folder.
fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, kind, target, mode) in entries {
        let mut header = tar::Header::new_gnu();
        let content = if *kind == tar::EntryType::Regular { *name } else { "" };
        header.set_size(content.len() as u64);
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_device_major(1).unwrap();
        header.set_device_minor(5).unwrap();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        archive.append(&header, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Returns a pod with a file `a.tar.gz` of these bytes.
fn with_archive(dockerfile: &str, bytes: &[u8]) -> Pod {
    let pod = with_busybox(dockerfile).with_files(&[("a.tar.gz", "")]);
    fs::write(pod.path("/var/run/imgop/config-map/key-0"), bytes).unwrap();
    pod
}

const FILE: tar::EntryType = tar::EntryType::Regular;
const FOLDER: tar::EntryType = tar::EntryType::Directory;

#[test]
fn an_archive_of_the_context_is_unpacked_by_add_alone_and_one_of_an_address_never() {
    let bytes = gzipped(&archive(&[("./", FOLDER, "", 0o750), ("./inner", FILE, "", 0o600)]));
    let address = crate::http_files::start("200 OK", bytes.clone());
    let text = format!("FROM BB\nADD a.tar.gz /d/\nCOPY a.tar.gz /c/\nADD http://{address}/f.tar.gz /u/\n");
    let pod = with_archive(&text, &bytes);
    let warnings = pod.prepare().succeeded().warnings;
    assert!(
        warnings.iter().any(|warning| warning.contains("line 2") && warning.contains("the mode 0750")),
        "{warnings:?}"
    );
    let image = pod.image();
    assert_eq!((image.text("d/inner").as_str(), image.owner("d/inner").as_str()), ("./inner", "0600 0:0"));
    assert_eq!(image.owner("d"), "0750 0:0", "as the warning says");
    assert_eq!(fs::read(image.root.join("c/a.tar.gz")).unwrap(), bytes);
    assert_eq!(fs::read(image.root.join("u/f.tar.gz")).unwrap(), bytes);
}

#[test]
fn an_archive_writes_nothing_outside_its_folder() {
    const LINK: tar::EntryType = tar::EntryType::Symlink;
    let plain = [("inner", FILE, "", 0o644), ("../outside", FILE, "", 0o644), ("link", LINK, "/etc", 0o777)];
    let device = [("device", tar::EntryType::Char, "", 0o666)];
    let through = [("through", LINK, "/etc", 0o777), ("through/the-link", FILE, "", 0o644)];
    for entries in [plain.to_vec(), [&plain[..], &device].concat(), [&plain[..], &through].concat()] {
        let pod = with_archive("FROM BB\nADD a.tar.gz /d/\n", &gzipped(&archive(&entries)));
        pod.prepare().succeeded();
        let files = || fs::read_dir(&pod.root).unwrap().count();
        let before = files();
        let built = pod.build();
        assert_eq!(files(), before, "{entries:?}");
        if let Some(failed) = built.failed {
            assert!(
                failed.reason == BuildFailure::StepFailed && failed.message.contains("line 2"),
                "{failed}"
            );
            assert!(!failed.message.contains("copier.request"), "{failed}");
            continue;
        }
        let image = pushed(&pod);
        assert_eq!((image.text("d/inner"), image.text("outside")), ("inner".into(), String::new()));
        assert!(!image.root.join("etc/the-link").exists());
        let outside = |entry: &&String| !["d/", "d "].iter().any(|start| entry.starts_with(start));
        let own = image.layers().pop().unwrap();
        let files: Vec<&String> =
            own.iter().filter(outside).filter(|entry| !entry.contains(" Directory ")).collect();
        assert!(files.is_empty(), "{files:?}");
    }
}
