//! Figures of the agent that sees many pods, which run nowhere: `imgop-bench-workloads AGENT`. It starts an API server of
//! its own; docs/benchmarks.md says what the figures mean.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use imgop_bench::registry_of_tags::{Content, serve};
use imgop_core::api::{MirrorSource, Tls, TlsMode, WorkloadDestination, WorkloadMirror, WorkloadMirrorSpec};
use imgop_tests::agent_process::{AgentProcess, apply, install_account};
use imgop_tests::api_server::ApiServer;
use imgop_tests::{audit, wait};
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;

/// Pods at each measurement, and namespaces that they are in.
const PODS: [usize; 2] = [1_500, 10_000];
const NAMESPACES: usize = 100;
/// Images that they use in all, and pods of the rollout.
const IMAGES: usize = 400;
const ROLLOUT: usize = 500;
/// Bytes of each pod beside what is read of it.
const PADDING: usize = 11_000;
/// Objects that are created at once.
const CONCURRENCY: usize = 16;
/// How long the agent has to come to rest, and how long it is watched then.
const SETTLE: Duration = Duration::from_mins(2);
const IDLE: Duration = Duration::from_mins(3);
const DEADLINE: Duration = Duration::from_mins(15);
const TEAM: &str = "team-0";
const AGENT: &str = "system:serviceaccount:imgop-system:imgop-agent";
/// The path of the rollout's image.
const ROLLED_OUT: &str = "acme/rolled-out";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(agent), None) = (arguments.next(), arguments.next()) else {
        bail!("usage: imgop-bench-workloads AGENT");
    };
    // An error means that there is a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let bench = Bench::new().await?;
    let kubeconfig = install_account(&bench.server).await?;
    apply(&bench.server, "workloads.yaml").await?;
    bench.namespaces().await?;
    let mut there = 0;
    for count in PODS {
        bench.pods(there..count, |n| format!("{}/{}:{}", bench.source, repository(n), tag(n))).await?;
        there = count;
        let agent = AgentProcess::start(&agent, &kubeconfig, bench.server.folder(), &[]).await?;
        bench.mirror().await?;
        bench.sees(there).await?;
        bench.idles(&agent, there).await?;
        if Some(&count) == PODS.last() {
            bench.rollout(there).await?;
        }
        agent.stop().await?;
    }
    Ok(())
}

/// Where the image of a pod is.
fn repository(pod: usize) -> String {
    format!("acme/app{}", pod % IMAGES)
}

fn tag(pod: usize) -> String {
    format!("1.{pod}")
}

/// What all pods use; both registries have it, so that the Images come to rest.
fn content(below: &str) -> Content {
    let mut content = Content::from([(format!("{below}{ROLLED_OUT}"), vec!["2".to_owned()])]);
    for pod in 0..PODS.into_iter().max().unwrap_or_default() {
        content.entry(format!("{below}{}", repository(pod))).or_default().push(tag(pod));
    }
    content
}

/// An API server with many pods, and an administrator of it; and two registries.
struct Bench {
    server: ApiServer,
    client: Client,
    source: String,
    target: String,
}

impl Bench {
    async fn new() -> anyhow::Result<Self> {
        let server = ApiServer::bare().await?;
        let counts = Arc::default();
        let source = serve("source".to_owned(), content(""), &counts).await?;
        let target = serve("target".to_owned(), content("mirror/"), &counts).await?;
        Ok(Self { client: server.client().await?, server, source, target })
    }

    fn log(&self) -> PathBuf {
        self.server.audit_log()
    }

