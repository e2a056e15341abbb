//! `kubectl` as a user runs it, with the plugin that is under test.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use crate::programs;

/// `kubectl` with a kubeconfig and, if one is set, a namespace.
#[derive(Debug, Clone)]
pub struct Kubectl {
    kubeconfig: PathBuf,
    namespace: Option<String>,
    programs: Option<PathBuf>,
    plugin: PathBuf,
    /// What kubectl remembers of an API server; another one may have answered at this address before.
    cache: Arc<TempDir>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// 0 for success; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Kubectl {
    /// `kubectl` from this folder, else from the PATH. Builds the plugin, so that no test's time runs
    /// while it compiles.
    ///
    /// # Errors
    /// If the plugin does not build.
    pub fn new(kubeconfig: &Path, programs: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self {
            kubeconfig: kubeconfig.to_owned(),
            namespace: None,
            programs: programs.map(Path::to_owned),
            plugin: programs::plugin()?,
            cache: Arc::new(tempfile::Builder::new().prefix("imgop-kubectl-").tempdir()?),
        })
    }

    /// The same, for commands in this namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..self.clone() }
    }

    /// Runs `kubectl` with these arguments.
    pub async fn run<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> anyhow::Result<Output> {
        self.run_with_input(arguments, "").await
    }

    /// Runs `kubectl imgop` with these arguments.
    pub async fn imgop<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> anyhow::Result<Output> {
        let mut all: Vec<OsString> = vec!["imgop".into()];
        all.extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self.run(all).await
    }

    /// `kubectl apply -f -` with this manifest.
    pub async fn apply(&self, manifest: &str) -> anyhow::Result<Output> {
        self.run_with_input(["apply", "-f", "-"], manifest).await
    }

    /// `kubectl imgop` with these arguments, to be run in a terminal.
    ///
    /// # Errors
    /// If `PATH` cannot be written.
    pub fn imgop_command(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let arguments: Vec<OsString> = ["imgop"].iter().chain(arguments).map(OsString::from).collect();
        self.command(&arguments)
    }

    fn command(&self, arguments: &[OsString]) -> anyhow::Result<Command> {
        let mut command = Command::new(self.kubectl());
        // A plugin gets its own flags only, so the namespace stands behind its name.
        let is_plugin = arguments.first().is_some_and(|first| first == "imgop");
        let mut folders: Vec<PathBuf> = self.programs.iter().cloned().collect();
        if is_plugin {
            folders.extend(self.plugin.parent().map(Path::to_owned));
        }
        folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        command
            .args(arguments)
            .args(self.namespace.iter().flat_map(|namespace| ["--namespace", namespace]))
            .env("PATH", std::env::join_paths(folders)?)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBECACHEDIR", self.cache.path())
            .envs([("NO_COLOR", "1"), ("COLUMNS", "100"), ("TZ", "UTC")])
            // It ends before its garbage matters.
            .env("GOGC", "400");
        // Test clusters and registries are on this machine.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        Ok(command)
    }

    /// Runs `kubectl` with these arguments and this standard input.
    pub async fn run_with_input<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        input: &str,
    ) -> anyhow::Result<Output> {
        let arguments: Vec<OsString> = arguments.into_iter().map(|a| a.as_ref().to_owned()).collect();
        run(self.command(&arguments)?, input).await
    }

    fn kubectl(&self) -> PathBuf {
        match &self.programs {
            Some(folder) => folder.join("kubectl"),
            None => "kubectl".into(),
        }
    }
}

/// Runs a command with this standard input.
pub(crate) async fn run(command: Command, input: &str) -> anyhow::Result<Output> {
    let program = command.get_program().to_owned();
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("{} does not start", program.display()))?;
    let mut stdin = child.stdin.take().context("it has no standard input")?;
    let write = async {
        stdin.write_all(input.as_bytes()).await.ok(); // it may have ended already
        drop(stdin);
    };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    let output = output.with_context(|| format!("{} does not run", program.display()))?;
    Ok(Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

impl Output {
    /// Standard output of a command that must have succeeded.
    pub fn ok(self) -> anyhow::Result<String> {
        match self.code {
            Some(0) => Ok(self.stdout),
            code => bail!("the command ended with {code:?}: {}{}", self.stdout, self.stderr),
        }
    }

    /// Standard error of a command that must have failed.
    pub fn failed(self) -> anyhow::Result<String> {
        match self.code {
            Some(0) => bail!("the command should have failed but said: {}", self.stdout),
            _ => Ok(self.stderr),
        }
    }
}
