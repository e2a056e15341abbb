//! What users ask for beside the spec: it is handed to all Images of an object.

use std::time::Duration;

use imgop_core::schedule::{Candidate, Schedule};
use jiff::Timestamp;

/// What a pass hands on of what users ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    /// The token of the sync that was requested.
    pub sync: Option<String>,
    /// The value by which failed tags are reset.
    pub reset: Option<String>,
}

impl Requests {
    /// Returns what is handed on now. One that is being handed on is not held up by itself. What is suspended tries
    /// nothing again: its reset waits until it is resumed.
    pub fn of(
        candidate: &Candidate<'_>,
        is_suspended: bool,
        (schedule, is_under_way): (&Schedule, bool),
        now: Timestamp,
    ) -> Self {
        let open = |token: Option<&str>| token.map(str::to_owned);
        let sync = schedule.request(candidate, now).or(candidate.request.filter(|_| is_under_way));
        let reset = schedule.reset(candidate, now).or(candidate.reset.filter(|_| is_under_way));
        Self { sync: open(sync), reset: open(reset).filter(|_| !is_suspended) }
    }

    /// Returns how long what is asked for must wait that is not handed on now.
    pub fn delay(
        &self,
        candidate: &Candidate<'_>,
        is_suspended: bool,
        schedule: &Schedule,
        now: Timestamp,
    ) -> Option<Duration> {
        let is_waiting = candidate.request.is_some() && self.sync.is_none()
            || candidate.reset.is_some() && self.reset.is_none() && !is_suspended;
        schedule.request_delay(now).filter(|_| is_waiting)
    }
}
