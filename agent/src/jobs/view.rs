//! Of Jobs and pods only what the agent reads.

use imgop_core::api::OWNER_ANNOTATION;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kube::Resource;
use kube::api::ObjectMeta;
use serde::Deserialize;

/// A Job.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Resource)]
#[resource(inherit = "Job")]
pub struct JobView {
    /// Name, UID, owner, and the labels and annotations that are read.
    pub metadata: ObjectMeta,
    #[serde(default)]
    spec: JobSpecView,
    /// How it stands.
    #[serde(default)]
    pub status: JobStatusView,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JobSpecView {
    backoff_limit: i32,
    pod_failure_policy: Option<PodFailurePolicyView>,
    template: TemplateView,
}

/// That there is one: those of the agent replace pods that are disrupted.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct PodFailurePolicyView {}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct TemplateView {
    spec: PodSpecView,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodSpecView {
    init_containers: Vec<ContainerView>,
    containers: Vec<ContainerView>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct ContainerView {
    name: String,
}

/// How a Job stands.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct JobStatusView {
    /// When Kubernetes began with it.
    pub start_time: Option<Time>,
    /// Pods that run or wait to run.
    pub active: Option<i32>,
    /// Pods that are being ended.
    pub terminating: Option<i32>,
    /// Pods that have ended well.
    pub succeeded: Option<i32>,
    /// Pods that have failed.
    pub failed: Option<i32>,
    /// Whether it has ended, and how.
    pub conditions: Vec<ConditionView>,
}

/// A condition of a Job or a pod.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionView {
    /// What it is about, such as `Complete`.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, in a word.
    pub reason: Option<String>,
    /// Why, for people.
    pub message: Option<String>,
    /// Since when.
    pub last_transition_time: Option<Time>,
}

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Resource)]
#[resource(inherit = "Pod")]
pub struct PodView {
    /// Name and owner.
    pub metadata: ObjectMeta,
    /// How it stands.
    #[serde(default)]
    pub status: PodStatusView,
}

/// How a pod stands.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodStatusView {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: Option<String>,
    /// Why it was ended from outside, in a word: `Evicted`, `DeadlineExceeded`.
    pub reason: Option<String>,
    /// The same for people.
    pub message: Option<String>,
    /// Whether it is scheduled, or disrupted.
    pub conditions: Vec<ConditionView>,
    /// Containers that run before the others.
    pub init_container_statuses: Vec<ContainerStatusView>,
    /// Containers that run at once.
    pub container_statuses: Vec<ContainerStatusView>,
}

/// How a container stands.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ContainerStatusView {
    /// Its name.
    pub name: String,
    #[serde(default)]
    state: StateView,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct StateView {
    waiting: Option<WaitingView>,
    terminated: Option<TerminatedView>,
}

/// Why a container waits.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct WaitingView {
    /// In a word.
    pub reason: Option<String>,
    /// For people.
    pub message: Option<String>,
}

/// How a container ended.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TerminatedView {
    /// Its exit code.
    pub exit_code: i32,
    /// In a word.
    pub reason: Option<String>,
    /// What it left behind.
    pub message: Option<String>,
    /// When it began, by its node's clock.
    pub started_at: Option<Time>,
    /// When, by its node's clock.
    pub finished_at: Option<Time>,
}

/// Bytes of a reference to an owner: more than names, kinds and UIDs can have together.
const MAX_REFERENCE: usize = 2048;
/// Bytes of a condition's reason that a stub keeps.
const MAX_REASON: usize = 64;

fn reference_bytes(owner: &OwnerReference) -> usize {
    size_of::<OwnerReference>()
        + [&owner.api_version, &owner.kind, &owner.name, &owner.uid].map(String::len).iter().sum::<usize>()
}

impl ConditionView {
    fn bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        size_of::<Self>() + self.type_.len() + self.status.len() + text(&self.reason) + text(&self.message)
    }
}

impl JobView {
    /// Returns the names of its containers as it was created with; pods may have more, which others injected.
    pub fn containers(&self) -> impl Iterator<Item = &str> {
        let pod = &self.spec.template.spec;
        pod.init_containers.iter().chain(&pod.containers).map(|container| container.name.as_str())
    }

