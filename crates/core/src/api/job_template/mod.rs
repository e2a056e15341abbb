//! What the Jobs of an object have besides what they need: the same for every kind.
//!
//! A closed list, and no patch of a pod: whoever may create an object could else have the agent create pods that he
//! may not create himself.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as k8s;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::is_default;
use super::resources::Resources;
use super::rules::secret_name;

mod affinity;
pub mod grammar;
mod rules;

pub use affinity::Affinity;

/// What Jobs have besides what they need. Each field goes before the agent's setting for all Jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobTemplateSpec {
    /// What each container may use and is promised. What one of limits and requests says of a resource goes before
    /// all that the agent's settings say of it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub resources: Resources,

    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "rules::labels")]
    #[x_kube(validation = rules::node_selector())]
    pub node_selector: BTreeMap<String, String>,

    /// Taints of nodes that are no hindrance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub tolerations: Vec<Toleration>,

    /// Which nodes are required or preferred, and beside which pods of the namespace, as of any pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,

    /// The service account of the pods, in the same namespace. Its token is not mounted; what it may pull, and what
    /// policies allow it, holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::object_name("jobTemplate.serviceAccountName", "a ServiceAccount in the same namespace"))]
    pub service_account_name: Option<String>,

    /// Secrets with which the node pulls the image of the pods themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub image_pull_secrets: Vec<PullSecret>,

    /// The priority of the pods, by the name of a `PriorityClass`; none of Kubernetes' own (system-…).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(
        validation = rules::object_name("jobTemplate.priorityClassName", "a PriorityClass"),
        validation = rules::priority_class(),
    )]
    pub priority_class_name: Option<String>,

    /// Labels of Jobs and pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "rules::labels")]
    #[x_kube(
        validation = rules::label_texts(),
        validation = rules::own_keys("jobTemplate.labels"),
    )]
    pub labels: BTreeMap<String, String>,

    /// Annotations of Jobs and pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "rules::annotations")]
    #[x_kube(
        validation = rules::annotation_keys(),
        validation = rules::own_keys("jobTemplate.annotations"),
    )]
    pub annotations: BTreeMap<String, String>,

    /// Seconds that a Job is kept when it has ended, so that its logs can be read. At least 30: the agent reads what
    /// became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::between("jobTemplate.ttlSecondsAfterFinished", grammar::TTL_SECONDS))]
    pub ttl_seconds_after_finished: Option<u32>,

    /// Seconds that a Job may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::between("jobTemplate.activeDeadlineSeconds", grammar::DEADLINE_SECONDS))]
    pub active_deadline_seconds: Option<u32>,

    /// How often Kubernetes replaces a pod that failed, within one try; 0 without it. The agent tries again by itself,
    /// with growing pauses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::between("jobTemplate.backoffLimit", grammar::BACKOFF_LIMIT))]
    pub backoff_limit: Option<u32>,
}

impl JobTemplateSpec {
    /// Returns what of it holds for Jobs outside of the object's own namespace, which use what is lent: shorter times than
    /// those of the settings, and nothing else. The rules of the namespace hold for none of it there, and what is lent
    /// is where a Job is for as long as the Job is there.
    #[must_use]
    pub fn outside_of_namespace(&self, max_ttl_seconds: u32, max_deadline_seconds: u32) -> Self {
        Self {
            ttl_seconds_after_finished: self.ttl_seconds_after_finished.map(|own| own.min(max_ttl_seconds)),
            active_deadline_seconds: self.active_deadline_seconds.map(|own| own.min(max_deadline_seconds)),
            ..Self::default()
        }
    }
}

/// A taint of nodes that is no hindrance, as of any pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::toleration_without_key(),
    validation = rules::toleration_without_value(),
    validation = rules::toleration_seconds(),
)]
pub struct Toleration {
    /// The key of the taint; all taints without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::toleration_key())]
    pub key: Option<String>,
    /// Equal (the default) or Exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = rules::one_of("jobTemplate.tolerations.operator", grammar::OPERATORS))]
    pub operator: Option<String>,
    /// The value of the taint, with Equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    #[x_kube(validation = rules::toleration_value())]
    pub value: Option<String>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`; all of them without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::one_of("jobTemplate.tolerations.effect", grammar::EFFECTS))]
    pub effect: Option<String>,
    /// For how long a pod stays on a node with the taint, with `NoExecute`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toleration_seconds: Option<i64>,
}

/// A Secret in the namespace of the resource that names it, of type kubernetes.io/dockerconfigjson.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct PullSecret {
    /// Its name.
    #[schemars(length(max = 253))]
    #[x_kube(validation = secret_name("jobTemplate.imagePullSecrets.name"))]
    pub name: String,
}

impl From<Toleration> for k8s::Toleration {
    fn from(toleration: Toleration) -> Self {
        let Toleration { key, operator, value, effect, toleration_seconds } = toleration;
        Self { effect, key, operator, toleration_seconds, value }
    }
}

#[cfg(test)]
mod tests;
