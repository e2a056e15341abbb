//! What users ask for beside the spec, and what a pass makes of it.

use imgop_core::reset::Reset;
use imgop_core::schedule::Candidate;
use jiff::Timestamp;

use super::memory::Memory;
use super::{Access, Pass};

/// What a pass acts on of what users ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    /// The token of the sync that was requested.
    pub sync: Option<String>,
    /// The value by which failed tags are reset.
    pub reset_token: Option<String>,
    /// Which of them are: by that value, or all, for the spec is another one.
    pub reset: Option<Reset>,
}

impl Requests {
    /// Returns what is acted on now. A suspended Image tries nothing again: its reset waits until it is resumed.
    pub fn of(candidate: &Candidate<'_>, is_suspended: bool, memory: &Memory, now: Timestamp) -> Self {
        let sync = memory.schedule.request(candidate, now).map(str::to_owned);
        if is_suspended {
            return Self { sync, ..Self::default() };
        }
        let reset_token = memory.schedule.reset(candidate, now);
        let reset = Reset::of(candidate.is_spec_new(), reset_token);
        Self { sync, reset_token: reset_token.map(str::to_owned), reset }
    }
}

impl Pass<'_> {
    /// Returns whether tags failed and all of them are reset: a user asks for it, or Secrets are others than those with
    /// which they failed. So it is also of a suspended Image whose Jobs end, as its status has the new Secrets from then on.
    pub(super) fn resets_all(&self, access: &Access) -> bool {
        let status = self.image.status.as_ref().filter(|status| !status.failures.is_empty());
        let Some(status) = status else { return false };
        let has_other_secrets =
            status.credentials.as_ref().is_some_and(|before| *before != access.credentials);
        has_other_secrets || self.requests.reset == Some(Reset::All)
    }
}
