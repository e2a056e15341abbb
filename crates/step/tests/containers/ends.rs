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
    assert_eq!(failure.message, "the pod was ended during line 2 (RUN one)");
    assert_eq!(failure.step.unwrap().line, Some(2));
}

/// What each RUN leaves running writes on and on, and one does nothing.
const LEFT_RUNNING: &str = "FROM BB
RUN (while true; do echo more >> /log; done) & sleep 1
RUN cat /log > /one; sleep 1; cat /log > /two
RUN sleep 600 & (/bin/busybox setsid sh -c 'trap \"\" TERM; while true; do /bin/busybox head -c 1000000 /dev/zero >> /grown; done' &) ; sleep 1
";

#[test]
fn what_a_run_leaves_running_is_ended_before_the_next_step_and_before_the_image_is_written() {
    let pod = Pod::of(&LEFT_RUNNING.replace("BB", &busybox()));
    pod.prepare().succeeded();
    let status = Container::start(&pod, "build").wait();
    assert!(status.success(), "{:?}", report(&pod).failure);
    let pushed = pod.push().succeeded().image.unwrap();
    let image = BuiltImage::read(&format!("{}@{}", pod.input.repository, pushed.digest), None);
    assert_eq!(image.text("one"), image.text("two"), "nothing writes during the next step");
    assert!(image.root.join("grown").is_file());
}
