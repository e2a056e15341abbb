//! Releases of the chart: what users made stays through all of their life.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use imgop_tests::api_server::ApiServer;
use imgop_tests::helm::{Helm, NAMESPACE, RELEASE, chart};
use imgop_tests::kubectl::{Kubectl, Output};
use imgop_tests::repository_root;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

/// The Image's CRD of commit 2267696.
const OLDER_CRD: &str = include_str!("../data/images-crd-of-2267696.json");
/// What users have.
const OBJECTS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: team}
---
apiVersion: skopeo.io/v1alpha1
kind: Image
metadata: {name: app, namespace: team}
spec:
  mode: OneShot
  source: {name: quay.io/team/app, version: "1"}
  destination: {name: registry.example.com/team/app, version: "1"}
---
apiVersion: buildah.io/v1alpha1
kind: ImageBuilder
metadata: {name: app, namespace: team}
spec:
  architecture: amd64
  source: "FROM quay.io/team/app:1"
  image: {name: registry.example.com/team/app, version: "2"}
---
apiVersion: imgop.io/v1alpha1
kind: RegistryAccess
metadata: {name: of-an-administrator}
spec:
  hosts: [quay.io]
  repositories: ["/"]
  actions: [Pull]
  secretName: quay
  namespaceSelector: {matchLabels: {registry: quay}}
"#;

/// An API server, and Helm for it.
struct Case {
    server: ApiServer,
    helm: Helm,
    kubectl: Kubectl,
}

impl Case {
    async fn new() -> anyhow::Result<Self> {
        let server = ApiServer::bare().await?;
        let helm = Helm::new().await?.at(&server.kubeconfig());
        Ok(Self { helm, kubectl: server.kubectl()?, server })
    }

    /// `jsonpath` of one object, or of a list.
    async fn get(&self, what: &[&str], path: &str) -> anyhow::Result<String> {
        let output = format!("--output=jsonpath={path}");
        self.kubectl.run([&["get"], what, &["--ignore-not-found", &output]].concat()).await?.ok()
    }

    /// What tells whether users' objects are those that they made.
    async fn uids(&self) -> anyhow::Result<String> {
        let of =
            |kind| async move { self.get(&[kind, "--all-namespaces"], "{.items[*].metadata.uid}").await };
        let cluster = self.get(&["registryaccess/of-an-administrator"], "{.metadata.uid}").await?;
        Ok(format!("{} {} {cluster}", of("images.skopeo.io").await?, of("imagebuilders").await?))
    }

    /// Whether the CRD of Images has a field that the older one has not.
    async fn knows_schedules(&self) -> anyhow::Result<bool> {
        let of_spec = "{.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.schedule.type}";
        Ok(!self.get(&["crd/images.skopeo.io"], of_spec).await?.is_empty())
    }

    async fn lent(&self) -> anyhow::Result<String> {
        self.get(&["registryaccesses"], "{.items[*].metadata.name}").await
    }

    async fn release(&self, arguments: &[&str], values: &Value) -> anyhow::Result<Output> {
        self.helm.run_with(arguments, values).await
    }
}

/// A chart as it was when the CRD of Images was older.
fn older_chart() -> anyhow::Result<(TempDir, String)> {
    let folder = tempfile::tempdir()?;
    let older = folder.path().join("imgop");
    copy(Path::new(&chart()), &older)?;
    let file = older.join("files/install.yaml");
    let text = std::fs::read_to_string(&file)?;
    let is_of_images = |document: &str| document.contains("\n  name: images.skopeo.io\n");
    let documents =
        text.split("\n---\n").map(|text| if is_of_images(text) { OLDER_CRD.trim_end() } else { text });
    std::fs::write(&file, documents.collect::<Vec<_>>().join("\n---\n"))?;
    Ok((folder, older.display().to_string()))
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let path: PathBuf = entry?.path();
        let copied = to.join(path.file_name().context("a file without a name")?);
        if path.is_dir() { copy(&path, &copied)? } else { std::fs::copy(&path, &copied).map(drop)? }
    }
    Ok(())
}

