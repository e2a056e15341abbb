//! What the Jobs of an Image came to: which tags they copied, and why not, in the words of who copied.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use imgop_copier::OpenUpload;
use imgop_core::api::{COPIES_ANNOTATION, FailureReason, NATIVE_CONTAINER, ROUTE_ANNOTATION, container_name};
use imgop_core::copy::{Copy, CopyRecord, CopyRequest, Observed, Outcome, Plan, Run, TagAction};
use imgop_registry::is_about_immutable_tag;
use imgop_registry::reference::{Digest, Tag};
use jiff::Timestamp;

use super::native_results::NativeResults;
use crate::cluster::api_error::printable;
use crate::jobs::report::{ContainerEnd, ContainerState, JobReport, JobState};

/// Uploads that one Job goes on with at most.
const MAX_UPLOADS: usize = 50;

/// The Jobs of one Image.
pub(super) struct JobResults {
    jobs: Vec<CopyJob>,
    /// The route that the spec asks for now.
    route: String,
    /// Whether a Job runs of which it is not known what it copies.
    may_hide_running: bool,
    /// A Job whose pod gets no node, and why.
    waits_for_node: Option<(String, String)>,
}

/// A Job of an Image, and what became of its copies.
#[derive(Debug, Clone, PartialEq)]
struct CopyJob {
    name: String,
    namespace: String,
    created: Option<Timestamp>,
    /// Between which repositories it copies, and how.
    route: Option<String>,
    /// Whether it has not ended.
    is_unfinished: bool,
    /// Whether it holds a place and nothing more will come of it.
    is_to_be_deleted: bool,
    /// Whether the node of its pod does not answer.
    is_lost: bool,
    runs: Vec<Run>,
    /// How long the containers ran that copied, in the order of the copies; none of one that is not known.
    durations: Vec<Option<Duration>>,
    /// Uploads that a later try may go on with.
    uploads: Vec<OpenUpload>,
}

impl JobResults {
    /// Reads the Jobs of an Image; `route` is what its spec asks for now.
    pub fn new(reports: &[JobReport], route: String) -> Self {
        let may_hide_running =
            reports.iter().any(|report| report.is_stub && report.state == JobState::Unfinished);
        let waits_for_node =
            reports.iter().find_map(|report| Some((report.name.clone(), report.waits_for_node.clone()?)));
        Self { jobs: reports.iter().map(CopyJob::of).collect(), route, may_hide_running, waits_for_node }
    }

    /// Returns which Job waits for a node, and why.
    pub fn waits_for_node(&self) -> Option<String> {
        self.waits_for_node.as_ref().map(|(job, why)| format!("Job {job} waits for a node: {why}"))
    }

    /// Returns whether a Job runs of which it is not known what it copies, for want of memory.
    pub fn may_hide_running(&self) -> bool {
        self.may_hide_running
    }

    /// Returns the Jobs that copy between the same repositories as the spec asks for now.
    fn on_route(&self) -> impl Iterator<Item = &CopyJob> {
        self.jobs.iter().filter(|job| job.route.as_deref() == Some(&self.route))
    }

    /// Returns what became of their copies; `outcomes` has what became of some afterwards, and of those whose
    /// Jobs are gone.
    pub fn runs(&self, outcomes: &HashMap<Copy, Outcome>) -> Vec<Run> {
        let mut runs: Vec<Run> = self.on_route().flat_map(|job| job.runs.clone()).collect();
        for (copy, outcome) in outcomes {
            match runs.iter_mut().find(|run| run.copy == *copy) {
                Some(run) if run.outcome == Outcome::Succeeded || is_not_started(&run.outcome) => {
                    run.outcome = outcome.clone();
                }
                Some(_) => {}
                None => runs.push(Run { copy: copy.clone(), outcome: outcome.clone() }),
            }
        }
        runs
    }

    /// Returns how long a copy took, if that is known.
    pub fn duration(&self, copy: &Copy) -> Option<Duration> {
        let of_jobs = self.on_route().flat_map(|job| job.runs.iter().zip(&job.durations));
        of_jobs.filter(|(run, _)| run.copy == *copy).find_map(|(_, duration)| *duration)
    }

    /// Returns the uploads that Jobs in this namespace have left, of each blob the newest. A Job goes on with those of its
    /// own namespace alone: whoever may write to pods of another one could have it send there what it has credentials for.
    pub fn uploads(&self, namespace: &str) -> Vec<OpenUpload> {
        let mut jobs: Vec<&CopyJob> = self.on_route().filter(|job| job.namespace == namespace).collect();
        jobs.sort_by_key(|job| std::cmp::Reverse(job.created));
        let mut seen = HashSet::new();
        let left = jobs.into_iter().flat_map(|job| &job.uploads);
        left.filter(|upload| seen.insert(&upload.blob)).take(MAX_UPLOADS).cloned().collect()
    }

    /// Returns the Jobs that are younger than the last sync, and what their copies came to.
    fn since(&self, last_sync: Option<Timestamp>) -> impl Iterator<Item = &Run> {
        let recent = self.on_route().filter(move |job| match (job.created, last_sync) {
            (Some(created), Some(last)) => created >= last,
            _ => true,
        });
        recent.flat_map(|job| &job.runs)
    }

