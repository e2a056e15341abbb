//! What the agent reports of an `ImageMirror`. It is bounded.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::Phase;
use crate::api::endpoint::is_default;
use crate::api::exact_list::exact_list;

/// How many entries the lists `conflicts` and `failing` have at most, in the status of an ImageMirror and of a WorkloadMirror.
pub const MAX_NAMED_IN_STATUS: usize = 20;

/// What became of an ImageMirror.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageMirrorStatus {
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

    /// Images that are ready of all, such as 717/718.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,

    /// How many entries there are, in the spec and in files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u32>,

    /// Its Images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub children: Option<MirroredChildren>,

    /// The tags of its Images, added up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<MirrorTags>,

    /// Tags that two sources would become, 20 at most; conflictCount has their number. They are not mirrored.
    #[serde(default, deserialize_with = "exact_list", skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<MirrorConflict>,

    /// How many tags are in conflict.
    #[serde(default, skip_serializing_if = "is_default")]
    pub conflict_count: u32,

    /// Images that are not ready, 20 at most.
    #[serde(default, deserialize_with = "exact_list", skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<MirrorFailure>,

    /// The entries that were read the last time, where they have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<InventoryRead>,

    /// Tags that version sources announce and no entry has; nothing where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposals: Option<MirrorProposals>,

    /// Version sources that could not be read, or of which something is not mirrored as asked, 20 at most. What was known
    /// of them stays.
    #[serde(default, deserialize_with = "exact_list", skip_serializing_if = "Vec::is_empty")]
    pub failed_updates: Vec<FailedUpdate>,

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

/// The Images of an ImageMirror.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MirroredChildren {
    /// How many the entries ask for.
    pub desired: u32,
    /// How many of them are there.
    pub current: u32,
    /// How many of them are ready.
    pub ready: u32,
    /// How many would be deleted if that were not held back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prune_held: u32,
}

/// How many tags of its Images are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MirrorTags {
    /// Tags that are to be at a target.
    pub matched: u32,
    /// At the target as they should be.
    pub synced: u32,
    /// Being copied, or waiting for a free place.
    pub copying: u32,
    /// Could not be copied; tried again later.
    pub failed: u32,
    /// Left as they are because of the overwrite policy, or until the new content is old enough.
    pub kept: u32,
}

/// A tag that two sources would become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MirrorConflict {
    /// The reference at the target.
    pub destination: String,
    /// The sources, two at most.
    pub sources: Vec<String>,
}

/// An Image that is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MirrorFailure {
    /// Its name.
    pub image: String,
    /// The reason of its condition.
    pub reason: String,
    /// The first of its tags that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// Entries that were read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryRead {
    /// The sha256 of what was read, spec and files.
    pub hash: String,
    /// When it was read for the first time.
    pub time: Time,
}

/// Tags that version sources announce and no entry has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MirrorProposals {
    /// How many there are.
    pub count: u32,
    /// The first 50, as source:tag.
    pub tags: Vec<String>,
    /// The sha256 of all of them.
    pub hash: String,
}

/// A version source that could not be read, or of which something is not mirrored as asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedUpdate {
    /// The name of the update.
    pub name: String,
    /// Why.
    pub message: String,
}
