//! What a look does: what is there already is settled (`settle.rs`), Jobs are made for the rest, and how
//! it stands is said (`conclude.rs`).

use std::collections::HashMap;
use std::time::Duration;

use imgop_core::api::Side;
use imgop_core::api::{FailureReason, TagFailure};
use imgop_core::copy::Sides;
use imgop_core::copy::{
    Copy, CopyRequest, Inputs, Observed, ObservedTag, Outcome, Plan, Run, Seen, TagState, plan,
};
use imgop_registry::reference::Tag;
use jiff::Timestamp;

use super::job::in_order;
use super::jobs::{JobError, Jobs};
use super::pulls::{affordable, give_back, held_back};
use super::reconcile::{ApiError, LOOK_FOR_PLACE, Look, Looked};
use super::schedule::Due;

/// What is known while a look acts.
pub(super) struct Work<'a> {
    pub request: &'a CopyRequest,
    pub observed_at: Timestamp,
    pub observed: Observed,
    pub runs: Vec<Run>,
    pub failures: Vec<TagFailure>,
    pub taken: HashMap<Tag, String>,
    pub retry_now: bool,
}

/// Copies that the source has pulls for.
struct Paid {
    copies: Vec<Copy>,
    /// Of how many of them, from the first, the pulls are counted already.
    counted: usize,
    held_back: Option<HeldBack>,
}

/// Why copies that could begin do not.
pub(super) struct HeldBack {
    /// For people.
    pub message: String,
    /// When they are looked at again.
    pub wait: Duration,
}

impl HeldBack {
    fn for_a_place(message: String) -> Self {
        Self { message, wait: LOOK_FOR_PLACE }
    }
}

impl Look<'_> {
    /// Does what is to be done, and says how it stands. A suspended Image begins no copies.
    pub(super) async fn act(
        &mut self,
        request: &CopyRequest,
        sides: &Sides,
        observed: (Timestamp, Observed),
        due: Due,
        secrets: Vec<String>,
    ) -> Result<Looked, ApiError> {
        // Also if the API server fails us, Jobs that run are set by it.
        self.memory.observed = Some(observed.clone());
        let (route, podless) = (request.route(), &mut self.memory.podless);
        let jobs = Jobs::of(self.context, self.image, route, podless, self.now).await?;
        self.drop_stuck(&jobs).await?;
        let mut work = self.work(request, observed, &jobs, due);
        if let Some(destination) = &sides.destination
            && let Err(error) = self.settle((&sides.source, destination), &jobs, &mut work).await
        {
            // An index that is made is read from the source before it is written.
            let is_sources = error.repository() == &request.source && request.source != request.destination;
            let side = if is_sources { Side::Source } else { Side::Destination };
            return Ok(self.registry_failed(side, &error, secrets));
        }
        if let Some(destination) = &sides.destination {
            self.learn(request, destination).await;
        }
        let copies = if self.image.spec.suspend { Vec::new() } else { self.copies(&work) };
        let Paid { copies, counted, mut held_back } = self.affordable(request, sides, copies, &jobs).await;
        self.mount(request, sides, &copies[..jobs.room(&copies)]).await;
        if !copies.is_empty() {
            let made = jobs.make(request, &copies).await;
            let each = self.memory.pulls_of_a_copy.unwrap_or(1);
            give_back(&sides.source, &copies[..counted], &made.copies, each);
            self.memory.started.extend(made.copies.iter().cloned());
            work.runs.extend(made.copies.into_iter().map(|copy| Run { copy, outcome: Outcome::Running }));
            held_back = held_back.or(made.full.map(|full| HeldBack::for_a_place(full.to_string())));
            if let Some(error) = made.error {
                // A quota that lets some Jobs run is no reason to give up: the rest follows them.
                if matches!(error, JobError::Api(_))
                    || !work.runs.iter().any(|r| r.outcome == Outcome::Running)
                {
                    return self.job_failed(error);
                }
                held_back = Some(HeldBack::for_a_place(error.to_string()));
            }
        }
        // A copy that was not started is planned again, and one that was is waited for.
        let planned = self.plan(&work);
        Ok(self.conclude(&work, &planned, &jobs, held_back.as_ref()))
    }

    /// Gives up Jobs that do not start, before anything else can fail: they hold places, and there may be as
    /// many as an Image may have.
    pub(super) async fn drop_stuck(&mut self, jobs: &Jobs<'_>) -> Result<(), ApiError> {
        for (copy, outcome) in jobs.stuck() {
            self.memory.outcomes.entry(copy).or_insert(outcome);
        }
        Ok(jobs.drop_stuck().await?)
    }

    /// What is known of each tag: as it was observed, what its Jobs came to, and whose it is.
    pub(super) fn work<'w>(
        &mut self,
        request: &'w CopyRequest,
        (observed_at, observed): (Timestamp, Observed),
        jobs: &Jobs<'_>,
        due: Due,
    ) -> Work<'w> {
        let runs = self.runs(jobs);
        let retry_now = matches!(due, Due::Requested | Due::SpecChanged);
        let differing: Vec<&Tag> = observed
            .tags
            .iter()
            .filter(|tag| is_to_be_written(tag))
            .map(|tag| &tag.destination_tag)
            .collect();
        let taken = self.context.rivals.taken(self.image, request, &differing);
        let failures = self.status().failures;
        Work { request, observed_at, observed, runs, failures, taken, retry_now }
    }

    /// The copies that the source has pulls for, and why the others wait. Those for which there is no
    /// place now count no pulls, and stay to be named as such.
    async fn affordable(
        &self,
        request: &CopyRequest,
        sides: &Sides,
        mut copies: Vec<Copy>,
        jobs: &Jobs<'_>,
    ) -> Paid {
        let later = copies.split_off(jobs.room(&copies));
        let found = affordable(&sides.source, copies, self.memory.pulls_of_a_copy.unwrap_or(1)).await;
        let counted = found.copies.len();
        let Some(short) = found.short else {
            return Paid { copies: [found.copies, later].concat(), counted, held_back: None };
        };
        let uid = self.image.metadata.uid.as_deref().unwrap_or_default();
        let held_back = Some(held_back(request.source.host(), &short, uid, self.now));
        Paid { copies: found.copies, counted, held_back }
    }

    /// The copies that are to be begun, in the order in which Jobs take them.
    pub(super) fn copies(&self, work: &Work<'_>) -> Vec<Copy> {
        in_order(self.plan(work).copies().cloned())
    }

    pub(super) fn plan(&self, work: &Work<'_>) -> Plan {
        plan(Inputs {
            request: work.request,
            observed: &work.observed,
            runs: &work.runs,
            failures: &work.failures,
            conflicts: &work.taken,
            retry_now: work.retry_now,
            now: self.now,
        })
    }

    /// What became of the copies that Jobs were made for. A Job that somebody deleted before it ended
    /// is a failed try: making it again at once would race with whoever deletes it.
    fn runs(&mut self, jobs: &Jobs<'_>) -> Vec<Run> {
        let runs = jobs.runs(&self.memory.outcomes);
        let unfinished = |copy: &Copy| runs.iter().any(|r| r.copy == *copy && r.outcome == Outcome::Running);
        let vanished = |copy: &Copy| !runs.iter().any(|run| run.copy == *copy);
        let at = self.now;
        for copy in self.memory.started.iter().filter(|copy| vanished(copy)) {
            let message = "its Job was deleted before it ended".to_owned();
            let outcome = Outcome::Failed { reason: FailureReason::CopyFailed, message, at };
            self.memory.outcomes.insert(copy.clone(), outcome);
        }
        self.memory.started.retain(|copy| unfinished(copy));
        jobs.runs(&self.memory.outcomes)
    }
}

