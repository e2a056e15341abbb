//! What is remembered of one object between two passes.

use std::sync::atomic::AtomicI64;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Reconcile, Report};
use crate::notifications::Told;

/// How long a status that was written may take until the watch shows it.
const MAX_WATCH_LAG: Duration = Duration::from_secs(2);

/// A report whose status could not be written, and the generation of the spec that it is of.
pub(super) type Pending<S> = (Option<i64>, Report<S>);

/// What is remembered of one object. There may be ten thousand.
pub(super) struct Slot<R: Reconcile> {
    /// The kind's own.
    pub memory: R::Memory,
    /// What is to be written yet.
    pub pending: Option<Box<Pending<R::Status>>>,
    /// When its status was written last.
    pub written: Option<Timestamp>,
    /// Which version the object has with that, until the watch shows it, and when that was.
    pub awaited: Option<(u64, Instant)>,
    /// How many times in a row the API server failed a pass.
    pub api_failures: u32,
    /// Why the object could not be decoded, once that is reported.
    pub undecodable: Option<String>,
    /// When the pass that runs came to the end of a look.
    pub looked: Option<Timestamp>,
    /// The trouble that the last notification told of, if it has not ended.
    pub told: Option<Box<Told>>,
}

impl<R: Reconcile> Slot<R> {
    /// Notes that a status was written, with which the object has this version.
    pub fn wrote(&mut self, version: Option<&str>) {
        self.awaited = version.and_then(number).map(|version| (version, Instant::now()));
    }

    /// Returns how long the status that was written last is waited for, where the watch, which shows this version of the
    /// object, has yet to show it. One in between is of another client, and has the status of before.
    pub fn awaits_status(&mut self, shown: Option<&str>) -> Option<Duration> {
        let (written, at) = self.awaited.take()?;
        let left = MAX_WATCH_LAG.saturating_sub(at.elapsed());
        let is_awaited = shown.and_then(number).is_some_and(|shown| shown < written) && !left.is_zero();
        self.awaited = is_awaited.then_some((written, at));
        is_awaited.then_some(left)
    }
}

/// Returns a resource version as the number that says which of two of one object is newer; none if it is no number.
fn number(version: &str) -> Option<u64> {
    version.parse().ok()
}

/// What is remembered of one object, and what metrics show of that without waiting for a pass.
pub(super) struct Remembered<R: Reconcile> {
    pub slot: tokio::sync::Mutex<Slot<R>>,
    /// When a look last ended, in seconds since 1970; 0 if none has since this process began.
    pub last_look: AtomicI64,
}

impl<R: Reconcile> Default for Slot<R> {
    fn default() -> Self {
        Self {
            memory: R::Memory::default(),
            pending: None,
            written: None,
            awaited: None,
            api_failures: 0,
            undecodable: None,
            looked: None,
            told: None,
        }
    }
}

impl<R: Reconcile> Default for Remembered<R> {
    fn default() -> Self {
        Self { slot: tokio::sync::Mutex::default(), last_look: AtomicI64::new(0) }
    }
}
