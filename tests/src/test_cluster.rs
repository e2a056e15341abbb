//! The test cluster, with the agent that is in the sources.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, LogParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::connect::connect;
use crate::environment::Environment;
use crate::kubectl::Kubectl;
use crate::registry::Registry;
use crate::{programs, wait};

/// The agent's namespace.
pub const AGENT_NAMESPACE: &str = "imgop-system";
/// The agent's Deployment, service account and Lease.
pub const AGENT: &str = "imgop-agent";
/// How many agents the Deployment has.
pub const REPLICAS: i32 = 2;

/// A whole Kubernetes with three registries and imgop.
#[derive(Clone)]
pub struct TestCluster {
    /// Where everything is.
    pub environment: Environment,
    /// An administrator's client.
    pub client: Client,
    /// An administrator's kubectl, with the plugin.
    pub kubectl: Kubectl,
    /// The registry to copy from.
    pub source: Registry,
    /// The registry to copy to.
    pub target: Registry,
    /// The registry that has the referrers API, to copy from and to.
    pub referrers: Registry,
}

/// An agent that runs.
#[derive(Debug)]
pub struct RunningAgent {
    pod: String,
    /// Its process; none where the cluster is the user's.
    process: Option<String>,
}

impl TestCluster {
    /// Connects. The first call of a test binary builds the agent and deploys it.
    pub async fn with_agent() -> anyhow::Result<Self> {
        static DEPLOYED: OnceCell<Result<(), String>> = OnceCell::const_new();
        let cluster = Self::connect().await?;
        DEPLOYED
            .get_or_init(|| async { cluster.deploy().await.map_err(|error| format!("{error:#}")) })
            .await
            .as_ref()
            .map_err(|said| anyhow!("imgop is not deployed: {said}"))?;
        Ok(cluster)
    }

    async fn connect() -> anyhow::Result<Self> {
        let environment = Environment::load()?;
        let client = connect(&environment.kubeconfig).await?;
        client.apiserver_version().await.with_context(|| {
            format!(
                "the cluster of {} does not answer; bring it up with tests/testbed/up",
                environment.kubeconfig.display()
            )
        })?;
        Ok(Self {
            kubectl: Kubectl::new(&environment.kubeconfig, environment.bin.as_deref())?,
            source: Registry::source(&environment)?,
            target: Registry::target(&environment)?,
            referrers: Registry::with_referrers(&environment)?,
            environment,
            client,
        })
    }

