//! Memory and disk while a build runs: what neither Buildah's exit code nor its text tells.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::fs::statvfs;

/// How often free space is looked up. Buildah frees what a failed step wrote when it ends.
const PERIOD: Duration = Duration::from_millis(100);
/// A volume with less than this part free, in thousandths, is full.
const FULL: u64 = 20;

/// Where the kernel counts the processes that it ended for want of memory, with cgroup v2 and v1.
const COUNTERS: [&str; 2] = ["memory.events", "memory/memory.oom_control"];

/// How many processes of a build the kernel ended for want of memory. The container's exit code does not say so: it may
/// be that of the parent, and it may be 0.
#[derive(Debug)]
pub struct Killed {
    cgroups: PathBuf,
    before_build: u64,
    before_step: u64,
}

impl Killed {
    /// Begins to count for a build.
    pub fn count(cgroups: PathBuf) -> Self {
        let before = killed_for_memory(&cgroups);
        Self { cgroups, before_build: before, before_step: before }
    }

    /// A step begins: it is not at fault for what earlier ones went through.
    pub fn begin_step(&mut self) {
        self.before_step = killed_for_memory(&self.cgroups);
    }

    /// Returns how many processes were ended in the whole build, and in the last step.
    pub fn in_build_and_step(&self) -> [u64; 2] {
        let now = killed_for_memory(&self.cgroups);
        [self.before_build, self.before_step].map(|before| now.saturating_sub(before))
    }
}

fn killed_for_memory(cgroups: &Path) -> u64 {
    let counts = COUNTERS.iter().filter_map(|name| fs::read_to_string(cgroups.join(name)).ok());
    counts.filter_map(|text| killed_in(&text)).max().unwrap_or_default()
}

fn killed_in(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// Watches the free space of a volume until it is asked.
#[derive(Debug)]
pub struct FreeSpace {
    volume: PathBuf,
    least: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl FreeSpace {
    /// Begins to watch.
    pub fn watch(volume: PathBuf) -> Self {
        let (least, is_over) = (Arc::new(AtomicU64::new(1000)), Arc::new(AtomicBool::new(false)));
        let (seen, ends, watched) = (least.clone(), is_over.clone(), volume.clone());
        let thread = thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                seen.fetch_min(free_thousandths(&watched), Ordering::Relaxed);
                thread::park_timeout(PERIOD);
            }
        });
        Self { volume, least, is_over, thread }
    }

    /// Looks now: a step that says that there is no space may be gone, with what it wrote, before the next period.
    pub fn look(&self) {
        self.least.fetch_min(free_thousandths(&self.volume), Ordering::Relaxed);
    }

    /// Ends and returns how little of the volume was free at any time.
    pub fn least(self) -> LeastFree {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        // It does not panic.
        let _ = self.thread.join();
        LeastFree(self.least.load(Ordering::Relaxed))
    }
}

/// The smallest free part of a volume that was seen, in thousandths.
#[derive(Clone, Copy, Debug)]
pub struct LeastFree(u64);

impl LeastFree {
    /// Returns what was seen, from thousandths.
    #[cfg(test)]
    pub fn of(thousandths: u64) -> Self {
        Self(thousandths)
    }

    /// Whether the volume was full.
    pub fn was_full(self) -> bool {
        self.0 < FULL
    }

    /// Whether less was free than used, so that what the volume held had no room beside itself once more.
    pub fn was_less_than_used(self) -> bool {
        self.0 < 500
    }
}

/// Returns the free part of a volume; the whole where it is not known.
fn free_thousandths(volume: &Path) -> u64 {
    let Ok(found) = statvfs(volume) else { return 1000 };
    found.f_bavail.saturating_mul(1000).checked_div(found.f_blocks).unwrap_or(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_count_is_read_with_both_versions_of_cgroups() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(killed_for_memory(folder.path()), 0);
        fs::create_dir(folder.path().join("memory")).unwrap();
        let v1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        fs::write(folder.path().join("memory/memory.oom_control"), v1).unwrap();
        assert_eq!(killed_for_memory(folder.path()), 3);
        fs::write(folder.path().join("memory.events"), "low 0\nmax 7\noom 1\noom_kill 4\noom_group_kill 0\n")
            .unwrap();
        assert_eq!(killed_for_memory(folder.path()), 4);
    }

    #[test]
    fn what_the_kernel_ended_counts_for_the_step_that_ran() {
        let folder = tempfile::tempdir().unwrap();
        let count =
            |n: u64| fs::write(folder.path().join("memory.events"), format!("oom_kill {n}\n")).unwrap();
        count(1);
        let mut killed = Killed::count(folder.path().to_owned());
        count(3);
        assert_eq!(killed.in_build_and_step(), [2, 2]);
        killed.begin_step();
        assert_eq!(killed.in_build_and_step(), [2, 0]);
    }

    #[test]
    fn a_volume_with_room_was_not_full() {
        assert!(!FreeSpace::watch(std::env::temp_dir()).least().was_full());
    }
}
