//! The next status of an ImageBuilder. Pure, and equal to the old one when nothing is new.

use imgop_core::api::conditions::{self, NewCondition, READY, find, reasons};
use imgop_core::api::{
    BuildDuration, BuildReason, BuildRecord, BuildResult, DefaultedDestination, ImageBuilder,
    ImageBuilderStatus, Phase, PlatformState, PlatformStatus, RunningBuild,
};
use imgop_core::build::{BuildFailure, BuildRequest, Start};
use imgop_core::readiness::Readiness;
use imgop_core::text::shorten;
use imgop_registry::reference::Digest;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::last_build::destination_status;
use crate::cluster::status::WithConditions;

/// Builds that are remembered.
const MAX_HISTORY: usize = 20;
/// Jobs that the field of image-operator names.
const MAX_RAN_JOBS: usize = 16;
/// Bytes of a message in a condition.
const MAX_MESSAGE_BYTES: usize = 1_024;
/// Bytes of what was new, and of why a build failed, in the history.
const MAX_RECORD_BYTES: usize = 256;

impl WithConditions for ImageBuilderStatus {
    fn conditions(&mut self) -> &mut Vec<Condition> {
        &mut self.conditions
    }
}

/// How a build ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ended {
    /// How.
    pub result: BuildResult,
    /// Why it failed.
    pub failure: Option<BuildFailure>,
    /// The same for people.
    pub message: Option<String>,
    /// The image.
    pub digest: Option<Digest>,
    /// How long its phases took.
    pub duration: Option<BuildDuration>,
}

impl Ended {
    /// Returns the end of a build of which nothing else is known.
    pub(super) fn of(result: BuildResult) -> Self {
        Self { result, failure: None, message: None, digest: None, duration: None }
    }

    /// Returns the end of a build that failed, after as much time.
    pub(super) fn failed(failure: BuildFailure, message: String, duration: BuildDuration) -> Self {
        let (failure, message) = (Some(failure), Some(message));
        Self { failure, message, duration: Some(duration), ..Self::of(BuildResult::Failed) }
    }
}

/// Writes the readiness of an object into its status.
pub(super) fn with_readiness(
    mut status: ImageBuilderStatus,
    builder: &ImageBuilder,
    readiness: Readiness,
    now: Timestamp,
) -> ImageBuilderStatus {
    let generation = builder.metadata.generation;
    let conditions = readiness.conditions.into_iter().map(|condition| NewCondition {
        message: shorten(&condition.message, MAX_MESSAGE_BYTES).into_owned(),
        ..condition
    });
    status.conditions = conditions::merge(&status.conditions, conditions.collect(), generation, now);
    status.observed_generation = generation;
    status.phase = Some(readiness.phase);
    status.progress = number(&status).map(|number| format!("{number}/{}", word(readiness.phase)));
    status
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "PENDING",
        Phase::Running => "RUNNING",
        Phase::Completed => "COMPLETED",
        Phase::Failed => "FAILED",
        Phase::Unknown => "UNKNOWN",
    }
}

/// Returns the number of the last build; none if there was none.
pub(super) fn number(status: &ImageBuilderStatus) -> Option<u64> {
    let running = status.build.as_ref().map(|build| build.number);
    running.or_else(|| status.history.last().map(|record| record.number))
}

/// Begins a build: the one that it takes the place of ends. Parts that are built already are `kept`.
pub(super) fn begin(
    mut status: ImageBuilderStatus,
    request: &BuildRequest,
    start: &Start,
    generation: Option<i64>,
    kept: &[PlatformStatus],
    now: Timestamp,
) -> ImageBuilderStatus {
    status = end(status, &Ended::of(BuildResult::Superseded));
    let changes = start.changes.as_deref().map(|text| shorten(text, MAX_RECORD_BYTES).into_owned());
    let (number, reason) = (start.number, start.reason);
    status.build = Some(RunningBuild { number, reason, changes, started_at: Time(now) });
    let new = |platform: String| {
        let kept = kept.iter().find(|kept| kept.platform == platform).cloned();
        kept.unwrap_or_else(|| PlatformStatus { platform, ..PlatformStatus::default() })
    };
    status.platforms = request.platforms.iter().map(|platform| new(platform.to_string())).collect();
    status.destination = Some(destination_status(&request.destination));
    (status.request_pending, status.last_build_time) = (false, Some(Time(now)));
    status.next_build_time = None;
    status.last_generation_seen = generation.unwrap_or_default();
    status.pushed = false;
    status
}

/// Returns the parts of the last build that another one of the same inputs need not build again.
pub(super) fn built_parts(status: &ImageBuilderStatus) -> Vec<PlatformStatus> {
    let is_built = |part: &&PlatformStatus| part.state == PlatformState::Built && part.digest.is_some();
    status.platforms.iter().filter(is_built).cloned().collect()
}

