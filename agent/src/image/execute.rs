//! What a pass does for copies that need Jobs: it creates as many as the source's pulls and the budget of Jobs
//! allow, and reads what earlier ones came to.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use imgop_core::api::conditions::reasons;
use imgop_core::api::{Engine, FailureReason, Image, NATIVE_CONTAINER, OWNER_ANNOTATION, Side};
use imgop_core::copy::{
    Copy, CopyRequest, Deferral, Outcome, Plan, Run, SourceMounts, TagAction, admit, in_order, mount, release,
};
use imgop_core::time::saturating_add;
use imgop_registry::reference::Repository;
use k8s_openapi::api::batch::v1::Job;

use super::failures::Halt;
use super::job::{JobOf, deadline_seconds, engine, falls_back, identity, job, options};
use super::job_batches::{Batch, JobEngine};
use super::job_results::JobResults;
use super::memory::{Memory, SyncInProgress};
use super::native_job::{Reach, Resumed};
use super::pass_state::{Execution, PassState};
use super::places::WithPlaces;
use super::{Access, Pass, SHORT_INTERVAL};
use crate::cluster::events::named;
use crate::jobs::budget::Place;
use crate::jobs::delay::Delay;
use crate::jobs::refusals::Advice;
use crate::jobs::report::JobReport;
use crate::jobs::{Created, JobError, place_in};
use crate::metrics::OfKind;
use crate::registry_access::JobSecretError;

/// Pulls that a copy takes whose content is not known: the index of an official image of Docker Hub lists about eight
/// images. Too few reserved would let Jobs take what is to be left to others.
const GUESSED_PULLS: u64 = 8;

/// Copies for which Jobs were created, and the error that stopped it.
struct Begun {
    copies: Vec<Copy>,
    error: Option<Halt>,
}

