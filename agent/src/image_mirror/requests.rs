//! What users ask for beside the spec: it is handed to all Images.

use imgop_core::schedule::Candidate;
use jiff::Timestamp;

use super::Memory;

/// What a pass hands on of what users ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    /// The token of the sync that was requested.
    pub sync: Option<String>,
    /// The value by which failed tags are reset.
    pub reset: Option<String>,
}

impl Requests {
    /// Returns what is handed on now. A suspended ImageMirror tries nothing again: its reset waits until it is resumed.
    pub fn of(candidate: &Candidate<'_>, is_suspended: bool, memory: &Memory, now: Timestamp) -> Self {
        let open = |token: Option<&str>| token.map(str::to_owned);
        // One that is being handed on is not held up by itself.
        let is_under_way = memory.is_busy;
        let sync = memory.schedule.request(candidate, now).or(candidate.request.filter(|_| is_under_way));
        let reset = memory.schedule.reset(candidate, now).or(candidate.reset.filter(|_| is_under_way));
        Self { sync: open(sync), reset: open(reset).filter(|_| !is_suspended) }
    }
}
