//! How the parts of a build stand, as its status shows it.

use imgop_core::api::{BuildDuration, ImageBuilderStatus, PlatformState, PlatformStatus};
use imgop_core::build::step::PhaseSeconds;
use imgop_core::build::{
    BuildFailure, BuildRequest, LastBuild, ObservedInputs, PartAction, PartRecord, PartState,
};
use imgop_core::text::shorten;
use imgop_registry::oci::PlatformSelector;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::inputs::MAX_WARNINGS;
use super::last_build::set_inputs;
use super::part_runs::{Try, record};
use super::running::Parts;
use super::status::add_job;
use crate::jobs::report::JobReport;

/// Shows in the status that a part was begun, after as many tries whose pods did not start.
pub(super) fn show_begun(status: &mut ImageBuilderStatus, record: &PartRecord, not_started: u32) {
    let shown = record.platform.to_string();
    for part in status.platforms.iter_mut().filter(|part| part.platform == shown) {
        // What kept its pod from starting is not seen for a while in each try.
        let did_not_start = part.reason.as_deref() == Some(BuildFailure::PodNotStarted.as_str());
        part.message = part.message.take().filter(|_| did_not_start).map(|why| format!("{LAST_TRY}{why}"));
        (part.state, part.attempts) = (PlatformState::Running, record.attempt);
        (part.reason, part.next_attempt) = (None, None);
        part.last_lines.clear();
        (part.emulated, part.not_started) = (record.emulated, not_started);
    }
}

/// What the message of a part begins with that is tried again.
const LAST_TRY: &str = "last time: ";
/// What is shown of a part that was never tried.
const NOT_BUILT: &str = "it is not built, since another platform failed";
/// Bytes of what is shown of a failed part: there are up to 8 parts.
const MAX_MESSAGE_BYTES: usize = 1_024;

/// Returns the status with what the containers report: what the build is made from, as far as it was not known before.
/// What is built from something else than the first report says is not what this build is of, and fails.
pub(super) fn with_reports(
    mut status: ImageBuilderStatus,
    (request, generation): (&BuildRequest, i64),
    last: &LastBuild,
    tries: &mut [Try],
) -> ImageBuilderStatus {
    let mut known = last.inputs.clone();
    // What succeeded first is kept.
    tries.sort_by_key(|tried| (!matches!(tried.run.state, PartState::Built(_)), tried.ended_at));
    for tried in tries {
        if let Some(message) = take_over(&mut known, tried)
            && let (PartState::Built(_), Some(at)) = (&tried.run.state, tried.ended_at)
        {
            tried.run.state = PartState::Failed(BuildFailure::VerificationFailed, at);
            tried.message = Some(message);
        }
        for warning in tried.reports.iter().flat_map(|report| &report.warnings) {
            if !status.warnings.contains(warning) && status.warnings.len() < MAX_WARNINGS {
                status.warnings.push(warning.clone());
            }
        }
    }
    if last.is_of(request, generation) && known != last.inputs {
        let revision = status.source.as_ref().and_then(|source| source.revision.clone());
        set_inputs(&mut status, request, &known, revision.as_deref());
    }
    status
}

/// Adds what a try found out to what is known of a build. Returns what of it contradicts that.
fn take_over(known: &mut ObservedInputs, tried: &Try) -> Option<String> {
    let mut contradiction = None;
    for report in &tried.reports {
        if let Some(source) = &report.source {
            let commit = source
                .commit
                .as_ref()
                .filter(|commit| known.commit.as_ref().is_some_and(|known| known != *commit));
            if let Some(commit) = commit {
                contradiction = Some(format!("it is of commit {commit}, and the build of another one"));
            }
            known.commit = known.commit.take().or_else(|| source.commit.clone());
            known.dockerfile = known.dockerfile.take().or_else(|| source.dockerfile.clone());
        }
        for base in &report.bases {
            let first = known.bases.entry(base.image.clone()).or_insert_with(|| base.digest.clone());
            if *first != base.digest {
                let (image, digest) = (&base.image, &base.digest);
                contradiction = Some(format!("it is on {image} as {digest}, and the build on {first}"));
            }
        }
    }
    contradiction.map(|what| format!("{what}; it is built again from what the build is of"))
}

/// Names the Jobs of a build in the status that were created by a process which ended before it wrote so: those behind the
/// last one that is named. Earlier ones may be named no longer.
pub(super) fn show_jobs(
    status: &mut ImageBuilderStatus,
    request: &BuildRequest,
    number: u64,
    jobs: &[JobReport],
) {
    let place = |of: &PlatformSelector| request.platforms.iter().position(|platform| platform == of);
    let of_build = jobs.iter().filter_map(|job| {
        let record = record(job).filter(|record| record.number == number)?;
        Some((job.created, record.attempt, place(&record.platform), &job.name))
    });
    let mut of_build: Vec<_> = of_build.collect();
    of_build.sort_unstable();
    let unnamed = of_build.iter().rev().take_while(|(.., name)| !status.ran_jobs.contains(name)).count();
    for (.., name) in of_build.iter().rev().take(unnamed).rev() {
        add_job(status, name);
    }
}

