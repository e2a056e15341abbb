//! What became of the parts of a build: read from Jobs, and from the status where Jobs are gone.

use std::time::Duration;

use imgop_core::api::{BUILD_ANNOTATION, ImageBuilderStatus, PlatformState, PlatformStatus};
use imgop_core::build::step::{PhaseSeconds, PushedLayers, StepFailure, StepReport};
use imgop_core::build::{BuildFailure, BuildKey, PartRecord, PartRun, PartState};
use imgop_core::text::last_bytes;
use imgop_core::time::saturating_add;
use imgop_registry::printable;
use jiff::Timestamp;

use super::job::{BUILD, PREPARE, PUSH};
use super::status::failure_of;
use crate::jobs::report::{ContainerEnd, ContainerState, JobReport, JobState, may_pods_come};

/// For how long the pods of a Job that ended are waited for while they are not known.
const UNKNOWN_PODS_TIME: Duration = Duration::from_mins(5);
/// What says how long a build may take: the shorter time holds.
const TIMEOUTS: &str = "spec.timeout or spec.jobTemplate.activeDeadlineSeconds";
/// Bytes of the output of a container that ended without a report.
const MAX_OUTPUT: usize = 400;
/// Bytes of the last lines of a step: a status has up to 8 parts.
const MAX_LINES_BYTES: usize = 512;

/// A try of a part, with what its containers report.
#[derive(Debug, Clone)]
pub(super) struct Try {
    /// Which it is, and what became of it.
    pub run: PartRun,
    /// Whether it may be emulated.
    pub emulated: bool,
    /// Why it failed, for people.
    pub message: Option<String>,
    /// The step that failed.
    pub step: Option<String>,
    /// The last lines that it printed, newest last.
    pub last_lines: Vec<String>,
    /// Why its pod gets no node, or not yet.
    pub waits_for_node: Option<String>,
    /// What `prepare`, `build` and `push` report.
    pub reports: Vec<StepReport>,
    /// When its Job was created.
    pub created: Option<Timestamp>,
    /// When its last container ended.
    pub ended_at: Option<Timestamp>,
}

/// Returns the part of a build that a Job is; none for a Job of another kind or version.
pub(super) fn record(job: &JobReport) -> Option<PartRecord> {
    serde_json::from_str(job.annotations.get(BUILD_ANNOTATION)?).ok()
}

/// Returns whether a part is of another spec, or of another ConfigMap, than a build with this key.
pub(super) fn is_of_other_key(record: &PartRecord, key: &BuildKey) -> bool {
    record.key.parse::<BuildKey>().is_ok_and(|of| key.is_of_others_than(&of))
}

/// Returns what the Jobs of a build came to. `pods_known_by` is when this process knows all pods: what a Job whose pod
/// is not known has pushed may come yet.
/// What is built with another key is of another spec or ConfigMap, as where two agents began the build at once.
pub(super) fn tries(
    jobs: &[JobReport],
    (number, key): (u64, Option<&BuildKey>),
    pods_known_by: Timestamp,
    now: Timestamp,
) -> Vec<Try> {
    let of_build = jobs.iter().filter_map(|job| {
        let record = record(job).filter(|record| record.number == number)?;
        let is_of_key = key.is_none_or(|key| !is_of_other_key(&record, key));
        let mut tried = read(job, record, now < pods_known_by, now);
        if let (false, PartState::Built(_)) = (is_of_key, &tried.run.state) {
            let at = tried.ended_at.unwrap_or(now);
            tried.run.state = PartState::Failed(BuildFailure::VerificationFailed, at);
            tried.message =
                Some("it is of another spec or ConfigMap than the build; it is built again".to_owned());
        }
        Some(tried)
    });
    of_build.collect()
}

/// Returns all runs of a build: those of its Jobs, and for each platform whose newest try has no Job any more what the
/// status says of it. A Job that vanished while it ran was interrupted.
pub(super) fn runs(tries: &[Try], status: &ImageBuilderStatus, now: Timestamp) -> Vec<PartRun> {
    let mut runs: Vec<PartRun> = tries.iter().map(|tried| checked(&tried.run, status)).collect();
    for part in &status.platforms {
        let Ok(platform) = part.platform.parse() else { continue };
        let has_job = runs.iter().any(|run| run.platform == platform && run.attempt >= part.attempts.max(1));
        if has_job {
            continue;
        }
        if let Some(state) = state_without_job(part, now) {
            runs.push(PartRun { platform, attempt: part.attempts.max(1), state });
        }
    }
    runs
}