impl Pass<'_> {
    /// Deletes the Jobs that hold a place and do not start, before anything else can fail: there may be as many
    /// of them as an Image may have. Returns what the Jobs of the Image came to.
    pub(super) async fn give_up_stuck_jobs(
        &self,
        request: &CopyRequest,
        memory: &mut Memory,
    ) -> Result<JobResults, Halt> {
        let mut reports = self.agent().jobs.of_owner(&self.owner, self.now);
        self.agent().jobs.explain(&mut reports, &Advice::RESTRICTED).await;
        let jobs = JobResults::new(&reports, request.route());
        for (copy, outcome) in jobs.given_up() {
            memory.outcomes.entry(copy.clone()).or_insert_with(|| outcome.clone());
        }
        let until = saturating_add(self.now, self.longest_run());
        memory.cache().lost.extend(jobs.lost().map(|tag| (tag.clone(), until)));
        for job in reports.iter().filter(|job| job.is_to_be_deleted()) {
            self.agent().jobs.delete(job).await?;
        }
        Ok(jobs)
    }

    /// Deletes the Jobs whose pods wait for a node as another template or engine says than that of the spec: their copies are
    /// begun anew, and are no failed tries. What runs goes on as it is.
    pub(super) async fn replace_waiting_jobs(
        &self,
        request: &CopyRequest,
        reports: &[JobReport],
        memory: &mut Memory,
    ) -> Result<(), Halt> {
        if self.image.spec.suspend {
            return Ok(());
        }
        let (spec, config) = (&self.image.spec, &self.agent().config);
        let template = |job: &JobReport| {
            let is_fallback = falls_back(spec, config) && job.has_container(NATIVE_CONTAINER);
            let engine =
                if is_fallback { JobEngine::Fallback } else { JobEngine::Named(engine(spec, config)) };
            options(spec, config, engine, is_lent(job)).hash()
        };
        for job in reports.iter().filter(|job| job.waits_with_other_template(&template(job))) {
            let of_job = JobResults::new(std::slice::from_ref(job), request.route());
            let copies: HashSet<Copy> =
                of_job.runs(&HashMap::new()).into_iter().map(|run| run.copy).collect();
            self.agent().jobs.delete(job).await?;
            memory.sync().started.retain(|copy| !copies.contains(copy));
        }
        Ok(())
    }

    /// Returns how long a pod that nothing ends may run: Skopeo ends itself, and one container may run before the
    /// others.
    fn longest_run(&self) -> Duration {
        let of_spec = deadline_seconds(&self.image.spec, &self.agent().config);
        2 * Duration::from_secs(of_spec.into())
    }

    /// Records the Jobs that were deleted before they ended as failed tries: creating them again at once would
    /// race with whoever deletes them.
    pub(super) fn record_vanished_jobs(&self, jobs: &JobResults, memory: &mut Memory) {
        let runs = runs(jobs, memory);
        let Some(sync) = &mut memory.sync else { return };
        for copy in sync.started.iter().filter(|copy| runs.iter().all(|run| run.copy != **copy)) {
            let message = "its Job was deleted before it ended".to_owned();
            let outcome = Outcome::Failed { reason: FailureReason::CopyFailed, message, at: self.now };
            memory.outcomes.insert(copy.clone(), outcome);
        }
        self.forget_ended(&runs, jobs, sync);
    }

    /// Forgets the copies of which this process has now seen the end, and counts them.
    pub(super) fn forget_ended(&self, runs: &[Run], jobs: &JobResults, sync: &mut SyncInProgress) {
        let SyncInProgress { started, pushed, .. } = sync;
        started.retain(|copy| {
            let is_running = is_running(runs, copy);
            if !is_running {
                let run = runs.iter().find(|run| run.copy == *copy);
                let (outcome, took) = (run.map(|run| &run.outcome), jobs.duration(copy));
                self.images.counters.ended(&self.image.spec, outcome, took);
                if outcome == Some(&Outcome::Succeeded) {
                    pushed.insert(copy.destination_tag.clone());
                }
            }
            is_running
        });
    }

    /// Creates Jobs for the copies of a plan. A suspended Image begins none.
    pub(super) async fn execute(
        &self,
        access: &Access,
        mut plan: Plan,
        state: &mut PassState<'_>,
        memory: &mut Memory,
    ) -> Result<Execution, Halt> {
        let copies = if self.image.spec.suspend { Vec::new() } else { in_order(plan.copies().cloned()) };
        if copies.is_empty() {
            self.keep_repository(state, &plan).await?;
            return Ok(Execution { plan, delay: None });
        }
        // Copies without a place take no pulls, and stay in the plan as those that wait.
        let WithPlaces { mut batches, places, full } = self.with_places(&copies, memory.sync());
        let with_place: Vec<Copy> = batches.iter().flat_map(|batch| batch.copies.clone()).collect();
        if !with_place.is_empty() {
            // What failed before may have failed because the repository is gone.
            let again = state.retry_now || with_place.iter().any(|copy| copy.attempt > 1);
            self.ensure_repository(state, again).await?;
        }
        let (route, pulls_per_copy) =
            (access.route(state.request), memory.pulls_per_copy.unwrap_or(GUESSED_PULLS));
        let admission = admit(route, with_place, pulls_per_copy, self.uid()).await;
        if admission.reason.is_some() {
            // More places would be of no use now.
            self.agent().jobs.leave_queue(self.uid());
        }
        let (images, tried) = (self.images, &mut memory.sync().mounted);
        let scope = (self.namespace(), &images.blobs);
        let mounts = SourceMounts::from(engine(&self.image.spec, &self.agent().config));
        let mounted = mount(route, &admission.admitted, tried, scope, mounts).await;
        images.counters.blobs_mounted.inc_by(mounted);
        for batch in &mut batches {
            batch.copies.retain(|copy| admission.admitted.contains(copy));
        }
        batches.retain(|batch| !batch.copies.is_empty());
        let is_first = batches.len() == 1 && state.runs.is_empty() && state.failures.is_empty();
        let resumed = Resumed {
            uploads: if state.is_any_running() { Vec::new() } else { std::mem::take(&mut state.uploads) },
            is_new: state.observed.destination_is_new && is_first && mounted == 0,
        };
        let begun = self.create_jobs(access, state.request, batches, places, resumed).await;
        release(&access.source, &admission.admitted, &begun.copies, pulls_per_copy);
        memory.sync().started.extend(begun.copies.iter().cloned());
        wait_for(&mut plan, &begun.copies);
        state.runs.extend(begun.copies.into_iter().map(|copy| Run { copy, outcome: Outcome::Running }));
        let delay = match begun.error {
            // A quota that lets some Jobs run is no reason to give up: the rest follows them.
            Some(error) if can_wait(&error) && state.is_any_running() => {
                let deferral = Deferral { message: error.to_string(), retry_after: SHORT_INTERVAL };
                Some(Delay::Deferred(deferral))
            }
            Some(error) => return Err(error),
            None => admission.reason.map(Delay::Deferred).or(full.map(Delay::Queued)),
        };
        Ok(Execution { plan, delay })
    }

    /// Returns what administrators say of both sides.
    fn reach(&self, access: &Access, request: &CopyRequest) -> [Reach; 2] {
        let policy = self.agent().policies.latest();
        let [source, destination] = access.allowances.clone();
        [(source, &request.source), (destination, &request.destination)].map(|(allowances, repository)| {
            let limit = policy.concurrency_limit(repository.host());
            Reach { allowances, requests: limit.map(|limit| limit.requests) }
        })
    }

    /// Creates a Job for each of these batches, until one is refused.
    async fn create_jobs(
        &self,
        access: &Access,
        request: &CopyRequest,
        batches: Vec<Batch>,
        places: Vec<Place>,
        mut resumed: Resumed,
    ) -> Begun {
        let (agent, owner) = (self.agent(), &self.owner);
        let mut begun = Begun { copies: Vec::new(), error: None };
        if batches.is_empty() {
            return begun;
        }
        // What is lent is in no Secret of the Image's namespace.
        if access.lent.is_none()
            && let Err(error) = self.ensure_job_secrets(sides(request)).await
        {
            begun.error = Some(error.into());
            return begun;
        }
        let reach = self.reach(access, request);
        for (batch, place) in batches.into_iter().zip(places) {
            // Two that go on with one upload would spoil it: the first has all of them.
            let resumed = match batch.engine.engine() {
                Engine::Skopeo => Resumed::default(),
                Engine::Native => std::mem::take(&mut resumed),
            };
            let job = job(&JobOf {
                owner,
                spec: &self.image.spec,
                request,
                batch: &batch,
                config: &agent.config,
                lent: access.lent.as_ref(),
                reach: &reach,
                resumed: &resumed,
            });
            match self.create_job(&job, place, access, request, &batch.copies).await {
                Ok(created) => {
                    if created == Created::New {
                        self.report_job(&job, &batch.copies).await;
                    }
                    begun.copies.extend(batch.copies);
                }
                Err(error) => {
                    begun.error = Some(error.into());
                    break;
                }
            }
        }
        begun
    }

    /// Creates one Job, and where it uses what is lent its Secret.
    async fn create_job(
        &self,
        job: &Job,
        place: Place,
        access: &Access,
        request: &CopyRequest,
        copies: &[Copy],
    ) -> Result<Created, JobError> {
        let (agent, owner) = (self.agent(), &self.owner);
        let Some(lent) = &access.lent else { return agent.jobs.create(owner, job, place).await };
        let namespace = agent.jobs.lent_namespace();
        let job = place_in(job.clone(), owner, namespace);
        let secret = lent.secret(owner, namespace, &identity(request, copies), sides(request));
        agent.jobs.create_with_secret(owner, &job, place, &agent.secrets, secret).await
    }

    /// Writes the Secrets that Jobs mount besides those that the spec names.
    async fn ensure_job_secrets(&self, sides: [(Side, &Repository); 2]) -> Result<(), JobSecretError> {
        for (side, repository) in sides {
            let (resolver, endpoint) = (self.agent().registry_access(), self.image.spec.endpoint(side));
            resolver.ensure_job_secret(&self.owner, side.as_str(), repository, endpoint).await?;
        }
        Ok(())
    }

    async fn report_job(&self, job: &Job, copies: &[Copy]) {
        let agent = self.agent();
        agent.metrics.jobs_created.get_or_create(&OfKind::of::<Image>()).inc();
        self.images.counters.reloads.count(&self.image.spec);
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let tags: Vec<&str> = copies.iter().map(|copy| copy.destination_tag.as_str()).collect();
        let note =
            format!("Job {name} copies {}", named(&tags, u32::try_from(tags.len()).unwrap_or(u32::MAX)));
        agent.events.job_created(&self.owner, name, reasons::COPY_SCHEDULED, "Copy", note).await;
    }
}

