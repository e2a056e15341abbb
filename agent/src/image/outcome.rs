//! What became of the copies that Jobs were made for, read from the Jobs and their pods.

use imgop_core::api::container_name;
use imgop_core::api::{COPIES_ANNOTATION, FailureReason, ROUTE_ANNOTATION};
use imgop_core::copy::{Copy, CopyRecord, Outcome, Run};
use imgop_registry::reference::Digest;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use kube::ResourceExt as _;

/// How long a pod may wait for its image, its Secrets or a node before its Job is given up.
const START_SECONDS: i64 = 60;
/// The longest message that is kept; the status has room for 50 of them.
const MAX_MESSAGE: usize = 512;

/// A Job of an Image, and what became of its copies.
#[derive(Debug, Clone, PartialEq)]
pub struct JobReport {
    /// The Job's name.
    pub name: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Between which repositories it copies, and how.
    pub route: Option<String>,
    /// Whether Kubernetes is done with it.
    pub finished: bool,
    /// Whether it should be deleted, because its pod does not start or cannot be made.
    pub stuck: bool,
    /// Its copies.
    pub runs: Vec<Run>,
}

/// How a Job ended.
#[derive(Debug, Clone, Copy)]
struct End<'a> {
    complete: bool,
    reason: &'a str,
    at: Option<Timestamp>,
}

fn end_of(job: &Job) -> Option<End<'_>> {
    job.status.as_ref()?.conditions.as_ref()?.iter().find_map(|c| {
        (matches!(c.type_.as_str(), "Complete" | "Failed") && c.status == "True").then(|| End {
            complete: c.type_ == "Complete",
            reason: c.reason.as_deref().unwrap_or_default(),
            at: c.last_transition_time.as_ref().map(|t| t.0),
        })
    })
}

/// Whether a Job still runs or waits to run.
pub fn is_unfinished(job: &Job) -> bool {
    end_of(job).is_none()
}

/// Reads a Job and its pods.
pub fn report(job: &Job, pods: &[Pod], podless_since: Option<Timestamp>, now: Timestamp) -> JobReport {
    let copies: Vec<Copy> = job
        .annotations()
        .get(COPIES_ANNOTATION)
        .and_then(|text| serde_json::from_str::<Vec<CopyRecord>>(text).ok())
        .unwrap_or_default()
        .iter()
        .filter_map(CopyRecord::read)
        .collect();
    let end = end_of(job);
    let stuck = if end.is_none() {
        without_pod(job, podless_since, now).or_else(|| not_starting(pods, now))
    } else {
        None
    };
    let made = job.creation_timestamp().map_or(now, |t| t.0);
    let runs = copies
        .into_iter()
        .enumerate()
        .map(|(index, copy)| {
            let of_part = |(part, digest)| match (&stuck, ended(pods, &container_name(index, part))) {
                (_, Some(state)) => of_container(state, digest, made, now),
                (Some(message), None) => failed(FailureReason::PodNotStarted, message, now),
                (None, None) => of_job(end, pods, now),
            };
            let outcome = of_parts(copy.parts().iter().enumerate().map(of_part).collect());
            Run { copy, outcome }
        })
        .collect();
    let created = job.creation_timestamp().map(|t| t.0);
    let route = job.annotations().get(ROUTE_ANNOTATION).cloned();
    JobReport { name: job.name_any(), route, created, finished: end.is_some(), stuck: stuck.is_some(), runs }
}

/// What became of a copy by its parts: it has failed with the first part that has, and it has succeeded
/// when all have.
fn of_parts(parts: Vec<Outcome>) -> Outcome {
    let weight = |outcome: &Outcome| match outcome {
        Outcome::Succeeded => 0,
        Outcome::Interrupted { .. } => 1,
        Outcome::Running => 2,
        _ => 3,
    };
    let worst =
        parts.into_iter().reduce(|worst, next| if weight(&next) > weight(&worst) { next } else { worst });
    worst.unwrap_or(Outcome::Running)
}

/// The end of a part's container, in whichever pod of the Job it was: a disrupted Job has several.
/// A success in any of them is one; a container that a disruption killed has not failed.
fn ended<'a>(pods: &'a [Pod], name: &str) -> Option<&'a ContainerStateTerminated> {
    let ends: Vec<(bool, &ContainerStateTerminated)> = pods
        .iter()
        .flat_map(|pod| statuses(pod).map(move |status| (is_disrupted(pod), status)))
        .filter(|(_, status)| status.name == name)
        .filter_map(|(disrupted, status)| Some((disrupted, status.state.as_ref()?.terminated.as_ref()?)))
        .collect();
    let success = ends.iter().find(|(_, end)| end.exit_code == 0);
    success.or_else(|| ends.iter().find(|(disrupted, _)| !disrupted)).map(|(_, end)| *end)
}

fn is_disrupted(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "DisruptionTarget" && c.status == "True"))
}

fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|s| s.init_container_statuses.as_ref());
    let plain = status.and_then(|s| s.container_statuses.as_ref());
    init.into_iter().chain(plain).flatten()
}

