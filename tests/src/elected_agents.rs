//! Agents that elect which of them works, as processes beside an API server of their own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use imgop_core::api::conditions::{READY, find};
use imgop_core::api::{Destination, Image, ImageSpec, Mode, Source};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::process::Command;

use crate::agent_process::{AgentProcess, install_account};
use crate::api_server::ApiServer;
use crate::{programs, wait};

/// The agents' account: that of `manifests`.
pub const ACCOUNT: &str = "system:serviceaccount:imgop-system:imgop-agent";
/// How long anything may take that has no time of its own.
pub const DEADLINE: Duration = Duration::from_mins(1);
/// What an agent says of itself that works.
pub const LEADS: &str = "this agent leads";
/// What an agent says of itself that would take over.
pub const WAITS: &str = "waits to lead";
const NAMESPACE: &str = "team";

/// An API server, and the account of agents.
pub struct ElectedAgents {
    /// The API server.
    pub server: ApiServer,
    client: Client,
    kubeconfig: PathBuf,
}

impl ElectedAgents {
    /// An API server without an agent.
    pub async fn new() -> anyhow::Result<Self> {
        let server = ApiServer::bare().await?;
        let kubeconfig = install_account(&server).await?;
        // No test's time runs while it compiles.
        tokio::task::spawn_blocking(programs::agent).await??;
        server.kubectl()?.run(["create", "namespace", NAMESPACE]).await?.ok()?;
        Ok(Self { client: server.client().await?, server, kubeconfig })
    }

    /// Starts an agent in a pod of this name.
    pub fn agent(&self, pod: &str) -> anyhow::Result<AgentProcess> {
        self.start(pod, &Command::new(programs::agent()?), &self.kubeconfig)
    }

    /// Starts an agent that the API server's record tells from those of the account.
    pub fn agent_of_an_administrator(&self, pod: &str) -> anyhow::Result<AgentProcess> {
        self.start(pod, &Command::new(programs::agent()?), &self.server.kubeconfig())
    }

    /// Starts this program as an agent.
    pub fn agent_of(&self, pod: &str, program: &Command) -> anyhow::Result<AgentProcess> {
        self.start(pod, program, &self.kubeconfig)
    }

    fn start(&self, pod: &str, program: &Command, kubeconfig: &Path) -> anyhow::Result<AgentProcess> {
        let settings = [("LEADER_ELECT", "true"), ("LEASE_NAMESPACE", "imgop-system"), ("POD_NAME", pod)];
        AgentProcess::launch(program, kubeconfig, self.server.folder(), &settings)
    }

    /// The Lease.
    pub async fn lease(&self) -> anyhow::Result<LeaseSpec> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), "imgop-system");
        leases.get("imgop-agent").await?.spec.context("the Lease is empty")
    }

    /// The pod that the Lease names.
    pub async fn holder(&self) -> anyhow::Result<String> {
        let holder = self.lease().await?.holder_identity.unwrap_or_default();
        Ok(holder.split('_').next().unwrap_or_default().to_owned())
    }

    /// Creates an Image where no agent may do more than give it a status.
    pub async fn create(&self, name: &str) -> anyhow::Result<()> {
        let (source, destination) = (Source::new("a.test/a", "1.0.0"), Destination::new("b.test/b"));
        let image = Image::new(name, ImageSpec::new(Mode::OneShot, source, destination));
        self.images().create(&PostParams::default(), &image).await?;
        Ok(())
    }

    /// Waits until an Image has its status.
    pub async fn has_status(&self, name: &str) -> anyhow::Result<()> {
        let has_status = |image: &Image| {
            image.status.as_ref().is_some_and(|status| find(&status.conditions, READY).is_some())
        };
        wait::until(&self.images(), name, "has a status", DEADLINE, has_status).await?;
        Ok(())
    }

    fn images(&self) -> Api<Image> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }
}
