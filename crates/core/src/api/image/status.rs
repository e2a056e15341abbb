//! What the agent reports of an `Image`. It is the only durable memory, and it is bounded.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::endpoint::is_default;
use crate::api::exact_list::exact_list;
use crate::api::{DefaultedDestination, Phase};

/// What became of an Image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageStatus {
    /// Ready, Reconciling and Stalled. Reconciling and Stalled are there only while they are true.
    #[serde(default, deserialize_with = "exact_list", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// The generation of the spec that this status is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// PENDING, RUNNING, COMPLETED or FAILED: what became of the last sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub phase: Option<Phase>,

    /// Tags at the destination of tags that match, such as 4/5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,

    /// How many tags are in which state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,

    /// The last 20 syncs that had something to do.
    #[serde(default, deserialize_with = "exact_list", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,

    /// In mode OnceByTag: the tags that were copied, and are not copied again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag_already_synced: Vec<String>,

    /// The source that tagAlreadySynced is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced_from: Option<String>,

    /// Where tags go, if spec.destination does not say everything of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<DefaultedDestination>,

    /// The tag of the source that a fixed destination.version shows, where it is the newest of several.
    /// A list of tags that lacks it moves the fixed tag back only once a second list agrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_from: Option<String>,

    /// Tags that could not be copied, 50 at most; counts.failed has their number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<TagFailure>,

    /// Tags that would be copied and are too young for source.select.minAge, newest version first, and
    /// those that are known from before and not yet copied; 100 at most, the oldest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<WaitingTag>,

    /// When the last sync ended that had something to do or to report. A sync that finds nothing
    /// to do writes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync_time: Option<Time>,

    /// When the last sync ended after which every tag was at the destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_sync_time: Option<Time>,

    /// When the agent tries again after a failure. Empty also once the pauses no longer grow, and it
    /// tries every ten minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_sync_time: Option<Time>,

    /// The last token of the annotation imgop.skopeo.io/requested-at that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_requested_at: Option<String>,

    /// The last value of the annotation imgop.skopeo.io/reset that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reset: Option<String>,

    /// What spec.destination.prune is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune: Option<Box<PruneStatus>>,

    /// A hash of names and versions of the Secrets with which tags failed: with other ones, they are tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
}

impl ImageStatus {
    /// Returns how many tags failed beyond those that `failures` has room for.
    pub fn unrecorded_failures(&self) -> u32 {
        let recorded = u32::try_from(self.failures.len()).unwrap_or(u32::MAX);
        self.counts.map_or(0, |counts| counts.failed.saturating_sub(recorded))
    }
}

/// Tags at the destination that this Image has put, and what becomes of those that it no longer selects.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PruneStatus {
    /// The destination that the rest is of.
    pub destination: String,
    /// The tags that the Image has put since prune is set, each with the first digits of its digest, up to 8 KiB. What is
    /// not among them is never deleted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub made: BTreeMap<String, String>,
    /// Those of them that it no longer selects, and since when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unselected: BTreeMap<String, Time>,
    /// How many tags are to be deleted now, or would be with policy Delete.
    #[serde(default, skip_serializing_if = "is_default")]
    pub due: u32,
    /// The first 20 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
    /// Why nothing is deleted, if that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How many tags are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Tags that the version selects, and their referrers if those are copied too.
    pub matched: u32,
    /// At the destination as they should be.
    pub synced: u32,
    /// Being copied, or waiting for a free place.
    pub copying: u32,
    /// Could not be copied; tried again later.
    pub failed: u32,
    /// Left as they are because of the overwrite policy, or until the new content is old enough.
    pub kept: u32,
    /// Left out although they nearly match, such as pre-releases.
    pub excluded: u32,
}

/// One sync that had something to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// When it ended.
    pub performed_at: Time,
    /// How many tags it copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied: Option<u32>,
    /// The first of the tags that it copied: as many as fit into 400 bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// How many tags failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<u32>,
}

/// A tag that could not be copied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TagFailure {
    /// The tag at the source.
    pub tag: String,
    /// Why, in one word.
    #[schemars(with = "String")]
    pub reason: FailureReason,
    /// Why, for people.
    pub message: String,
    /// The content that could not be copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// How many copies of this content were tried, since the last reset.
    #[serde(default)]
    pub attempts: u32,
    /// How many were tried before the last reset.
    #[serde(default, skip_serializing_if = "is_default")]
    pub attempts_before_reset: u32,
    /// When the next copy is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<Time>,
}

impl TagFailure {
    /// Returns how many copies of the content were tried in all; none of a failure that is not the content's.
    pub fn tries(&self) -> u32 {
        self.attempts.saturating_add(self.attempts_before_reset)
    }

    /// Forgets the failure, so that the tag is tried at once and its tries are counted anew.
    pub fn reset(&mut self) {
        (self.attempts_before_reset, self.attempts) = (self.tries(), 0);
        self.next_attempt = None;
    }
}

/// A tag that is not copied yet, because it is too young.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitingTag {
    /// The tag at the source.
    pub tag: String,
    /// The content that it shows.
    pub digest: String,
    /// Since when it is known to show that.
    pub since: Time,
    /// When it is copied, if it still shows that then.
    pub until: Time,
}

/// Why a tag could not be copied. An open list in the schema, as [`Phase`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FailureReason {
    /// The source has no such tag.
    TagNotFound,
    /// The tag at the source has none of the platforms that are wanted.
    PlatformNotFound,
    /// The tag at the source is in a format that cannot be copied.
    FormatUnsupported,
    /// A registry could not be asked about this tag.
    NotChecked,
    /// An older Image keeps other content under the same tag of the destination.
    DestinationConflict,
    /// The Job's container failed.
    CopyFailed,
    /// The Job's container was killed for want of memory.
    OutOfMemory,
    /// The Job's pod did not start.
    PodNotStarted,
    /// The content was copied, but the tag could not be set.
    PublishFailed,
    /// The copy succeeded, but the destination answers with another digest.
    VerificationFailed,
    /// A word of another version of the agent.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_with_words_of_another_version_is_read() {
        let status: ImageStatus = serde_json::from_value(serde_json::json!({
            "phase": "PAUSED",
            "failures": [{"tag": "v1", "reason": "SignatureMissing", "message": "no signature"}]
        }))
        .unwrap();
        assert_eq!(status.phase, Some(Phase::Unknown));
        assert_eq!(status.failures[0].reason, FailureReason::Unknown);
    }

    #[test]
    fn the_schema_takes_words_that_this_version_does_not_know() {
        let crd = serde_json::to_value(crate::api::crds()).unwrap();
        let status = &crd[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
        let failure = &status["properties"]["failures"]["items"]["properties"]["reason"];
        for schema in [&status["properties"]["phase"], failure] {
            assert_eq!(schema["type"], "string");
            assert!(schema["enum"].is_null(), "{schema}");
        }
    }
}
