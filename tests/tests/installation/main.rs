//! The agent of the test cluster is installed by Helm, upgraded, taken back and taken out, while copies wait or run. Apart
//! from the other tests on the cluster, because the agent belongs to all; what was there is put back.

mod migrated;
mod repeated;

use std::panic::AssertUnwindSafe;

use anyhow::{Context as _, ensure};
use futures::FutureExt as _;
use imgop_registry::reference::Digest;
use imgop_tests::helm::{Helm, NAMESPACE, RELEASE, chart};
use imgop_tests::tenant::{DEADLINE, Tenant, with_tenant};
use imgop_tests::test_cluster::AGENT;
use imgop_tests::wait;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// The label of nodes for which the copies of these tests wait.
const LABEL: &str = "imgop-test.example.com/open";
/// Where charts are in the registry of the tests.
const CHARTS: &str = "charts";

/// Who has the agent.
static AGENT_LOCK: Mutex<()> = Mutex::const_new(());

/// The values with which the chart installs the agent that `tests/deploy-agent` has installed.
async fn values(tenant: &Tenant) -> anyhow::Result<Value> {
    let api: Api<Deployment> = Api::namespaced(tenant.cluster.client.clone(), NAMESPACE);
    let pod = api.get(AGENT).await?.spec.and_then(|spec| spec.template.spec);
    let container = pod.and_then(|pod| pod.containers.into_iter().next()).context("no container")?;
    let image = container.image.unwrap_or_default();
    let (repository, tag) = image.rsplit_once(':').context("the image has no tag")?;
    let variable = |name: &str| {
        let variable = container.env.iter().flatten().find(|variable| variable.name == name);
        variable.and_then(|variable| variable.value.clone())
    };
    Ok(json!({
        "image": { "repository": repository, "tag": tag },
        "settings": { "skopeoImage": variable("SKOPEO_IMAGE"), "builderImage": variable("BUILDER_IMAGE") },
    }))
}

/// An Image whose Job waits until a node has the label.
struct Waiting<'a> {
    tenant: &'a Tenant,
    name: &'static str,
    pushed: Digest,
    job: String,
}

impl<'a> Waiting<'a> {
    async fn begin(tenant: &'a Tenant, name: &'static str) -> anyhow::Result<Self> {
        let pushed = tenant.cluster.source.fill(&tenant.path(name), &["v1.0.0"], name).await?;
        let mut spec = tenant.spec(name, "v1.0.0", name);
        spec.job_template.node_selector = [(LABEL.to_owned(), tenant.namespace.clone())].into();
        tenant.apply(name, &spec).await?;
        let job =
            wait::poll("it has a Job", DEADLINE, || async { Ok(jobs(tenant, name).await?.pop()) }).await?;
        let pushed = pushed.into_values().next().context("nothing was pushed")?;
        Ok(Self { tenant, name, pushed, job })
    }

    /// Lets it run; no agent needs to be there.
    async fn runs_to_its_end(&self) -> anyhow::Result<()> {
        let label = format!("{LABEL}={}", self.tenant.namespace);
        let nodes = ["label", "nodes", "--all", "--overwrite", &label];
        self.tenant.cluster.kubectl.run(nodes).await?.ok()?;
        self.tenant.jobs_ended().await?;
        let close = format!("{LABEL}-");
        self.tenant.cluster.kubectl.run(["label", "nodes", "--all", &close]).await?.ok()?;
        Ok(())
    }

    /// Waits until the Image is ready, by the one Job that it has had.
    async fn is_done_once(&self) -> anyhow::Result<()> {
        self.tenant.ready(self.name).await?;
        let copied = self.tenant.cluster.target.digest(&self.tenant.path(self.name), "v1.0.0").await?;
        ensure!(copied.as_ref() == Some(&self.pushed), "{}: {copied:?}", self.name);
        ensure!(jobs(self.tenant, self.name).await? == [self.job.clone()], "{} was copied again", self.name);
        Ok(())
    }
}

async fn jobs(tenant: &Tenant, image: &str) -> anyhow::Result<Vec<String>> {
    let names = tenant.jobs().await?.into_iter().map(|job| job.name_any());
    Ok(names.filter(|name| name.starts_with(&format!("imgop-{image}-"))).collect())
}

