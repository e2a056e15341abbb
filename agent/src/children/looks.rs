//! When an object and its Images are looked at, and when they are written again.

use std::time::Duration;

use imgop_core::schedule::{Candidate, Due, Recurrence, Schedule};
use imgop_core::time::{remaining, saturating_add};
use jiff::Timestamp;

use super::Requests;

/// When the next Images are written of more than a pass writes.
pub(crate) const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// What is remembered of the looks at an object and its Images. All of it may be lost.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    pub schedule: Schedule,
    /// When the Images were last looked at.
    pub looked: Option<Timestamp>,
    /// When a status was last reported.
    pub reported: Option<Timestamp>,
    /// Whether Images were written just now, or more are to be.
    pub is_busy: bool,
    /// When the watch has shown, or should have, all that was written and that it has not shown yet.
    pub shown_by: Option<Timestamp>,
    /// Whether what made the object due has not come to its end.
    pub is_syncing: bool,
    /// The requests that are being handed on.
    handing: Requests,
}

impl Looks {
    /// Returns what users ask for that is handed on now.
    pub fn requests(&self, candidate: &Candidate<'_>, is_suspended: bool, now: Timestamp) -> Requests {
        Requests::of(candidate, is_suspended, (&self.schedule, self.is_busy), now)
    }

    /// Returns why everything is to be looked at anew, if it is.
    pub fn due(&mut self, candidate: &Candidate<'_>, requests: &Requests, now: Timestamp) -> Option<Due> {
        let due = self.schedule.due(candidate, now)?;
        match due {
            Due::InProgress => None,
            // It is being handed to the Images.
            Due::Requested if self.is_busy && self.handing == *requests => None,
            Due::Requested => {
                self.schedule.last_request = Some(now);
                self.handing = requests.clone();
                Some(due)
            }
            Due::SpecChanged | Due::Scheduled => Some(due),
        }
    }

    /// Returns how long nothing is to be done, because the Images were looked at just now.
    pub fn too_early(&self, due: Option<Due>, interval: Duration, now: Timestamp) -> Option<Duration> {
        if due.is_some() || self.is_busy {
            return None;
        }
        let next = saturating_add(self.looked?, interval);
        Some(remaining(next, now)).filter(|wait| !wait.is_zero())
    }

    /// Returns whether a status was reported so recently that one that says how far it has come can wait.
    pub fn is_reported(&self, interval: Duration, now: Timestamp) -> bool {
        self.reported.is_some_and(|at| now < saturating_add(at, interval))
    }

    /// Notes that a look has come to its end that was due.
    pub fn ended(&mut self, uid: &str, recurrence: &Recurrence, now: Timestamp) {
        self.schedule.retries = 0;
        self.schedule.next = Some(recurrence.next(uid, now));
    }

    /// Returns when the next pass is, at this time at the latest.
    pub fn next(&self, wait: Option<Duration>, now: Timestamp) -> Option<Duration> {
        let regular = self.schedule.next.map(|next| remaining(next, now).max(WRITE_INTERVAL));
        let soon = self.is_busy.then_some(WRITE_INTERVAL);
        let shown = self.shown_by.filter(|at| *at > now).map(|at| remaining(at, now).max(WRITE_INTERVAL));
        wait.into_iter().chain(regular).chain(soon).chain(shown).min()
    }
}
