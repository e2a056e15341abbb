//! The time of `kubectl imgop mirror export`.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use imgop_core::api::{ImageMirror, ImageMirrorSpec};
use tokio::process::Command;

const RUNS: usize = 11;

/// Medians of whole processes.
pub struct Seconds {
    /// As regsync.yaml.
    pub regsync: f64,
    /// As rancher's config.yaml.
    pub rancher: f64,
}

/// Measures it.
pub async fn measure(plugin: &Path, folder: &Path, spec: &ImageMirrorSpec) -> anyhow::Result<Seconds> {
    std::fs::create_dir_all(folder)?;
    let file = folder.join("mirror.json");
    std::fs::write(&file, serde_json::to_vec(&ImageMirror::new("inventory", spec.clone()))?)?;
    let rows: usize = spec.entries.iter().map(|entry| entry.tags.len()).sum();
    let [regsync, rancher] =
        ["regsync", "rancher"].map(|format| seconds(plugin, folder, &file, format, rows));
    Ok(Seconds { regsync: regsync.await?, rancher: rancher.await? })
}

async fn seconds(
    plugin: &Path,
    home: &Path,
    file: &Path,
    format: &str,
    least_lines: usize,
) -> anyhow::Result<f64> {
    let mut all = Vec::new();
    for _ in 0..RUNS {
        let mut command = Command::new(plugin);
        command.args(["mirror", "export", "--format", format]).arg(file);
        command.env_clear().env("HOME", home).stdin(Stdio::null());
        let began = Instant::now();
        let output = command.output().await.with_context(|| plugin.display().to_string())?;
        all.push(began.elapsed().as_secs_f64());
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "mirror export --format {format}: {said}");
        let lines = String::from_utf8_lossy(&output.stdout).lines().count();
        ensure!(lines >= least_lines, "{format}: {lines} lines");
    }
    all.sort_by(f64::total_cmp);
    Ok((all[all.len() / 2] * 1e3).round() / 1e3)
}
