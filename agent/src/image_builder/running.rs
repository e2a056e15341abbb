//! What a pass does for a build that was begun: it makes Jobs, reads what they came to, and ends the build.

use std::time::Duration;

use imgop_core::api::conditions::{RECONCILING, reasons};
use imgop_core::api::{
    BuildDuration, BuildReason, BuildResult, ImageBuilder, ImageBuilderStatus, Phase, PlatformState,
};
use imgop_core::build::{
    BuildFailure, BuildKey, BuildRequest, LastBuild, PartAction, PartRecord, PlannedPart, parts,
};
use imgop_core::readiness::Readiness;
use imgop_core::time::{remaining, saturating_add};
use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::Digest;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::halt::Halt;
use super::inputs::MAX_WARNINGS;
use super::job::{Part, PartError, job};
use super::last_build::{inputs, set_inputs};
use super::memory::Memory;
use super::part_runs::{Try, record, runs, tries};
use super::status::{Ended, add_job, end, failed};
use super::{Conclusion, JOB_INTERVAL, Pass, SHORT_INTERVAL};
use crate::cluster::Freshness;
use crate::jobs::Created;
use crate::jobs::report::JobReport;
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
        let jobs = self.agent().jobs.of_owner(&self.owner, self.now);
        self.end_other_builds(last.number, &jobs).await?;
        let pods_known_by = saturating_add(self.agent().started, PODS_TIME);
        let tries = tries(&jobs, last.number, pods_known_by, self.now);
        self.delete_stuck(&jobs, last.number).await?;
        let planned = parts(request, &runs(&tries, &self.status, self.now), self.now);
        let mut status = with_reports(self.status.clone(), request, last, &tries);
        let parts = Parts { tries, planned };
        show_parts(&mut status, &parts);
        if self.is_outdated(request, last) {
            return Ok(self.let_end(status, &parts));
        }
        if let Some(built) = all_built(&parts.planned) {
            return self.publish(request, last, status, &parts, built, memory).await;
        }
        if let Some(failure) = final_failure(&parts.planned) {
            return Ok(self.fail(status, last, &parts, failure, memory));
        }
        let deferred = self.create_jobs(request, last, &mut status, &parts).await?;
        Ok(self.under_way(status, last, &parts, deferred.as_deref()))
    }

    /// Returns whether the running build is of another spec: its parts end, and a newer build takes its place.
    pub(super) fn is_outdated(&self, request: &BuildRequest, last: &LastBuild) -> bool {
        let key = BuildKey::new(request, &last.inputs);
        self.generation() != last.generation && last.key != Some(key)
    }

    /// Lets the Jobs of an outdated build end, where `concurrencyPolicy` says so.
    fn let_end(&self, status: ImageBuilderStatus, parts: &Parts) -> Conclusion {
        let is_running = parts.planned.iter().any(|part| part.action == PartAction::Wait);
        if is_running {
            let message = "the running build is of an earlier spec; the next one begins when it has ended";
            return self.reported(status, Readiness::progressing(message), JOB_INTERVAL);
        }
        let status = end(status, &Ended::without_image(BuildResult::Superseded));
        let readiness = Readiness::progressing("the build of an earlier spec has ended; the next one begins");
        let ended = Some(BuildResult::Superseded);
        Conclusion { ended, ..self.reported(status, readiness, SHORT_INTERVAL) }
    }

    /// Deletes the Jobs of other builds that have not ended: what they push would be for nothing.
    pub(super) async fn end_other_builds(&self, number: u64, jobs: &[JobReport]) -> Result<(), Halt> {
        for job in jobs.iter().filter(|job| !job.is_finished() && job.deleting_since.is_none()) {
            if record(job).is_some_and(|record| record.number != number) {
                self.agent().jobs.delete(self.namespace(), job).await?;
            }
        }
        Ok(())
    }

    /// Deletes Jobs that hold a place and do not start: what became of them is in the status then.
    async fn delete_stuck(&self, jobs: &[JobReport], number: u64) -> Result<(), Halt> {
        for job in jobs.iter().filter(|job| job.is_to_be_deleted()) {
            let Some(record) = record(job).filter(|record| record.number == number) else { continue };
            let platform = record.platform.to_string();
            let is_noted = self.status.platforms.iter().any(|part| {
                part.platform == platform
                    && part.attempts >= record.attempt
                    && matches!(part.state, PlatformState::Failed | PlatformState::Built)
            });
            if is_noted {
                self.agent().jobs.delete(self.namespace(), job).await?;
            }
        }
        Ok(())
    }

    /// Creates the Jobs that are due, as many as the budget allows. Returns why there are not more.
    async fn create_jobs(
        &self,
        request: &BuildRequest,
        last: &LastBuild,
        status: &mut ImageBuilderStatus,
        parts: &Parts,
    ) -> Result<Option<String>, Halt> {
        let due: Vec<(&PlatformSelector, u32)> = parts
            .planned
            .iter()
            .filter_map(|part| match part.action {
                PartAction::Build(attempt) => Some((&part.platform, attempt)),
                _ => None,
            })
            .collect();
        if due.is_empty() {
            return Ok(None);
        }
        let granted = self.agent().jobs.take(&self.owner, due.len(), self.now);
        if granted.places.is_empty() {
            return Ok(granted.full.map(|full| full.to_string()));
        }
        self.may_build(Freshness::Cached).await?;
        let contents = self.config_maps(request).await?;
        let endpoint = self.builder.spec.image.endpoint();
        let destination = &request.destination.repository;
        let access = self.agent().registry_access();
        access.ensure_job_secret(&self.owner, "image", destination, endpoint).await?;
        let pull_auth = self.ensure_pull_auth(request).await?;
        let inputs = inputs(status);
        for ((platform, attempt), place) in due.into_iter().zip(granted.places) {
            let record = self.part_record(status, last, platform, attempt);
            let part = Part {
                owner: &self.owner,
                spec: &self.builder.spec,
                request,
                inputs: &inputs,
                arguments: &contents.arguments,
                record: &record,
                started_at: last.started_at,
                pull_auth: &pull_auth,
                tier: self.agent().config.builds.tier(not_started(&self.status, platform)),
            };
            let job = job(&part, &self.agent().config).map_err(|error| too_long(&error))?;
            if self.agent().jobs.create(&self.owner, &job, place).await? == Created::New {
                self.report_job(&job, &record).await;
            }
            add_job(status, job.metadata.name.as_deref().unwrap_or_default());
            show_begun(status, &record);
        }
        Ok(granted.full.map(|full| full.to_string()))
    }

    fn part_record(
        &self,
        status: &ImageBuilderStatus,
        last: &LastBuild,
        platform: &PlatformSelector,
        attempt: u32,
    ) -> PartRecord {
        let running = status.build.as_ref();
        PartRecord {
            number: last.number,
            reason: running.map_or(BuildReason::Unknown, |running| running.reason),
            key: status.key.clone().unwrap_or_default(),
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
        agent.events.job_created(&self.owner, name, "BuildStarted", "Build", note).await;
    }

    /// Ends a build of which a part failed for good.
    fn fail(
        &self,
        status: ImageBuilderStatus,
        last: &LastBuild,
        parts: &Parts,
        failure: BuildFailure,
        memory: &mut Memory,
    ) -> Conclusion {
        let duration = Some(duration(&parts.tries));
        let ended = Ended { result: BuildResult::Failed, failure: Some(failure), digest: None, duration };
        let status = end(status, &ended);
        let readiness = Readiness::stalled(failure.as_str(), failed(&status, last.number));
        let wait = self.check_interval(failure.retry());
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
        let wait = until_next.into_iter().chain([JOB_INTERVAL]).min().unwrap_or(JOB_INTERVAL);
        Conclusion { is_progress: deferred.is_none(), ..self.reported(status, readiness, wait) }
    }
}

