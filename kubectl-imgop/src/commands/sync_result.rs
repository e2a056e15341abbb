//! What `kubectl imgop sync --json` prints: how a sync of a WorkloadMirror ended, in the words of k8s-copycat's endpoints.

use imgop_core::api::{Image, WORKLOAD_MIRROR_LABEL, WorkloadMirror};
use imgop_core::inventory::mirror_label;
use jiff::Timestamp;
use kube::api::ListParams;
use serde::Serialize;

use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::cluster::objects::FoundObject;
use crate::kinds::{Erased, read};

/// How a sync ended: `/force-reconcile` answered so, and `/reset-cooldown` with the first two fields.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncResult {
    /// Whether anything had failed that is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    reset: Option<bool>,
    /// How many tags that are.
    #[serde(skip_serializing_if = "Option::is_none")]
    cleared_targets: Option<u32>,
    /// Whether it was begun.
    triggered: bool,
    /// Whether it ended well; nothing where it was not waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    success: Option<bool>,
    /// Workloads that were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    workloads_processed: Option<u32>,
    /// Tags that were copied; one that was there already is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    images_mirrored: Option<u32>,
    /// What the agent says.
    message: String,
}

/// What is known of a mirror when its sync is begun.
pub struct Begun {
    name: String,
    failed: Option<u32>,
    at: Timestamp,
}

impl Begun {
    /// Returns what there is to compare with, of the one WorkloadMirror that is synced.
    pub fn of(objects: &[FoundObject], has_reset: bool, at: Timestamp) -> Result<Self, CliError> {
        let mirror = match objects {
            [found] if found.kind == Erased::<WorkloadMirror>::REF => {
                read::<WorkloadMirror>(&found.object).ok()
            }
            _ => None,
        };
        let Some(mirror) = mirror else {
            return Err(CliError::usage("--json goes with one workloadmirror/NAME"));
        };
        let counts = mirror.status.as_ref().and_then(|status| status.counts);
        let failed = has_reset.then(|| counts.map_or(0, |counts| counts.failed));
        Ok(Self { name: mirror.metadata.name.unwrap_or_default(), failed, at })
    }

    /// Returns that it was begun.
    pub fn triggered(&self) -> SyncResult {
        SyncResult {
            reset: self.failed.map(|failed| failed > 0),
            cleared_targets: self.failed,
            triggered: true,
            success: None,
            workloads_processed: None,
            images_mirrored: None,
            message: "the agent was asked to look at all workloads".to_owned(),
        }
    }

    /// Returns how it ended.
    pub async fn ended(&self, cluster: &Cluster, success: bool) -> Result<SyncResult, CliError> {
        let mirror = cluster.api::<WorkloadMirror>().get(&self.name).await;
        let mirror = mirror
            .map_err(|error| cluster.explain_in_namespace("get", "workloadmirrors.skopeo.io", &error))?;
        let labels = format!("{WORKLOAD_MIRROR_LABEL}={}", mirror_label(&self.name));
        let images = cluster.api::<Image>().list(&ListParams::default().labels(&labels)).await;
        let images =
            images.map_err(|error| cluster.explain_in_namespace("list", "images.skopeo.io", &error))?;
        let status = mirror.status.unwrap_or_default();
        let ready = imgop_core::api::conditions::find(&status.conditions, imgop_core::api::conditions::READY);
        Ok(SyncResult {
            success: Some(success),
            workloads_processed: Some(status.counts.map_or(0, |counts| counts.workloads)),
            images_mirrored: Some(copied(&images.items, self.at)),
            message: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
            ..self.triggered()
        })
    }
}

/// Returns how many tags Images have copied since a time.
fn copied(images: &[Image], since: Timestamp) -> u32 {
    let histories =
        images.iter().filter_map(|image| image.status.as_ref()).flat_map(|status| &status.history);
    let since = histories.filter(|entry| entry.performed_at.0 >= since);
    since.filter_map(|entry| entry.copied).fold(0, u32::saturating_add)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mirror() -> FoundObject {
        let object = serde_json::from_value(json!({
            "apiVersion": "skopeo.io/v1alpha1", "kind": "WorkloadMirror", "metadata": { "name": "cluster" },
            "spec": { "destination": { "repository": "r.corp" } },
            "status": { "counts": { "workloads": 3, "pods": 0, "images": 0, "repositories": 0, "pinned": 0, "excluded": 0,
                "waitingForDigest": 0, "synced": 0, "failed": 2, "originNotFound": 0, "retained": 0 } },
        }));
        FoundObject { kind: Erased::<WorkloadMirror>::REF, object: object.unwrap() }
    }

    #[test]
    fn a_reset_says_how_many_tags_are_tried_again_in_the_words_of_the_former_endpoint() {
        let begun = Begun::of(&[mirror()], true, Timestamp::UNIX_EPOCH).unwrap();
        let result = serde_json::to_value(begun.triggered()).unwrap();
        assert_eq!(
            result,
            json!({ "reset": true, "clearedTargets": 2, "triggered": true,
                "message": "the agent was asked to look at all workloads" })
        );
        let mut healthy = mirror();
        healthy.object.data["status"]["counts"]["failed"] = 0.into();
        let result =
            serde_json::to_value(Begun::of(&[healthy], true, Timestamp::UNIX_EPOCH).unwrap().triggered());
        assert_eq!(
            result.unwrap()["reset"],
            false,
            "nothing was there to be reset, as the endpoint said too"
        );
        let begun = Begun::of(&[mirror()], false, Timestamp::UNIX_EPOCH).unwrap();
        assert!(serde_json::to_value(begun.triggered()).unwrap().get("reset").is_none());
        assert!(Begun::of(&[], false, Timestamp::UNIX_EPOCH).is_err());
    }

    #[test]
    fn only_what_was_really_copied_since_counts_as_mirrored() {
        let image = |history: serde_json::Value| -> Image {
            serde_json::from_value(json!({
                "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": "x" },
                "spec": { "mode": "Recurrent", "source": { "name": "a/b", "tags": ["1"] }, "destination": { "name": "c/d" } },
                "status": { "history": history },
            }))
            .unwrap()
        };
        let entry = |at: &str, copied: u32| json!({ "performedAt": at, "copied": copied });
        let images = [
            image(json!([entry("2026-01-02T00:00:00Z", 2), entry("2026-01-01T00:00:00Z", 5)])),
            image(json!([{ "performedAt": "2026-01-02T00:00:00Z", "failed": 1 }])),
        ];
        assert_eq!(copied(&images, "2026-01-01T12:00:00Z".parse().unwrap()), 2);
    }
}
