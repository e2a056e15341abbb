//! The agent as a library, with errands in place of Images; and what no controller does on an API server
//! alone: Jobs end because a test says so.

use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use imgop_agent::controller::{self, ReadyGate, Watched};
use imgop_agent::metrics::Metrics;
use imgop_agent::{Agent, Config};
use imgop_core::api::DOCKER_CONFIG_KEY;
use imgop_tests::api_server::ApiServer;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, CustomResourceExt as _, ResourceExt as _};
use serde_json::json;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::errand::{Errand, Errands, OF_KINDS};

/// How many Jobs of one Errand run at once.
pub const MAX_JOBS_PER_OWNER: usize = 2;

/// An agent that handles the errands of one namespace.
pub struct Runner {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Runner {
    /// Starts one.
    pub fn start(client: &Client, namespace: &str) -> Self {
        let config = Config::parse_from([
            "imgop-agent".to_owned(),
            "--skopeo-image=unused".to_owned(),
            "--registry-loopback=true".to_owned(),
            format!("--watch-namespaces={namespace}"),
            format!("--max-jobs-per-image={MAX_JOBS_PER_OWNER}"),
        ]);
        let agent = Arc::new(Agent::new(client.clone(), config, Metrics::new(), OF_KINDS));
        let stop = CancellationToken::new();
        Self { task: tokio::spawn(run(agent, stop.clone())), stop }
    }

    /// Stops it, and waits until it has stopped.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        Ok(self.task.await?)
    }
}

async fn run(agent: Arc<Agent>, stop: CancellationToken) {
    let namespaces = &agent.config.watch_namespaces;
    let ready_gate = ReadyGate::default();
    let jobs = tokio::spawn(agent.jobs.clone().run(namespaces.clone(), ready_gate.clone(), stop.clone()));
    agent.jobs.wait_until_known(namespaces, Duration::from_mins(1)).await;
    let errands = Watched::new(namespaces, &ready_gate);
    controller::run(Errands(agent.clone()), errands, stop).await;
    jobs.abort();
}

/// The API server of this binary, with the CRD of errands.
pub async fn server() -> anyhow::Result<&'static ApiServer> {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let server = ApiServer::shared().await?;
    INSTALLED.get_or_try_init(|| async { server.install(vec![Errand::crd()]).await }).await?;
    Ok(server)
}

/// Creates a Secret with a login.
pub async fn login(client: &Client, namespace: &str, name: &str) -> anyhow::Result<()> {
    let secret: Secret = serde_json::from_value(json!({
        "metadata": { "name": name },
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": { DOCKER_CONFIG_KEY: r#"{"auths":{"registry.example.com":{"auth":"dTpw"}}}"# },
    }))?;
    Api::namespaced(client.clone(), namespace).create(&PostParams::default(), &secret).await?;
    Ok(())
}

/// Returns the names of the Jobs that an object controls.
pub async fn jobs_of(client: &Client, namespace: &str, uid: &str) -> anyhow::Result<Vec<String>> {
    let api: Api<Job> = Api::namespaced(client.clone(), namespace);
    let is_owned = |job: &Job| job.owner_references().iter().any(|owner| owner.uid == uid);
    let jobs = api.list(&ListParams::default()).await?.items;
    Ok(jobs.iter().filter(|job| is_owned(job)).map(kube::ResourceExt::name_any).collect())
}

/// Lets a Job end well, as Kubernetes' own controller would.
pub async fn complete(client: &Client, namespace: &str, name: &str) -> anyhow::Result<()> {
    let api: Api<Job> = Api::namespaced(client.clone(), namespace);
    let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second())?;
    let condition =
        |type_| json!({ "type": type_, "status": "True", "lastProbeTime": now, "lastTransitionTime": now });
    let status = json!({ "status": {
        "startTime": now, "completionTime": now, "succeeded": 1, "ready": 0, "terminating": 0,
        "uncountedTerminatedPods": {},
        "conditions": [condition("SuccessCriteriaMet"), condition("Complete")],
    }});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await?;
    Ok(())
}
