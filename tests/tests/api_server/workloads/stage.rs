//! An API server with a WorkloadMirror, and with pods that run nowhere.

use std::collections::{BTreeMap, BTreeSet};

use imgop_core::api::conditions::{READY, find};
use imgop_core::api::{
    Image, Mode, Prune, PrunePolicy, PruneStatus, REQUESTED_AT_ANNOTATION, WorkloadDestination,
    WorkloadMirror, WorkloadMirrorSpec,
};
use imgop_fakes::CatalogRegistry;
use imgop_registry::reference::Digest;
use imgop_tests::agent_process::apply;
use imgop_tests::wait;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::tenants::{Case, DEADLINE};

pub(super) const NAMESPACE: &str = "team-a";
pub(super) const OTHER: &str = "team-b";
pub(super) const AGENT: &str = "system:serviceaccount:imgop-system:imgop-agent";
/// Nothing listens there.
pub(super) const NOWHERE: &str = "127.0.0.1:9";

/// An API server with two namespaces.
pub(super) struct Workloads {
    pub case: Case,
}

impl Workloads {
    /// Two namespaces, of which the first is enabled; the agent may see workloads if it is said so.
    pub async fn new(may_see: bool) -> anyhow::Result<Self> {
        let case = Case::new().await?;
        case.enabled_namespace(NAMESPACE).await?;
        case.enabled_namespace(OTHER).await?;
        for namespace in [NAMESPACE, OTHER] {
            // Pods need one, which nothing makes here.
            let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": { "name": "default", "namespace": namespace } });
            case.server.kubectl()?.apply(&account.to_string()).await?.ok()?;
        }
        if may_see {
            apply(&case.server, "workloads.yaml").await?;
        }
        Ok(Self { case })
    }

    pub fn api(&self) -> Api<WorkloadMirror> {
        Api::namespaced(self.case.client().clone(), NAMESPACE)
    }

    pub fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.case.client().clone(), namespace)
    }

    /// Creates the mirror, or changes it.
    pub async fn apply(&self, spec: &WorkloadMirrorSpec) -> anyhow::Result<i64> {
        let force = PatchParams::apply("imgop-tests").force();
        let mirror = WorkloadMirror::new("all", spec.clone());
        let applied = self.api().patch("all", &force, &Patch::Apply(&mirror)).await?;
        Ok(applied.metadata.generation.unwrap_or_default())
    }

    /// Creates a pod that uses these images: a container each.
    pub async fn pod(&self, namespace: &str, name: &str, images: &[&str]) -> anyhow::Result<()> {
        let container = |(n, image): (usize, &&str)| json!({ "name": format!("c{n}"), "image": image });
        let containers: Vec<Value> = images.iter().enumerate().map(container).collect();
        let pod = json!({ "metadata": { "name": name }, "spec": { "containers": containers } });
        self.pods(namespace).create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
        Ok(())
    }

    /// The node says this of the only container of a pod.
    pub async fn node_says(
        &self,
        namespace: &str,
        name: &str,
        phase: &str,
        state: Value,
    ) -> anyhow::Result<()> {
        let status = json!({ "status": { "phase": phase, "startTime": "2026-11-21T11:00:00Z",
            "containerStatuses": [{ "name": "c0", "image": "", "imageID": "", "ready": false,
                "restartCount": 0, "state": state }] } });
        self.pods(namespace).patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await?;
        Ok(())
    }

    /// Creates an Image that has put two tags which it no longer selects, at a registry that has them, and has it look.
    pub async fn has_pruned_image(&self, registry: &CatalogRegistry) -> anyhow::Result<()> {
        let [from, to] = ["source/app", "mirror/app"].map(|path| format!("{}/{path}", registry.address));
        let mut image = crate::tenants::image("pruned", &from, &to);
        (image.spec.mode, image.spec.source.version) = (Mode::Recurrent, "2.0.0".to_owned());
        let (policy, min_age) = (PrunePolicy::DryRun, Some("1h".to_owned()));
        image.spec.destination.prune = Some(Box::new(Prune { policy, min_age, keep: None }));
        self.case.create(NAMESPACE, [image]).await?;
        self.case.reason(NAMESPACE, "pruned").await?;
        let since = "2026-01-01T00:00:00Z";
        let digits = |content: &str| Digest::of(content.as_bytes()).hex()[..12].to_owned();
        let put = json!({ "destination": to, "made": { "1.0.0": digits("one"), "1.1.0": digits("two") },
            "unselected": { "1.0.0": since, "1.1.0": since } });
        let images = self.case.images(NAMESPACE);
        let status = Patch::Merge(json!({ "status": { "prune": put } }));
        images.patch_status("pruned", &PatchParams::default(), &status).await?;
        let request = json!({ "metadata": { "annotations": { REQUESTED_AT_ANNOTATION: "now" } } });
        images.patch("pruned", &PatchParams::default(), &Patch::Merge(request)).await?;
        Ok(())
    }

    /// Waits until that Image says something of its tags, and returns it.
    pub async fn pruned(&self, is_said: impl Fn(&PruneStatus) -> bool) -> anyhow::Result<Image> {
        let says = |image: &Image| {
            image.status.as_ref().and_then(|status| status.prune.as_deref()).is_some_and(&is_said)
        };
        wait::until(&self.case.images(NAMESPACE), "pruned", "says what is due", DEADLINE, says).await
    }

    pub async fn ends(&self, namespace: &str, name: &str) -> anyhow::Result<()> {
        let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        self.pods(namespace).delete(name, &now).await?;
        Ok(())
    }

    /// Waits until the mirror's Images copy exactly this: `source tag`, sorted.
    pub async fn copies(&self, wanted: &[&str]) -> anyhow::Result<BTreeMap<String, Image>> {
        let images = self.case.images(NAMESPACE);
        let wanted: BTreeSet<String> = wanted.iter().map(ToString::to_string).collect();
        wait::poll(&format!("Images copy {wanted:?}"), DEADLINE, || async {
            let all = images.list(&ListParams::default()).await?.items;
            let tags = |image: &Image| -> Vec<String> {
                let source = &image.spec.source;
                source.tags.iter().map(|tag| format!("{} {tag}", source.name)).collect()
            };
            let copied: BTreeSet<String> = all.iter().flat_map(tags).collect();
            Ok((copied == wanted).then(|| all.into_iter().map(|i| (i.name_any(), i)).collect()))
        })
        .await
    }

    /// Waits until the mirror says this.
    pub async fn says(
        &self,
        what: &str,
        is_said: impl Fn(&WorkloadMirror) -> bool,
    ) -> anyhow::Result<WorkloadMirror> {
        wait::until(&self.api(), "all", what, DEADLINE, is_said).await
    }
}

pub(super) fn spec() -> WorkloadMirrorSpec {
    let repository = format!("{NOWHERE}/mirror");
    WorkloadMirrorSpec::new(WorkloadDestination { repository, ..WorkloadDestination::default() })
}

pub(super) fn message(mirror: &WorkloadMirror) -> &str {
    let conditions = mirror.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    find(conditions, READY).map(|ready| ready.message.as_str()).unwrap_or_default()
}

pub(super) fn reason(mirror: &WorkloadMirror) -> &str {
    let conditions = mirror.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    find(conditions, READY).map(|ready| ready.reason.as_str()).unwrap_or_default()
}
