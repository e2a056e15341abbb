//! Choosing from a list of 100,000 tags, and from 10,000 while a version is typed: how long it takes and how much
//! memory, by matches.

use std::time::Instant;

use anyhow::Context as _;
use imgop_core::selection::{Filter, TypedVersion, Version, select, typed_version};
use imgop_registry::reference::Tag;
use serde_json::json;

const RUNS: usize = 5;

/// A JSON list with one entry for each list of tags and version that is tried.
pub fn measured() -> anyhow::Result<String> {
    let plain = list(|n| format!("v{}.{}.{}", n / 10_000, n / 100 % 100, n % 100))?;
    let dated = list(|n| {
        let (year, month, day) = (1990 + n / 2_880, n / 240 % 12 + 1, n / 8 % 30 + 1);
        format!("{year}.{month:02}.{day:02}-alpine3.{}", 12 + n % 8)
    })?;
    let candidates = list(|n| format!("v{}.{}.{}-rc{}", n / 10_000, n / 1_000 % 10, n / 20 % 50, n % 20))?;
    let chosen = [
        (&plain, false, vec!["v1.2.x", "v1.x.x", "x.x.x", ">=5 <6", "x.x.x-alpine"]),
        (&dated, false, vec!["2024.01.x-alpine3.19", ">=1990-alpine3.19"]),
        (&candidates, true, vec!["v1.2.x", "x.x.x"]),
    ]
    .into_iter()
    .flat_map(|(tags, rc, versions)| versions.into_iter().map(move |version| selected(version, rc, tags)));
    // What a key costs while a version is typed, at each length of it.
    let few = &plain[..10_000];
    let typed = ["", "v", "v0.", "v0.5", "v0.5.", "v0.5.x", ">=0.5"].map(|text| typed(text, few));
    let rows: Vec<serde_json::Value> = chosen.chain(typed).collect::<Result<_, _>>()?;
    Ok(serde_json::to_string(&rows)?)
}

/// In the order in which registries list them.
fn list(name: impl Fn(u32) -> String) -> anyhow::Result<Vec<Tag>> {
    let mut tags: Vec<Tag> = (0..100_000).map(|n| name(n).parse()).collect::<Result<_, _>>()?;
    tags.sort();
    Ok(tags)
}

fn selected(version: &str, candidates: bool, tags: &[Tag]) -> anyhow::Result<serde_json::Value> {
    let parsed: Version = version.parse()?;
    row(version, tags, || select(&parsed, candidates, &Filter::default(), tags, 100).tags.len())
}

fn typed(text: &str, tags: &[Tag]) -> anyhow::Result<serde_json::Value> {
    row(&format!("{text:?} as typed"), tags, || match typed_version(text, false, tags) {
        TypedVersion::Selects(selection) => selection.tags.len(),
        TypedVersion::Begins(begun) => begun.len(),
    })
}

/// Measures what returns a number of matches.
fn row(version: &str, tags: &[Tag], choose: impl Fn() -> usize) -> anyhow::Result<serde_json::Value> {
    let (mut times, mut cpu_times) = (Vec::new(), Vec::new());
    let (mut memory, mut matches) = (0.0_f64, 0);
    for _ in 0..RUNS {
        // "5" sets the peak to what is resident now: proc(5), "/proc/pid/clear_refs".
        std::fs::write("/proc/self/clear_refs", "5")?;
        let before = memory_mb("VmHWM:")?;
        let (began, spent) = (Instant::now(), cpu_milliseconds()?);
        let chosen = choose();
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        cpu_times.push(cpu_milliseconds()? - spent);
        memory = memory.max(memory_mb("VmHWM:")? - before);
        matches = chosen;
    }
    times.sort_by(f64::total_cmp);
    cpu_times.sort_by(f64::total_cmp);
    Ok(json!({
        "version": version,
        "such_as": tags.last(),
        "tags": tags.len(),
        "matches": matches,
        "milliseconds": (times[RUNS / 2] * 10.0).round() / 10.0,
        "cpu_milliseconds": (cpu_times[RUNS / 2] * 10.0).round() / 10.0,
        "peak_growth_mb": (memory * 10.0).round() / 10.0,
    }))
}

/// What this thread has had of a processor: other programs make a choice slower, but not dearer.
fn cpu_milliseconds() -> anyhow::Result<f64> {
    // The first number is in nanoseconds (kernel documentation, "sched-stats.rst"). It is brought up
    // to date when another thread gets its turn.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = text.split(' ').next().context("no number")?.parse()?;
    Ok(nanoseconds / 1e6)
}

fn memory_mb(field: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1e6)
}
