//! What became of a Job and its containers, read from it and its pods. What that means is for its kind to decide.

mod no_start;

use std::collections::BTreeMap;
use std::time::Duration;

use imgop_core::api::TEMPLATE_ANNOTATION;
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::view::{ConditionView, JobView, PodView, TerminatedView};
use crate::cluster::api_error::printable;
use no_start::{lost_since, not_starting, unscheduled, without_pod, without_volumes};

/// How many seconds a Job may go on when all its own containers have ended.
const MAX_LEFTOVER_SECONDS: i64 = 60;
/// How many seconds pods of a failed Job may seem to run: two watches are not in step.
const MAX_WATCH_LAG_SECONDS: i64 = 15;

/// A Job, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct JobReport {
    /// The namespace that the Job is in.
    pub namespace: String,
    /// The Job's name.
    pub name: String,
    /// The Job's UID.
    pub uid: Option<String>,
    /// Whether no more is known of the Job than that it exists and how it stands, for want of memory: its
    /// annotations and containers are not known.
    pub is_stub: bool,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// When its deletion began, if it is not over.
    pub deleting_since: Option<Timestamp>,
    /// Its annotations that kinds read.
    pub annotations: BTreeMap<String, String>,
    /// How it stands.
    pub state: JobState,
    /// Why its pod gets no node, once it has waited for one for some time.
    pub waits_for_node: Option<String>,
    /// Whether it is stuck because no pod could be created for it.
    pub is_without_pod: bool,
    /// Why its newest pod was ended from outside, if it was.
    pub ended_by: Option<EndedBy>,
    /// What became of each of its own containers, by name.
    containers: BTreeMap<String, ContainerState>,
}

/// Why a pod was ended from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedBy {
    /// Kubernetes' word for it: `Evicted`, `DeadlineExceeded`.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// How a Job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// It runs, or waits to run.
    Unfinished,
    /// Its pod does not start, or cannot be created; why. It is to be deleted: it holds a place.
    Stuck(String),
    /// The node of its pod does not answer. It is to be deleted.
    Lost,
    /// Our containers have ended, and others that were injected keep it from ending. It is to be deleted.
    Abandoned,
    /// It has ended.
    Finished,
}

/// What became of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// It runs, or waits to run, or it is not known yet how it ended.
    Running,
    /// It has ended.
    Ended(ContainerEnd),
    /// It has ended well, since the Job has; its pod is gone, or not known.
    Completed {
        /// When the Job ended.
        at: Timestamp,
        /// Whether all of its pods are known: else one may still be there that says more.
        are_pods_known: bool,
    },
    /// Its pod does not start; why.
    NotStarted {
        /// For people.
        message: String,
        /// When that was found.
        at: Timestamp,
    },
    /// Its pod ended before it began: a container before it failed, or the node went away.
    Interrupted {
        /// When.
        at: Timestamp,
    },
    /// The Job ran into its deadline.
    DeadlineExceeded {
        /// When.
        at: Timestamp,
    },
    /// The Job failed, and its pod is gone.
    PodGone {
        /// When the Job failed.
        at: Timestamp,
    },
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerEnd {
    /// Its exit code.
    pub exit_code: i32,
    /// Kubernetes' word for it, such as `OOMKilled`.
    pub reason: String,
    /// What it left in its termination log, or the end of its output; as it came, not yet safe to show.
    pub message: String,
    /// When; never in the future, whatever the node's clock says.
    pub at: Timestamp,
    /// When it began, by its node's clock.
    pub began: Option<Timestamp>,
    /// Whether its pod was disrupted, as where its node was drained.
    pub is_disrupted: bool,
}

/// What is known of the pods of a Job.
#[derive(Debug, Clone, Copy)]
pub enum Pods<'a> {
    /// Nothing yet: their watch has not listed them.
    Unknown,
    /// There are these; if none, since when that was seen.
    Known(&'a [&'a PodView], Option<Timestamp>),
}

