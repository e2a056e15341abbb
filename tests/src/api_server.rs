//! A kube-apiserver and an etcd for the tests of one binary, with imgop's CRDs.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::Condition as _;
use kube::{Api, Client};
use tokio::sync::OnceCell;

use crate::connect::connect;
use crate::kubectl::Kubectl;
use crate::wait;

/// Started by the first test that asks for it.
static SHARED: OnceCell<Result<ApiServer, String>> = OnceCell::const_new();

/// A real API server without nodes and without controllers: what it stores nobody acts on.
#[derive(Debug)]
pub struct ApiServer {
    folder: PathBuf,
    programs: PathBuf,
    /// Held, and never written to: the supervisor takes everything down when the kernel closes this
    /// pipe at the end of the process, whatever ended it.
    _alive: ChildStdin,
}

impl ApiServer {
    /// The one of this test binary. The first call takes about five seconds, and minutes where
    /// Kubernetes has yet to be compiled.
    pub async fn shared() -> anyhow::Result<&'static Self> {
        SHARED
            .get_or_init(|| async { Self::start().await.map_err(|error| format!("{error:#}")) })
            .await
            .as_ref()
            .map_err(|said| anyhow!("the test API server does not start: {said}"))
    }

    /// A client for one test. (A client belongs to the runtime that made it, and each test has its
    /// own.)
    pub async fn client(&self) -> anyhow::Result<Client> {
        connect(&self.kubeconfig()).await
    }

    /// A `kubectl` of the same version.
    pub fn kubectl(&self) -> anyhow::Result<Kubectl> {
        Kubectl::new(&self.kubeconfig(), Some(&self.programs))
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    async fn start() -> anyhow::Result<Self> {
        let server = tokio::task::spawn_blocking(Self::supervised).await??;
        install_crds(&server.client().await?).await?;
        Ok(server)
    }

    fn supervised() -> anyhow::Result<Self> {
        // The supervisor removes it.
        let folder = tempfile::Builder::new().prefix("imgop-api-server-").tempdir()?.keep();
        let supervisor = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/supervise-api-server");
        let mut child = Command::new(&supervisor)
            .arg(&folder)
            .process_group(0) // Ctrl-C ends the tests, and their end ends the server
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start {}", supervisor.display()))?;
        let (alive, output) = (child.stdin.take(), child.stdout.take());
        let alive = alive.context("the supervisor has no standard input")?;
        let mut line = String::new();
        BufReader::new(output.context("the supervisor has no standard output")?).read_line(&mut line)?;
        ensure!(!line.is_empty(), "see the message of tests/cluster/apiserver above");
        Ok(Self { folder, programs: PathBuf::from(line.trim_end()), _alive: alive })
    }
}

/// Installs what `manifests/crds` is generated from, and waits until it is served.
pub async fn install_crds(client: &Client) -> anyhow::Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in imgop_core::api::crds() {
        let name = crd.metadata.name.clone().context("a CRD without a name")?;
        let applied = PatchParams::apply("imgop-tests").force();
        api.patch(&name, &applied, &Patch::Apply(&crd)).await?;
        wait::until(&api, &name, "is established", Duration::from_secs(30), |crd| {
            is_crd_established().matches_object(Some(crd))
        })
        .await?;
    }
    Ok(())
}
