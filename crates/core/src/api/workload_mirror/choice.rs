//! Which workloads a `WorkloadMirror` looks at.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use crate::api::{NamespaceSelector, rules as shared_rules};

/// What calls for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum WorkloadTrigger {
    /// A workload names it.
    Running,
    /// A pod cannot pull it from the destination.
    PullFailure,
}

/// A kind of workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum WorkloadKind {
    /// Of the group apps.
    Deployment,
    /// Of the group apps.
    StatefulSet,
    /// Of the group apps.
    DaemonSet,
    /// Of the group batch.
    Job,
    /// Of the group batch.
    CronJob,
    /// Every pod, whatever made it.
    Pod,
}

impl WorkloadKind {
    /// Each of them.
    pub const ALL: [Self; 6] =
        [Self::Deployment, Self::StatefulSet, Self::DaemonSet, Self::Job, Self::CronJob, Self::Pod];

    /// Returns it as objects name their kind.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
            Self::Pod => "Pod",
        }
    }
}

/// In which namespaces workloads are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadNamespaces {
    /// Names, with * and ? for some characters: team-*, or * for all that allow it. A new namespace counts at once; a name
    /// that fits no namespace means none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 128), pattern(rules::NAMESPACE_GLOB)))]
    pub include: Vec<String>,

    /// Names of namespaces that are left out, in the same form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 128), pattern(rules::NAMESPACE_GLOB)))]
    pub exclude: Vec<String>,

    /// Namespaces by their labels, in addition to those that include names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<NamespaceSelector>,
}

/// What is not mirrored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadExclusions {
    /// Workloads. The annotation imgop.skopeo.io/mirror with the value "false" excludes one too: on itself and on its pod
    /// template.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub workloads: Vec<ExcludedWorkload>,

    /// Registries, with or without the beginning of a path: quay.io, docker.io/acme, *.corp.example.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 255), pattern(shared_rules::registry_pattern())))]
    pub registries: Vec<String>,

    /// Images by their whole name, with * and ? for some characters within a part: docker.io/library/*, quay.io/acme/*:dev-*.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 384)))]
    pub images: Vec<String>,
}

/// Workloads that are not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExcludedWorkload {
    /// Its kind. Without it, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<WorkloadKind>")]
    pub kind: Option<WorkloadKind>,

    /// Its namespace. Without it, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), pattern("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub namespace: Option<String>,

    /// Its name, or * for all.
    #[schemars(length(min = 1, max = 253), pattern("^([*]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)$"))]
    pub name: String,
}