impl JobReport {
    /// Reads a Job and its pods. A pod may wait for a node for as long as `max_pending`.
    pub fn of(job: &JobView, pods: Pods<'_>, max_pending: Duration, now: Timestamp) -> Self {
        let end = job.end();
        let (known, missing_since) = match pods {
            Pods::Unknown => (&[][..], None),
            Pods::Known(pods, missing_since) => (pods, missing_since),
        };
        let unscheduled = unscheduled(known, now).filter(|_| end.is_none());
        let is_given_up = |(_, waited): &(String, Duration)| *waited >= max_pending;
        let without_pod = without_pod(job, missing_since, now).filter(|_| end.is_none());
        let is_without_pod = without_pod.is_some();
        let stuck = if end.is_some() {
            None
        } else {
            without_pod
                .or_else(|| not_starting(known, now))
                .or_else(|| without_volumes(known, now))
                .or_else(|| unscheduled.clone().filter(is_given_up).map(|(why, _)| why))
        };
        let lost_since = lost_since(known, now).filter(|_| end.is_none());
        let created = job.creation_timestamp().map(|time| time.0);
        let state_of = |name: &str| match (&stuck, lost_since, ended(job, known, name)) {
            (_, _, Some(end)) => ContainerState::Ended(ContainerEnd::of(end, created.unwrap_or(now), now)),
            (Some(message), _, None) => ContainerState::NotStarted { message: message.clone(), at: now },
            (None, Some(at), None) => ContainerState::Interrupted { at },
            (None, None, None) => of_job(end, pods, now),
        };
        let containers: BTreeMap<String, ContainerState> =
            job.containers().map(|name| (name.to_owned(), state_of(name))).collect();
        let state = match (end, stuck) {
            (Some(_), _) => JobState::Finished,
            (None, Some(message)) => JobState::Stuck(message),
            (None, None) if lost_since.is_some() => JobState::Lost,
            (None, None) if is_abandoned(&containers, now) => JobState::Abandoned,
            (None, None) => JobState::Unfinished,
        };
        let annotations = job.metadata.annotations.clone().unwrap_or_default();
        let (namespace, name, uid) = (job.namespace().unwrap_or_default(), job.name_any(), job.uid());
        let deleting_since = job.metadata.deletion_timestamp.as_ref().map(|time| time.0);
        let waits_for_node = unscheduled.map(|(why, _)| why);
        Self {
            namespace,
            name,
            uid,
            is_stub: false,
            created,
            deleting_since,
            annotations,
            state,
            waits_for_node,
            is_without_pod,
            ended_by: known.iter().rev().find_map(|pod| EndedBy::of(pod)),
            containers,
        }
    }

    /// Says why it is stuck, in place of what was said before.
    pub(super) fn is_stuck_because(&mut self, why: &str) {
        self.state = JobState::Stuck(why.to_owned());
        for container in self.containers.values_mut() {
            if let ContainerState::NotStarted { message, .. } = container {
                why.clone_into(message);
            }
        }
    }

    /// Returns whether its pod waits for a node as another template says than this one, given as its hash. What waits
    /// loses nothing by being made anew.
    pub fn waits_with_other_template(&self, hash: &str) -> bool {
        let is_other = self.annotations.get(TEMPLATE_ANNOTATION).is_some_and(|template| template != hash);
        let is_waiting = self.waits_for_node.is_some() && self.state == JobState::Unfinished;
        let has_begun = self.containers.values().any(|state| *state != ContainerState::Running);
        is_other && is_waiting && !has_begun && self.deleting_since.is_none()
    }

    /// Returns what became of a container.
    pub fn container(&self, name: &str) -> ContainerState {
        self.containers.get(name).cloned().unwrap_or(ContainerState::Running)
    }

    /// Returns whether it has a container of this name of its own.
    pub fn has_container(&self, name: &str) -> bool {
        self.containers.contains_key(name)
    }

    /// Returns the same with all containers in this state.
    #[cfg(test)]
    #[must_use]
    pub fn with_containers(mut self, state: &ContainerState) -> Self {
        self.containers.values_mut().for_each(|container| state.clone_into(container));
        self
    }

    /// Returns whether the Job has ended.
    pub fn is_finished(&self) -> bool {
        self.state == JobState::Finished
    }

    /// Returns whether the Job is to be deleted because it holds a place and nothing more will come of it.
    pub fn is_to_be_deleted(&self) -> bool {
        matches!(self.state, JobState::Stuck(_) | JobState::Lost | JobState::Abandoned)
    }
}

impl EndedBy {
    fn of(pod: &PodView) -> Option<Self> {
        let reason = pod.status.reason.clone().filter(|_| pod.has_ended())?;
        Some(Self { reason, message: printable(pod.status.message.as_deref().unwrap_or_default()) })
    }
}

