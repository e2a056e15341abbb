//! What a pass does for a build that was begun: it makes Jobs, reads what they came to, and ends the build.

use std::time::Duration;

use imgop_core::api::conditions::{RECONCILING, reasons};
use imgop_core::api::{
    BuildReason, BuildResult, ConcurrencyPolicy, ImageBuilder, ImageBuilderStatus, Phase, PlatformState,
};
use imgop_core::build::{
    BuildFailure, BuildKey, BuildRequest, LastBuild, PartAction, PartRecord, PartState, PlannedPart, Retry,
    parts,
};
use imgop_core::readiness::Readiness;
use imgop_core::time::{remaining, saturating_add};
use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::Digest;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::halt::Halt;
use super::job::{ADVICE, Part, PartError, job};
use super::last_build::{inputs, renew_key};
use super::memory::Memory;
use super::part_runs::{Try, runs, tries};
use super::part_status::{duration, show_begun, show_jobs, show_parts, summary, with_reports};
use super::status::{Ended, add_job, end, failed, why_failed};
use super::{Conclusion, JOB_INTERVAL, OTHERS_INTERVAL, Pass, SHORT_INTERVAL};
use crate::cluster::Freshness;
use crate::config::BuildTier;
use crate::jobs::Created;
use crate::jobs::budget::{Granted, Place};
use crate::metrics::OfKind;

/// Within which time after its start this process knows all pods.
const PODS_TIME: Duration = Duration::from_mins(2);

/// What is known of the parts of a build.
pub(super) struct Parts {
    /// What its Jobs came to.
    pub tries: Vec<Try>,
    /// What is to be done.
    pub planned: Vec<PlannedPart>,
}

