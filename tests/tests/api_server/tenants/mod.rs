//! What one tenant does, and what the agent's own program then costs everyone: memory within the shipped
//! limit, and counts of requests. Tests whose agents can keep to some namespaces share an API server.

mod cooldown;
mod large_objects;
mod large_secrets;
mod many_waiting;
mod requests;
mod silent_registries;
mod unparsed;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use imgop_core::api::conditions::{READY, find};
use imgop_core::api::{Destination, Image, ImageSpec, Mode, Source, Tls, TlsMode};
use imgop_tests::agent_process::{AgentProcess, install_account, memory_limit};
use imgop_tests::api_server::{ApiServer, Shared};
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
    pub(crate) server: Arc<ApiServer>,
    client: Client,
    kubeconfig: PathBuf,
    /// `WATCH_NAMESPACES` of its agents.
    watched: String,
}

/// An API server with the agent's account, and a kubeconfig of that account.
async fn with_account() -> anyhow::Result<(Arc<ApiServer>, PathBuf)> {
    let server = ApiServer::bare().await?;
    let kubeconfig = install_account(&server).await?;
    Ok((Arc::new(server), kubeconfig))
}

impl Case {
    /// One with an API server of its own, whose agents watch all namespaces.
    pub(crate) async fn new() -> anyhow::Result<Self> {
        let (server, kubeconfig) = with_account().await?;
        Ok(Self { client: server.client().await?, server, kubeconfig, watched: "*".to_owned() })
    }

    /// One beside those of other tests, with new namespaces where the agent may work. Its agents watch no other ones, and
    /// have no Lease and nothing else that they would write outside of them.
    pub(crate) async fn with_namespaces(names: &[&str]) -> anyhow::Result<Self> {
        static SHARED: Shared<(Arc<ApiServer>, PathBuf)> = Shared::new("the API server of agents");
        let (server, kubeconfig) = SHARED.get(with_account).await?.clone();
        let case = Self { client: server.client().await?, server, kubeconfig, watched: names.join(",") };
        for name in names {
            case.enabled_namespace(name).await?;
        }
        Ok(case)
    }

    /// Starts the agent.
    pub(crate) async fn agent(&self, settings: &[(&str, &str)]) -> anyhow::Result<AgentProcess> {
        let program = tokio::task::spawn_blocking(programs::agent).await??;
        let settings = [&[("WATCH_NAMESPACES", self.watched.as_str())][..], settings].concat();
        AgentProcess::start(&program, &self.kubeconfig, self.server.folder(), &settings).await
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
