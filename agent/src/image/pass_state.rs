//! What the steps of a pass hand on: what a plan is worked out from, and what became of one.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use imgop_copier::OpenUpload;
use imgop_core::api::{FailureReason, TagFailure};
use imgop_core::copy::{Cooldown, Copy, CopyRequest, Inputs, Observed, Outcome, Plan, Run, plan};
use imgop_core::creation::YieldedPolicy;
use imgop_core::schedule::Due;
use imgop_registry::reference::Tag;
use jiff::Timestamp;

use super::Pass;
use super::execute::runs;
use super::job_results::JobResults;
use super::memory::Memory;
use crate::jobs::delay::Delay;

/// How long what was observed is good for a sync under way, whatever the frequency.
const MIN_OBSERVATION_TTL: Duration = Duration::from_mins(1);

/// Returns how long what was observed is good for a sync under way.
pub(super) fn observation_ttl(request: &CopyRequest, now: Timestamp) -> Duration {
    request.recurrence.pause(now).max(MIN_OBSERVATION_TTL)
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
    /// A hash of the Secrets that are used now.
    pub credentials: String,
    pub conflicts: HashMap<Tag, String>,
    pub cooldown: Cooldown,
    /// Tags that objects of other namespaces give other content.
    pub disputed: BTreeSet<Tag>,
    /// Policies of the destination's repository that other objects set.
    pub yielded: Vec<YieldedPolicy>,
    pub retry_now: bool,
    pub reset_at: Option<Timestamp>,
    /// Copies of Jobs that are younger than the last sync: a registry may not show yet what they pushed.
    pub begun: HashSet<Copy>,
    /// Uploads that earlier tries have left.
    pub uploads: Vec<OpenUpload>,
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
            cooldown: self.cooldown,
            retry_now: self.retry_now,
            reset_at: self.reset_at,
            now: self.now,
        })
    }

    /// Records that a copy came to something else than its Job reports.
    pub fn set_outcome(&mut self, copy: &Copy, outcome: &Outcome) {
        for run in self.runs.iter_mut().filter(|run| run.copy == *copy) {
            run.outcome = outcome.clone();
        }
    }

    /// Returns why a tag was not set, with the tries counted that an earlier process made.
    pub fn counted(&self, copy: &Copy, outcome: Outcome) -> Outcome {
        let (tag, digest) = (copy.source_ref.to_string(), copy.digest.as_str());
        let is_of_it = |known: &&TagFailure| {
            known.reason == FailureReason::PublishFailed
                && known.tag == tag
                && known.digest.as_deref() == Some(digest)
        };
        match (outcome, self.failures.iter().find(is_of_it)) {
            (Outcome::Unpublished { tries, message, at }, Some(known)) => {
                Outcome::Unpublished { tries: tries.max(known.tries().saturating_add(1)), message, at }
            }
            (outcome, _) => outcome,
        }
    }

    /// Returns whether the Job of any copy has not ended.
    pub fn is_any_running(&self) -> bool {
        self.runs.iter().any(|run| run.outcome == Outcome::Running)
    }
}

impl Pass<'_> {
    /// Returns what is known of each tag: as it was observed, what its Jobs came to, and whose it is.
    pub(super) fn state<'r>(
        &self,
        request: &'r CopyRequest,
        (observed_at, observed): (Timestamp, Observed),
        jobs: &JobResults,
        due: Due,
        memory: &Memory,
    ) -> PassState<'r> {
        let runs = runs(jobs, memory);
        let differing: Vec<&Tag> = observed.to_be_written().collect();
        let policy = self.agent().policies.latest();
        let mut conflicts = self.images.conflicts.conflicts(self.image, request, &differing, &policy);
        conflicts.extend(self.images.claims.conflicts(self.image, request, &differing, &policy));
        let is_refused =
            |namespace: &str| self.agent().policies.refuses_push(namespace, &request.destination);
        let disputed = self.images.conflicts.disputed(self.image, request, &observed, &policy, is_refused);
        let left_alone = self.images.conflicts.disputes.left_alone(self.uid(), request, &disputed, self.now);
        conflicts.extend(left_alone);
        PassState {
            request,
            observed_at,
            observed,
            is_remembered: false,
            runs,
            failures: self.recorded_failures(memory),
            unrecorded_failures: self.status().unrecorded_failures(),
            credentials: String::new(),
            conflicts,
            cooldown: self.agent().config.failure_cooldown(),
            disputed,
            yielded: self.yielded(request),
            retry_now: due.is_asked_for(),
            reset_at: memory.sync.as_ref().and_then(|sync| sync.reset_at),
            begun: jobs.begun_since(self.status().last_sync_time.map(|time| time.0)),
            uploads: Vec::new(),
            now: self.now,
        }
    }
}

/// What became of a plan.
pub(super) struct Execution {
    /// The plan, in which what was begun is waited for.
    pub plan: Plan,
    /// Why copies that could begin do not.
    pub delay: Option<Delay>,
}