impl Pass<'_> {
    /// Goes on with the running build.
    pub(super) async fn go_on(
        &self,
        request: &BuildRequest,
        last: &LastBuild,
        memory: &mut Memory,
    ) -> Result<Conclusion, Halt> {
        let mut jobs = self.agent().jobs.of_owner(&self.owner, self.now);
        self.agent().jobs.explain(&mut jobs, &ADVICE).await;
        let (settings, build) = (&self.agent().config.builds, (self.namespace(), last.number));
        self.builders.tiers.take_note(settings, build, &jobs, self.now);
        let is_outdated = self.is_outdated(request, last);
        // The Jobs of an outdated build are of another key, and may have to end first.
        let key = BuildKey::new(request, &last.inputs.known_before_pods());
        let key = Some(&key).filter(|_| !is_outdated);
        self.end_other_builds(last.number, key, &jobs).await?;
        let waiting = if is_outdated { Vec::new() } else { self.end_waiting(&mut jobs, last.number).await? };
        let pods_known_by = saturating_add(self.agent().started, PODS_TIME);
        let mut tries = tries(&jobs, (last.number, key), pods_known_by, self.now);
        self.delete_stuck(&jobs, last.number).await?;
        let of_spec = (request, self.generation());
        let mut status = with_reports(self.status.clone(), of_spec, last, &mut tries);
        let runs = runs(&tries, &self.status, self.now);
        let mut planned = parts(request, &runs, memory.reset_at, self.now);
        self.try_next_tier(&mut planned, &tries);
        begin_anew(&mut planned, &waiting);
        self.delete_given_up(&jobs, last.number, &planned).await?;
        let parts = Parts { tries, planned };
        show_jobs(&mut status, request, last.number, &jobs);
        show_parts(&mut status, &parts);
        if is_outdated {
            return self.let_end(request, status, &parts).await;
        }
        // Its generation stays: an edit during a build that then fails is another try.
        renew_key(&mut status, request);
        if let Some(built) = all_built(&parts.planned) {
            let published = self.publish(request, last, &mut status, &parts, built, memory).await;
            return published.or_else(|halt| self.not_published(halt, status, last, &parts, memory));
        }
        if let Some(failure) = final_failure(&parts.planned) {
            return Ok(self.fail(request, status, last, &parts, failure, memory));
        }
        match self.create_jobs(request, last, &mut status, &parts).await? {
            Creation::InputsChanged => self.let_end(request, status, &parts).await,
            Creation::Done(deferred) => Ok(self.under_way(status, last, &parts, deferred.as_deref())),
        }
    }

    /// Returns the end of a pass in which what is built was not put under its tags. What its Jobs reported stays known.
    fn not_published(
        &self,
        halt: Halt,
        mut status: ImageBuilderStatus,
        last: &LastBuild,
        parts: &Parts,
        memory: &mut Memory,
    ) -> Result<Conclusion, Halt> {
        if let Halt::Build(refusal) = &halt
            && refusal.ends_build
        {
            let duration = duration(&parts.tries, last.started_at);
            status = end(status, &Ended::failed(refusal.failure, refusal.message.clone(), duration));
            let message = format!("build {} failed; {refusal}", last.number);
            let wait = memory.schedule.wait(self.check_interval(Retry::Never), self.now);
            let readiness = Readiness::stalled(refusal.failure.as_str(), message);
            return Ok(Conclusion {
                ended: Some(BuildResult::Failed),
                ..self.reported(status, readiness, wait)
            });
        }
        Pass { status, ..self.clone() }.halted(halt, memory).map_err(Halt::Api)
    }

    /// Returns whether the running build is of another spec: its parts end, and a newer build takes its place.
    pub(super) fn is_outdated(&self, request: &BuildRequest, last: &LastBuild) -> bool {
        self.generation() != last.generation && !last.is_of(request, self.generation())
    }

    /// Ends an outdated build; its Jobs end first, where `concurrencyPolicy` says so.
    async fn let_end(
        &self,
        request: &BuildRequest,
        status: ImageBuilderStatus,
        parts: &Parts,
    ) -> Result<Conclusion, Halt> {
        let is_running = parts.planned.iter().any(|part| part.action == PartAction::Wait);
        if is_running && request.concurrency == ConcurrencyPolicy::Forbid {
            let message =
                "the running build is of an earlier spec or ConfigMap; the next one begins when it has ended";
            return Ok(self.reported(status, Readiness::progressing(message), JOB_INTERVAL));
        }
        // The next one may have to wait.
        self.end_all_builds().await?;
        let status = end(status, &Ended::of(BuildResult::Superseded));
        let message = "the build of an earlier spec or ConfigMap has ended; the next one begins";
        let readiness = Readiness::progressing(message);
        let ended = Some(BuildResult::Superseded);
        Ok(Conclusion { ended, ..self.reported(status, readiness, SHORT_INTERVAL) })
    }

    /// Tries a part again at once whose pod did not start, where another tier was not tried yet.
    fn try_next_tier(&self, planned: &mut [PlannedPart], tries: &[Try]) {
        let tiers = self.agent().config.builds.tiers().len();
        for part in planned {
            let PartAction::BackOff(BuildFailure::PodNotStarted, _) = part.action else { continue };
            let of_platform = tries.iter().filter(|tried| tried.run.platform == part.platform);
            let newest = of_platform.map(|tried| tried.run.attempt).max();
            if let Some(attempt) = newest.filter(|_| not_started(&self.status, &part.platform, tries) < tiers)
            {
                part.action = PartAction::Build(attempt.saturating_add(1));
            }
        }
    }

    /// Creates the Jobs that are due, as many as the budget allows.
    async fn create_jobs(
        &self,
        request: &BuildRequest,
        last: &LastBuild,
        status: &mut ImageBuilderStatus,
        parts: &Parts,
    ) -> Result<Creation, Halt> {
        let due = due(&parts.planned);
        let granted = match self.places(&due) {
            Ok(granted) => granted,
            Err(why) => return Ok(Creation::Done(why)),
        };
        self.may_build(Freshness::Cached).await?;
        let contents = self.config_maps(request).await?;
        let inputs = inputs(status);
        if !contents.are_of(request, &inputs) {
            return Ok(Creation::InputsChanged);
        }
        let endpoint = self.builder.spec.image.endpoint();
        let destination = &request.destination.repository;
        let access = self.agent().registry_access();
        access.ensure_job_secret(&self.owner, "image", destination, endpoint).await?;
        let pull_auth = self.ensure_pull_auth(request, &inputs).await?;
        let key = BuildKey::new(request, &inputs.known_before_pods()).to_string();
        for (begun, (due, place)) in due.into_iter().zip(granted.places).enumerate() {
            let not_started = not_started(&self.status, due.0, &parts.tries);
            let record = self.part_record(status, last, &key, due);
            let part = Part {
                owner: &self.owner,
                spec: &self.builder.spec,
                request,
                inputs: &inputs,
                arguments: &contents.arguments,
                record: &record,
                started_at: last.started_at,
                pull_auth: &pull_auth,
                tier: self.tier(not_started),
            };
            match self.create_job(&part, place).await {
                Ok(name) => add_job(status, &name),
                // The status says first what was begun; the rest is tried again in the next pass.
                Err(halt) if begun > 0 => return Ok(Creation::Done(Some(halt.to_string()))),
                Err(halt) => return Err(halt),
            }
            show_begun(status, &record, u32::try_from(not_started).unwrap_or(u32::MAX));
        }
        Ok(Creation::Done(granted.full.map(|full| full.to_string())))
    }

    fn tier(&self, not_started: usize) -> BuildTier {
        let settings = &self.agent().config.builds;
        self.builders.tiers.tier(settings, self.namespace(), not_started, self.now)
    }

    /// Creates the Job of a part, and returns its name.
    async fn create_job(&self, part: &Part<'_>, place: Place) -> Result<String, Halt> {
        let job = job(part, &self.agent().config).map_err(|error| too_long(&error))?;
        if self.agent().jobs.create(&self.owner, &job, place).await? == Created::New {
            self.report_job(&job, part.record).await;
        }
        Ok(job.metadata.name.unwrap_or_default())
    }

    /// Takes places for Jobs of what is due. Returns why there is none where there is none; nothing where nothing is due.
    fn places(&self, due: &[(&PlatformSelector, u32)]) -> Result<Granted, Option<String>> {
        let (agent, wanted) = (self.agent(), due.len());
        if wanted == 0 {
            return Err(None);
        }
        if self.builder.spec.suspend && due.iter().all(|(_, attempt)| *attempt > 1) {
            return Err(Some("spec.suspend is set".to_owned()));
        }
        let granted = agent.jobs.take(&self.owner, wanted, self.now);
        if granted.places.is_empty() {
            return Err(granted.full.map(|full| full.to_string()));
        }
        Ok(granted)
    }

    fn part_record(
        &self,
        status: &ImageBuilderStatus,
        last: &LastBuild,
        key: &str,
        (platform, attempt): (&PlatformSelector, u32),
    ) -> PartRecord {
        let running = status.build.as_ref();
        PartRecord {
            number: last.number,
            reason: running.map_or(BuildReason::Unknown, |running| running.reason),
            key: key.to_owned(),
            platform: platform.clone(),
            attempt,
            emulated: self.agent().config.builds.emulate.contains(platform),
        }
    }

    async fn report_job(&self, job: &Job, record: &PartRecord) {
        let agent = self.agent();
        agent.metrics.jobs_created.get_or_create(&OfKind::of::<ImageBuilder>()).inc();
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let note = format!("Job {name} builds {} (build {})", record.platform, record.number);
        agent.events.job_created(&self.owner, name, reasons::BUILD_STARTED, "Build", note).await;
    }

    /// Ends a build of which a part failed for good.
    fn fail(
        &self,
        request: &BuildRequest,
        status: ImageBuilderStatus,
        last: &LastBuild,
        parts: &Parts,
        failure: BuildFailure,
        memory: &mut Memory,
    ) -> Conclusion {
        let duration = duration(&parts.tries, last.started_at);
        let ended = Ended::failed(failure, why_failed(&status), duration);
        let status = end(status, &ended);
        let readiness = Readiness::stalled(failure.as_str(), failed(&status, last.number));
        // What rebuildOn watches may be the fix.
        let until_check = remaining(request.recurrence.next(&self.owner.uid, self.now), self.now);
        let wait = match failure.retry() {
            retry if request.rebuild_on.is_empty() => self.check_interval(retry),
            Retry::OnSecret => self.check_interval(Retry::OnSecret).min(until_check),
            _ => until_check,
        };
        Conclusion {
            ended: Some(ended.result),
            ..self.reported(status, readiness, memory.schedule.wait(wait, self.now))
        }
    }

    /// Returns the end of a pass after which the build goes on.
    fn under_way(
        &self,
        mut status: ImageBuilderStatus,
        last: &LastBuild,
        parts: &Parts,
        deferred: Option<&str>,
    ) -> Conclusion {
        let backing_off = parts.planned.iter().filter_map(|part| match part.action {
            PartAction::BackOff(failure, until) => Some((failure, until)),
            _ => None,
        });
        let next = backing_off.min_by_key(|(_, until)| *until);
        status.next_build_time = next.map(|(_, until)| Time(until));
        let waiting = parts.tries.iter().find_map(|tried| tried.waits_for_node.clone());
        let is_running = status.platforms.iter().any(|part| part.state == PlatformState::Running);
        let readiness = match (next, waiting) {
            (Some((failure, _)), _) if !is_running => {
                Readiness::retrying(failure.as_str(), failed(&status, last.number))
            }
            (_, Some(why)) => {
                let also = Some((RECONCILING, reasons::PROGRESSING));
                let reason = BuildFailure::PlatformUnavailable.as_str();
                let message = format!("build {}: {why}", last.number);
                Readiness::not_ready(Phase::Running, reason, message, also)
            }
            _ => Readiness::progressing(summary(&status, last.number, deferred)),
        };
        let until_next = next.map(|(_, until)| remaining(until, self.now).max(Duration::from_secs(1)));
        // A place that is free wakes it, as news of its Jobs do.
        let longest = if deferred.is_some() && !is_running { OTHERS_INTERVAL } else { JOB_INTERVAL };
        let wait = until_next.map_or(longest, |until_next| until_next.min(longest));
        Conclusion { is_progress: deferred.is_none(), ..self.reported(status, readiness, wait) }
    }
}