/// Ends the running build, if there is one.
pub(super) fn end(mut status: ImageBuilderStatus, ended: &Ended) -> ImageBuilderStatus {
    let Some(build) = status.build.take() else { return status };
    status.history.push(BuildRecord {
        number: build.number,
        reason: build.reason,
        changes: build.changes,
        result: ended.result,
        failure: ended.failure.map(|failure| failure.as_str().to_owned()),
        message: ended.message.as_deref().map(|text| shorten(text, MAX_RECORD_BYTES).into_owned()),
        digest: ended.digest.as_ref().map(ToString::to_string),
        started_at: Some(build.started_at),
        duration: ended.duration,
    });
    let surplus = status.history.len().saturating_sub(MAX_HISTORY);
    status.history.drain(..surplus);
    status.next_build_time = None;
    status
}

/// Says where what the spec leaves open of a build's destination comes from, if that is still its destination.
pub(super) fn show_defaults(status: &mut ImageBuilderStatus, defaulted: Option<DefaultedDestination>) {
    let Some(destination) = &mut status.destination else { return };
    match defaulted {
        Some(defaulted) if defaulted.repository == destination.repository => {
            destination.defaults_from = Some(defaulted.defaults_from);
        }
        Some(_) => {}
        None => destination.defaults_from = None,
    }
}

/// Names a Job in the field that image-operator has for them.
pub(super) fn add_job(status: &mut ImageBuilderStatus, job: &str) {
    if status.ran_jobs.iter().any(|name| name == job) {
        return;
    }
    status.ran_jobs.push(job.to_owned());
    let surplus = status.ran_jobs.len().saturating_sub(MAX_RAN_JOBS);
    status.ran_jobs.drain(..surplus);
}

/// Returns the readiness that the last build left, for an object of which nothing is to be done.
pub(super) fn rest(status: &ImageBuilderStatus) -> Readiness {
    let Some(last) = status.history.last() else {
        return Readiness::not_ready(Phase::Pending, reasons::PROGRESSING, "nothing was built yet", None);
    };
    match last.result {
        BuildResult::Succeeded => Readiness::ready(succeeded(status, last.number)),
        BuildResult::Cancelled => {
            let message = format!(
                "build {} was cancelled; the next change, or kubectl imgop sync, builds again",
                last.number
            );
            Readiness::stalled(reasons::CANCELLED, message)
        }
        BuildResult::Superseded => {
            let message = format!("build {} ended for what is newer; the next one begins", last.number);
            Readiness::progressing(message)
        }
        BuildResult::Failed | BuildResult::Unknown => {
            let failure = last.failure.as_deref().and_then(failure_of);
            let reason = failure.map_or(reasons::CANCELLED, BuildFailure::as_str);
            Readiness::stalled(reason, failed(status, last.number))
        }
    }
}

/// Reads the reason of a failure, as status and history hold it.
pub(super) fn failure_of(word: &str) -> Option<BuildFailure> {
    serde_json::from_value(serde_json::Value::from(word)).ok()
}

/// Returns what a build that succeeded says.
pub(super) fn succeeded(status: &ImageBuilderStatus, number: u64) -> String {
    let image = status.image.clone().unwrap_or_default();
    let emulated: Vec<&str> =
        status.platforms.iter().filter(|part| part.emulated).map(|part| part.platform.as_str()).collect();
    let how = match emulated.as_slice() {
        [] => String::new(),
        emulated => format!("; {} was emulated where no node has it", emulated.join(", ")),
    };
    let tags = match image.tags.as_slice() {
        [only] => format!("tag {only} is"),
        several => format!("tags {} are", several.join(", ")),
    };
    format!("build {number}: {tags} {}{how}", image.digest)
}

/// Returns what a build that failed says: of each part that failed why, and what its step printed last.
pub(super) fn failed(status: &ImageBuilderStatus, number: u64) -> String {
    let messages: Vec<String> = failed_parts(status)
        .map(|(part, why)| match part.last_lines.as_slice() {
            [] => why,
            lines => format!("{why}: {}", lines.join(" | ")),
        })
        .collect();
    format!("build {number} failed; {}", messages.join("; "))
}

/// Returns the same in a few words, for the history.
pub(super) fn why_failed(status: &ImageBuilderStatus) -> String {
    failed_parts(status).map(|(_, why)| why).collect::<Vec<_>>().join("; ")
}

/// Returns the parts that failed, and why.
fn failed_parts(status: &ImageBuilderStatus) -> impl Iterator<Item = (&PlatformStatus, String)> {
    let failed = status.platforms.iter().filter(|part| part.state == PlatformState::Failed);
    failed
        .map(|part| (part, format!("{}: {}", part.platform, part.message.as_deref().unwrap_or("it failed"))))
}

/// Returns the readiness of an object of which `spec.suspend` keeps builds from beginning: Ready stays as it was.
pub(super) fn suspended(status: &ImageBuilderStatus, reason: BuildReason) -> Readiness {
    let ready = find(&status.conditions, READY);
    let condition = NewCondition {
        type_: READY,
        status: ready.and_then(|condition| condition.status.to_lowercase().parse().ok()),
        reason: reasons::SUSPENDED,
        message: format!("spec.suspend is set; a build would begin ({reason:?})"),
    };
    let phase = status.phase.filter(|phase| *phase != Phase::Running).unwrap_or(Phase::Pending);
    Readiness { conditions: vec![condition], phase, progress: None }
}

#[cfg(test)]
mod tests;
