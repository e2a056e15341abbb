//! A kube-apiserver and an etcd for the tests of one binary, with imgop's CRDs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::Condition as _;
use kube::{Api, Client};
use tokio::sync::OnceCell;

use crate::connect::connect;
use crate::kubectl::Kubectl;
use crate::supervised::Supervised;
use crate::wait;

/// What the tests of one binary have together: started by the first one that asks for it, it ends with the binary.
pub struct Shared<T> {
    name: &'static str,
    started: OnceCell<Result<T, String>>,
}

impl<T> Shared<T> {
    /// What messages call by this name.
    pub const fn new(name: &'static str) -> Self {
        Self { name, started: OnceCell::const_new() }
    }

    /// Starts it, unless that was done before. What one test does to it is there for all others, so it is for tests that
    /// change nothing but what is in namespaces of their own.
    pub async fn get(&self, start: impl AsyncFnOnce() -> anyhow::Result<T>) -> anyhow::Result<&T> {
        let started = || async move { start().await.map_err(|error| format!("{error:#}")) };
        let started = self.started.get_or_init(started).await;
        started.as_ref().map_err(|said| anyhow!("{} does not start: {said}", self.name))
    }
}

/// A real API server without nodes and without controllers: nothing acts on what it stores.
#[derive(Debug)]
pub struct ApiServer(Supervised);

impl ApiServer {
    /// The one of this test binary. The first call takes about five seconds, and minutes where
    /// Kubernetes has yet to be compiled.
    pub async fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: Shared<ApiServer> = Shared::new("the test API server");
        SHARED.get(Self::with_crds).await
    }

    /// Another one of this test binary, without imgop's CRDs.
    pub async fn shared_bare() -> anyhow::Result<Arc<Self>> {
        static BARE: Shared<Arc<ApiServer>> = Shared::new("the test API server without CRDs");
        Ok(BARE.get(async || Self::bare().await.map(Arc::new)).await?.clone())
    }

    /// A client for one test. (A client belongs to the runtime that made it, and each test has its
    /// own.)
    pub async fn client(&self) -> anyhow::Result<Client> {
        connect(&self.kubeconfig()).await
    }

    /// A `kubectl` of the same version.
    pub fn kubectl(&self) -> anyhow::Result<Kubectl> {
        Kubectl::new(&self.kubeconfig(), Some(&self.0.programs))
    }

    /// Where its files are; what is started in `run` there ends with it.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Where `kubectl` and the other programs are.
    pub fn programs(&self) -> &Path {
        &self.0.programs
    }

    /// The kubeconfig of an administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.0.folder.join("kubeconfig")
    }

    /// The file that holds each request that anyone made.
    pub fn audit_log(&self) -> PathBuf {
        self.0.folder.join("log/audit.log")
    }

    /// Installs more CRDs, and waits until they are served.
    pub async fn install(&self, crds: Vec<CustomResourceDefinition>) -> anyhow::Result<()> {
        install(&self.client().await?, crds).await
    }

    /// One of its own, without imgop's CRDs, for as long as this value lives.
    pub async fn bare() -> anyhow::Result<Self> {
        Ok(Self(Supervised::start("apiserver", Vec::new()).await?))
    }

    /// One of its own, with the CRDs of a version to come: Images may have this mode too.
    pub async fn of_the_future(mode: &str) -> anyhow::Result<Self> {
        let server = Self::bare().await?;
        let mut crds = serde_json::to_value(imgop_core::api::crds())?;
        let modes = "/0/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/mode/enum";
        let modes = crds.pointer_mut(modes).and_then(|modes| modes.as_array_mut());
        modes.context("the CRD has no modes")?.push(mode.into());
        install(&server.client().await?, serde_json::from_value(crds)?).await?;
        Ok(server)
    }

    /// One of its own, with the CRDs.
    pub async fn with_crds() -> anyhow::Result<Self> {
        let server = Self::bare().await?;
        install_crds(&server.client().await?).await?;
        Ok(server)
    }
}

/// Installs what `manifests/crds` is generated from, and waits until it is served.
pub async fn install_crds(client: &Client) -> anyhow::Result<()> {
    install(client, imgop_core::api::crds().into_iter().collect()).await
}

async fn install(client: &Client, crds: Vec<CustomResourceDefinition>) -> anyhow::Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in crds {
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
