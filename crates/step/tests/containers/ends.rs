//! How the program ends when Kubernetes asks it to. It runs as in a container: its places are below `/`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use imgop_core::build::BuildFailure;
use imgop_core::build::step::StepReport;

use crate::pod::Pod;

/// A Buildah that begins the second step and goes on for ever.
const BUILDAH: &str = "#!/bin/sh
if [ \"$1\" = --version ]; then echo 'buildah version 1.28.2 (image-spec 1.0.2, runtime-spec 1.0.2)'; exit; fi
echo 'STEP 1/3: FROM scratch'
echo 'STEP 2/3: RUN one'
touch /work/began
exec sleep 600
";

/// This machine's programs, with the volumes of a pod. `$1` is the pod's root, the rest are the program's arguments.
const CONTAINER: &str = r#"set -e
root=$1; shift
mkdir "$root/container"
mount -t tmpfs tmpfs "$root/container"
cd "$root/container"
mkdir upper scratch root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=scratch root
mkdir -p root/work root/prepared root/pod-bin root/dev
mount --bind "$root/work" root/work
mount --bind "$root/prepared" root/prepared
mount --bind "$root/bin" root/pod-bin
touch root/dev/null root/dev/termination-log
mount --bind /dev/null root/dev/null
mount --bind "$root/termination-log" root/dev/termination-log
exec chroot root /usr/bin/env PATH="/pod-bin:$PATH" imgop-step "$@"
"#;

struct Container {
    child: Child,
}

impl Container {
    fn start(pod: &Pod, command: &str) -> Self {
        fs::write(pod.root.join("termination-log"), "").unwrap();
        let bin = pod.root.join("bin");
        fs::create_dir(&bin).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_imgop-step"), bin.join("imgop-step")).unwrap();
        fs::write(bin.join("buildah"), BUILDAH).unwrap();
        fs::set_permissions(bin.join("buildah"), fs::Permissions::from_mode(0o755)).unwrap();
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "sh", "-c", CONTAINER, "sh"]).arg(&pod.root).arg(command);
        Self { child: unshare.args(pod.input.to_arguments().unwrap()).spawn().unwrap() }
    }

    fn wait_for(&mut self, path: &Path) {
        let began = Instant::now();
        while !path.exists() {
            assert!(self.child.try_wait().unwrap().is_none(), "it ended");
            assert!(began.elapsed() < Duration::from_mins(1), "{} does not come", path.display());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks it to end, as Kubernetes does.
    fn end(mut self) -> ExitStatus {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(asked.unwrap().success());
        self.child.wait().unwrap()
    }
}

fn report(pod: &Pod) -> StepReport {
    StepReport::from_message(&fs::read_to_string(pod.root.join("termination-log")).unwrap()).unwrap()
}

#[test]
fn a_build_that_is_asked_to_end_reports_the_step_that_ran() {
    let pod = Pod::of("");
    let handover = serde_json::json!({ "storageDriver": "vfs", "mountsFiles": false });
    fs::write(pod.places.build_handover(), handover.to_string()).unwrap();
    fs::write(pod.places.dockerfile(), "FROM scratch\nRUN one\nRUN two\n").unwrap();
    let mut container = Container::start(&pod, "build");
    container.wait_for(&pod.path("/work/began"));
    assert_eq!(container.end().code(), Some(143));
    let failure = report(&pod).failure.unwrap();
    assert_eq!(failure.reason, BuildFailure::Interrupted);
    assert_eq!(failure.message, "the pod was ended during line 2 (RUN one)");
    assert_eq!(failure.step.unwrap().line, Some(2));
}
