//! How the program ends: when Kubernetes asks it to, and when others still run.

use std::fs;

use imgop_core::build::BuildFailure;

use crate::built_image::BuiltImage;
use crate::container::{Container, give_program, report};
use crate::pod::Pod;
use crate::registry::busybox;

/// A Buildah that begins the second step and goes on for ever.
const BUILDAH: &str = "#!/bin/sh
if [ \"$1\" = --version ]; then echo 'buildah version 1.28.2 (image-spec 1.0.2, runtime-spec 1.0.2)'; exit; fi
echo 'STEP 1/3: FROM scratch'
echo 'STEP 2/3: RUN one'
touch /work/began
exec sleep 600
";

#[test]
fn a_build_that_is_asked_to_end_reports_the_step_that_ran() {
    let pod = Pod::of("");
    let handover = serde_json::json!({ "storageDriver": "vfs", "mountsFiles": false, "triggers": [] });
    fs::write(pod.places.build_handover(), handover.to_string()).unwrap();
    fs::write(pod.places.dockerfile(), "FROM scratch\nRUN one\nRUN two\n").unwrap();
    give_program(&pod, "buildah", BUILDAH);
    let mut container = Container::start(&pod, "build");
    container.wait_for(&pod.path("/work/began"));
    assert_eq!(container.end().code(), Some(143));
    let failure = report(&pod).failure.unwrap();
    assert_eq!(failure.reason, BuildFailure::Interrupted);
    assert_eq!(failure.message, "the pod was ended during step 2 of 3, line 2: `RUN one`");
    assert_eq!(failure.step.unwrap().line, Some(2));
}

#[test]
fn what_a_run_leaves_running_is_ended_when_the_next_step_begins() {
    let text = "FROM BB
RUN sleep 600 & (while true; do echo more >> /log; done) & sleep 1
RUN sleep 1; cat /log > /one; sleep 1; cat /log > /two
";
    let pod = Pod::of(&text.replace("BB", &busybox()));
    pod.prepare().succeeded();
    let status = Container::start(&pod, "build").wait();
    assert!(status.success(), "{:?}", report(&pod).failure);
    let pushed = pod.push().succeeded().image.unwrap();
    let image = BuiltImage::read(&format!("{}@{}", pod.input.repository, pushed.digest), None);
    assert!(!image.text("one").is_empty());
    assert_eq!(image.text("one"), image.text("two"), "nothing writes any more");
}

#[test]
fn lines_like_buildahs_own_end_nothing_that_their_run_needs() {
    let text = "FROM BB
RUN (/bin/busybox setsid sh -c 'while true; do echo more >> /alive; sleep 1; done' &) ; sleep 2; \\
  echo COMMIT; echo 'COMMIT dir:/work/out'; echo 'STEP 3/3: RUN test -s /alive'; sleep 2; \\
  rm -f /alive; sleep 3; test -s /alive
RUN test -s /alive
";
    let pod = Pod::of(&text.replace("BB", &busybox()));
    pod.prepare().succeeded();
    let status = Container::start(&pod, "build").wait();
    assert!(status.success(), "{:?}", report(&pod).failure);
}

#[test]
fn what_is_written_while_the_image_is_made_is_never_half_in_it() {
    let text = "FROM BB
RUN (/bin/busybox setsid sh -c 'while true; do /bin/busybox head -c 1000000 /dev/zero >> /grown; done' &) ; sleep 1
";
    let pod = Pod::of(&text.replace("BB", &busybox()));
    pod.prepare().succeeded();
    // It is ended when Buildah says that it writes the image, which on a busy machine may have begun.
    if Container::start(&pod, "build").wait().success() {
        let pushed = pod.push().succeeded().image.unwrap();
        let image = BuiltImage::read(&format!("{}@{}", pod.input.repository, pushed.digest), None);
        assert_ne!(fs::metadata(image.root.join("grown")).unwrap().len(), 0);
    } else {
        let failure = report(&pod).failure.unwrap();
        assert_eq!(failure.reason, BuildFailure::StepFailed);
        assert!(failure.message.contains("not whole: /grown"), "{}", failure.message);
    }
}
