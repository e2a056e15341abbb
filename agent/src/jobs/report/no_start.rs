//! Why nothing of a Job begins, and what has been lost with its node.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt as _;

use super::seconds_since;
use crate::cluster::api_error::printable;
use crate::jobs::view::{ContainerStatusView, JobView, PodView};

/// How many seconds a pod may wait for its image or its Secrets before its Job is given up, and for a node before
/// that is reported.
const MAX_START_SECONDS: i64 = 60;
/// How many seconds a pod may exceed the time it was given to end: then its node does not answer.
const MAX_TERMINATION_SECONDS: i64 = 120;

/// Returns why a pod does not start, once it has had its time: since it was created, or since its first
/// container was done. A pod that has ended has started.
pub(super) fn not_starting(pods: &[&PodView], now: Timestamp) -> Option<String> {
    pods.iter().filter(|pod| !pod.has_ended()).find_map(|pod| {
        let created = pod.metadata.creation_timestamp.as_ref()?.0;
        let ends = pod.containers().filter_map(ContainerStatusView::terminated);
        let first_done = ends.filter_map(|end| end.finished_at.as_ref()).map(|time| time.0).max();
        let since = first_done.map_or(created, |done| done.max(created));
        if seconds_since(since, now) < MAX_START_SECONDS {
            return None;
        }
        pod.containers().filter_map(ContainerStatusView::waiting).find_map(|waiting| {
            let reason = waiting.reason.as_deref()?;
            let hopeless = ["ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName"];
            let hopeless = hopeless.contains(&reason) || reason.starts_with("CreateContainer");
            hopeless.then(|| describe(reason, waiting.message.as_deref()))
        })
    })
}

/// Returns why nothing of a pod begins that has a node for some time: before its network is there its volumes are
/// mounted, and images are pulled only after both. Kubernetes gives the reason in events alone.
pub(super) fn without_volumes(pods: &[&PodView], now: Timestamp) -> Option<String> {
    pods.iter().filter(|pod| !pod.has_ended()).find_map(|pod| {
        let condition = |name| pod.status.conditions.iter().find(|condition| condition.type_ == name);
        let scheduled = condition("PodScheduled").filter(|scheduled| scheduled.status == "True")?;
        condition("PodReadyToStartContainers").filter(|ready| ready.status == "False")?;
        let created = pod.metadata.creation_timestamp.as_ref()?.0;
        let since = scheduled.last_transition_time.as_ref().map_or(created, |time| time.0.max(created));
        let began = pod.containers().any(|status| status.terminated().is_some());
        if began || seconds_since(since, now) < MAX_START_SECONDS {
            return None;
        }
        let (name, namespace) = (pod.name_any(), pod.namespace().unwrap_or_default());
        Some(format!(
            "the pod does not start: a volume cannot be mounted, as where a Secret, a ConfigMap or a key of one is \
             missing, or its network is not there; its events give the reason, for an hour: kubectl get events -n \
             {namespace} --field-selector involvedObject.name={name}"
        ))
    })
}

/// Returns why a pod gets no node, once it has waited for one for some time, and for how long it has. An autoscaler
/// may be adding one.
pub(super) fn unscheduled(pods: &[&PodView], now: Timestamp) -> Option<(String, Duration)> {
    pods.iter().filter(|pod| !pod.has_ended()).find_map(|pod| {
        let waited = seconds_since(pod.metadata.creation_timestamp.as_ref()?.0, now);
        let mut conditions = pod.status.conditions.iter();
        let unscheduled = conditions.find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
        let why = describe(unscheduled.reason.as_deref()?, unscheduled.message.as_deref());
        let waited = Duration::from_secs(u64::try_from(waited).unwrap_or_default());
        (waited >= Duration::from_secs(MAX_START_SECONDS.unsigned_abs())).then_some((why, waited))
    })
}

/// Returns when a pod was to have ended of which nothing is known for too long since: its node does not answer, and
/// Kubernetes waits for it without end.
pub(super) fn lost_since(pods: &[&PodView], now: Timestamp) -> Option<Timestamp> {
    let to_end = |pod: &&&PodView| !pod.has_ended();
    let ends = pods.iter().filter(to_end).filter_map(|pod| pod.metadata.deletion_timestamp.as_ref());
    ends.map(|time| time.0).find(|at| seconds_since(*at, now) >= MAX_TERMINATION_SECONDS)
}

/// Returns what is wrong with a Job for which no pod can be created, as where a quota or a policy forbids it:
/// only its events give the reason, and they outlive it. Kubernetes must have begun with it, or a Job that waits its
/// turn would be given up; one whose pod was evicted gets another one within a while, and one that is suspended
/// may get one yet.
pub(super) fn without_pod(job: &JobView, missing_since: Option<Timestamp>, now: Timestamp) -> Option<String> {
    let status = &job.status;
    let counts = [status.active, status.terminating, status.succeeded, status.failed];
    let is_suspended = status.conditions.iter().any(|c| c.type_ == "Suspended" && c.status == "True");
    let since = status.start_time.as_ref()?.0.max(missing_since?);
    let has_time = seconds_since(since, now) < MAX_START_SECONDS;
    if is_suspended || has_time || counts.into_iter().flatten().any(|count| count > 0) {
        return None;
    }
    let (name, namespace) = (job.name_any(), job.namespace().unwrap_or_default());
    Some(format!(
        "no pod could be created for the Job, as where a quota or a policy forbids it; its events give the reason, for \
         an hour: kubectl get events -n {namespace} --field-selector involvedObject.name={name}"
    ))
}

fn describe(reason: &str, message: Option<&str>) -> String {
    match printable(message.unwrap_or_default()) {
        text if text.is_empty() => format!("the pod does not start: {reason}"),
        text => format!("the pod does not start: {reason}: {text}"),
    }
}
