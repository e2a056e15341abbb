//! Processes that a RUN leaves running. Chroot isolation has no processes of its own that end with a RUN, so that they
//! would write into files that Buildah is about to put into a layer.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process;
use std::thread;
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitOptions, child_subreaper, getpid, kill_process, set_child_subreaper, waitpid,
};

/// How often it is looked for some: one may start others before it ends.
const ROUNDS: usize = 10;
/// The pause between.
const PAUSE: Duration = Duration::from_millis(2);

/// A process that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Running {
    id: u32,
    parent: u32,
}

/// Makes this process the parent of what a RUN leaves running, also where it is not the first of its container.
pub fn adopt_leftovers() {
    // Without it they are only not ended.
    let _ = set_child_subreaper(Some(getpid()));
}

/// Ends what earlier steps left running, at a moment when no RUN runs.
pub fn end_leftovers() {
    if !matches!(child_subreaper(), Ok(Some(_))) {
        return;
    }
    let mut ended = HashSet::new();
    for _ in 0..ROUNDS {
        let left = leftovers(&running(), process::id(), is_of_run);
        for id in left.iter().filter_map(|id| Pid::from_raw(i32::try_from(*id).ok()?)) {
            // It may have ended by itself just now.
            let _ = kill_process(id, Signal::KILL);
            ended.insert(id);
        }
        // What is no child of this process yet is one in the next round.
        ended.retain(|id| !matches!(waitpid(Some(*id), WaitOptions::NOHANG), Ok(Some(_))));
        if left.is_empty() {
            return;
        }
        thread::sleep(PAUSE);
    }
}

/// Returns the children of this process that a RUN started, with all that they started.
fn leftovers(running: &[Running], own: u32, is_of_run: impl Fn(u32) -> bool) -> BTreeSet<u32> {
    let children = running.iter().filter(|process| process.parent == own);
    let mut left: BTreeSet<u32> = children.map(|process| process.id).filter(|id| is_of_run(*id)).collect();
    loop {
        let started =
            running.iter().filter(|process| left.contains(&process.parent)).map(|process| process.id);
        let all: BTreeSet<u32> = left.iter().copied().chain(started).collect();
        if all.len() == left.len() {
            return left;
        }
        left = all;
    }
}

/// Whether a process has another root than this one: that of an image, where only a RUN runs. A process of another user
/// is one too.
fn is_of_run(id: u32) -> bool {
    let root = |of: &str| fs::metadata(format!("/proc/{of}/root/")).map(|root| (root.dev(), root.ino()));
    let own = root("self");
    root(&id.to_string()).ok() != own.ok()
}

fn running() -> Vec<Running> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter_map(|id| read(id, &fs::read_to_string(format!("/proc/{id}/stat")).ok()?)).collect()
}

/// Reads `1 (name) S 0 …`; none of a process that has ended.
fn read(id: u32, stat: &str) -> Option<Running> {
    // A name may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(Running { id, parent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lost_its_parent_and_is_of_an_image_is_ended_with_all_that_it_started() {
        let running: Vec<Running> = [(2, 1), (3, 2), (4, 1), (5, 4), (6, 5), (7, 1), (8, 3)]
            .into_iter()
            .map(|(id, parent)| Running { id, parent })
            .collect();
        // 2 is Buildah, 3 the RUN of the present step, 7 a program of this container.
        let of_run = |id| [3, 4, 5, 6, 8].contains(&id);
        assert_eq!(leftovers(&running, 1, of_run).into_iter().collect::<Vec<_>>(), [4, 5, 6]);
    }

    #[test]
    fn a_process_is_read_whatever_its_name_is() {
        assert_eq!(read(7, "7 (a) S 1) S 12 7 7 0"), Some(Running { id: 7, parent: 12 }));
        assert_eq!(read(7, "7 (sh) Z 12 7 7 0"), None);
        assert_eq!(read(7, ""), None);
        assert!(running().iter().any(|process| process.id == process::id()));
        assert!(!is_of_run(process::id()));
    }
}
