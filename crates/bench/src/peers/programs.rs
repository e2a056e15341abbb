//! The programs that are compared, run as they are, with time and memory.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, bail};
use serde_json::json;
use tokio::process::{Child, Command};

use crate::data::Pair;

/// Where everything is.
pub struct Programs {
    /// imgop's `imgop-bench-observe`.
    pub observe: PathBuf,
    /// The plugin.
    pub plugin: PathBuf,
    /// The folder with `regsync` and `crane`.
    pub peers: PathBuf,
    /// For what they read and write.
    pub scratch: PathBuf,
    /// The proxies of both registries, as `host:port`.
    pub source: String,
    pub target: String,
}

/// One run.
pub struct Run {
    pub seconds: f64,
    /// The most memory that was resident, in MB of 1,000,000 bytes.
    pub rss_mb: f64,
    pub output: String,
    /// What it said, if it failed.
    pub error: Option<String>,
}

impl Programs {
    /// Returns where crane is.
    pub fn crane(&self) -> PathBuf {
        self.peers.join("crane")
    }

    /// Starts a program whose end, time and memory its caller minds. How it ends says nothing: what it has done is seen at
    /// the destination.
    pub fn start(&self, command: &[OsString]) -> anyhow::Result<Child> {
        let (program, arguments) = command.split_first().context("no command")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("HOME", &self.scratch)
            .env("DOCKER_CONFIG", &self.scratch)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        Ok(command.spawn()?)
    }

    /// Runs a program that must not fail to its end.
    pub async fn run(&self, arguments: &[&OsStr]) -> anyhow::Result<Run> {
        let run = self.attempt(arguments).await?;
        match &run.error {
            Some(error) => bail!("{arguments:?}: {error}"),
            None => Ok(run),
        }
    }

    /// Runs a program to its end.
    pub async fn attempt(&self, arguments: &[&OsStr]) -> anyhow::Result<Run> {
        let memory = self.scratch.join("peak");
        let mut command = Command::new("/usr/bin/time");
        // No logins, and no files of the user's home.
        command
            .args(["--format", "%M", "--output"])
            .arg(&memory)
            .args(arguments)
            .env("HOME", &self.scratch)
            .env("DOCKER_CONFIG", &self.scratch)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let began = Instant::now();
        let output = command.output().await.context("no /usr/bin/time")?;
        let seconds = began.elapsed().as_secs_f64();
        let errors = String::from_utf8_lossy(&output.stderr);
        let error = (!output.status.success()).then(|| errors.trim_end().to_owned());
        // Before the figure of a program that fails stands that it did.
        let written = std::fs::read_to_string(&memory)?;
        let kib: f64 = written.lines().last().unwrap_or_default().trim().parse()?;
        let output = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(Run { seconds, rss_mb: kib * 1024.0 / 1e6, output, error })
    }

    /// Prepares a pass of imgop over these, which reads what it needs to know from a pass before.
    pub async fn prepare_pass(&self, name: &str, copies: &[Pair], kind: Pass) -> anyhow::Result<PathBuf> {
        let copies: Vec<_> = copies
            .iter()
            .map(|pair| {
                json!({
                    "source": format!("{}/{}", self.source, pair.source),
                    "version": pair.tag,
                    "destination": format!("{}/{}", self.target, pair.target),
                })
            })
            .collect();
        let known = self.scratch.join(format!("{name}-known.json"));
        let write = |file: &Path, known: Option<&Path>, save: Option<&Path>| {
            let job = json!({
                "copies": copies,
                "immutable": kind.immutable,
                "share_lists_seconds": kind.share_lists_seconds,
                "known": known,
                "save": save,
            });
            std::fs::write(file, job.to_string())
        };
        let first = self.scratch.join(format!("{name}-first.json"));
        write(&first, None, Some(&known))?;
        self.run(&[self.observe.as_ref(), "observe".as_ref(), first.as_ref()]).await?;
        let second = self.scratch.join(format!("{name}.json"));
        write(&second, Some(&known), None)?;
        Ok(second)
    }

    /// A configuration for regsync: `sync` entries of this type.
    pub fn regsync_config(&self, name: &str, parallel: usize, sync: &[Pair]) -> anyhow::Result<PathBuf> {
        let entries: Vec<_> = sync
            .iter()
            .map(|pair| {
                let (kind, tag) = match pair.tag.as_str() {
                    "" => ("repository", String::new()),
                    tag => ("image", format!(":{tag}")),
                };
                json!({
                    "source": format!("{}/{}{tag}", self.source, pair.source),
                    "target": format!("{}/{}{tag}", self.target, pair.target),
                    "type": kind,
                })
            })
            .collect();
        let registries =
            [&self.source, &self.target].map(|host| json!({"registry": host, "tls": "disabled"}));
        let config =
            json!({"version": 1, "creds": registries, "defaults": {"parallel": parallel}, "sync": entries});
        // JSON is YAML.
        let file = self.scratch.join(format!("{name}-regsync.yaml"));
        std::fs::write(&file, config.to_string())?;
        Ok(file)
    }
}

/// What imgop observes with.
#[derive(Clone, Copy)]
pub struct Pass {
    pub immutable: bool,
    pub share_lists_seconds: u64,
}