/// Lets parts be built whose Jobs were deleted while their pods waited for a node: as the same tries.
fn begin_anew(planned: &mut [PlannedPart], waiting: &[PartRecord]) {
    for record in waiting {
        for part in planned.iter_mut().filter(|part| part.platform == record.platform) {
            part.action = PartAction::Build(record.attempt);
        }
    }
}

fn too_long(error: &PartError) -> Halt {
    Halt::of(BuildFailure::DockerfileInvalid, error.to_string())
}

/// What became of creating Jobs.
enum Creation {
    /// Those exist that may; why there are not more.
    Done(Option<String>),
    /// A ConfigMap is another one than that which the build began with.
    InputsChanged,
}

/// Returns the platforms that are to be built now, and which try each is.
fn due(planned: &[PlannedPart]) -> Vec<(&PlatformSelector, u32)> {
    let due = planned.iter().filter_map(|part| match part.action {
        PartAction::Build(attempt) => Some((&part.platform, attempt)),
        _ => None,
    });
    due.collect()
}

/// Returns how many tries of a platform had a pod that did not start: those before the newest, as the status has them,
/// and that.
fn not_started(status: &ImageBuilderStatus, platform: &PlatformSelector, tries: &[Try]) -> usize {
    let (name, reason) = (platform.to_string(), BuildFailure::PodNotStarted.as_str());
    let part = status.platforms.iter().find(|part| part.platform == name);
    let of_platform = tries.iter().filter(|tried| tried.run.platform == *platform);
    let newest = of_platform.max_by_key(|tried| tried.run.attempt).map(|tried| &tried.run.state);
    let did_not_start = match newest {
        Some(PartState::Failed(failure, _)) => *failure == BuildFailure::PodNotStarted,
        Some(_) => false,
        // Its Job is gone.
        None => part.is_some_and(|part| part.reason.as_deref() == Some(reason)),
    };
    let before = part.map_or(0, |part| part.not_started);
    usize::try_from(before).unwrap_or(usize::MAX).saturating_add(usize::from(did_not_start))
}

/// Returns the manifests of all parts, if all are built.
fn all_built(planned: &[PlannedPart]) -> Option<Vec<(PlatformSelector, Digest)>> {
    planned
        .iter()
        .map(|part| match &part.action {
            PartAction::Built(digest) => Some((part.platform.clone(), digest.clone())),
            _ => None,
        })
        .collect()
}

/// Returns why the build failed: no part runs or is tried again, and one failed.
fn final_failure(planned: &[PlannedPart]) -> Option<BuildFailure> {
    let is_final = |part: &PlannedPart| {
        matches!(part.action, PartAction::Built(_) | PartAction::Failed(_) | PartAction::GiveUp)
    };
    let failure = |part: &PlannedPart| match part.action {
        PartAction::Failed(failure) => Some(failure),
        _ => None,
    };
    planned.iter().all(is_final).then(|| planned.iter().find_map(failure)).flatten()
}
