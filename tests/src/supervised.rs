//! Servers that the tests start, and that end with them, however they end.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};

use anyhow::{Context as _, ensure};

/// What a script of `tests/testbed` started in a folder.
#[derive(Debug)]
pub struct Supervised {
    /// Its folder. It is removed at the end.
    pub folder: PathBuf,
    /// Where `kubectl` and the other programs of the test cluster are.
    pub programs: PathBuf,
    /// Held, and never written to: the supervisor takes everything down when the kernel closes this
    /// pipe, which it does at the end of the process at the latest.
    _alive: ChildStdin,
}

impl Supervised {
    /// Runs `SCRIPT up FOLDER ARGUMENTS` with a new folder, and waits until that is done.
    pub async fn start(script: &'static str, arguments: Vec<String>) -> anyhow::Result<Self> {
        tokio::task::spawn_blocking(move || Self::start_now(script, &arguments)).await?
    }

    fn start_now(script: &str, arguments: &[String]) -> anyhow::Result<Self> {
        // The supervisor removes it.
        let folder = tempfile::Builder::new().prefix(&format!("imgop-{script}-")).tempdir()?.keep();
        let supervisor = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/supervise");
        let mut child = Command::new(&supervisor)
            .arg(script)
            .arg(&folder)
            .args(arguments)
            .process_group(0) // Ctrl-C ends the tests, and their end ends the server
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start {}", supervisor.display()))?;
        let (alive, output) = (child.stdin.take(), child.stdout.take());
        let alive = alive.context("the supervisor has no standard input")?;
        let mut line = String::new();
        BufReader::new(output.context("the supervisor has no standard output")?).read_line(&mut line)?;
        ensure!(!line.is_empty(), "see the message of tests/testbed/{script} above");
        Ok(Self { folder, programs: PathBuf::from(line.trim_end()), _alive: alive })
    }
}
