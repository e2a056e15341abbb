//! What `crates/bench/run` has started.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use imgop_tests::agent_process::AgentProcess;
use imgop_tests::connect::connect;
use kube::Client;

use crate::access_log::AccessLog;
use crate::audit_log::AuditLog;

/// The servers, and the agent that is measured.
pub struct Setup {
    /// The agent's program.
    pub agent: PathBuf,
    /// The folder of the API server, where the agent is recorded too.
    pub api_server: PathBuf,
    /// An administrator. (The agent has its own account, so the audit log tells the two apart.)
    pub client: Client,
    /// What the agent asks the API server.
    pub audit_log: AuditLog,
    /// The registry to copy from.
    pub source: Registry,
    /// The registry to copy to.
    pub target: Registry,
}

/// One of the two registries.
pub struct Registry {
    /// `host:port`.
    pub address: String,
    /// What it is asked. Only the agent uses it by now.
    pub log: AccessLog,
}

impl Setup {
    /// Reads where everything is.
    pub async fn new(agent: PathBuf, folder: PathBuf) -> anyhow::Result<Self> {
        let api_server = folder.join("apiserver");
        let registries = folder.join("registries");
        Ok(Self {
            client: connect(&api_server.join("kubeconfig")).await?,
            audit_log: AuditLog::new(api_server.join("log/audit.log")),
            source: Registry::new(&registries, "source")?,
            target: Registry::new(&registries, "target")?,
            agent,
            api_server,
        })
    }

    /// Starts the agent with its own account.
    pub async fn start_agent(&self) -> anyhow::Result<AgentProcess> {
        self.start_agent_with(&[]).await
    }

    /// Starts it with these settings besides.
    pub async fn start_agent_with(&self, settings: &[(&str, &str)]) -> anyhow::Result<AgentProcess> {
        let kubeconfig = self.api_server.join("agent.kubeconfig");
        AgentProcess::start(&self.agent, &kubeconfig, &self.api_server, settings).await
    }
}

impl Registry {
    fn new(folder: &Path, name: &str) -> anyhow::Result<Self> {
        let port = folder.join(format!("{name}.port"));
        let port = std::fs::read_to_string(&port).with_context(|| format!("no {}", port.display()))?;
        Ok(Self {
            address: SocketAddr::from(([127, 0, 0, 1], port.trim().parse()?)).to_string(),
            log: AccessLog::new(folder.join(format!("log/{name}-access.log"))),
        })
    }
}
