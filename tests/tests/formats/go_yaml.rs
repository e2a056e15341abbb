//! The YAML library that rancher's tools use, in a process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

/// The process. It ends with its input.
pub struct GoYaml {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl GoYaml {
    /// Compiles it, which takes seconds the first time, and starts it.
    pub fn start() -> anyhow::Result<Self> {
        let program = compiled()?;
        let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = BufReader::new(child.stdout.take().context("its output")?);
        Ok(Self { input: child.stdin.take(), child, output })
    }

    /// Returns the YAML that it writes.
    pub fn written(&mut self, kind: &str, text: &str) -> anyhow::Result<String> {
        let input = self.input.as_mut().context("its input")?;
        writeln!(input, "{}", json!({ "kind": kind, "text": text }))?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        match serde_json::from_str(&line)? {
            Value::String(text) => Ok(text),
            other => bail!("go-yaml: {other}"),
        }
    }
}

impl Drop for GoYaml {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

fn compiled() -> anyhow::Result<PathBuf> {
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/formats/go-yaml");
    // Processes that compile at once write different files.
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("go-yaml-{}", std::process::id()));
    let mut go = Command::new("go");
    go.args(["build", "-mod=readonly", "-buildvcs=false", "-o"]).arg(&program).arg(".");
    let status = go.current_dir(sources).env("CGO_ENABLED", "0").stdin(Stdio::null()).status();
    let status = status.context("Go 1.26 is needed: https://go.dev/dl")?;
    ensure!(status.success(), "{sources} does not build");
    Ok(program)
}