    /// Returns the copies of Jobs that are younger than the last sync.
    pub fn begun_since(&self, last_sync: Option<Timestamp>) -> HashSet<Copy> {
        self.since(last_sync).map(|run| run.copy.clone()).collect()
    }

    /// Returns which of the planned tags were copied by Jobs that are younger than the last sync.
    pub fn copied_since(&self, last_sync: Option<Timestamp>, plan: &Plan) -> Vec<Tag> {
        let is_there = |run: &&Run| {
            let tag = &run.copy.destination_tag;
            plan.tags.iter().any(|t| t.destination_tag == *tag && t.action == TagAction::UpToDate)
        };
        let copied = self.since(last_sync).filter(|run| run.outcome == Outcome::Succeeded).filter(is_there);
        copied.map(|run| run.copy.destination_tag.clone()).collect()
    }

    /// Returns the Jobs that put tags by themselves and have not ended.
    fn putting(&self) -> impl Iterator<Item = &CopyJob> {
        let is_direct = |job: &CopyJob| job.route.as_deref().is_some_and(CopyRequest::is_direct);
        self.jobs.iter().filter(move |job| job.is_unfinished && is_direct(job))
    }

    /// Returns those of them that copy between other repositories than is asked for now, each with its tags.
    pub fn obsolete(&self) -> impl Iterator<Item = (&str, HashSet<&Tag>)> {
        let obsolete = self.putting().filter(|job| job.route.as_ref() != Some(&self.route));
        obsolete
            .map(|job| (job.name.as_str(), job.runs.iter().map(|run| &run.copy.destination_tag).collect()))
    }

    /// Returns what Jobs between the same repositories are yet to put to a tag, if that is another content than
    /// the one that is to be there now, with the name of the Job.
    pub fn outdated<'a>(&'a self, observed: &'a Observed) -> impl Iterator<Item = (&'a str, &'a Copy)> {
        let jobs = self.putting().filter(|job| job.route.as_ref() == Some(&self.route));
        jobs.flat_map(|job| job.open().map(|copy| (job.name.as_str(), copy))).filter(|(_, copy)| {
            let mut tags = observed.tags.iter().filter(|tag| tag.destination_tag == copy.destination_tag);
            tags.any(|tag| tag.digest().is_some_and(|digest| *digest != copy.digest))
        })
    }

    /// Returns the tags that Jobs may still put by themselves.
    pub fn to_be_put(&self) -> HashSet<&Tag> {
        let of_others = self.obsolete().flat_map(|(_, tags)| tags);
        let open = self.putting().flat_map(CopyJob::open).map(|copy| &copy.destination_tag);
        of_others.chain(open).collect()
    }

    /// Returns the tags that pods may put by themselves on nodes that do not answer: that their Jobs are deleted does
    /// not end them.
    pub fn lost(&self) -> impl Iterator<Item = &Tag> {
        let runs = self.putting().filter(|job| job.is_lost).flat_map(|job| &job.runs);
        let may_run = runs.filter(|run| matches!(run.outcome, Outcome::Interrupted { .. }));
        may_run.filter(|run| run.copy.made_of.is_none()).map(|run| &run.copy.destination_tag)
    }

    /// Returns what the copies came to of Jobs that are to be deleted: nothing else records it then.
    pub fn given_up(&self) -> impl Iterator<Item = (&Copy, &Outcome)> {
        let runs = self.jobs.iter().filter(|job| job.is_to_be_deleted).flat_map(|job| &job.runs);
        runs.filter(|run| run.outcome != Outcome::Running).map(|run| (&run.copy, &run.outcome))
    }
}

impl CopyJob {
    /// Returns the copies whose tags it is yet to put. What is made of parts is put by the agent.
    fn open(&self) -> impl Iterator<Item = &Copy> {
        let open = self.runs.iter().filter(|run| run.outcome == Outcome::Running);
        open.map(|run| &run.copy).filter(|copy| copy.made_of.is_none())
    }

    fn of(report: &JobReport) -> Self {
        let annotation = |name: &str| report.annotations.get(name);
        let copies = annotation(COPIES_ANNOTATION)
            .and_then(|text| serde_json::from_str::<Vec<CopyRecord>>(text).ok())
            .unwrap_or_default();
        let copies: Vec<(usize, Copy)> = copies.iter().filter_map(CopyRecord::read).enumerate().collect();
        let (runs, durations, uploads) = if report.has_container(NATIVE_CONTAINER) {
            let results = NativeResults::of(report.container(NATIVE_CONTAINER));
            let durations = vec![None; copies.len()];
            (native_runs(copies, &results), durations, results.uploads())
        } else {
            let durations = copies.iter().map(|(index, copy)| duration(report, *index, copy)).collect();
            let runs = copies.into_iter().map(|(index, copy)| run(report, index, copy)).collect();
            (runs, durations, Vec::new())
        };
        Self {
            name: report.name.clone(),
            namespace: report.namespace.clone(),
            created: report.created,
            route: annotation(ROUTE_ANNOTATION).cloned(),
            is_unfinished: report.state != JobState::Finished,
            is_to_be_deleted: report.is_to_be_deleted(),
            is_lost: report.state == JobState::Lost,
            runs,
            durations,
            uploads,
        }
    }
}

