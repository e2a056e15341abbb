//! What is remembered of one object between two passes.

use std::sync::atomic::AtomicI64;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Reconcile, Report};
use crate::notifications::Told;

/// How long a status that was written may take until the watch shows it. One that changes nothing is never shown.
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
    /// Over which version of the object that was, and when.
    pub wrote_over: Option<(Box<str>, Instant)>,
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
    /// Notes that a status is written over this version of the object.
    pub fn writes_over(&mut self, version: Option<&str>) {
        self.wrote_over = version.map(|version| (version.into(), Instant::now()));
    }

    /// Returns how long the status that was written last is waited for, where the watch, which shows this version of the
    /// object, has yet to show it.
    pub fn awaits_status(&mut self, version: Option<&str>) -> Option<Duration> {
        let of_this = self.wrote_over.as_ref().filter(|(over, _)| version == Some(&**over));
        let left = of_this.map(|(_, at)| MAX_WATCH_LAG.saturating_sub(at.elapsed()));
        let left = left.filter(|left| !left.is_zero());
        if left.is_none() {
            self.wrote_over = None;
        }
        left
    }
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
            wrote_over: None,
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