/// `made` is when the Job was made, by the API server's clock.
fn of_container(
    end: &ContainerStateTerminated,
    expected: &Digest,
    made: Timestamp,
    now: Timestamp,
) -> Outcome {
    // A node whose clock is ahead must not put the next try into next week.
    let at = end.finished_at.as_ref().map(|t| t.0).filter(|at| *at <= now).unwrap_or(made);
    let text = end.message.as_deref().unwrap_or_default();
    if end.exit_code == 0 {
        // Skopeo leaves the digest that it pushed. None is fine: the agent asks the destination.
        return match text.trim().parse::<Digest>() {
            Ok(pushed) if pushed != *expected => failed(
                FailureReason::VerificationFailed,
                &format!("Skopeo pushed {pushed} instead of {expected}"),
                at,
            ),
            _ => Outcome::Succeeded,
        };
    }
    if end.reason.as_deref() == Some("OOMKilled") {
        return failed(FailureReason::OutOfMemory, "Skopeo was killed for want of memory", at);
    }
    let text = printable(text);
    let message =
        if text.is_empty() { format!("Skopeo ended with exit code {}", end.exit_code) } else { text };
    failed(FailureReason::CopyFailed, &message, at)
}

/// A copy whose container has not ended, or whose pod is gone.
fn of_job(end: Option<End<'_>>, pods: &[Pod], now: Timestamp) -> Outcome {
    let Some(end) = end else { return Outcome::Running };
    let at = end.at.unwrap_or(now).min(now);
    match end {
        End { complete: true, .. } => Outcome::Succeeded,
        End { reason: "DeadlineExceeded", .. } => failed(
            FailureReason::CopyFailed,
            "the Job ran into its deadline (the agent's --job-deadline-seconds)",
            at,
        ),
        // The pod ended before this container began: the one that runs first failed.
        _ if !pods.is_empty() => Outcome::Interrupted { at },
        _ => failed(FailureReason::CopyFailed, "the Job failed and its pod is gone", at),
    }
}

fn failed(reason: FailureReason, message: &str, at: Timestamp) -> Outcome {
    Outcome::Failed { reason, message: message.to_owned(), at }
}

/// Why a pod does not start, once it has had its time: since it was made, or since its first
/// container was done. A pod that has ended has started.
fn not_starting(pods: &[Pod], now: Timestamp) -> Option<String> {
    let ended = |pod: &&Pod| {
        let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed"))
    };
    pods.iter().filter(|pod| !ended(pod)).find_map(|pod| {
        let created = pod.metadata.creation_timestamp.as_ref()?.0;
        let first_done = statuses(pod)
            .filter_map(|status| status.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref())
            .map(|at| at.0)
            .max();
        let since = first_done.map_or(created, |done| done.max(created));
        if now.as_second() - since.as_second() < START_SECONDS {
            return None;
        }
        let waiting = statuses(pod).find_map(|status| {
            let waiting = status.state.as_ref()?.waiting.as_ref()?;
            let reason = waiting.reason.as_deref()?;
            let hopeless = ["ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName"];
            let hopeless = hopeless.contains(&reason) || reason.starts_with("CreateContainer");
            hopeless.then(|| describe(reason, waiting.message.as_deref()))
        });
        waiting.or_else(|| {
            let conditions = pod.status.as_ref()?.conditions.as_ref()?;
            let unscheduled = conditions.iter().find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
            Some(describe(unscheduled.reason.as_deref()?, unscheduled.message.as_deref()))
        })
    })
}

/// What is said of a Job for which no pod can be made, as where a quota or a policy is against it: only its
/// events tell why, and they outlive it. Kubernetes must have begun with it, or a Job that waits its turn
/// would be given up; one whose pod was evicted gets another one within a while, and one that somebody
/// suspended may get one yet.
fn without_pod(job: &Job, podless_since: Option<Timestamp>, now: Timestamp) -> Option<String> {
    let status = job.status.as_ref()?;
    let counts = [status.active, status.terminating, status.succeeded, status.failed];
    let mut conditions = status.conditions.iter().flatten();
    let is_suspended = conditions.any(|c| c.type_ == "Suspended" && c.status == "True");
    let since = status.start_time.as_ref()?.0.max(podless_since?);
    let has_time = now.as_second() - since.as_second() < START_SECONDS;
    if is_suspended || has_time || counts.into_iter().flatten().any(|count| count > 0) {
        return None;
    }
    let (name, namespace) = (job.name_any(), job.namespace().unwrap_or_default());
    Some(format!(
        "no pod could be made for the Job, as where a quota or a policy is against it; its events tell why, for an \
         hour: kubectl get events -n {namespace} --field-selector involvedObject.name={name}"
    ))
}

fn describe(reason: &str, message: Option<&str>) -> String {
    match printable(message.unwrap_or_default()) {
        text if text.is_empty() => format!("the pod does not start: {reason}"),
        text => format!("the pod does not start: {reason}: {text}"),
    }
}

/// Text from a container, a node or a policy, made safe for status and terminals, at most 512 bytes.
/// Its end is kept: that is where the error is.
pub fn printable(text: &str) -> String {
    let line = imgop_registry::printable(text);
    let mut start = line.len().saturating_sub(MAX_MESSAGE);
    while !line.is_char_boundary(start) {
        start += 1;
    }
    line[start..].to_owned()
}

#[cfg(test)]
mod tests;
