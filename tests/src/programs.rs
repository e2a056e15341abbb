//! The programs under test.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, anyhow, ensure};

use crate::{repository_root, testbed_scripts};

/// What is built together, by the Makefile before the tests too: each by itself would have other features of what they
/// share, which would be compiled once for each, for minutes and while tests wait.
const PACKAGES: [&str; 3] = ["imgop-agent", "kubectl-imgop", "imgop-step"];

/// The kubectl plugin, as it is in the sources now.
pub fn plugin() -> anyhow::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    built(&BUILT, "kubectl-imgop")
}

/// The agent, as it is in the sources now.
pub fn agent() -> anyhow::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    built(&BUILT, "imgop-agent")
}

/// The agent as a program that loads libraries, in a folder of its own: those before it may show it another time.
pub fn dynamic_agent() -> anyhow::Result<PathBuf> {
    let folder = repository_root().join("target/dynamic");
    build_with(&["imgop-agent"], "imgop-agent", |cargo| {
        // In place of the flags of `.cargo/config.toml`.
        cargo.env("RUSTFLAGS", "-Ctarget-feature=-crt-static").env("CARGO_TARGET_DIR", &folder);
    })
}

/// What runs in the pods of builds, as it is in the sources now.
pub fn step() -> anyhow::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    built(&BUILT, "imgop-step")
}

/// Installs Debian's packages that are missing.
pub fn ensure_packages(packages: &[&str]) -> anyhow::Result<()> {
    let script = r#"source "$0/lib/common.sh"; source "$0/lib/packages.sh"; ensure_packages "$@""#;
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).arg(testbed_scripts()).args(packages);
    let status = command.stdin(Stdio::null()).status().context("bash does not start")?;
    ensure!(status.success(), "{} cannot be installed", packages.join(" "));
    Ok(())
}

fn built(once: &OnceLock<Result<PathBuf, String>>, package: &str) -> anyhow::Result<PathBuf> {
    once.get_or_init(|| build(package).map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(|said| anyhow!("{package} is needed, but {said}"))
}

/// `cargo test` builds only the tests' own package; a program that was built some time ago
/// would be tested instead of the sources.
fn build(package: &str) -> anyhow::Result<PathBuf> {
    build_with(&PACKAGES, package, |_| {})
}

/// Builds packages, and returns the program of one of them.
fn build_with(packages: &[&str], package: &str, set: impl FnOnce(&mut Command)) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--message-format", "json-render-diagnostics"]);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    // What cargo tells a running test about its package would make build scripts run again.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let of_this_package =
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];
        if of_this_package.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    set(&mut command);
    let output = command
        .current_dir(repository_root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo does not start")?;
    ensure!(output.status.success(), "it does not build");
    output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .find(|message| message["target"]["name"] == package && message["executable"].is_string())
        .and_then(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo does not say where it is")
}