    /// Returns whether a pod of it that fails is replaced by another one.
    pub fn replaces_pods(&self) -> bool {
        let limit = self.spec.backoff_limit;
        limit > 0 && self.is_unfinished() && self.status.failed.unwrap_or_default() <= limit
    }

    /// Returns whether a pod of it that is disrupted, as where its node is drained, is replaced by another one.
    pub fn replaces_disrupted_pods(&self) -> bool {
        self.spec.pod_failure_policy.is_some()
    }

    /// Returns whether it still runs or waits to run.
    pub fn is_unfinished(&self) -> bool {
        self.end().is_none()
    }

    /// Returns the condition of its end.
    pub fn end(&self) -> Option<&ConditionView> {
        let is_end =
            |c: &&ConditionView| matches!(c.type_.as_str(), "Complete" | "Failed") && c.status == "True";
        self.status.conditions.iter().find(is_end)
    }

    /// Returns about how many bytes it takes.
    pub fn bytes(&self) -> usize {
        let ObjectMeta { labels, annotations, owner_references, .. } = &self.metadata;
        let texts = labels.iter().flatten().chain(annotations.iter().flatten());
        let texts = texts.map(|(key, value)| key.len() + value.len());
        let owners = owner_references.iter().flatten().map(reference_bytes);
        let containers = self.containers().map(|name| name.len() + size_of::<ContainerView>());
        let conditions = self.status.conditions.iter().map(ConditionView::bytes);
        let all = texts.chain(owners).chain(containers).chain(conditions);
        size_of::<Self>() + self.metadata.name.as_ref().map_or(0, String::len) + all.sum::<usize>()
    }

    /// Drops owners that do not control it, and a controller whose reference is longer than that of any object
    /// can be.
    pub fn reduce_metadata(&mut self) {
        let is_controller = |owner: &OwnerReference| {
            owner.controller == Some(true) && reference_bytes(owner) <= MAX_REFERENCE
        };
        if let Some(owners) = &mut self.metadata.owner_references {
            owners.retain(is_controller);
            owners.truncate(1);
        }
    }

    /// Drops all but its names, its owner and how it stands.
    pub fn reduce_to_stub(&mut self) {
        let annotations = self.metadata.annotations.take();
        let owner = annotations.and_then(|mut all| all.remove_entry(OWNER_ANNOTATION));
        self.metadata.annotations = owner.map(|owner| [owner].into());
        self.spec = JobSpecView::default();
        let conditions = &mut self.status.conditions;
        conditions.retain(|c| matches!(c.type_.as_str(), "Complete" | "Failed" | "Suspended"));
        conditions.truncate(3);
        for condition in conditions {
            condition.message = None;
            condition.reason = condition.reason.take().filter(|reason| reason.len() <= MAX_REASON);
        }
    }
}

impl PodView {
    /// Returns how its containers stand.
    pub fn containers(&self) -> impl Iterator<Item = &ContainerStatusView> {
        self.status.init_container_statuses.iter().chain(&self.status.container_statuses)
    }

    /// Returns whether it has ended.
    pub fn has_ended(&self) -> bool {
        matches!(self.status.phase.as_deref(), Some("Succeeded" | "Failed"))
    }

    /// Returns whether this condition is true.
    pub fn is(&self, type_: &str) -> bool {
        self.status.conditions.iter().any(|c| c.type_ == type_ && c.status == "True")
    }

    /// Returns about how many bytes it takes.
    pub fn bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let containers = self.containers().map(|container| {
            let waiting = container.waiting().map_or(0, |w| text(&w.reason) + text(&w.message));
            let ended = container.terminated().map_or(0, |t| text(&t.reason) + text(&t.message));
            size_of::<ContainerStatusView>() + container.name.len() + waiting + ended
        });
        let conditions = self.status.conditions.iter().map(ConditionView::bytes);
        let ended_by = text(&self.status.reason) + text(&self.status.message);
        size_of::<Self>() + ended_by + containers.sum::<usize>() + conditions.sum::<usize>()
    }
}

impl ContainerStatusView {
    /// Returns why it waits.
    pub fn waiting(&self) -> Option<&WaitingView> {
        self.state.waiting.as_ref()
    }

    /// Returns how it ended.
    pub fn terminated(&self) -> Option<&TerminatedView> {
        self.state.terminated.as_ref()
    }
}
