//! An API server, the agent, and the ImageMirror.

use std::path::Path;
use std::time::Duration;

use imgop_core::api::conditions::{READY, is_true};
use imgop_core::api::{ImageMirror, ImageMirrorSpec, REQUESTED_AT_ANNOTATION};
use imgop_tests::agent_process::{AgentProcess, install_account};
use imgop_tests::api_server::ApiServer;
use imgop_tests::wait;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use crate::writes::Writes;

const NAMESPACE: &str = "mirrors";
const NAME: &str = "inventory";
const DEADLINE: Duration = Duration::from_mins(10);

/// All of it.
pub struct Stage {
    server: ApiServer,
    client: Client,
    pub agent: AgentProcess,
}

impl Stage {
    /// Starts an API server and an agent with its own rights.
    pub async fn start(program: &Path) -> anyhow::Result<Self> {
        let server = ApiServer::bare().await?;
        let kubeconfig = install_account(&server).await?;
        let client = server.client().await?;
        let metadata = ObjectMeta { name: Some(NAMESPACE.to_owned()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
        let binding: RoleBinding = serde_json::from_value(json!({
            "metadata": { "name": "imgop-agent" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                "name": "imgop-agent-namespace" },
            "subjects": [{ "kind": "ServiceAccount", "name": "imgop-agent", "namespace": "imgop-system" }],
        }))?;
        Api::namespaced(client.clone(), NAMESPACE).create(&PostParams::default(), &binding).await?;
        let agent = AgentProcess::start(program, &kubeconfig, server.folder(), &[]).await?;
        Ok(Self { server, client, agent })
    }

    fn mirrors(&self) -> Api<ImageMirror> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// Makes the mirror, or changes it.
    pub async fn apply(&self, spec: &ImageMirrorSpec) -> anyhow::Result<()> {
        let force = PatchParams::apply("imgop-bench").force();
        let mirror = ImageMirror::new(NAME, spec.clone());
        self.mirrors().patch(NAME, &force, &Patch::Apply(&mirror)).await?;
        Ok(())
    }

    /// Asks for a sync of all Images, and waits until each of them has been asked.
    pub async fn sync(&self) -> anyhow::Result<()> {
        let patch = json!({ "metadata": { "annotations": { REQUESTED_AT_ANNOTATION: "bench" } } });
        self.mirrors().patch(NAME, &PatchParams::default(), &Patch::Merge(patch)).await?;
        let is_handled = |mirror: &ImageMirror| {
            let handled =
                mirror.status.as_ref().and_then(|status| status.last_handled_requested_at.as_deref());
            handled == Some("bench")
        };
        wait::until(&self.mirrors(), NAME, "has handed on the request", DEADLINE, is_handled).await?;
        Ok(())
    }

    /// Waits until all Images of the spec as it is now are ready, and no other one is left.
    pub async fn ready(&self, images: usize) -> anyhow::Result<()> {
        let is_ready = |mirror: &ImageMirror| {
            let Some(status) = &mirror.status else { return false };
            status.observed_generation == mirror.metadata.generation
                && is_true(&status.conditions, READY)
                && status.children.is_some_and(|children| children.ready as usize == images)
        };
        wait::until(&self.mirrors(), NAME, &format!("has {images} ready Images"), DEADLINE, is_ready).await?;
        Ok(())
    }

    /// The end of the audit log.
    pub fn mark(&self) -> anyhow::Result<u64> {
        imgop_tests::audit::mark(&self.server.audit_log())
    }

    /// What the agent has written since.
    pub fn writes(&self, mark: u64) -> anyhow::Result<Writes> {
        Writes::read(&self.server.audit_log(), mark)
    }
}
