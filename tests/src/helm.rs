//! The real Helm with the chart of the sources.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::environment::Environment;
use crate::kubectl::{Output, run};
use crate::{repository_root, testbed_scripts};

/// The namespace in which releases are, if no other one is asked for.
pub const NAMESPACE: &str = "imgop-system";

/// The name of the release in the tests.
pub const RELEASE: &str = "imgop";

/// Helm, compiled from its sources, with configuration and caches of its own.
#[derive(Debug, Clone)]
pub struct Helm {
    program: PathBuf,
    kubeconfig: Option<PathBuf>,
    namespace: String,
    /// Where it writes what it remembers.
    folder: Arc<TempDir>,
}

impl Helm {
    /// Compiles it the first time, which takes minutes.
    pub async fn new() -> anyhow::Result<Self> {
        static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
        let program =
            PROGRAM.get_or_try_init(|| async { tokio::task::spawn_blocking(program).await? }).await?;
        let folder = tempfile::Builder::new().prefix("imgop-helm-").tempdir()?;
        Ok(Self {
            program: program.clone(),
            kubeconfig: None,
            namespace: NAMESPACE.to_owned(),
            folder: Arc::new(folder),
        })
    }

    /// The same for this cluster. Without one, Helm reaches none.
    #[must_use]
    pub fn at(&self, kubeconfig: &Path) -> Self {
        Self { kubeconfig: Some(kubeconfig.to_owned()), ..self.clone() }
    }

    /// The same for releases in this namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self.clone() }
    }

    /// Runs Helm with these arguments.
    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        run(self.command(arguments), "").await
    }

    /// Runs Helm with these arguments and these values.
    pub async fn run_with(&self, arguments: &[&str], values: &Value) -> anyhow::Result<Output> {
        let mut command = self.command(arguments);
        command.args(["--values", "-"]);
        run(command, &values.to_string()).await
    }

    /// Helm with these arguments, in the namespace of releases.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).args(["--namespace", &self.namespace]);
        command.env("KUBECONFIG", self.kubeconfig.as_deref().unwrap_or_else(|| Path::new("/dev/null")));
        // It ends before its garbage matters.
        command.env("GOGC", "400");
        for (name, folder) in [("CACHE", "cache"), ("CONFIG", "config"), ("DATA", "data")] {
            command.env(format!("HELM_{name}_HOME"), self.folder.path().join(folder));
        }
        // Test clusters and registries are on this machine.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command
    }

    /// The folder in which the program is.
    pub fn folder(&self) -> Option<&Path> {
        self.program.parent()
    }

    /// The objects that the chart makes of these values.
    ///
    /// # Errors
    /// If it refuses them.
    pub async fn template(&self, values: &Value) -> anyhow::Result<Vec<Value>> {
        let rendered = self.template_text(values).await?;
        documents(&rendered).with_context(|| format!("what the chart renders for {values}"))
    }

    /// The same as Helm prints it. Reading half a megabyte of YAML takes longer than anything else that is done with it.
    ///
    /// # Errors
    /// If the chart refuses the values.
    pub async fn template_text(&self, values: &Value) -> anyhow::Result<String> {
        self.run_with(&["template", RELEASE, &chart()], values).await?.ok()
    }
}

/// The image with Helm that is on the node after [`load_image`].
pub const IMAGE: &str = "localhost/imgop-test/helm:1";

/// Puts an image with Helm onto the node, as an administrator names one in `HELM_IMAGE`.
pub async fn load_image(environment: &Environment) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("imgop-helm-image-").tempdir()?;
    let archive = folder.path().join("helm.tar").display().to_string();
    for (script, arguments) in [("images/helm", vec![IMAGE, &archive]), ("load-image", vec![&archive])] {
        let mut command = tokio::process::Command::new(testbed_scripts().join(script));
        command.args(arguments);
        command.env("IMGOP_TEST_KUBECONFIG", &environment.kubeconfig);
        command.env("IMGOP_CLUSTER_DIR", &environment.folder);
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().await?;
        ensure!(status.success(), "tests/testbed/{script}: {status}");
    }
    Ok(())
}

/// The folder of the chart.
pub fn chart() -> String {
    repository_root().join("manifests/chart").display().to_string()
}

/// The documents of a YAML stream that are not empty.
pub fn documents(text: &str) -> anyhow::Result<Vec<Value>> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text)?;
    Ok(all.into_iter().filter(|document| !document.is_null()).collect())
}

fn program() -> anyhow::Result<PathBuf> {
    let script = testbed_scripts().join("helm");
    let output = Command::new(script).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "tests/testbed/helm: {}", output.status);
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim_end()))
}
