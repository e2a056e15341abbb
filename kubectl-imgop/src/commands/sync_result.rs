//! What `kubectl imgop sync --json` prints: how a sync of a WorkloadMirror ended, in the words of k8s-copycat's endpoints.

use std::collections::HashMap;

use imgop_core::api::{HistoryEntry, Image, WORKLOAD_MIRROR_LABEL, WorkloadMirror};
use imgop_core::inventory::mirror_label;
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde::Serialize;

use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::cluster::objects::FoundObject;
use crate::kinds::{Erased, read};

/// How a sync ended: `/force-reconcile` answered so, and `/reset-cooldown` with the first two fields. As there, what did not
/// happen is `false` and 0, and is not left out.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncResult {
    /// Whether anything had failed that is tried again; nothing where that was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    reset: Option<bool>,
    /// How many tags that are; nothing where that was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    cleared_targets: Option<u32>,
    /// Whether it was begun.
    triggered: bool,
    /// Whether it is known to have ended well: false too where it was not waited for.
    success: bool,
    /// Workloads that were looked at.
    workloads_processed: u32,
    /// Tags that were copied; one that was there already is none.
    images_mirrored: u32,
    /// What the agent says, or why it says nothing.
    message: String,
}

/// What is known of a mirror when its sync is begun.
pub struct Begun {
    name: String,
    failed: Option<u32>,
    /// What its Images had done before, by their names.
    before: Histories,
}

/// What Images have done, by their names.
type Histories = HashMap<String, Vec<HistoryEntry>>;

impl SyncResult {
    /// Returns that nothing was begun, and why; `has_reset` where what failed was to be tried again.
    pub fn not_begun(message: &str, has_reset: bool) -> Self {
        Self {
            reset: has_reset.then_some(false),
            cleared_targets: has_reset.then_some(0),
            triggered: false,
            success: false,
            workloads_processed: 0,
            images_mirrored: 0,
            message: message.to_owned(),
        }
    }
}

impl Begun {
    /// Returns what there is to compare with, of the one WorkloadMirror that is synced.
    pub async fn of(objects: &[FoundObject], has_reset: bool, cluster: &Cluster) -> Result<Self, CliError> {
        let begun = Self::without_images(objects, has_reset)?;
        let before = histories(&begun.images(cluster).await?);
        Ok(Self { before, ..begun })
    }

    fn without_images(objects: &[FoundObject], has_reset: bool) -> Result<Self, CliError> {
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
        let (name, before) = (mirror.metadata.name.unwrap_or_default(), Histories::new());
        Ok(Self { name, failed, before })
    }

    async fn images(&self, cluster: &Cluster) -> Result<Vec<Image>, CliError> {
        let labels = format!("{WORKLOAD_MIRROR_LABEL}={}", mirror_label(&self.name));
        let images = cluster.api::<Image>().list(&ListParams::default().labels(&labels)).await;
        let images =
            images.map_err(|error| cluster.explain_in_namespace("list", "images.skopeo.io", &error))?;
        Ok(images.items)
    }

    /// Returns that it was begun.
    pub fn triggered(&self) -> SyncResult {
        self.not_ended("the agent was asked to look at all workloads")
    }

    /// Returns that it was begun, and why no more is known of it.
    pub fn not_ended(&self, message: &str) -> SyncResult {
        SyncResult {
            reset: self.failed.map(|failed| failed > 0),
            cleared_targets: self.failed,
            triggered: true,
            ..SyncResult::not_begun(message, self.failed.is_some())
        }
    }

    /// Returns how it ended.
    pub async fn ended(&self, cluster: &Cluster, success: bool) -> Result<SyncResult, CliError> {
        let mirror = cluster.api::<WorkloadMirror>().get(&self.name).await;
        let mirror = mirror
            .map_err(|error| cluster.explain_in_namespace("get", "workloadmirrors.skopeo.io", &error))?;
        let images = self.images(cluster).await?;
        let status = mirror.status.unwrap_or_default();
        let ready = imgop_core::api::conditions::find(&status.conditions, imgop_core::api::conditions::READY);
        Ok(SyncResult {
            success,
            workloads_processed: status.counts.map_or(0, |counts| counts.workloads),
            images_mirrored: copied(&self.before, &images),
            message: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
            ..self.triggered()
        })
    }
}

fn histories(images: &[Image]) -> Histories {
    let of = |image: &Image| {
        let history = image.status.as_ref().map(|status| status.history.clone());
        (image.name_any(), history.unwrap_or_default())
    };
    images.iter().map(of).collect()
}

/// Returns how many tags Images have copied that they had not copied before. No clock is asked: that of the agent is not that
/// of this machine.
fn copied(before: &Histories, images: &[Image]) -> u32 {
    let new = images.iter().flat_map(|image| {
        let known = before.get(&image.name_any()).map(Vec::as_slice).unwrap_or_default();
        let history = image.status.iter().flat_map(|status| &status.history);
        history.filter(move |entry| !known.contains(entry))
    });
    new.filter_map(|entry| entry.copied).fold(0, u32::saturating_add)
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
        let begun = Begun::without_images(&[mirror()], true).unwrap();
        let result = serde_json::to_value(begun.triggered()).unwrap();
        assert_eq!(
            result,
            json!({ "reset": true, "clearedTargets": 2, "triggered": true, "success": false, "workloadsProcessed": 0,
                "imagesMirrored": 0, "message": "the agent was asked to look at all workloads" })
        );
        let mut healthy = mirror();
        healthy.object.data["status"]["counts"]["failed"] = 0.into();
        let result = serde_json::to_value(Begun::without_images(&[healthy], true).unwrap().triggered());
        assert_eq!(
            result.unwrap()["reset"],
            false,
            "nothing was there to be reset, as the endpoint said too"
        );
        let begun = Begun::without_images(&[mirror()], false).unwrap();
        assert!(serde_json::to_value(begun.triggered()).unwrap().get("reset").is_none());
        assert!(Begun::without_images(&[], false).is_err());
    }

    #[test]
    fn what_did_not_happen_is_false_and_0_and_is_not_left_out() {
        let json_of = |has_reset: bool| {
            serde_json::to_value(SyncResult::not_begun("it is suspended", has_reset)).unwrap()
        };
        let mut expected = json!({ "triggered": false, "success": false, "workloadsProcessed": 0, "imagesMirrored": 0,
            "message": "it is suspended" });
        assert_eq!(json_of(false), expected);
        expected["reset"] = json!(false);
        expected["clearedTargets"] = json!(0);
        assert_eq!(json_of(true), expected);
    }

    #[test]
    fn only_what_was_really_copied_since_counts_as_mirrored_whatever_the_clocks_say() {
        let image = |name: &str, history: serde_json::Value| -> Image {
            serde_json::from_value(json!({
                "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": name },
                "spec": { "mode": "Recurrent", "source": { "name": "a/b", "tags": ["1"] }, "destination": { "name": "c/d" } },
                "status": { "history": history },
            }))
            .unwrap()
        };
        let entry = |at: &str, copied: u32| json!({ "performedAt": at, "copied": copied });
        let (early, late) = ("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z");
        let before = histories(&[image("x", json!([entry(early, 5)]))]);
        let images = [
            image("x", json!([entry(late, 2), entry(early, 5)])),
            image("y", json!([entry(early, 1), { "performedAt": late, "failed": 1 }])),
        ];
        assert_eq!(copied(&before, &images), 3);
        assert_eq!(copied(&histories(&images), &images), 0);
    }
}
