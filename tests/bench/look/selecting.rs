//! Choosing from a list of 100,000 tags: how long it takes and how much memory, by matches.

use std::time::Instant;

use anyhow::Context as _;
use imgop_core::tags::{Filter, Tag, Version, select};
use serde_json::json;

const RUNS: usize = 5;

/// A JSON list with one entry for each version that is tried.
pub fn measured() -> anyhow::Result<String> {
    let mut tags: Vec<Tag> = (0..100_000)
        .map(|n| format!("v{}.{}.{}", n / 10_000, n / 100 % 100, n % 100).parse())
        .collect::<Result<_, _>>()?;
    tags.sort();
    let rows: Vec<serde_json::Value> = ["v1.2.x", "v1.x.x", "x.x.x", ">=5 <6", "x.x.x-alpine"]
        .into_iter()
        .map(|version| row(version, &tags))
        .collect::<Result<_, _>>()?;
    Ok(serde_json::to_string(&rows)?)
}

fn row(version: &str, tags: &[Tag]) -> anyhow::Result<serde_json::Value> {
    let parsed: Version = version.parse()?;
    let (mut times, mut memory, mut matches) = (Vec::new(), 0.0_f64, 0);
    for _ in 0..RUNS {
        // "5" sets the peak to what is resident now: proc(5), "/proc/pid/clear_refs".
        std::fs::write("/proc/self/clear_refs", "5")?;
        let before = memory_mb("VmHWM:")?;
        let began = Instant::now();
        let selection = select(&parsed, false, &Filter::default(), tags, 100);
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        memory = memory.max(memory_mb("VmHWM:")? - before);
        matches = selection.tags.len();
    }
    times.sort_by(f64::total_cmp);
    Ok(json!({
        "version": version,
        "tags": tags.len(),
        "matches": matches,
        "milliseconds": (times[RUNS / 2] * 10.0).round() / 10.0,
        "peak_growth_mb": (memory * 10.0).round() / 10.0,
    }))
}

fn memory_mb(field: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1e6)
}
