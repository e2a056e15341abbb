//! Processes that a RUN leaves running. Chroot isolation has no processes of its own that end with a RUN, so that they
//! would write into files that Buildah is about to put into a layer.
//!
//! When Buildah prints that a step began is not when it is read, and a RUN prints what it likes. So only what is older
//! than the RUN that runs is ended, whenever it is looked for.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitOptions, child_subreaper, getpid, kill_process, set_child_subreaper, waitpid,
};

/// How often it is looked for some: one may start others before it ends.
const ROUNDS: usize = 10;
/// The pause between.
const PAUSE: Duration = Duration::from_millis(2);
/// How often it is looked for some at most because of what a RUN may have printed, any number of times.
const LONGER_PAUSE: Duration = Duration::from_millis(100);

/// A process that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Running {
    id: u32,
    parent: u32,
    /// When it was started, in ticks of the kernel's clock.
    started: u64,
}

/// Makes this process the parent of what a RUN leaves running, also where it is not the first of its container.
pub fn adopt_leftovers() {
    // Without it they are only not ended.
    let _ = set_child_subreaper(Some(getpid()));
}

/// What the RUNs of a Buildah leave running.
#[derive(Debug)]
pub struct Leftovers {
    buildah: u32,
    looked: Option<Instant>,
    is_due: bool,
}

impl Leftovers {
    /// Returns those of the Buildah with this id.
    pub fn of(buildah: u32) -> Self {
        Self { buildah, looked: None, is_due: false }
    }

    /// Ends them.
    pub fn end(&mut self) {
        if matches!(child_subreaper(), Ok(Some(_))) {
            end_all(self.buildah);
        }
        (self.looked, self.is_due) = (Some(Instant::now()), false);
    }

    /// Ends them, at once or, where they were looked for just now, a little later.
    pub fn end_soon(&mut self) {
        self.is_due = true;
        self.end_due();
    }

    /// Ends them if that is due.
    pub fn end_due(&mut self) {
        if self.is_due && self.looked.is_none_or(|at| at.elapsed() >= LONGER_PAUSE) {
            self.end();
        }
    }
}

