//! The verbs that install imgop, upgrade and remove it, enable namespaces, and find what is wrong: on a real API server.
//! Nothing runs there, so no agent becomes available.

mod diagnosed;
mod enabled;
mod installed;
mod removed;
mod upgraded;

use imgop_tests::api_server::ApiServer;
use imgop_tests::kubectl::Kubectl;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, Client};

/// A namespace that was there before.
const EXISTING: &str = "mirrors";

/// An API server of its own, and an administrator of it.
struct Case {
    server: ApiServer,
    client: Client,
    kubectl: Kubectl,
}

impl Case {
    async fn bare() -> anyhow::Result<Self> {
        let server = ApiServer::bare().await?;
        let (client, kubectl) = (server.client().await?, server.kubectl()?);
        Ok(Self { server, client, kubectl })
    }

    /// One where imgop is installed.
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

    async fn agent(&self, namespace: &str) -> anyhow::Result<Deployment> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        Ok(deployments.get("imgop-agent").await?)
    }
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