    /// Installs the agent of the sources, with `manifests/install.yaml`.
    pub async fn deploy(&self) -> anyhow::Result<()> {
        let agent = tokio::task::spawn_blocking(programs::agent).await??;
        let step = tokio::task::spawn_blocking(programs::step).await??;
        let environment = &self.environment;
        let folders: Vec<PathBuf> = environment
            .bin
            .iter()
            .cloned()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()))
            .collect();
        let status = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy-agent"))
            .args([agent, step])
            .env("PATH", std::env::join_paths(folders)?)
            .env("KUBECONFIG", &environment.kubeconfig)
            .env("IMGOP_TEST_KUBECONFIG", &environment.kubeconfig)
            .env("IMGOP_CLUSTER_DIR", &environment.folder)
            .env("IMGOP_TEST_SKOPEO_IMAGE", &environment.skopeo_image)
            .env("IMGOP_TEST_EMULATED", &environment.emulated)
            .env("IMGOP_TEST_ENGINE", environment.engine.as_str())
            .stdin(Stdio::null())
            .status()
            .await?;
        ensure!(status.success(), "tests/deploy-agent: {status}");
        Ok(())
    }

    /// The pod of the agent that leads and is not on its way out.
    pub async fn agent_pod(&self) -> anyhow::Result<Pod> {
        wait::poll("an agent leads", Duration::from_mins(1), || async {
            let leases: Api<Lease> = Api::namespaced(self.client.clone(), AGENT_NAMESPACE);
            let holder = leases.get_opt(AGENT).await?.and_then(|lease| lease.spec?.holder_identity);
            let pod = holder.as_deref().and_then(|holder| holder.split_once('_')).map(|(pod, _)| pod);
            let Some(pod) = pod else { return Ok(None) };
            let pod = self.agent_pods().get_opt(pod).await?;
            Ok(pod.filter(|pod| pod.metadata.deletion_timestamp.is_none()))
        })
        .await
    }

    /// What all agents said until now.
    pub async fn agent_log(&self) -> anyhow::Result<String> {
        let ours = ListParams::default().labels(&format!("app.kubernetes.io/name={AGENT}"));
        let mut log = String::new();
        for pod in self.agent_pods().list(&ours).await?.items {
            // One that is starting or on its way out may have none.
            if let Ok(said) = self.agent_pods().logs(&pod.name_any(), &LogParams::default()).await {
                log += &said;
            }
        }
        Ok(log)
    }

    /// The own account of itself of the agent that leads, in Prometheus' format.
    pub async fn agent_metrics(&self) -> anyhow::Result<String> {
        let pod = self.agent_pod().await?.name_any();
        let path = format!("/api/v1/namespaces/{AGENT_NAMESPACE}/pods/{pod}:8080/proxy/metrics");
        self.kubectl.run(["get", "--raw", &path]).await?.ok()
    }

    /// Ends the agent that leads without a warning, as a crash does: another one takes over.
    pub async fn kill_agent(&self) -> anyhow::Result<()> {
        self.kill(&self.running_agent().await?).await
    }

    /// The agent that leads. Who wants it dead at a certain moment finds it before.
    pub async fn running_agent(&self) -> anyhow::Result<RunningAgent> {
        // After a kill the next one takes a moment.
        wait::poll("the agent runs", Duration::from_mins(2), || async {
            let Ok(pod) = self.agent_pod().await else { return Ok(None) };
            let Some(bin) = &self.environment.bin else {
                return Ok(Some(RunningAgent { pod: pod.name_any(), process: None }));
            };
            let process = self.process_of(&bin.join("ctr"), &pod).await?;
            Ok(process.map(|process| RunningAgent { pod: pod.name_any(), process: Some(process) }))
        })
        .await
    }

    /// The process of a pod's first container, by this machine's count; none if it does not run.
    async fn process_of(&self, ctr: &Path, pod: &Pod) -> anyhow::Result<Option<String>> {
        let container = pod
            .status
            .as_ref()
            .and_then(|status| status.container_statuses.as_ref()?.first()?.container_id.as_deref())
            .and_then(|id| id.strip_prefix("containerd://"));
        let Some(container) = container else { return Ok(None) };
        let output = Command::new(ctr)
            .arg("--address")
            .arg(self.environment.folder.join("containerd/containerd.sock"))
            .args(["--namespace", "k8s.io", "tasks", "list"])
            .stdin(Stdio::null())
            .output()
            .await?;
        ensure!(output.status.success(), "ctr: {}", String::from_utf8_lossy(&output.stderr));
        let tasks = String::from_utf8(output.stdout)?;
        // TASK, PID and STATUS.
        let mut lines = tasks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        Ok(lines.find_map(|line| match line.as_slice() {
            [task, process, "RUNNING"] if *task == container => Some((*process).to_owned()),
            _ => None,
        }))
    }

    /// Kills this agent and removes its pod.
    pub async fn kill(&self, agent: &RunningAgent) -> anyhow::Result<()> {
        if let Some(process) = &agent.process {
            // Every shell has its own `kill`; the program is not everywhere.
            let status = Command::new("sh").args(["-c", "kill -KILL \"$0\"", process]).status().await?;
            ensure!(status.success(), "kill {process}: {status}");
        }
        // A pod that crashed is started again only after a pause; a new one at once.
        self.agent_pods().delete(&agent.pod, &DeleteParams::default().grace_period(0)).await?;
        Ok(())
    }

    /// Stops the agents, or starts some, and waits until it is so.
    pub async fn scale_agent(&self, replicas: i32) -> anyhow::Result<()> {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), AGENT_NAMESPACE);
        let scale = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
        api.patch(AGENT, &PatchParams::default(), &scale).await?;
        wait::until(&api, AGENT, "has as many pods as it should", Duration::from_mins(2), |agent| {
            let Some(status) = &agent.status else { return false };
            status.observed_generation == agent.metadata.generation
                && status.replicas.unwrap_or_default() == replicas
                && status.ready_replicas.unwrap_or_default() == replicas
        })
        .await?;
        // A Deployment does not count pods that are ending, and those still work.
        let label = ListParams::default().labels("app.kubernetes.io/name=imgop-agent");
        let wanted = usize::try_from(replicas)?;
        let deadline = tokio::time::Instant::now() + Duration::from_mins(2);
        while self.agent_pods().list(&label).await?.items.len() > wanted {
            ensure!(tokio::time::Instant::now() < deadline, "the agent's pods do not end");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Changes a variable of the agent, as `kubectl set env` takes it, and waits until an agent has it.
    pub async fn set_agent(&self, variable: &str) -> anyhow::Result<()> {
        let deployment = format!("deployment/{AGENT}");
        let of = ["--namespace", AGENT_NAMESPACE];
        self.kubectl.run([&["set", "env", &deployment, variable], &of[..]].concat()).await?.ok()?;
        let waits = ["rollout", "status", &deployment, "--timeout=120s"];
        self.kubectl.run([&waits, &of[..]].concat()).await?.ok()?;
        // One of before, on its way out, may lead until then.
        self.agent_pod().await?;
        Ok(())
    }

    /// Installs manifests/build-seccomp.yaml, and waits until the profile is on the node.
    pub async fn install_seccomp_profile(&self) -> anyhow::Result<()> {
        let image = r#"jsonpath={.spec.template.spec.containers[0].env[?(@.name=="BUILDER_IMAGE")].value}"#;
        let get = ["get", "deployment", AGENT, "--namespace", AGENT_NAMESPACE, "--output", image];
        let image = self.kubectl.run(get).await?.ok()?;
        let manifest =
            std::fs::read_to_string(crate::repository_root().join("manifests/build-seccomp.yaml"))?;
        let mut lines: Vec<String> = manifest.lines().map(str::to_owned).collect();
        for line in &mut lines {
            let indent = line.len() - line.trim_start().len();
            if line.trim_start().starts_with("image: ") {
                *line = format!("{}image: {image}", " ".repeat(indent));
            }
        }
        let mut manifest = lines.join("\n");
        if self.environment.bin.is_some() {
            let folder = self.environment.folder.join("kubelet");
            manifest = manifest.replace("/var/lib/kubelet", &folder.display().to_string());
        }
        self.kubectl.apply(&manifest).await?.ok()?;
        let waits = ["rollout", "status", "daemonset/imgop-build-seccomp", "--timeout=120s"];
        self.kubectl.run([&waits[..], &["--namespace", "imgop-seccomp"]].concat()).await?.ok()?;
        Ok(())
    }

    fn agent_pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), AGENT_NAMESPACE)
    }
}
