//! Helm, the program: renders charts, and packs those of this machine, with a configuration of its own.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use imgop_core::sources::ChartRun;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

/// How long Helm may take for a chart.
const TIMEOUT: Duration = Duration::from_mins(2);
/// Bytes of rendered YAML.
const MAX_BYTES: u64 = 64 << 20;
/// Bytes of what Helm says of an error.
const MAX_ERROR_BYTES: u64 = 1 << 20;

/// Why a chart is not rendered.
#[derive(Debug, thiserror::Error)]
pub enum HelmError {
    /// There is no such program.
    #[error("helm is not installed; install it, or name its program with --helm")]
    NotInstalled,
    /// It does not run.
    #[error("helm does not run: {0}")]
    Run(#[from] io::Error),
    /// It takes too long.
    #[error("helm takes longer than {} minutes", TIMEOUT.as_secs() / 60)]
    Timeout,
    /// It prints too much.
    #[error("the chart has more than {} MiB when it is rendered", MAX_BYTES >> 20)]
    TooLarge,
    /// It says that it has an archive, and there is none.
    #[error("helm made no archive of the chart")]
    NoArchive,
    /// It refuses.
    #[error("helm: {0}")]
    Failed(String),
}

/// Returns the YAML that Helm makes of a chart. Nothing of the user's Helm is read or changed but its logins to registries.
pub async fn template(helm: &OsStr, run: &ChartRun) -> Result<String, HelmError> {
    let home = home()?;
    let mut command = command(helm, home.path());
    let rendered = output(command.args(run.template_arguments()));
    let text = tokio::time::timeout(TIMEOUT, rendered).await.map_err(|_| HelmError::Timeout)??;
    String::from_utf8(text).map_err(|_| HelmError::Failed("what it prints is no UTF-8".to_owned()))
}

/// Returns the archive of a chart that is a folder; of one that is larger, a byte more than `max_bytes`.
pub async fn packed(helm: &OsStr, run: &ChartRun, max_bytes: usize) -> Result<Vec<u8>, HelmError> {
    let home = home()?;
    let folder = home.path().join("archives");
    std::fs::create_dir(&folder)?;
    let mut command = command(helm, home.path());
    let packed = output(command.args(run.archive_arguments(&folder.display().to_string())));
    tokio::time::timeout(TIMEOUT, packed).await.map_err(|_| HelmError::Timeout)??;
    let archive = std::fs::read_dir(&folder)?.next().ok_or(HelmError::NoArchive)??;
    let mut bytes = Vec::new();
    // One byte more, so that what is too large is seen.
    let file = std::fs::File::open(archive.path())?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, max_bytes as u64 + 1), &mut bytes)?;
    Ok(bytes)
}

fn home() -> io::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("imgop-helm-").tempdir()
}

fn command(helm: &OsStr, home: &Path) -> Command {
    let mut command = Command::new(helm);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // A chart that is rendered needs no cluster, and must not look at one.
    command.env("KUBECONFIG", home.join("none"));
    for name in ["CACHE", "CONFIG", "DATA"] {
        command.env(format!("HELM_{name}_HOME"), home.join(name.to_lowercase()));
    }
    for name in ["HELM_REPOSITORY_CONFIG", "HELM_REPOSITORY_CACHE", "HELM_PLUGINS"] {
        command.env_remove(name);
    }
    command
}

async fn output(command: &mut Command) -> Result<Vec<u8>, HelmError> {
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => HelmError::NotInstalled,
        _ => HelmError::Run(error),
    })?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (text, errors) = tokio::try_join!(read(stdout, MAX_BYTES), read(stderr, MAX_ERROR_BYTES))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(HelmError::TooLarge);
    }
    if child.wait().await?.success() {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&errors);
    let last = errors.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    Err(HelmError::Failed(imgop_registry::printable(last.trim_start_matches("Error: "))))
}

/// Reads what a program prints, one byte more than the limit at most.
async fn read(from: Option<impl AsyncRead + Unpin>, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(limit + 1).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}
