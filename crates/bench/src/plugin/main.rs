//! What the plugin costs its user: the time of `--help`, the times of a preview and of the check of a Dockerfile where
//! each request takes 20 ms, the time of a key while a version is typed, and its size. `crates/bench/run-plugin` starts this; docs/benchmarks.md
//! says what the figures mean.

mod typing;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use imgop_bench::proxy::{Counts, Proxy};
use imgop_bench::results;
use imgop_fakes::Catalog;
use imgop_registry::reference::Digest;
use serde_json::json;
use tokio::process::Command;

/// Tags of the pattern that is previewed; the destination has every other one of them.
const TAGS: usize = 100;
const LATENCY_MS: u64 = 20;
const RUNS: usize = 11;
/// Base images of the Dockerfile that is checked, and its lines.
const BASES: usize = 3;
const LINES: usize = 50;

/// What was measured.
struct Measured {
    help_ms: f64,
    preview_seconds: f64,
    requests: Counts,
    check_seconds: f64,
    check_requests: Counts,
    key_ms: f64,
    size_mb: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // An error means that there is a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [plugin, folder] = &arguments[..] else {
        bail!("usage: imgop-bench-plugin PLUGIN FOLDER; but start it with crates/bench/run-plugin");
    };
    let (plugin, folder) = (PathBuf::from(plugin), PathBuf::from(folder));
    let measured = measure(&plugin, &folder).await?;
    print(&measured)?;
    let figures = json!({
        "help_ms": measured.help_ms,
        "preview_100_tags_seconds_20ms": measured.preview_seconds,
        "preview_100_tags_requests": measured.requests,
        "check_50_lines_seconds_20ms": measured.check_seconds,
        "check_50_lines_requests": measured.check_requests,
        "slowest_key_10000_tags_ms": measured.key_ms,
        "size_mb": measured.size_mb,
        "runs": RUNS,
    });
    results::merge(&folder.join("results.json"), [("plugin".to_owned(), figures)].into_iter().collect())
}

async fn measure(plugin: &Path, folder: &Path) -> anyhow::Result<Measured> {
    let tags: Vec<String> = (0..TAGS).map(|n| format!("v1.0.{n}")).collect();
    let base = index_of_amd64().to_string();
    let of = |tags: &mut dyn Iterator<Item = &String>| {
        let tags: Vec<(&str, &str)> = tags.map(|tag| (tag.as_str(), tag.as_str())).collect();
        let catalog = Catalog::default().with("team/app", &tags);
        (0..BASES).fold(catalog, |catalog, n| catalog.with(&base_name(n), &[("1", &base)])).start()
    };
    let (source, target) = (of(&mut tags.iter()).await, of(&mut tags.iter().step_by(2)).await);
    let source_proxy = Proxy::start("source", source.address.parse()?).await?;
    let target_proxy = Proxy::start("target", target.address.parse()?).await?;
    let proxies = [source_proxy, target_proxy];
    let [from, to] = proxies.each_ref().map(|proxy| format!("{}/team/app", proxy.address));
    let (mut help, mut preview, mut check) = (Vec::new(), Vec::new(), Vec::new());
    let (mut requests, mut check_requests) = (Counts::new(), Counts::new());
    let context = folder.join("checked");
    std::fs::create_dir_all(&context)?;
    std::fs::write(context.join("Dockerfile"), dockerfile(&proxies[0].address.to_string()))?;
    let context = context.to_string_lossy().into_owned();
    for proxy in &proxies {
        proxy.set_latency(LATENCY_MS);
    }
    for _ in 0..RUNS {
        help.push(run(plugin, folder, &["--help"], "Usage: kubectl imgop").await?);
        let expected = format!("{TAGS} tags: {} to copy, {} up to date", TAGS / 2, TAGS / 2);
        preview.push(run(plugin, folder, &["preview", &format!("{from}:v1.0.x"), &to], &expected).await?);
        requests = proxies.iter().flat_map(Proxy::take_counts).collect();
        let arguments = ["build", &context, "--check", "--platform", "linux/amd64", "-t", &format!("{to}:1")];
        check.push(run(plugin, folder, &arguments, "Would push").await?);
        check_requests = proxies.iter().flat_map(Proxy::take_counts).collect();
    }
    let size = std::fs::metadata(plugin)?.len();
    Ok(Measured {
        help_ms: rounded(median(help) * 1e3, 10.0),
        preview_seconds: rounded(median(preview), 1e3),
        requests,
        check_seconds: rounded(median(check), 1e3),
        check_requests,
        key_ms: rounded(typing::slowest_key_ms(plugin, folder).await, 10.0),
        #[expect(clippy::cast_precision_loss, reason = "no program is that large")]
        size_mb: rounded(size as f64 / 1e6, 10.0),
    })
}

fn base_name(number: usize) -> String {
    format!("team/base-{number}")
}

/// Returns an index of one platform; nothing reads the manifest that it names.
fn index_of_amd64() -> serde_json::Value {
    json!({
        "schemaVersion": 2,
        "mediaType": imgop_fakes::INDEX,
        "manifests": [{
            "mediaType": imgop_fakes::IMAGE,
            "digest": Digest::of(b"a manifest").to_string(),
            "size": 10,
            "platform": { "os": "linux", "architecture": "amd64" },
        }],
    })
}

/// Returns a Dockerfile with a stage for each base image, and a `COPY` from each one into the last.
fn dockerfile(registry: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for base in 0..BASES {
        lines.push(format!("FROM {registry}/{}:1 AS stage{base}", base_name(base)));
        let runs = LINES / BASES - 2;
        lines.extend((0..runs).map(|n| format!("RUN make -C /src/{base} part-{n}")));
        lines.extend((0..base).map(|earlier| format!("COPY --from=stage{earlier} /out /out/{earlier}")));
    }
    let missing = LINES.saturating_sub(lines.len());
    lines.extend((0..missing).map(|n| format!("LABEL label{n}=\"{n}\"")));
    lines.join("\n") + "\n"
}

/// Runs the plugin, and returns how many seconds it took. It finds no cluster and no login, and prints this.
async fn run(plugin: &Path, home: &Path, arguments: &[&str], expected: &str) -> anyhow::Result<f64> {
    let mut command = Command::new(plugin);
    command.args(arguments).env_clear().env("HOME", home).stdin(Stdio::null());
    let began = Instant::now();
    let output = command.output().await.with_context(|| plugin.display().to_string())?;
    let seconds = began.elapsed().as_secs_f64();
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success() && printed.contains(expected),
        "{arguments:?} printed {printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(seconds)
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

fn rounded(number: f64, precision: f64) -> f64 {
    (number * precision).round() / precision
}

fn print(measured: &Measured) -> std::io::Result<()> {
    let Measured { help_ms, preview_seconds, requests, check_seconds, check_requests, key_ms, size_mb } =
        measured;
    let mut out = std::io::stdout().lock();
    writeln!(out, "--help: {help_ms} ms (target: 20)")?;
    writeln!(out, "a preview of {TAGS} tags at {LATENCY_MS} ms: {preview_seconds} s (target: 0.6)")?;
    for (kind, count) in requests {
        writeln!(out, "  {count} × {kind}")?;
    }
    writeln!(out, "build --check of {LINES} lines and {BASES} bases: {check_seconds} s (target: 0.3)")?;
    for (kind, count) in check_requests {
        writeln!(out, "  {count} × {kind}")?;
    }
    writeln!(out, "the slowest key over 10,000 tags: {key_ms} ms (target: 50)")?;
    writeln!(out, "size: {size_mb} MB (target: 15)\nmedians of {RUNS} runs of whole processes")
}