/// Shows in the status that a part was begun.
fn show_begun(status: &mut ImageBuilderStatus, record: &PartRecord) {
    let shown = record.platform.to_string();
    for part in status.platforms.iter_mut().filter(|part| part.platform == shown) {
        (part.state, part.attempts) = (PlatformState::Running, record.attempt);
        (part.reason, part.message, part.next_attempt) = (None, None, None);
        part.emulated = record.emulated;
    }
}

fn too_long(error: &PartError) -> Halt {
    Halt::of(BuildFailure::DockerfileInvalid, error.to_string())
}

/// Returns how many tries of a platform did not start, one after the other: their Jobs are gone.
fn not_started(status: &ImageBuilderStatus, platform: &PlatformSelector) -> usize {
    let (name, reason) = (platform.to_string(), BuildFailure::PodNotStarted.as_str());
    let part = status.platforms.iter().find(|part| part.platform == name);
    let attempts = part.filter(|part| part.reason.as_deref() == Some(reason)).map_or(0, |part| part.attempts);
    usize::try_from(attempts).unwrap_or(usize::MAX)
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
    let is_final = |part: &PlannedPart| matches!(part.action, PartAction::Built(_) | PartAction::Failed(_));
    let failure = |part: &PlannedPart| match part.action {
        PartAction::Failed(failure) => Some(failure),
        _ => None,
    };
    planned.iter().all(is_final).then(|| planned.iter().find_map(failure)).flatten()
}