fn end_all(buildah: u32) {
    let mut ended = HashSet::new();
    for _ in 0..ROUNDS {
        let seen = running();
        let mut left = adopted(&seen, process::id(), buildah, is_of_run);
        if !left.is_empty() {
            // Looked at after what it may have started: it still runs, or nothing of it may.
            let run = run_began(&running(), buildah, is_of_run);
            left.retain(|process| run.is_none_or(|began| process.started < began));
        }
        let left = with_children(&seen, &left);
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

/// Returns the children of this process that a RUN started.
fn adopted(running: &[Running], own: u32, buildah: u32, is_of_run: impl Fn(u32) -> bool) -> Vec<Running> {
    let is_adopted = |process: &&Running| process.parent == own && process.id != buildah;
    running.iter().filter(is_adopted).filter(|process| is_of_run(process.id)).copied().collect()
}

/// Returns when the RUN began that runs; none if none does. All of it that has not lost its parent is below Buildah.
fn run_began(running: &[Running], buildah: u32, is_of_run: impl Fn(u32) -> bool) -> Option<u64> {
    let buildah: Vec<Running> = running.iter().filter(|process| process.id == buildah).copied().collect();
    let all = with_children(running, &buildah);
    let of_run = running.iter().filter(|process| all.contains(&process.id) && is_of_run(process.id));
    of_run.map(|process| process.started).min()
}

/// Returns these processes, with all that they started.
fn with_children(running: &[Running], of: &[Running]) -> BTreeSet<u32> {
    let mut found: BTreeSet<u32> = of.iter().map(|process| process.id).collect();
    loop {
        let started =
            running.iter().filter(|process| found.contains(&process.parent)).map(|process| process.id);
        let all: BTreeSet<u32> = found.iter().copied().chain(started).collect();
        if all.len() == found.len() {
            return found;
        }
        found = all;
    }
}

/// Whether a process has another root than this one: that of an image, where only a RUN runs. The root of another
/// user's process is not shown; only a RUN has another user. What has just ended is none.
fn is_of_run(id: u32) -> bool {
    let root = |of: &str| fs::metadata(format!("/proc/{of}/root/")).map(|root| (root.dev(), root.ino()));
    match (root("self"), root(&id.to_string())) {
        (Ok(own), Ok(root)) => root != own,
        (_, Err(error)) => error.kind() == io::ErrorKind::PermissionDenied,
        (Err(_), Ok(_)) => false,
    }
}

fn running() -> Vec<Running> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter_map(|id| read(id, &fs::read_to_string(format!("/proc/{id}/stat")).ok()?)).collect()
}

/// Reads `1 (name) S 0 …` (proc(5)); none of a process that has ended.
fn read(id: u32, stat: &str) -> Option<Running> {
    // A name may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    // The 3rd, the 4th and the 22nd.
    let (state, parent, started) = (fields.first()?, fields.get(1)?, fields.get(19)?);
    let (parent, started) = (parent.parse().ok()?, started.trim_end().parse().ok()?);
    (!matches!(*state, "Z" | "X")).then_some(Running { id, parent, started })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 1, this process: 2 is Buildah, 3 and 8 the RUN of the present step, 4 to 6 what an earlier one left, 9 what
    /// the present one has let go, and 7 a program of this container. Each is as old as its id says.
    fn seen() -> Vec<Running> {
        [(2, 1), (3, 2), (4, 1), (5, 4), (6, 5), (7, 1), (8, 3), (9, 1)]
            .into_iter()
            .map(|(id, parent)| Running {
                id,
                parent,
                started: if [3, 8, 9].contains(&id) { 30 } else { 20 },
            })
            .collect()
    }

    #[test]
    fn what_an_earlier_run_left_is_older_than_the_one_that_runs() {
        let of_run = |id| [3, 4, 5, 6, 8, 9].contains(&id);
        let adopted = adopted(&seen(), 1, 2, of_run);
        assert_eq!(adopted.iter().map(|process| process.id).collect::<Vec<_>>(), [4, 9]);
        assert_eq!(with_children(&seen(), &adopted[..1]).into_iter().collect::<Vec<_>>(), [4, 5, 6]);
        assert_eq!(run_began(&seen(), 2, of_run), Some(30));
        assert_eq!(run_began(&seen(), 2, |id| [4, 5, 6].contains(&id)), None, "between two RUNs");
    }

    #[test]
    fn buildah_is_never_taken_for_what_a_run_left() {
        assert_eq!(adopted(&seen(), 1, 2, |_| true).iter().find(|process| process.id == 2), None);
        assert!(!is_of_run(u32::MAX), "what has ended is none either");
    }

    #[test]
    fn a_process_is_read_whatever_its_name_is() {
        let rest = "12 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9\n";
        assert_eq!(
            read(7, &format!("7 (a) S 1) S {rest}")),
            Some(Running { id: 7, parent: 12, started: 4711 })
        );
        assert_eq!(read(7, &format!("7 (sh) Z {rest}")), None);
        assert_eq!(read(7, ""), None);
        assert!(running().iter().any(|process| process.id == process::id()));
        assert!(!is_of_run(process::id()));
    }

    #[test]
    fn lines_that_a_run_prints_again_and_again_are_one_look() {
        let mut leftovers = Leftovers::of(u32::MAX);
        leftovers.end();
        let looked = leftovers.looked;
        leftovers.end_soon();
        assert!(leftovers.is_due || leftovers.looked != looked, "it is not forgotten");
        leftovers.looked = Instant::now().checked_sub(LONGER_PAUSE);
        leftovers.end_due();
        assert!(!leftovers.is_due && leftovers.looked > looked);
    }
}
