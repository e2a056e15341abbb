//! What the agent reports of a `WorkloadMirror`. It is bounded.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::endpoint::is_default;
use crate::api::exact_list::exact_list;
use crate::api::{MirrorConflict, MirrorFailure, Phase};

/// What became of a WorkloadMirror.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadMirrorStatus {
    /// Ready, ChildrenReady, Reconciling and Stalled. Reconciling and Stalled are there only while they are true.
    #[serde(default, deserialize_with = "exact_list", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// The generation of the spec that this status is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// PENDING, RUNNING, COMPLETED or FAILED: what became of the Images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub phase: Option<Phase>,

    /// Tags that are at the destination of all that should be, such as 412/418.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,

    /// What workloads use, and what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<WorkloadCounts>,

    /// Tags of the destination that two sources would become, 20 at most; conflictCount has their number. The source that
    /// was there first keeps each.
    #[serde(default, deserialize_with = "exact_list", skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<MirrorConflict>,

    /// How many tags two sources would become.
    #[serde(default, skip_serializing_if = "is_default")]
    pub conflict_count: u32,

    /// Images that are not ready, 20 at most.
    #[serde(default, deserialize_with = "exact_list", skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<MirrorFailure>,

    /// The namespaces whose workloads were seen, by the first digits of a hash of their names, 300 at most. What is used in one
    /// that does not let itself be seen any more does not count as unused.
    #[serde(default, deserialize_with = "exact_list", skip_serializing_if = "Vec::is_empty")]
    pub seen_namespaces: Vec<String>,

    /// When Images were last changed, or tags copied by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync_time: Option<Time>,

    /// When all Images were last found ready after a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_sync_time: Option<Time>,

    /// The last token of the annotation imgop.skopeo.io/requested-at that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_requested_at: Option<String>,

    /// The last value of the annotation imgop.skopeo.io/reset that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reset: Option<String>,
}

/// What workloads use, and what became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadCounts {
    /// Workloads that are looked at.
    pub workloads: u32,
    /// Pods of them.
    pub pods: u32,
    /// Different images that they use.
    pub images: u32,
    /// Repositories at the destination.
    pub repositories: u32,
    /// Tags that are mirrored by their digest.
    pub pinned: u32,
    /// Images that are not mirrored on purpose.
    pub excluded: u32,
    /// Images that wait until a pod reports what it runs.
    pub waiting_for_digest: u32,
    /// Tags that are at the destination as they should be.
    pub synced: u32,
    /// Tags that could not be copied; they are tried again later.
    pub failed: u32,
    /// Images that pods cannot pull, and that no origin has.
    pub origin_not_found: u32,
    /// Tags that no workload uses any more, and that are kept for the retention.
    pub retained: u32,
}