/// Shows in the status how each part stands.
pub(super) fn show_parts(status: &mut ImageBuilderStatus, parts: &Parts) {
    for planned in &parts.planned {
        let name = planned.platform.to_string();
        let Some(shown) = status.platforms.iter_mut().find(|part| part.platform == name) else { continue };
        let of_platform = parts.tries.iter().filter(|tried| tried.run.platform == planned.platform);
        let newest = of_platform.max_by_key(|tried| tried.run.attempt);
        if let Some(newest) = newest {
            shown.attempts = newest.run.attempt;
            shown.emulated = newest.emulated;
            shown.step.clone_from(&newest.step);
            shown.last_lines.clone_from(&newest.last_lines);
            let driver = newest.reports.iter().find_map(|report| report.storage_driver.clone());
            shown.storage_driver = driver.or_else(|| shown.storage_driver.take());
            let of_last_try = shown.message.take().filter(|text| text.starts_with(LAST_TRY));
            let message = newest.message.as_deref().map(|text| shorten(text, MAX_MESSAGE_BYTES).into_owned());
            shown.message = message.or_else(|| of_last_try.filter(|_| planned.action == PartAction::Wait));
        }
        let failure = newest.map_or_else(|| shown.reason.take(), |newest| reason_of(&newest.run.state));
        (shown.next_attempt, shown.reason) = (None, None);
        match &planned.action {
            PartAction::Built(digest) => {
                (shown.state, shown.digest) = (PlatformState::Built, Some(digest.to_string()));
                (shown.message, shown.step) = (None, None);
                shown.last_lines.clear();
            }
            PartAction::Wait => shown.state = PlatformState::Running,
            // If its Job goes before the next one is there, the status alone knows of the try.
            PartAction::Build(_) => (shown.state, shown.reason) = (PlatformState::Pending, failure),
            PartAction::GiveUp => {
                (shown.state, shown.reason) = (PlatformState::Failed, failure);
                shown.message.get_or_insert_with(|| NOT_BUILT.to_owned());
            }
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

/// Returns why a try failed, in one word.
fn reason_of(state: &PartState) -> Option<String> {
    match state {
        PartState::Failed(failure, _) | PartState::Gone(failure, _) => Some(failure.as_str().to_owned()),
        PartState::Running | PartState::Built(_) => None,
    }
}

/// Returns what a build says that goes on.
pub(super) fn summary(status: &ImageBuilderStatus, number: u64, deferred: Option<&str>) -> String {
    let word = |state: PlatformState| match state {
        PlatformState::Pending => "waits",
        PlatformState::Running => "runs",
        PlatformState::Built => "is built",
        PlatformState::Failed => "failed",
        PlatformState::Unknown => "is unknown",
    };
    let parts: Vec<String> =
        status.platforms.iter().map(|part| format!("{} {}", part.platform, word(part.state))).collect();
    let of_last_try = |part: &PlatformStatus| {
        let message = part.message.as_deref().filter(|text| text.starts_with(LAST_TRY));
        message.filter(|_| part.state == PlatformState::Running).map(str::to_owned)
    };
    let why = deferred.map(str::to_owned).or_else(|| status.platforms.iter().find_map(of_last_try));
    let why = why.map_or_else(String::new, |why| format!("; {why}"));
    format!("build {number}: {}{why}", parts.join(", "))
}

/// Returns how long the phases of a build took that began then: of several platforms the longest.
pub(super) fn duration(tries: &[Try], began: Timestamp) -> BuildDuration {
    let longest = |of: fn(&PhaseSeconds) -> u32| {
        let reports = tries.iter().flat_map(|tried| &tried.reports);
        reports.map(|report| of(&report.seconds)).max().unwrap_or(0)
    };
    let first_job = tries.iter().filter_map(|tried| tried.created).min();
    let queued = first_job.map_or(0, |at| at.as_second().saturating_sub(began.as_second()));
    BuildDuration {
        queued: u32::try_from(queued).unwrap_or(0),
        source: longest(|seconds| seconds.source),
        bases: longest(|seconds| seconds.bases),
        build: longest(|seconds| seconds.build),
        push: longest(|seconds| seconds.push),
        publish: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_builder::tests::fixtures::{builder, now};
    use crate::image_builder::tests::job_of_build;

    #[test]
    fn jobs_that_were_created_and_not_named_are_named_and_no_longer_named_ones_are_not_named_again() {
        let request = BuildRequest::parse(&builder(|_| {}).spec).unwrap();
        let job = |n: u64| {
            let mut job = job_of_build(1, false, now());
            job.name = format!("job-{n}");
            job.created = Some(now() + std::time::Duration::from_secs(n));
            job
        };
        let jobs: Vec<JobReport> = (1..=20).rev().map(job).collect();
        let mut status = ImageBuilderStatus { ran_jobs: vec!["of-before".into()], ..Default::default() };
        show_jobs(&mut status, &request, 1, &jobs[18..]);
        assert_eq!(status.ran_jobs, ["of-before", "job-1", "job-2"]);
        show_jobs(&mut status, &request, 1, &jobs);
        let named = status.ran_jobs.clone();
        assert_eq!((named.len(), named[0].as_str(), named[15].as_str()), (16, "job-5", "job-20"));
        show_jobs(&mut status, &request, 1, &jobs);
        assert_eq!(status.ran_jobs, named);
        show_jobs(&mut status, &request, 2, &jobs);
        assert_eq!(status.ran_jobs, named, "they are of another build");
    }
}