/// Returns a run as the status knows it better: its image was built, or was gone when it was to be published, or it
/// failed, and its pod is gone.
fn checked(run: &PartRun, status: &ImageBuilderStatus) -> PartRun {
    let name = run.platform.to_string();
    let mut parts = status.platforms.iter();
    let part = parts.find(|part| part.platform == name && part.attempts == run.attempt);
    match (part, &run.state) {
        // Its pod, which said so, may be gone by now.
        (Some(part), PartState::Failed(..) | PartState::Running) if part.state == PlatformState::Built => {
            let digest = part.digest.as_ref().and_then(|digest| digest.parse().ok());
            digest.map_or_else(
                || run.clone(),
                |digest| PartRun { state: PartState::Built(digest), ..run.clone() },
            )
        }
        // What its pod said of its failure likewise.
        (Some(part), PartState::Built(_) | PartState::Failed(BuildFailure::Interrupted, _))
            if part.state == PlatformState::Failed =>
        {
            let failure = part.reason.as_deref().and_then(failure_of).unwrap_or(BuildFailure::Interrupted);
            let due = part.next_attempt.as_ref().map(|time| time.0);
            PartRun { state: PartState::Gone(failure, due), ..run.clone() }
        }
        _ => run.clone(),
    }
}

fn state_without_job(part: &PlatformStatus, now: Timestamp) -> Option<PartState> {
    let failure = || part.reason.as_deref().and_then(failure_of).unwrap_or(BuildFailure::Interrupted);
    match part.state {
        PlatformState::Built => part.digest.as_ref()?.parse().ok().map(PartState::Built),
        PlatformState::Running => Some(PartState::Failed(BuildFailure::Interrupted, now)),
        PlatformState::Failed => {
            Some(PartState::Gone(failure(), part.next_attempt.as_ref().map(|time| time.0)))
        }
        // It waits for a place for its next try, if it was tried before.
        PlatformState::Pending if part.attempts > 0 => Some(PartState::Gone(failure(), Some(now))),
        PlatformState::Pending | PlatformState::Unknown => None,
    }
}

fn read(job: &JobReport, record: PartRecord, may_pod_come: bool, now: Timestamp) -> Try {
    let containers = [PREPARE, BUILD, PUSH].map(|name| (name, job.container(name)));
    let reports: Vec<StepReport> =
        containers.iter().filter_map(|(name, state)| Some(own_part(name, report(ended(state)?)?))).collect();
    let failed = match pushed(&reports, &containers) {
        Some(state) => Ok(state),
        None => failure(job, &containers, may_pod_come, now),
    };
    let (state, failure) = match failed {
        Ok(state) => (state, None),
        Err(failed) => (PartState::Failed(failed.reason, failed.at), Some(failed)),
    };
    Try {
        run: PartRun { platform: record.platform, attempt: record.attempt, state },
        emulated: record.emulated,
        message: failure.as_ref().map(|failure| failure.message.clone()),
        step: failure.as_ref().and_then(|failure| failure.step.clone()),
        last_lines: failure.map(|failure| failure.last_lines).unwrap_or_default(),
        waits_for_node: job.waits_for_node.clone(),
        created: job.created,
        ended_at: containers.iter().filter_map(|(_, state)| ended(state)).map(|end| end.at).max(),
        reports,
    }
}

/// Returns of a report what its container may say: in `build` the tenant's code runs, which may have written it.
fn own_part(name: &str, report: StepReport) -> StepReport {
    let StepReport { failure, warnings, seconds, .. } = report.clone();
    let common = StepReport { failure, warnings, ..StepReport::default() };
    let of_phases = PhaseSeconds::default();
    match name {
        PREPARE => {
            let seconds = PhaseSeconds { source: seconds.source, bases: seconds.bases, ..of_phases };
            let StepReport { source, bases, storage_driver, .. } = report;
            StepReport { source, bases, storage_driver, seconds, ..common }
        }
        BUILD => {
            let seconds = PhaseSeconds { build: seconds.build, ..of_phases };
            let layers = PushedLayers { cached: report.layers.cached, ..PushedLayers::default() };
            StepReport { seconds, layers, ..common }
        }
        _ => {
            let seconds = PhaseSeconds { push: seconds.push, ..of_phases };
            let StepReport { image, layers, .. } = report;
            StepReport { image, layers, seconds, ..common }
        }
    }
}

/// Returns that a part is built: `push` ended well and names the manifest.
fn pushed(reports: &[StepReport], containers: &[(&str, ContainerState); 3]) -> Option<PartState> {
    let [.., (_, push)] = containers;
    ended(push).filter(|end| end.exit_code == 0)?;
    reports.iter().rev().find_map(|report| report.image.clone()).map(|image| PartState::Built(image.digest))
}

/// Why a try failed.
struct Failed {
    reason: BuildFailure,
    message: String,
    step: Option<String>,
    last_lines: Vec<String>,
    at: Timestamp,
}

impl Failed {
    /// Returns a failure of which no step is known.
    fn new(reason: BuildFailure, message: String, at: Timestamp) -> Self {
        Self { reason, message, step: None, last_lines: Vec::new(), at }
    }
}