/// Returns the status with what the containers report: what the build is made from, as far as it was not known before.
fn with_reports(
    mut status: ImageBuilderStatus,
    request: &BuildRequest,
    last: &LastBuild,
    tries: &[Try],
) -> ImageBuilderStatus {
    let mut known = last.inputs.clone();
    for report in tries.iter().flat_map(|tried| &tried.reports) {
        if let Some(source) = &report.source {
            known.commit = known.commit.or_else(|| source.commit.clone());
            known.dockerfile = known.dockerfile.or_else(|| source.dockerfile.clone());
        }
        for base in &report.bases {
            known.bases.entry(base.image.clone()).or_insert_with(|| base.digest.clone());
        }
        for warning in &report.warnings {
            if !status.warnings.contains(warning) && status.warnings.len() < MAX_WARNINGS {
                status.warnings.push(warning.clone());
            }
        }
    }
    let is_same = last.key == Some(BuildKey::new(request, &last.inputs));
    if is_same && known != last.inputs {
        let revision = status.source.as_ref().and_then(|source| source.revision.clone());
        set_inputs(&mut status, request, &known, revision.as_deref());
    }
    status
}

/// Shows in the status how each part stands.
fn show_parts(status: &mut ImageBuilderStatus, parts: &Parts) {
    for planned in &parts.planned {
        let name = planned.platform.to_string();
        let Some(shown) = status.platforms.iter_mut().find(|part| part.platform == name) else { continue };
        let of_platform = parts.tries.iter().filter(|tried| tried.run.platform == planned.platform);
        let newest = of_platform.max_by_key(|tried| tried.run.attempt);
        if let Some(newest) = newest {
            shown.attempts = newest.run.attempt;
            shown.emulated = newest.emulated;
            shown.step.clone_from(&newest.step);
            shown.message.clone_from(&newest.message);
        }
        (shown.next_attempt, shown.reason) = (None, None);
        match &planned.action {
            PartAction::Built(digest) => {
                (shown.state, shown.digest) = (PlatformState::Built, Some(digest.to_string()));
                (shown.message, shown.step) = (None, None);
            }
            PartAction::Wait => shown.state = PlatformState::Running,
            PartAction::Build(_) => shown.state = PlatformState::Pending,
            PartAction::BackOff(failure, until) => {
                shown.state = PlatformState::Failed;
                (shown.reason, shown.next_attempt) = (Some(failure.as_str().to_owned()), Some(Time(*until)));
            }
            PartAction::Failed(failure) => {
                (shown.state, shown.reason) = (PlatformState::Failed, Some(failure.as_str().to_owned()));
            }
        }
    }
}

/// Returns what a build says that goes on.
fn summary(status: &ImageBuilderStatus, number: u64, deferred: Option<&str>) -> String {
    let word = |state: PlatformState| match state {
        PlatformState::Pending => "waits",
        PlatformState::Running => "runs",
        PlatformState::Built => "is built",
        PlatformState::Failed => "failed",
        PlatformState::Unknown => "is unknown",
    };
    let parts: Vec<String> =
        status.platforms.iter().map(|part| format!("{} {}", part.platform, word(part.state))).collect();
    let why = deferred.map_or_else(String::new, |why| format!("; {why}"));
    format!("build {number}: {}{why}", parts.join(", "))
}

/// Returns how long the phases of a build took: of several platforms the longest.
pub(super) fn duration(tries: &[Try]) -> BuildDuration {
    let longest =
        |of: fn(&BuildDuration) -> u32| tries.iter().map(|tried| of(&tried.duration)).max().unwrap_or(0);
    BuildDuration {
        queued: 0,
        source: longest(|duration| duration.source),
        bases: longest(|duration| duration.bases),
        build: longest(|duration| duration.build),
        push: longest(|duration| duration.push),
        publish: 0,
    }
}