fn sides(request: &CopyRequest) -> [(Side, &Repository); 2] {
    [(Side::Source, &request.source), (Side::Destination, &request.destination)]
}

/// Returns whether a Job uses what is lent: the namespace of such Jobs may be that of their Image.
fn is_lent(job: &JobReport) -> bool {
    job.annotations.contains_key(OWNER_ANNOTATION)
}

/// Returns what became of the copies that Jobs were created for. One whose Job may be among those of which is not
/// known what they copy still runs.
pub(super) fn runs(jobs: &JobResults, memory: &Memory) -> Vec<Run> {
    let mut runs = jobs.runs(&memory.outcomes);
    if let Some(sync) = memory.sync.as_ref().filter(|_| jobs.may_hide_running()) {
        let known: HashSet<Copy> = runs.iter().map(|run| run.copy.clone()).collect();
        let hidden = sync.started.difference(&known).cloned();
        runs.extend(hidden.map(|copy| Run { copy, outcome: Outcome::Running }));
    }
    runs
}

/// Returns whether the rest of the copies may wait for those that run.
fn can_wait(error: &Halt) -> bool {
    match error {
        Halt::Job(JobError::Api(_)) => false,
        Halt::JobSecret(JobSecretError::Api(error)) => !error.is_transient(),
        _ => true,
    }
}

/// Returns whether a Job for this copy has not ended.
pub(super) fn is_running(runs: &[Run], copy: &Copy) -> bool {
    runs.iter().any(|run| run.copy == *copy && run.outcome == Outcome::Running)
}

/// Changes a plan so that it waits for copies that were begun.
fn wait_for(plan: &mut Plan, begun: &[Copy]) {
    for tag in &mut plan.tags {
        if matches!(&tag.action, TagAction::Copy(copy) if begun.contains(copy)) {
            tag.action = TagAction::Wait;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::tests::fixtures::now;
    use crate::jobs::testing::report_of;

    #[test]
    fn a_job_that_uses_what_is_lent_is_known_by_its_owner_and_not_by_its_namespace() {
        let report = |annotations: serde_json::Value| {
            let metadata =
                serde_json::json!({ "namespace": "imgop-system", "name": "j", "annotations": annotations });
            report_of(&serde_json::json!({ "metadata": metadata }), &[], now())
        };
        assert!(is_lent(&report(serde_json::json!({ OWNER_ANNOTATION: "{}" }))));
        assert!(!is_lent(&report(serde_json::json!({}))));
    }
}