/// Returns that a try runs, or why it failed.
fn failure(
    job: &JobReport,
    containers: &[(&str, ContainerState); 3],
    may_pod_come: bool,
    now: Timestamp,
) -> Result<PartState, Failed> {
    if let JobState::Stuck(message) = &job.state {
        let reason = match job.waits_for_node {
            Some(_) => BuildFailure::PlatformUnavailable,
            None => BuildFailure::PodNotStarted,
        };
        return Err(Failed::new(reason, message.clone(), now));
    }
    for (name, state) in containers {
        return Err(match state {
            ContainerState::Ended(end) if end.exit_code == 0 => continue,
            // What it pushed is in its pod, whose watch may be behind that of the Jobs, or fail for a while.
            ContainerState::Completed { at, are_pods_known }
                if may_pod_come
                    || may_pods_come(*at, now)
                    || !are_pods_known && now < saturating_add(*at, UNKNOWN_PODS_TIME) =>
            {
                return Ok(PartState::Running);
            }
            ContainerState::Completed { .. } => {
                let message = "its Job ended well, and what it pushed is not known any more".to_owned();
                Failed::new(BuildFailure::Interrupted, message, now)
            }
            ContainerState::Running => return Ok(PartState::Running),
            ContainerState::Ended(end) => of_container(name, end, job),
            ContainerState::NotStarted { message, at } => {
                Failed::new(BuildFailure::PodNotStarted, message.clone(), *at)
            }
            ContainerState::DeadlineExceeded { at } => {
                Failed::new(BuildFailure::TimedOut, format!("it took longer than {TIMEOUTS}"), *at)
            }
            ContainerState::Interrupted { at } | ContainerState::PodGone { at } => interrupted(job, *at),
        });
    }
    // All ended well, and `push` names no image.
    let message =
        "its containers ended well without a report; BUILDER_IMAGE of the agent must be of its version";
    Err(Failed::new(BuildFailure::VerificationFailed, message.to_owned(), now))
}

/// Returns why a container failed that ended by itself or was ended.
fn of_container(name: &str, end: &ContainerEnd, job: &JobReport) -> Failed {
    let reported = report(end).and_then(|report| report.failure);
    let step = reported.as_ref().and_then(step_of);
    let mut last_lines = Vec::new();
    let ended_by = job.ended_by.as_ref().map(|by| by.reason.as_str());
    let (reason, message) = match (ended_by, reported) {
        (Some("DeadlineExceeded"), _) => {
            let during = step.as_ref().map_or_else(String::new, |step| format!(" during {step}"));
            (BuildFailure::TimedOut, format!("it took longer than {TIMEOUTS}{during}"))
        }
        (Some("Evicted"), _) => {
            let Failed { reason, message, .. } = interrupted(job, end.at);
            (reason, message)
        }
        (_, Some(failure)) => {
            last_lines = newest(failure.last_lines);
            (failure.reason, failure.message)
        }
        (_, None) if end.reason == "OOMKilled" => {
            // Only the container that runs the Dockerfile has the limits of the spec.
            let fix = match name {
                BUILD => "raise spec.resources.limits.memory",
                _ => "raise spec.jobTemplate.resources.limits.memory, or JOB_MEMORY_LIMIT of the agent",
            };
            (BuildFailure::OutOfMemory, format!("container {name} ran out of memory; {fix}"))
        }
        (_, None) => {
            let output = printable(last_bytes(&end.message, MAX_OUTPUT));
            let message = format!("container {name} ended with {}: {output}", end.exit_code);
            (if name == PUSH { BuildFailure::PushFailed } else { BuildFailure::StepFailed }, message)
        }
    };
    Failed { reason, message, step, last_lines, at: end.at }
}

/// Returns why a pod ended before its containers did.
fn interrupted(job: &JobReport, at: Timestamp) -> Failed {
    let by = job.ended_by.clone();
    let message =
        by.map_or_else(|| "its pod is gone".to_owned(), |by| format!("{}: {}", by.reason, by.message));
    let is_full = message.contains("exceeds the limit") || message.contains("exceeds the total limit");
    if is_full {
        let message = format!("{message}; raise spec.storage.sizeLimit");
        return Failed::new(BuildFailure::OutOfDisk, message, at);
    }
    Failed::new(BuildFailure::Interrupted, message, at)
}

/// Returns a step as people read it: `RUN make (line 7)`.
fn step_of(failure: &StepFailure) -> Option<String> {
    let step = failure.step.as_ref()?;
    Some(match step.line {
        Some(line) => format!("{} (line {line})", step.text),
        None => step.text.clone(),
    })
}

/// Returns as many lines, from the newest, as a status holds of a part.
fn newest(mut lines: Vec<String>) -> Vec<String> {
    let mut room = MAX_LINES_BYTES;
    let fits = |line: &&String| room.checked_sub(line.len()).map(|left| room = left).is_some();
    let kept = lines.iter().rev().take_while(fits).count();
    lines.drain(..lines.len() - kept);
    lines
}

fn ended(state: &ContainerState) -> Option<&ContainerEnd> {
    match state {
        ContainerState::Ended(end) => Some(end),
        _ => None,
    }
}

fn report(end: &ContainerEnd) -> Option<StepReport> {
    StepReport::from_message(&end.message)
}

#[cfg(test)]
mod tests;