impl ContainerState {
    /// Returns how long the container ran, if it has ended and that is known.
    pub fn ran_for(&self) -> Option<Duration> {
        let Self::Ended(end) = self else { return None };
        end.began.and_then(|began| end.at.duration_since(began).try_into().ok())
    }
}

impl ContainerEnd {
    fn of((is_disrupted, end): (bool, &TerminatedView), created: Timestamp, now: Timestamp) -> Self {
        // A node whose clock is ahead must not put the next try into next week.
        let at = end.finished_at.as_ref().map(|time| time.0).filter(|at| *at <= now);
        Self {
            exit_code: end.exit_code,
            reason: end.reason.clone().unwrap_or_default(),
            message: end.message.clone().unwrap_or_default(),
            at: at.unwrap_or(created),
            began: end.started_at.as_ref().map(|time| time.0),
            is_disrupted,
        }
    }
}

fn seconds_since(since: Timestamp, now: Timestamp) -> i64 {
    now.as_second() - since.as_second()
}

/// Returns the end of a container, in whichever pod of the Job it was, and whether the pod was disrupted: a Job may have
/// several, where it replaces those that were disrupted or have failed. A success in any of them is one; a container of a pod
/// that is replaced has not ended.
fn ended<'a>(job: &JobView, pods: &[&'a PodView], name: &str) -> Option<(bool, &'a TerminatedView)> {
    let (replaces_failed, replaces_disrupted) = (job.replaces_pods(), job.replaces_disrupted_pods());
    let ends: Vec<(bool, &TerminatedView)> = pods
        .iter()
        .flat_map(|pod| pod.containers().map(|status| (pod.is("DisruptionTarget"), status)))
        .filter(|(_, status)| status.name == name)
        .filter_map(|(disrupted, status)| Some((disrupted, status.terminated()?)))
        .collect();
    let success = ends.iter().find(|(_, end)| end.exit_code == 0);
    let failures =
        ends.iter().filter(|(disrupted, _)| !(replaces_failed || *disrupted && replaces_disrupted));
    let newest = failures.max_by_key(|(_, end)| end.finished_at.as_ref().map(|time| time.0));
    success.or(newest).copied()
}

/// Returns whether the watches may still show pods of a Job that ended at this time.
pub fn may_pods_come(ended_at: Timestamp, now: Timestamp) -> bool {
    seconds_since(ended_at, now) < MAX_WATCH_LAG_SECONDS
}

/// Returns the state of a container that has ended in no known pod.
fn of_job(end: Option<&ConditionView>, pods: Pods<'_>, now: Timestamp) -> ContainerState {
    let Some(end) = end else { return ContainerState::Running };
    let at = end.last_transition_time.as_ref().map_or(now, |time| time.0.min(now));
    let is_recent = may_pods_come(at, now);
    match pods {
        _ if end.type_ == "Complete" => {
            ContainerState::Completed { at, are_pods_known: matches!(pods, Pods::Known(..)) }
        }
        _ if end.reason.as_deref() == Some("DeadlineExceeded") => ContainerState::DeadlineExceeded { at },
        // They may show how each container ended.
        Pods::Unknown => ContainerState::Running,
        // All pods of a Job have ended before it fails, so this one has, and is about to be seen so.
        Pods::Known(pods, _) if is_recent && pods.iter().any(|pod| !pod.has_ended()) => {
            ContainerState::Running
        }
        // The pod ended before this container began: the one that runs first failed.
        Pods::Known(pods, _) if !pods.is_empty() => ContainerState::Interrupted { at },
        Pods::Known(..) => ContainerState::PodGone { at },
    }
}

/// Returns whether our containers have ended some time ago, although their Job has not.
fn is_abandoned(containers: &BTreeMap<String, ContainerState>, now: Timestamp) -> bool {
    let last = containers.values().map(|state| match state {
        ContainerState::Ended(end) => Some(end.at),
        _ => None,
    });
    let last: Option<Vec<Timestamp>> = last.collect();
    last.and_then(|ends| ends.into_iter().max())
        .is_some_and(|last| seconds_since(last, now) >= MAX_LEFTOVER_SECONDS)
}

#[cfg(test)]
mod tests;
