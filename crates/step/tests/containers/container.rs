//! A container that runs the program itself: its places are below `/`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use imgop_core::build::step::StepReport;

use crate::pod::Pod;

/// This machine's programs, with the volumes of a pod. `$1` is the pod's root, `$2` how many user ids there are, the rest
/// are the program's arguments. The ids are those of this machine, so that files need no other owner.
const CONTAINER: &str = r#"set -e
root=$1 ids=$2; shift 2
mkdir -p "$root/container"
mount -t tmpfs tmpfs "$root/container"
cd "$root/container"
mkdir upper scratch root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=scratch root
mkdir -p root/work root/prepared root/pod-bin root/proc root/sys root/dev root/tmp
for folder in proc sys; do mount --rbind "/$folder" "root/$folder"; done
mount -t tmpfs tmpfs root/tmp
mount -t tmpfs tmpfs root/dev
mount --bind "$root/work" root/work
mount --bind "$root/prepared" root/prepared
mount --bind "$root/bin" root/pod-bin
for file in null zero full random urandom tty; do
  touch "root/dev/$file"
  mount --bind "/dev/$file" "root/dev/$file"
done
touch root/dev/termination-log
mount --bind "$root/termination-log" root/dev/termination-log
set -- chroot root /usr/bin/env PATH="/pod-bin:$PATH" imgop-step "$@"
[ "$ids" != all ] || exec "$@"
mkfifo go
unshare --user --keep-caps --mount sh -c 'read -r _ < go; exec "$@"' sh "$@" &
while [ "$(readlink /proc/$!/ns/user)" = "$(readlink /proc/self/ns/user)" ]; do sleep 0.01; done
echo "0 0 $ids" > /proc/$!/uid_map
echo "0 0 $ids" > /proc/$!/gid_map
echo > go
wait $!
"#;

/// A running container.
pub struct Container {
    child: Child,
}

impl Container {
    /// Starts it with all user ids that there are.
    pub fn start(pod: &Pod, command: &str) -> Self {
        Self::with_ids(pod, command, "all")
    }

    /// Runs it to its end with this many user ids, as pods of a cluster have them.
    pub fn run_with_few_ids(pod: &Pod, command: &str) -> StepReport {
        Self::with_ids(pod, command, "65536").wait();
        report(pod)
    }

    fn with_ids(pod: &Pod, command: &str, ids: &str) -> Self {
        fs::write(pod.root.join("termination-log"), "").unwrap();
        let bin = bin(pod);
        fs::copy(env!("CARGO_BIN_EXE_imgop-step"), bin.join("imgop-step")).unwrap();
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "sh", "-c", CONTAINER, "sh"]).arg(&pod.root).args([ids, command]);
        Self { child: unshare.args(pod.input.to_arguments().unwrap()).spawn().unwrap() }
    }

    /// Waits until there is a file.
    pub fn wait_for(&mut self, path: &Path) {
        let began = Instant::now();
        while !path.exists() {
            assert!(self.child.try_wait().unwrap().is_none(), "it ended");
            assert!(began.elapsed() < Duration::from_mins(1), "{} does not come", path.display());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until it has ended.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Asks it to end, as Kubernetes does.
    pub fn end(self) -> ExitStatus {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(asked.unwrap().success());
        self.wait()
    }
}

/// Puts a program into the container that goes before this machine's.
pub fn give_program(pod: &Pod, name: &str, script: &str) {
    let path = bin(pod).join(name);
    fs::write(&path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Returns what a container that has ended left as its report.
pub fn report(pod: &Pod) -> StepReport {
    StepReport::from_message(&fs::read_to_string(pod.root.join("termination-log")).unwrap()).unwrap()
}

fn bin(pod: &Pod) -> std::path::PathBuf {
    let bin = pod.root.join("bin");
    fs::create_dir_all(&bin).unwrap();
    bin
}
