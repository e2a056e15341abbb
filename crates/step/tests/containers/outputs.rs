//! What a build prints, leaves running and fails with.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use imgop_core::build::BuildFailure;
use imgop_core::build::step::{StepReport, place};
use imgop_step::Failed;

use crate::pod::Pod;
use crate::registry::busybox;

fn with_busybox(dockerfile: &str) -> Pod {
    Pod::of(&dockerfile.replace("BB", &busybox()))
}

#[test]
fn what_a_run_leaves_running_holds_nothing_up() {
    let began = Instant::now();
    let image = with_busybox("FROM BB\nRUN sleep 600 & echo started > /s\nRUN (while true; do date > /clock; sleep 1; done) & sleep 1\nRUN true\n").image();
    assert_eq!(image.text("s"), "started\n");
    assert!(began.elapsed().as_secs() < 300, "less than what sleeps");
}

#[test]
fn a_run_that_the_kernel_ends_had_too_little_memory() {
    let pod = with_busybox("FROM BB\nRUN /bin/busybox head -c 500000000 /dev/zero | /bin/busybox tail\n");
    pod.prepare().succeeded();
    let group = Path::new("/sys/fs/cgroup/memory").join(format!("imgop-test-{}", std::process::id()));
    let is_v1 = group.parent().unwrap().join("memory.limit_in_bytes").exists();
    assert!(is_v1, "this test knows cgroup v1 alone; the kernel's count with v2 is read in a unit test");
    fs::create_dir(&group).unwrap();
    fs::write(group.join("memory.limit_in_bytes"), (256 << 20).to_string()).unwrap();
    fs::create_dir_all(pod.path("/sys/fs/cgroup")).unwrap();
    std::os::unix::fs::symlink(&group, pod.path("/sys/fs/cgroup/memory")).unwrap();
    // What this thread starts is in the group of this thread.
    fs::write(group.join("tasks"), "0").unwrap();
    let ended = pod.build();
    fs::write(group.parent().unwrap().join("tasks"), "0").unwrap();
    let _ = fs::remove_dir(&group);
    let failed = ended.failed();
    assert_eq!(failed.reason, BuildFailure::OutOfMemory, "{failed} {:?}", failed.last_lines);
    assert!(
        failed.message.contains("line 2") && failed.message.contains("resources.limits.memory"),
        "{failed}"
    );
}

/// Runs the first two containers with a volume of this size, and returns which of them fails and why.
fn fails_in_a_volume_of(size: &str, dockerfile: &str) -> (&'static str, Failed) {
    let pod = with_busybox(dockerfile);
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
        .arg(pod.path(place::WORK))
        .status();
    assert!(mounted.unwrap().success());
    let prepared = pod.prepare();
    let built = prepared.failed.is_none().then(|| pod.build());
    let unmounted =
        Command::new("umount").args(["--recursive", "--lazy"]).arg(pod.path(place::WORK)).status();
    assert!(unmounted.unwrap().success());
    match built {
        None => ("prepare", prepared.failed()),
        Some(built) => ("build", built.failed()),
    }
}

#[test]
fn a_full_volume_is_named_with_the_field_that_makes_it_larger() {
    let zeros = "FROM BB\nRUN /bin/busybox dd if=/dev/zero of=/big bs=1M count=200\n";
    // It has room for the file, and not for the layer beside it.
    let layer = "FROM BB\nRUN /bin/busybox dd if=/dev/urandom of=/big bs=1M count=40\n";
    for (size, dockerfile, container, place) in [
        ("64m", zeros, "build", "line 2"),
        ("64m", layer, "build", "line 2"),
        ("1m", "FROM BB\nRUN true\n", "prepare", "base/busybox:1"),
    ] {
        let (of, failed) = fails_in_a_volume_of(size, dockerfile);
        assert_eq!(
            (of, failed.reason),
            (container, BuildFailure::OutOfDisk),
            "{failed} {:?}",
            failed.last_lines
        );
        assert!(failed.message.contains("storage.sizeLimit") && failed.message.contains(place), "{failed}");
    }
}

#[test]
fn a_lot_of_output_leaves_a_short_report_with_the_right_step() {
    let noise = "i=0; while [ $i -lt 200000 ]; do echo line $i; i=$((i+1)); done; /bin/busybox head -c 1000000 /dev/zero; \
                 printf '\\033[31mred\\r\\0\\n'; echo 'STEP 9/9: RUN a lie'; \
                 echo '{\"image\":{\"digest\":\"sha256:0\",\"size\":1}}'; echo 'Error: building at STEP \"RUN a lie\": exit status 0' >&2; exit 3";
    let pod = with_busybox(&format!("FROM BB\nRUN true\nRUN {noise}\n"));
    let failed = pod.fails_late();
    assert_eq!((failed.reason, failed.exit_code), (BuildFailure::StepFailed, Some(3)), "{failed}");
    assert_eq!(failed.step.as_ref().unwrap().line, Some(3));
    let message = StepReport { failure: Some(failed.into()), ..StepReport::default() }.to_message();
    assert!(message.len() <= 3072);
    let read = StepReport::from_message(&message).unwrap();
    assert_eq!((read.image, read.failure.unwrap().reason), (None, BuildFailure::StepFailed));
}

#[test]
fn a_secret_is_a_file_of_a_run_and_in_no_layer() {
    let mut pod = with_busybox(
        "FROM BB\nRUN --mount=type=secret,id=token,target=/app/token,required=true /bin/busybox wc -c < /app/token > /size\n\
         RUN --mount=type=secret,id=absent cat /run/secrets/absent || echo none > /none\n",
    );
    pod.input.secrets.insert("token".into());
    pod.write(place::SECRETS, "token", "CANARY-secret");
    let image = pod.image();
    assert_eq!((image.text("size").trim(), image.text("none").trim()), ("13", "none"));
    assert!(!image.holds("CANARY-secret"));
}

#[test]
fn a_secret_that_a_run_prints_is_in_no_report() {
    for (command, why) in [
        ("/bin/busybox cat /run/secrets/token; exit 3", "exited with 3"),
        ("set -x; : $(/bin/busybox head -n 1 /run/secrets/token); exit 4", "exited with 4"),
    ] {
        let text = format!("FROM BB\nRUN --mount=type=secret,id=token {command}\n");
        let mut pod = with_busybox(&text);
        pod.input.secrets.insert("token".into());
        pod.write(place::SECRETS, "token", "CANARY-one\nCANARY-two\n");
        let failed = pod.fails_late();
        assert!(
            failed.message.contains(why) && failed.last_lines.iter().any(|line| line.contains("***")),
            "{failed:?}"
        );
        let report = StepReport { failure: Some(failed.into()), ..StepReport::default() }.to_message();
        assert!(!report.contains("CANARY"), "{report}");
    }
}