    /// Creates the namespaces, which all let the mirror see their pods.
    async fn namespaces(&self) -> anyhow::Result<()> {
        let (post, names) = (PostParams::default(), (0..NAMESPACES).map(|n| format!("team-{n}")));
        for name in names {
            let namespace: Namespace = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
            Api::all(self.client.clone()).create(&post, &namespace).await?;
            let account: ServiceAccount =
                serde_json::from_value(json!({ "metadata": { "name": "default" } }))?;
            Api::namespaced(self.client.clone(), &name).create(&post, &account).await?;
        }
        let role = |name: &str| json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name });
        let lets: ClusterRoleBinding = serde_json::from_value(json!({ "metadata": { "name": "team-0" },
            "roleRef": role("imgop-workload-mirror"),
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "Group",
                "name": format!("system:serviceaccounts:{TEAM}") }] }))?;
        Api::all(self.client.clone()).create(&post, &lets).await?;
        let enabled: RoleBinding = serde_json::from_value(json!({ "metadata": { "name": "imgop-agent" },
            "roleRef": role("imgop-agent-namespace"),
            "subjects": [{ "kind": "ServiceAccount", "name": "imgop-agent", "namespace": "imgop-system" }] }))?;
        Api::namespaced(self.client.clone(), TEAM).create(&post, &enabled).await?;
        Ok(())
    }

    /// Creates these pods of 12 KB each.
    async fn pods(
        &self,
        numbers: std::ops::Range<usize>,
        image: impl Fn(usize) -> String,
    ) -> anyhow::Result<()> {
        say(&format!("creating {} pods", numbers.len()))?;
        let padding = "x".repeat(PADDING);
        let pods = numbers.map(|n| {
            let pod = json!({ "metadata": { "name": format!("pod-{n}"), "annotations": { "padding": padding } },
                "spec": { "containers": [{ "name": "app", "image": image(n) }] } });
            (format!("team-{}", n % NAMESPACES), serde_json::from_value::<Pod>(pod))
        });
        let created = stream::iter(pods).map(|(namespace, pod)| {
            let api = Api::<Pod>::namespaced(self.client.clone(), &namespace);
            async move {
                api.create(&PostParams::default(), &pod?).await?;
                anyhow::Ok(())
            }
        });
        created.buffer_unordered(CONCURRENCY).try_collect().await
    }

    /// Creates the mirror that sees all of them, once.
    async fn mirror(&self) -> anyhow::Result<()> {
        let mirrors: Api<WorkloadMirror> = Api::namespaced(self.client.clone(), TEAM);
        if mirrors.get_opt("all").await?.is_some() {
            return Ok(());
        }
        let tls = Tls { mode: TlsMode::PlainHttp, ca_secret_name: None };
        let destination = WorkloadDestination {
            repository: format!("{}/mirror", self.target),
            tls: Some(tls.clone()),
            ..WorkloadDestination::default()
        };
        let mut spec = WorkloadMirrorSpec::new(destination);
        spec.namespaces.include = vec!["team-*".to_owned()];
        "1d".clone_into(&mut spec.frequency);
        spec.sources =
            vec![MirrorSource { registry: self.source.clone(), use_aws_irsa: false, credentials: None, tls }];
        // Each pod has a tag of its own, and the rollout one more.
        spec.limits.images = 20_000;
        mirrors.create(&PostParams::default(), &WorkloadMirror::new("all", spec)).await?;
        Ok(())
    }

    /// Waits until the mirror says that it sees this many pods, and that both registries have the same of all Images.
    async fn sees(&self, pods: usize) -> anyhow::Result<()> {
        let mirrors: Api<WorkloadMirror> = Api::namespaced(self.client.clone(), TEAM);
        let sees = |mirror: &WorkloadMirror| {
            let counts = mirror.status.as_ref().and_then(|status| status.counts);
            counts.is_some_and(|counts| {
                usize::try_from(counts.pods).is_ok_and(|seen| seen == pods) && counts.synced == counts.images
            })
        };
        wait::until(&mirrors, "all", &format!("sees {pods} pods"), DEADLINE, sees).await.map(drop)
    }

    /// Measures the agent while nothing happens.
    async fn idles(&self, agent: &AgentProcess, pods: usize) -> anyhow::Result<()> {
        tokio::time::sleep(SETTLE).await;
        let (from, cpu) = (audit::mark(&self.log())?, agent.cpu_seconds()?);
        tokio::time::sleep(IDLE).await;
        let memory = agent.memory()?;
        let writes = without_leases(&self.log(), from)?;
        say(&format!(
            "{pods} pods: {:.1} MB resident ({:.1} MB without the program's own file, {:.1} MB at most), \
             {:.2} CPU seconds a minute, {writes} writes in {IDLE:?}",
            megabytes(memory.resident),
            megabytes(memory.anonymous),
            megabytes(memory.peak),
            (agent.cpu_seconds()? - cpu) / (IDLE.as_secs_f64() / 60.0),
        ))
    }

    /// Counts what is written for pods that all use one image that is new.
    async fn rollout(&self, pods: usize) -> anyhow::Result<()> {
        let from = audit::mark(&self.log())?;
        let began = Instant::now();
        self.pods(pods..pods + ROLLOUT, |_| format!("{}/{ROLLED_OUT}:2", self.source)).await?;
        self.sees(pods + ROLLOUT).await?;
        let patches = audit::writes_of(&self.log(), AGENT, "images", from)?;
        say(&format!("rollout of {ROLLOUT} pods: {patches} patches of Images in {:?}", began.elapsed()))?;
        anyhow::ensure!(patches == 1, "{patches} patches");
        Ok(())
    }
}

/// Writes of the agent, but for what says that it works.
fn without_leases(log: &Path, from: u64) -> anyhow::Result<usize> {
    let writes = audit::writes(log, AGENT, from)?;
    Ok(writes.into_iter().filter(|((_, resource), _)| resource != "leases").map(|(_, count)| count).sum())
}

fn megabytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX)) / 1024.0
}

fn say(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}").context("cannot write")
}