#[tokio::test]
async fn install_upgrade_rollback_and_uninstall_lose_nothing_that_users_made() -> anyhow::Result<()> {
    let case = Case::new().await?;
    let (_folder, older) = older_chart()?;
    let lent = |names: &[&str]| {
        let spec = json!({ "hosts": ["docker.io"], "repositories": ["/"], "actions": ["Pull"],
            "secretName": "hub", "namespaceSelector": { "matchLabels": { "registry": "hub" } } });
        let all = names.iter().map(|name| json!({ "name": name, "spec": spec }));
        json!({ "replicas": 1, "registryAccesses": all.collect::<Vec<_>>() })
    };
    case.release(&["install", RELEASE, &older, "--create-namespace"], &lent(&["first"])).await?.ok()?;
    ensure!(case.lent().await? == "first" && !case.knows_schedules().await?);
    case.kubectl.apply(OBJECTS).await?.ok()?;
    let uids = case.uids().await?;
    ensure!(uids.split_whitespace().count() == 3, "{uids}");

    case.release(&["upgrade", RELEASE, &chart()], &lent(&["first", "second"])).await?.ok()?;
    ensure!(case.knows_schedules().await?, "the CRDs are upgraded");
    ensure!(case.lent().await? == "first of-an-administrator second", "{}", case.lent().await?);
    case.release(&["upgrade", RELEASE, &chart()], &lent(&["second"])).await?.ok()?;
    ensure!(case.lent().await? == "of-an-administrator second", "what is taken out is lent no longer");

    case.helm.run(&["rollback", RELEASE, "1"]).await?.ok()?;
    ensure!(case.lent().await? == "first of-an-administrator", "{}", case.lent().await?);
    ensure!(!case.knows_schedules().await? && case.uids().await? == uids);
    case.release(&["upgrade", RELEASE, &chart()], &lent(&["first"])).await?.ok()?;

    case.helm.run(&["uninstall", RELEASE]).await?.ok()?;
    ensure!(case.uids().await? == uids && case.lent().await? == "of-an-administrator");
    let remaining =
        case.get(&["deployments,clusterroles,rolebindings", "--all-namespaces"], "{.items[*].metadata.name}");
    ensure!(!remaining.await?.contains("imgop"));
    case.release(&["install", RELEASE, &chart()], &lent(&["first"])).await?.ok()?;
    ensure!(case.uids().await? == uids && case.lent().await? == "first of-an-administrator");
    Ok(())
}

/// The commands of docs/helm.md under a heading, with the chart of the sources.
fn commands(heading: &str) -> anyhow::Result<String> {
    let page = std::fs::read_to_string(repository_root().join("docs/helm.md"))?;
    let (_, section) = page.split_once(heading).context("docs/helm.md has no such heading")?;
    let section = section.split_once("\n#").map_or(section, |(section, _)| section);
    let blocks = section.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let commands: String = blocks.map(|(block, _)| block).collect();
    ensure!(commands.contains("oci://ghcr.io/imgop/charts/imgop"), "{commands}");
    Ok(commands.replace("oci://ghcr.io/imgop/charts/imgop", &chart()))
}

#[tokio::test]
async fn the_commands_of_the_page_bring_a_cluster_from_install_yaml_to_the_chart() -> anyhow::Result<()> {
    for server_side in ["--server-side", "--server-side=false"] {
        let case = Case::new().await?;
        let manifest = repository_root().join("manifests/install.yaml").display().to_string();
        case.kubectl.run(["apply", server_side, "--filename", &manifest]).await?.ok()?;
        let set = ["set", "env", "deployment/imgop-agent", "--namespace", NAMESPACE, "MAX_JOBS=7"];
        case.kubectl.run(set).await?.ok()?;
        case.kubectl.apply(OBJECTS).await?.ok()?;
        let uids = case.uids().await?;

        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("values.yaml"), "settings: {maxBuilds: 3}\n")?;
        std::os::unix::fs::symlink(repository_root().join("manifests"), folder.path().join("manifests"))?;
        let programs = [
            case.server.programs(),
            case.helm.folder().context("no folder")?,
            Path::new("/usr/bin"),
            Path::new("/bin"),
        ];
        let output = Command::new("bash")
            .args(["-euxo", "pipefail", "-c", &commands("### From install.yaml to the chart")?])
            .current_dir(folder.path())
            .env("PATH", std::env::join_paths(programs)?)
            .env("KUBECONFIG", case.server.kubeconfig())
            .output()
            .await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        let deployment = ["deployment/imgop-agent", "--namespace", NAMESPACE];
        let names = case.get(&deployment, "{.spec.template.spec.containers[0].env[*].name}").await?;
        ensure!(names.contains("MAX_BUILDS") && !names.contains("MAX_JOBS"), "{names}");
        // The next upgrade changes what kubectl has set before, in objects of each kind.
        let (_folder, older) = older_chart()?;
        case.release(&["upgrade", RELEASE, &older], &json!({ "crds": { "keep": false }, "replicas": 1 }))
            .await?
            .ok()?;
        ensure!(!case.knows_schedules().await? && case.uids().await? == uids);
        let level = r"{.metadata.labels.pod-security\.kubernetes\.io/enforce}";
        ensure!(
            case.get(&["namespace", NAMESPACE], level).await? == "restricted",
            "the namespace stays as it was"
        );
    }
    Ok(())
}
