//! The verbs that install imgop, upgrade and remove it, enable namespaces, and find what is wrong: on a real API server.
//! Nothing runs there, so no agent becomes available.

mod diagnosed;
mod enabled;
mod installed;
mod removed;
mod upgraded;

use std::sync::Arc;

use imgop_tests::api_server::{ApiServer, Shared};
use imgop_tests::kubectl::Kubectl;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

/// A namespace that was there before.
const EXISTING: &str = "mirrors";
/// The namespace of a team, where a test has the API server for itself.
const TEAM: &str = "team";

/// An API server, and an administrator of it.
struct Case {
    server: Arc<ApiServer>,
    client: Client,
    kubectl: Kubectl,
    /// The namespace of a team.
    team: String,
}

impl Case {
    async fn of(server: Arc<ApiServer>) -> anyhow::Result<Self> {
        let (client, kubectl) = (server.client().await?, server.kubectl()?);
        Ok(Self { server, client, kubectl, team: TEAM.to_owned() })
    }

    /// One with an API server of its own.
    async fn bare() -> anyhow::Result<Self> {
        Self::of(Arc::new(ApiServer::bare().await?)).await
    }

    /// One beside those of other tests, where imgop is installed and its agent seems to run. Nothing may be changed but what
    /// is in the namespace of the team, which is a new one.
    async fn with_team() -> anyhow::Result<Self> {
        static SHARED: Shared<Arc<ApiServer>> = Shared::new("the API server with an installation");
        let case = Self::of(SHARED.get(with_installation).await?.clone()).await?;
        let metadata = ObjectMeta { generate_name: Some("team-".to_owned()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        let created = Api::all(case.client.clone()).create(&PostParams::default(), &namespace).await?;
        Ok(Self { team: created.name_any(), ..case })
    }

    /// One with an API server of its own, where imgop is installed.
    async fn installed(more: &[&str]) -> anyhow::Result<Self> {
        let case = Self::bare().await?;
        case.imgop(&[&["install"], more].concat()).await?;
        Ok(case)
    }

    /// Runs a verb that must succeed, and returns what it printed.
    async fn imgop(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.kubectl.imgop(arguments).await?;
        anyhow::ensure!(output.code == Some(0), "{arguments:?}: {output:?}");
        Ok(output.stdout + &output.stderr)
    }

    /// Runs a verb that must fail, and returns why it did.
    async fn refused(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.kubectl.imgop(arguments).await?.failed()
    }

    /// Runs kubectl.
    async fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.kubectl.run(arguments).await?.ok()
    }

    /// Lets the agent seem to run: its pods are available, and one of them leads.
    async fn seems_to_run(&self) -> anyhow::Result<()> {
        let generation = self.agent("imgop-system").await?.metadata.generation;
        let status = json!({ "status": { "observedGeneration": generation, "replicas": 2, "updatedReplicas": 2,
            "readyReplicas": 2, "availableReplicas": 2 } });
        self.kubectl(&[
            "patch",
            "deployment",
            "imgop-agent",
            "-n",
            "imgop-system",
            "--subresource=status",
            "--type=merge",
            "-p",
            &status.to_string(),
        ])
        .await?;
        self.renew_lease(jiff::Timestamp::now()).await
    }

    async fn renew_lease(&self, time: jiff::Timestamp) -> anyhow::Result<()> {
        let lease = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": { "name": "imgop-agent", "namespace": "imgop-system" },
            "spec": { "holderIdentity": "imgop-agent-a", "leaseDurationSeconds": 13, "renewTime": format!("{time:.6}") } });
        self.kubectl.apply(&lease.to_string()).await?.ok().map(drop)
    }

    async fn agent(&self, namespace: &str) -> anyhow::Result<Deployment> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        Ok(deployments.get("imgop-agent").await?)
    }
}

async fn with_installation() -> anyhow::Result<Arc<ApiServer>> {
    let case = Case::installed(&[]).await?;
    case.seems_to_run().await?;
    Ok(case.server)
}

/// Returns the image of an agent, and its settings as `NAME=VALUE`.
fn image_and_settings(agent: &Deployment) -> (String, Vec<String>) {
    let containers =
        agent.spec.iter().flat_map(|spec| spec.template.spec.iter()).flat_map(|pod| &pod.containers);
    let container = containers.into_iter().next().cloned().unwrap_or_default();
    let settings = container.env.into_iter().flatten();
    let settings =
        settings.map(|variable| format!("{}={}", variable.name, variable.value.unwrap_or_default()));
    (container.image.unwrap_or_default(), settings.collect())
}
