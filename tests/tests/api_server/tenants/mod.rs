//! What one tenant does, and what the agent's own program then costs everyone: memory within the shipped
//! limit, and counts of requests. Each test has an API server of its own.

mod cooldown;
mod large_objects;
mod large_secrets;
mod many_waiting;
mod requests;
mod silent_registries;
mod unparsed;

use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use imgop_core::api::conditions::{READY, find};
use imgop_core::api::{Destination, Image, ImageSpec, Mode, Source, Tls, TlsMode};
use imgop_tests::agent_process::{AgentProcess, install_account, memory_limit};
use imgop_tests::api_server::ApiServer;
use imgop_tests::{programs, wait};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use serde_json::json;

pub(crate) const DEADLINE: Duration = Duration::from_mins(2);
/// How many objects a test creates at once.
const CONCURRENCY: usize = 8;

/// An API server with the agent's account, and an administrator of it.
pub(crate) struct Case {
    pub(crate) server: ApiServer,
    client: Client,
    kubeconfig: std::path::PathBuf,
}

impl Case {
    pub(crate) async fn new() -> anyhow::Result<Self> {
        let server = ApiServer::bare().await?;
        let kubeconfig = install_account(&server).await?;
        Ok(Self { client: server.client().await?, server, kubeconfig })
    }

    /// Starts the agent.
    pub(crate) async fn agent(&self, settings: &[(&str, &str)]) -> anyhow::Result<AgentProcess> {
        let program = tokio::task::spawn_blocking(programs::agent).await??;
        AgentProcess::start(&program, &self.kubeconfig, self.server.folder(), settings).await
    }

    /// Creates a namespace.
    async fn namespace(&self, name: &str) -> anyhow::Result<()> {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        Api::all(self.client.clone()).create(&PostParams::default(), &namespace).await?;
        Ok(())
    }

    /// Creates a namespace where the agent may work.
    pub(crate) async fn enabled_namespace(&self, name: &str) -> anyhow::Result<()> {
        self.namespace(name).await?;
        let binding: RoleBinding = serde_json::from_value(json!({
            "metadata": { "name": "imgop-agent" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                "name": "imgop-agent-namespace" },
            "subjects": [{ "kind": "ServiceAccount", "name": "imgop-agent", "namespace": "imgop-system" }],
        }))?;
        Api::namespaced(self.client.clone(), name).create(&PostParams::default(), &binding).await?;
        Ok(())
    }

    /// Returns the administrator.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the Images of a namespace.
    pub(crate) fn images(&self, namespace: &str) -> Api<Image> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Creates these Images in a namespace.
    pub(crate) async fn create(
        &self,
        namespace: &str,
        images: impl IntoIterator<Item = Image>,
    ) -> anyhow::Result<()> {
        let api = self.images(namespace);
        let created = stream::iter(images).map(|image| {
            let api = api.clone();
            async move { api.create(&PostParams::default(), &image).await.map(drop) }
        });
        Ok(created.buffer_unordered(CONCURRENCY).try_collect().await?)
    }

    /// Waits until this Image has a status, and returns the reason of its condition `Ready`.
    pub(crate) async fn reason(&self, namespace: &str, name: &str) -> anyhow::Result<String> {
        let ready = |image: &Image| {
            let status = image.status.as_ref()?;
            find(&status.conditions, READY).map(|ready| ready.reason.clone())
        };
        let has_status = |image: &Image| ready(image).is_some();
        let image = wait::until(&self.images(namespace), name, "has a status", DEADLINE, has_status).await?;
        Ok(ready(&image).unwrap_or_default())
    }
}

/// Returns an Image from one plain HTTP registry to another.
pub(crate) fn image(name: &str, source: &str, destination: &str) -> Image {
    let plain = Tls { mode: TlsMode::PlainHttp, ca_secret_name: None };
    let source = Source { tls: plain.clone(), ..Source::new(source, "1.0.0") };
    let destination = Destination { tls: Some(plain), ..Destination::new(destination) };
    Image::new(name, ImageSpec::new(Mode::OneShot, source, destination))
}

/// Fails if the agent ever needed more memory than the shipped Deployment gives it.
fn assert_within_the_limit(agent: &AgentProcess) -> anyhow::Result<()> {
    let (peak, limit) = (agent.memory()?.peak, memory_limit()?);
    anyhow::ensure!(peak < limit, "the peak of {} MB is over the limit of {} MB", peak >> 20, limit >> 20);
    Ok(())
}