/// Returns what became of a copy with a container for each of its parts.
fn run(report: &JobReport, index: usize, copy: Copy) -> Run {
    let parts = copy
        .parts()
        .iter()
        .enumerate()
        .map(|(part, digest)| of_container(report.container(&container_name(index, part)), digest));
    Run { outcome: of_parts(parts), copy }
}

/// Returns how long its containers ran.
fn duration(report: &JobReport, index: usize, copy: &Copy) -> Option<Duration> {
    let containers = (0..copy.parts().len()).map(|part| container_name(index, part));
    containers.map(|name| report.container(&name).ran_for()).sum()
}

/// Returns what became of copies with one container, in which their parts are counted through.
fn native_runs(copies: Vec<(usize, Copy)>, results: &NativeResults) -> Vec<Run> {
    let mut first = 0;
    let run = |(_, copy): (usize, Copy)| {
        let items = first..first + copy.parts().len();
        first = items.end;
        Run { outcome: of_parts(items.map(|item| results.item(item))), copy }
    };
    copies.into_iter().map(run).collect()
}

fn is_not_started(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed { reason: FailureReason::PodNotStarted, .. })
}

/// Returns where the image of a Job comes from, if that is why its pod does not start.
fn about_image(message: &str, setting: &str) -> String {
    let of_image = ["ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName"];
    if of_image.iter().any(|reason| message.contains(reason)) {
        return format!("; it is the agent's setting {setting}");
    }
    String::new()
}

/// Returns what became of a copy by its parts: it has failed with the first part that has, and it has succeeded
/// when all have.
fn of_parts(parts: impl Iterator<Item = Outcome>) -> Outcome {
    let weight = |outcome: &Outcome| match outcome {
        Outcome::Succeeded => 0,
        Outcome::Interrupted { .. } | Outcome::NotBegun { .. } => 1,
        Outcome::Running => 2,
        _ => 3,
    };
    let worst = parts.reduce(|worst, next| if weight(&next) > weight(&worst) { next } else { worst });
    worst.unwrap_or(Outcome::Running)
}

/// Returns what the state of a container means for the content that it copies.
fn of_container(state: ContainerState, digest: &Digest) -> Outcome {
    match state {
        ContainerState::Ended(end) => of_end(&end, digest),
        state => without_end(state, "SKOPEO_IMAGE"),
    }
}

/// Returns what the state of a container means of which it is not known how it ended. `setting` names its image.
pub(super) fn without_end(state: ContainerState, setting: &str) -> Outcome {
    match state {
        ContainerState::Running => Outcome::Running,
        ContainerState::Ended(_) | ContainerState::Completed { .. } => Outcome::Succeeded,
        ContainerState::NotStarted { message, at } => {
            failed(FailureReason::PodNotStarted, format!("{message}{}", about_image(&message, setting)), at)
        }
        ContainerState::Interrupted { at } => Outcome::Interrupted { at },
        ContainerState::DeadlineExceeded { at } => failed(
            FailureReason::CopyFailed,
            "the Job ran into its deadline: spec.jobTemplate.activeDeadlineSeconds, or JOB_DEADLINE_SECONDS of the agent",
            at,
        ),
        ContainerState::PodGone { at } => {
            failed(FailureReason::CopyFailed, "the Job failed and its pod is gone", at)
        }
    }
}

fn of_end(end: &ContainerEnd, expected: &Digest) -> Outcome {
    if end.exit_code == 0 {
        // Skopeo leaves the digest that it pushed. None is fine: the agent asks the destination.
        return match end.message.trim().parse::<Digest>() {
            Ok(pushed) if pushed != *expected => failed(
                FailureReason::VerificationFailed,
                format!("Skopeo pushed {pushed} instead of {expected}"),
                end.at,
            ),
            _ => Outcome::Succeeded,
        };
    }
    if end.reason == "OOMKilled" {
        return failed(
            FailureReason::OutOfMemory,
            "Skopeo ran out of memory; raise spec.jobTemplate.resources.limits.memory, or JOB_MEMORY_LIMIT of the agent",
            end.at,
        );
    }
    let message = match printable(&end.message) {
        text if text.is_empty() => format!("Skopeo ended with exit code {}", end.exit_code),
        text => text,
    };
    of_text(&message, end.at)
}

/// Returns what it means that a copy ended with these words.
pub(super) fn of_text(message: &str, at: Timestamp) -> Outcome {
    if is_about_immutable_tag(message) {
        return Outcome::Immutable { shows: None, at };
    }
    failed(FailureReason::CopyFailed, message, at)
}

pub(super) fn failed(reason: FailureReason, message: impl Into<String>, at: Timestamp) -> Outcome {
    Outcome::Failed { reason, message: message.into(), at }
}

#[cfg(test)]
mod tests;
