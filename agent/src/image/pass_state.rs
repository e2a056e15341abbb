//! What the steps of a pass hand on: what a plan is worked out from, and what became of one.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use imgop_core::api::TagFailure;
use imgop_core::copy::{Copy, CopyRequest, Inputs, Observed, Outcome, Plan, Run, plan};
use imgop_registry::reference::Tag;
use jiff::Timestamp;

use crate::jobs::delay::Delay;

/// How long what was observed is good for a sync under way, whatever the frequency.
const MIN_OBSERVATION_TTL: Duration = Duration::from_mins(1);

/// Returns how long what was observed is good for a sync under way.
pub(super) fn observation_ttl(request: &CopyRequest) -> Duration {
    request.frequency.period().max(MIN_OBSERVATION_TTL)
}

/// What a plan is worked out from: what is asked for, what both registries answered, what the Jobs came to,
/// and which tags belong to others.
pub(super) struct PassState<'a> {
    pub request: &'a CopyRequest,
    pub observed_at: Timestamp,
    pub observed: Observed,
    /// Whether an earlier pass observed it.
    pub is_remembered: bool,
    pub runs: Vec<Run>,
    pub failures: Vec<TagFailure>,
    pub unrecorded_failures: u32,
    pub conflicts: HashMap<Tag, String>,
    /// Tags that objects of other namespaces give other content.
    pub disputed: BTreeSet<Tag>,
    pub retry_now: bool,
    /// Copies of Jobs that are younger than the last sync: a registry may not show yet what they pushed.
    pub begun: HashSet<Copy>,
    pub now: Timestamp,
}

impl PassState<'_> {
    /// Returns what is to be done.
    pub fn plan(&self) -> Plan {
        plan(Inputs {
            request: self.request,
            observed: &self.observed,
            runs: &self.runs,
            failures: &self.failures,
            unrecorded_failures: self.unrecorded_failures,
            conflicts: &self.conflicts,
            retry_now: self.retry_now,
            now: self.now,
        })
    }

    /// Records that a copy came to something else than its Job reports.
    pub fn set_outcome(&mut self, copy: &Copy, outcome: &Outcome) {
        for run in self.runs.iter_mut().filter(|run| run.copy == *copy) {
            run.outcome = outcome.clone();
        }
    }

    /// Returns whether the Job of any copy has not ended.
    pub fn is_any_running(&self) -> bool {
        self.runs.iter().any(|run| run.outcome == Outcome::Running)
    }
}

/// What became of a plan.
pub(super) struct Execution {
    /// The plan, in which what was begun is waited for.
    pub plan: Plan,
    /// Why copies that could begin do not.
    pub delay: Option<Delay>,
}
