//! Whether the agent is ready: each watch has sent its first list, or enough of them have after a while, and
//! neither Jobs nor any kind is without a watch that works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How long the agent waits for all watches after its start.
pub const READY_WITHOUT_SOME_AFTER: Duration = Duration::from_mins(1);
/// How often it is asked again whether any watch has begun by then.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// A watch that fails is tried again more often than this: one without an error for as long works.
const MAX_ERROR_INTERVAL: Duration = Duration::from_secs(75);
/// What a watch last sent is too old to rely on: a watch and a half.
const MAX_FAILING: Duration = Duration::from_secs(90);

/// Whether all watches have begun and work. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct ReadyGate(Arc<Watches>);

#[derive(Debug, Default)]
struct Watches {
    is_open: AtomicBool,
    /// The watches of Jobs, and those of each kind.
    groups: Mutex<Vec<Vec<WatchState>>>,
}

#[derive(Debug, Clone, Default)]
struct WatchState {
    is_known: bool,
    errors: Option<Errors>,
}

/// Errors of one watch, each a little after the one before.
#[derive(Debug, Clone, Copy)]
struct Errors {
    first: Instant,
    last: Instant,
}

/// One watch, as the gate knows it.
#[derive(Debug, Clone)]
pub struct WatchHandle {
    gate: ReadyGate,
    group: usize,
    index: usize,
}

impl ReadyGate {
    /// Returns one that waits for nothing more.
    #[cfg(test)]
    pub fn opened() -> Self {
        let gate = Self::default();
        gate.expect(1).iter_mut().for_each(WatchHandle::is_known);
        gate
    }

    /// Waits for one more group of watches, and returns them: those of Jobs, or of a kind.
    pub fn expect(&self, watches: usize) -> Vec<WatchHandle> {
        let mut groups = self.0.groups.lock();
        groups.push(vec![WatchState::default(); watches]);
        let group = groups.len() - 1;
        (0..watches).map(|index| WatchHandle { gate: self.clone(), group, index }).collect()
    }

    /// Returns whether the agent is ready.
    pub fn is_open(&self) -> bool {
        self.0.is_open.load(Ordering::Acquire)
    }

    /// Returns whether none of the watches of some group works, as when the right to it was withdrawn. One
    /// namespace of several is no reason: a tenant may delete it.
    pub fn is_blind(&self) -> bool {
        let is_failing = |watch: &WatchState| watch.failing() > MAX_FAILING;
        self.0.groups.lock().iter().any(|group| !group.is_empty() && group.iter().all(is_failing))
    }

    /// Returns how long the watch has failed that began to fail first.
    pub fn longest_failing(&self) -> Duration {
        self.0.groups.lock().iter().flatten().map(WatchState::failing).max().unwrap_or_default()
    }

    /// Makes the agent ready without some watches after a while: a namespace that cannot be watched must not
    /// keep it from being ready for all others.
    pub async fn accept_some(&self, wait: Duration) {
        tokio::time::sleep(wait).await;
        while !self.is_open() {
            let groups = self.0.groups.lock().clone();
            if groups.iter().all(|group| group.iter().any(|watch| watch.is_known)) {
                let missing = groups.iter().flatten().filter(|watch| !watch.is_known).count();
                tracing::warn!(count = missing, "ready, though some watches have not begun");
                self.0.is_open.store(true, Ordering::Release);
            } else {
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
        }
    }
}

impl WatchHandle {
    /// Notes that a list of the watch is complete.
    pub fn is_known(&mut self) {
        let mut groups = self.gate.0.groups.lock();
        if let Some(watch) = groups.get_mut(self.group).and_then(|group| group.get_mut(self.index)) {
            watch.is_known = true;
        }
        let are_all_known = groups.iter().flatten().all(|watch| watch.is_known);
        if are_all_known && !self.gate.0.is_open.swap(true, Ordering::AcqRel) {
            tracing::info!("ready");
        }
    }

    /// Returns whether the watch has failed for so long that what it showed is too old to rely on.
    pub fn is_blind(&self) -> bool {
        let groups = self.gate.0.groups.lock();
        let watch = groups.get(self.group).and_then(|group| group.get(self.index));
        watch.is_some_and(|watch| watch.failing() > MAX_FAILING)
    }

    /// Notes that the watch has failed just now.
    pub fn has_failed(&self) {
        let (mut groups, now) = (self.gate.0.groups.lock(), Instant::now());
        if let Some(watch) = groups.get_mut(self.group).and_then(|group| group.get_mut(self.index)) {
            let first = watch.errors.filter(Errors::is_going_on).map_or(now, |errors| errors.first);
            watch.errors = Some(Errors { first, last: now });
        }
    }
}

impl WatchState {
    /// Returns how long the watch has failed.
    fn failing(&self) -> Duration {
        self.errors.filter(Errors::is_going_on).map_or(Duration::ZERO, |errors| errors.first.elapsed())
    }
}

impl Errors {
    fn is_going_on(&self) -> bool {
        self.last.elapsed() < MAX_ERROR_INTERVAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_agent_is_ready_without_a_namespace_that_it_cannot_watch() {
        let gate = ReadyGate::default();
        gate.expect(2)[0].is_known();
        assert!(!gate.is_open());
        gate.accept_some(Duration::ZERO).await;
        assert!(gate.is_open());
    }

    #[test]
    fn the_agent_is_ready_once_the_last_watch_has_sent_its_list() {
        let gate = ReadyGate::default();
        let (mut images, mut builders) = (gate.expect(1), gate.expect(1));
        images[0].is_known();
        assert!(!gate.is_open());
        builders[0].is_known();
        assert!(gate.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_whose_only_watch_fails_for_a_while_makes_the_agent_blind_until_it_works_again() {
        let gate = ReadyGate::default();
        let (images, builders) = (gate.expect(1), gate.expect(2));
        for _ in 0..3 {
            images[0].has_failed();
            builders[0].has_failed();
            assert!(!gate.is_blind());
            tokio::time::advance(Duration::from_secs(30)).await;
        }
        images[0].has_failed();
        builders[0].has_failed();
        assert!(!gate.is_blind(), "for 90 s it may fail");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(gate.is_blind());
        tokio::time::advance(Duration::from_secs(29)).await;
        images[0].has_failed();
        assert!(gate.is_blind());
        assert_eq!(gate.longest_failing(), Duration::from_mins(2));
        tokio::time::advance(MAX_ERROR_INTERVAL).await;
        assert!(!gate.is_blind() && gate.longest_failing().is_zero());
        for _ in 0..5 {
            builders[0].has_failed();
            tokio::time::advance(Duration::from_secs(30)).await;
        }
        assert!(!gate.is_blind(), "the other namespace is watched");
    }

    #[tokio::test]
    async fn the_agent_is_not_ready_while_jobs_are_known_and_no_namespace_of_a_kind_is() {
        let gate = ReadyGate::default();
        let (mut jobs, mut images) = (gate.expect(1), gate.expect(2));
        jobs[0].is_known();
        let accepting = gate.accept_some(Duration::ZERO);
        assert!(tokio::time::timeout(Duration::from_millis(20), accepting).await.is_err());
        images[1].is_known();
        gate.accept_some(Duration::ZERO).await;
        assert!(gate.is_open());
    }
}