/// Puts back what `tests/deploy-agent` installs, whatever became of the test.
async fn with_releases(test: impl AsyncFnOnce(&Tenant, &Helm) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let _agent = AGENT_LOCK.lock().await;
    with_tenant(async |tenant| {
        let helm = Helm::new().await?.at(&tenant.cluster.environment.kubeconfig);
        let result = AssertUnwindSafe(test(tenant, &helm)).catch_unwind().await;
        helm.run(&["uninstall", RELEASE, "--ignore-not-found", "--wait"]).await?.ok()?;
        tenant.cluster.deploy().await?;
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
    .await
}

#[tokio::test]
async fn copies_go_on_through_install_upgrade_rollback_and_uninstall() -> anyhow::Result<()> {
    with_releases(async |tenant, helm| {
        let wait = ["--wait", "--timeout", "2m"];
        let run = async |arguments: &[&str], values: &Value| {
            helm.run_with(&[arguments, &wait[..]].concat(), values).await?.ok()
        };
        let values = values(tenant).await?;
        let uid_of = async |name: &str| anyhow::Ok(tenant.images().get(name).await?.uid());

        // From install.yaml, as docs/helm.md says.
        let taken = Waiting::begin(tenant, "taken").await?;
        let uid = uid_of("taken").await?;
        let delete = ["delete", "deployment", AGENT, "--namespace", NAMESPACE];
        tenant.cluster.kubectl.run(delete).await?.ok()?;
        let take = ["install", RELEASE, &chart(), "--take-ownership", "--force-conflicts"];
        run(&take, &values).await?;
        taken.runs_to_its_end().await?;
        taken.is_done_once().await?;

        let upgraded = Waiting::begin(tenant, "upgraded").await?;
        let mut others = values.clone();
        others["settings"]["maxJobs"] = 7.into();
        others["podDisruptionBudget"] = json!({ "enabled": true });
        run(&["upgrade", RELEASE, &chart()], &others).await?;
        upgraded.runs_to_its_end().await?;
        upgraded.is_done_once().await?;

        let rolled_back = Waiting::begin(tenant, "rolled-back").await?;
        helm.run(&[&["rollback", RELEASE, "1"], &wait[..]].concat()).await?.ok()?;
        rolled_back.runs_to_its_end().await?;
        rolled_back.is_done_once().await?;

        let uninstalled = Waiting::begin(tenant, "uninstalled").await?;
        helm.run(&["uninstall", RELEASE, "--wait"]).await?.ok()?;
        uninstalled.runs_to_its_end().await?;
        ensure!(uid_of("taken").await? == uid, "the Image is another one");
        run(&["install", RELEASE, &chart()], &values).await?;
        uninstalled.is_done_once().await
    })
    .await
}

#[tokio::test]
async fn the_chart_is_installed_from_a_registry_and_settings_that_cannot_be_read_leave_the_agent_at_work()
-> anyhow::Result<()> {
    with_releases(async |tenant, helm| {
        let registry = format!("oci://{}", tenant.cluster.source.repository(CHARTS));
        let folder = tempfile::tempdir()?;
        let to = folder.path().display().to_string();
        helm.run(&["package", &chart(), "--destination", &to]).await?.ok()?;
        let archive = format!("{to}/{RELEASE}-{}.tgz", env!("CARGO_PKG_VERSION"));
        helm.run(&["push", &archive, &registry, "--plain-http"]).await?.ok()?;
        helm.run(&["repo", "index", &to, "--url", "https://charts.example.com"]).await?.ok()?;
        let index: Value =
            serde_saphyr::from_str(&std::fs::read_to_string(folder.path().join("index.yaml"))?)?;
        let url = index.pointer("/entries/imgop/0/urls/0").and_then(Value::as_str).unwrap_or_default();
        ensure!(url.starts_with("https://charts.example.com/imgop-"), "{index:#}");

        let mut values = values(tenant).await?;
        let delete = ["delete", "deployment", AGENT, "--namespace", NAMESPACE];
        tenant.cluster.kubectl.run(delete).await?.ok()?;
        let pushed = format!("{registry}/{RELEASE}");
        let from = [pushed.as_str(), "--plain-http", "--version", env!("CARGO_PKG_VERSION"), "--wait"];
        let take = [&["install", RELEASE], &from[..], &["--take-ownership", "--force-conflicts"]].concat();
        helm.run_with(&take, &values).await?.ok()?;

        values["settings"]["registryPrivateAddresses"] = "sometimes".into();
        let upgrade = [&["upgrade", RELEASE], &from[..], &["--timeout", "20s"]].concat();
        helm.run_with(&upgrade, &values).await?.failed()?;
        tenant.cluster.source.fill(&tenant.path("app"), &["v1.0.0"], "").await?;
        tenant.apply("app", &tenant.spec("app", "v1.0.0", "app")).await?;
        tenant.ready("app").await?;
        helm.run(&["rollback", RELEASE, "1", "--wait", "--timeout", "2m"]).await?.ok()?;
        Ok(())
    })
    .await
}
