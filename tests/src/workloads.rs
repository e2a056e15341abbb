//! Pods of a tenant, and the WorkloadMirror that brings their images to the target registry.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use imgop_core::api::conditions::{READY, find};
use imgop_core::api::{
    Credentials, Image, MirrorSource, Tls, TlsMode, UNUSED_SINCE_ANNOTATION, WorkloadDestination,
    WorkloadMirror, WorkloadMirrorSpec,
};
use imgop_core::workloads::UnusedSince;
use imgop_registry::reference::Digest;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::repository_root;
use crate::tenant::{CA_SECRET, DEADLINE, PUSH_SECRET, Tenant};
use crate::wait;

/// The name of the WorkloadMirror.
pub const WORKLOAD_MIRROR: &str = "all";

impl Tenant {
    /// Returns a spec that brings images of the source registry below this path of the target registry, with what reaching
    /// both registries takes.
    pub fn workload_mirror(&self, path: &str) -> WorkloadMirrorSpec {
        let source = &self.cluster.environment.source_registry;
        let destination = WorkloadDestination {
            repository: self.cluster.target.repository(path),
            credentials: Some(Credentials { secret_name: PUSH_SECRET.into() }),
            tls: Some(Tls { mode: TlsMode::Verify, ca_secret_name: Some(CA_SECRET.into()) }),
            ..WorkloadDestination::default()
        };
        let tls = Tls { mode: TlsMode::PlainHttp, ca_secret_name: None };
        WorkloadMirrorSpec {
            sources: vec![MirrorSource { registry: source.clone(), tls, ..MirrorSource::default() }],
            ..WorkloadMirrorSpec::new(destination)
        }
    }

    /// The WorkloadMirrors of this namespace.
    pub fn workload_mirrors(&self) -> Api<WorkloadMirror> {
        Api::namespaced(self.cluster.client.clone(), &self.namespace)
    }

    /// Lets the agent see the workloads of the cluster, as an administrator does.
    pub async fn let_workloads_be_seen(&self) -> anyhow::Result<()> {
        let manifest = repository_root().join("manifests/workloads.yaml").display().to_string();
        self.cluster.kubectl.run(["apply", "--server-side", "-f", manifest.as_str()]).await?.ok()?;
        Ok(())
    }

    /// Creates the WorkloadMirror.
    pub async fn mirror_workloads(&self, spec: WorkloadMirrorSpec) -> anyhow::Result<()> {
        self.let_workloads_be_seen().await?;
        let mirror = WorkloadMirror::new(WORKLOAD_MIRROR, spec);
        self.workload_mirrors().create(&PostParams::default(), &mirror).await?;
        Ok(())
    }

    /// Waits until something holds of the WorkloadMirror.
    pub async fn until_mirror(
        &self,
        what: &str,
        deadline: Duration,
        reached: impl Fn(&WorkloadMirror) -> bool,
    ) -> anyhow::Result<WorkloadMirror> {
        wait::until(&self.workload_mirrors(), WORKLOAD_MIRROR, what, deadline, reached).await
    }

    /// Waits until there is an Image that copies a repository of the source registry, and returns its name.
    pub async fn image_of(&self, path: &str) -> anyhow::Result<String> {
        let source = self.cluster.source.repository(path);
        wait::poll(&format!("an Image copies {source}"), DEADLINE, || async {
            let all = self.images().list(&ListParams::default()).await?.items;
            Ok(all.iter().find(|image| image.spec.source.name == source).map(ResourceExt::name_any))
        })
        .await
    }

    /// Waits until a repository of the target registry has these tags and no others.
    pub async fn arrives(&self, path: &str, pushed: &BTreeMap<String, Digest>) -> anyhow::Result<()> {
        wait::poll(&format!("{path} arrives"), DEADLINE, || async {
            let there = self.cluster.target.digests(path).await.ok();
            Ok((there.as_ref() == Some(pushed)).then_some(()))
        })
        .await
    }

    /// Every pod of this namespace.
    pub fn all_pods(&self) -> Api<Pod> {
        Api::namespaced(self.cluster.client.clone(), &self.namespace)
    }

    /// Creates a pod that uses an image, on this node or on one that the scheduler takes.
    pub async fn run_pod(&self, name: &str, image: &str, node: Option<&str>) -> anyhow::Result<()> {
        let security = json!({ "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } });
        let mut pod = json!({ "metadata": { "name": name }, "spec": {
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{ "operator": "Exists" }],
            "securityContext": { "runAsNonRoot": true, "runAsUser": 65532,
                "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{ "name": "app", "image": image, "imagePullPolicy": "Always",
                "command": ["sleep", "3600"], "securityContext": security }],
        } });
        if let Some(node) = node {
            pod["spec"]["nodeName"] = node.into();
        }
        self.all_pods().create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
        Ok(())
    }

    /// Waits until a pod runs, and returns what its node says it is.
    pub async fn running(&self, name: &str) -> anyhow::Result<String> {
        let image_id = |pod: &Pod| {
            let status = pod.status.as_ref()?;
            let of = status.container_statuses.as_ref()?.first().filter(|of| of.ready)?;
            (status.phase.as_deref() == Some("Running")).then(|| of.image_id.clone())
        };
        let runs = |pod: &Pod| image_id(pod).is_some();
        let pod = wait::until(&self.all_pods(), name, "runs", DEADLINE, runs).await?;
        image_id(&pod).context("it ran a moment ago")
    }

    /// Deletes a pod, which has no time to end.
    pub async fn end_pod(&self, name: &str) -> anyhow::Result<()> {
        let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        self.all_pods().delete(name, &at_once).await?;
        Ok(())
    }
}

/// Returns the condition Ready of a WorkloadMirror.
pub fn ready(mirror: &WorkloadMirror) -> Option<&Condition> {
    find(&mirror.status.as_ref()?.conditions, READY)
}

/// Returns since when no workload uses which tags of an Image.
pub fn unused_since(image: &Image) -> BTreeMap<String, Timestamp> {
    let annotation = image.annotations().get(UNUSED_SINCE_ANNOTATION);
    annotation.map(|text| UnusedSince::parse(text).0).unwrap_or_default()
}
