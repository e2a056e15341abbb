//! A destination that answers few requests at a time and refuses the others.

use std::time::Instant;

use serde::Serialize;

use super::tools::{Copies, Tool};
use crate::data::{SHARED, Scale};
use crate::measures::{Bench, Expected, median, median_count, percent};
use crate::report::say;

/// Requests that the destination answers at a time.
const AT_A_TIME: u32 = 4;
/// How long each takes, in milliseconds.
const LATENCY: u32 = 20;

/// What it costs to copy to a destination that limits.
#[derive(Serialize)]
pub struct Limited {
    pub tool: &'static str,
    /// Of one run.
    pub requests: u64,
    pub refused: u64,
    pub refused_percent: f64,
    pub seconds: f64,
    /// What it would take if the requests that are needed were sent as fast as the destination takes them, and each were
    /// answered in the time that those of this program took.
    pub ideal_seconds: f64,
    /// Tags that were not copied, of all runs.
    pub failures: usize,
}

/// Copies the tags that share layers with each program.
pub async fn measure(bench: &Bench, scale: Scale) -> anyhow::Result<Vec<Limited>> {
    let mut all = Vec::new();
    bench.target.set_limit(usize::try_from(AT_A_TIME)?);
    for tool in Tool::ALL {
        let row = one(bench, tool, scale.shared_tags, scale.runs_of(tool)).await;
        if row.is_err() {
            bench.target.set_limit(0);
        }
        all.push(row?);
    }
    bench.target.set_limit(0);
    Ok(all)
}

async fn one(bench: &Bench, tool: Tool, tags: usize, runs: usize) -> anyhow::Result<Limited> {
    say(&format!("limited: {}", tool.described()));
    let (mut seconds, mut answers, mut requests, mut refused) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut failures = 0;
    for run in 0..runs {
        let copies = Copies::of_repository(bench, "limited", tool, run, (&bench.programs.source, SHARED))?;
        bench.begin(LATENCY.into());
        bench.target.take_answering();
        let began = Instant::now();
        // Whether it says that all went well is seen at the destination.
        bench.programs.start(&copies.command)?.wait().await?;
        seconds.push(began.elapsed().as_secs_f64());
        let counts = bench.target.take_counts();
        let of_run: u64 = counts.values().sum();
        let refusals = counts.iter().filter(|(name, _)| name.ends_with("(429)"));
        let refusals: u64 = refusals.map(|(_, count)| *count).sum();
        let accepted = f64::from(u32::try_from(of_run - refusals)?);
        answers.push(bench.target.take_answering() / accepted);
        refused.push(refusals);
        requests.push(of_run);
        let expected = Expected { repositories: vec![(copies.repository, tags)] };
        failures += expected.missing(bench).await?;
    }
    let (requests, refused) = (median_count(requests), median_count(refused));
    // A list, two requests a blob, one a manifest.
    let needed = u32::try_from(1 + 2 * (2 * tags + 2) + tags)?;
    Ok(Limited {
        tool: tool.name(),
        requests,
        refused,
        refused_percent: percent(refused, requests),
        seconds: median(seconds, 1_000.0),
        ideal_seconds: f64::from(needed) * median(answers, 1e6) / f64::from(AT_A_TIME),
        failures,
    })
}