impl Work<'_> {
    /// The destination has answered for a tag.
    pub(super) fn seen(&mut self, copy: &Copy, seen: &Seen) {
        for tag in self.observed.tags.iter_mut().filter(|t| t.destination_tag == copy.destination_tag) {
            tag.destination = seen.clone();
        }
    }

    /// A copy has come to something else than its Job says.
    pub(super) fn became(&mut self, copy: &Copy, outcome: &Outcome) {
        for run in self.runs.iter_mut().filter(|run| run.copy == *copy) {
            run.outcome = outcome.clone();
        }
    }
}

fn is_to_be_written(tag: &ObservedTag) -> bool {
    matches!(tag.state(), TagState::Missing | TagState::Differs)
}

#[cfg(test)]
mod tests {
    use imgop_core::api::conditions::reasons;

    use super::*;
    use crate::image::memory::Remembered;
    use crate::image::tests::fixtures::now;
    use crate::image::tests::stage::{Stage, copy_of};

    #[tokio::test]
    async fn a_job_that_is_stuck_gives_its_place_back_also_where_no_other_can_be_made() {
        let mut stage = Stage::of_a_synced_image().await;
        stage.is_reconciling(reasons::PROGRESSING);
        let (stuck, other) = (copy_of("v2.13.1", "{}"), copy_of("v2.13.2", "{ }"));
        stage.has_job(&stuck);
        stage.without_pod();
        stage.api.fail_with("POST", "/jobs", 403, "exceeded quota: few, requested: count/jobs.batch=1");
        let tag = |copy: &Copy| {
            let there = Seen::Present(copy.digest.clone());
            ObservedTag::whole(copy.source_ref.clone(), copy.destination_tag.clone(), there, Seen::Absent)
        };
        let observed = Observed { tags: vec![tag(&stuck), tag(&other)], ..Observed::default() };
        let mut memory = Remembered {
            generation: Some(1),
            observed: Some((now(), observed)),
            started: [stuck.clone()].into(),
            ..Remembered::default()
        };
        let look = Look { context: &stage.context, image: &stage.image, memory: &mut memory, now: now() };
        look.run().await.unwrap();
        assert_eq!(stage.api.bodies("DELETE").len(), 0, "its pod may have been evicted a moment ago");
        let now = now() + Duration::from_mins(1);
        let look = Look { context: &stage.context, image: &stage.image, memory: &mut memory, now };
        let said = look.run().await.unwrap().findings.unwrap().readiness;
        assert_eq!(said.conditions[0].reason, reasons::JOB_REFUSED);
        assert_eq!(stage.api.bodies("DELETE").len(), 1);
        assert!(matches!(
            memory.outcomes[&stuck],
            Outcome::Failed { reason: FailureReason::PodNotStarted, .. }
        ));
    }
}
