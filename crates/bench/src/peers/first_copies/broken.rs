//! A large blob whose copy is killed half-way and begun again, and one whose source breaks off.

use serde::Serialize;

use super::tools::{Copies, Tool};
use crate::data::{HALF, HALF_BYTES, HALF_TAG};
use crate::measures::{Bench, Expected, percent};
use crate::report::say;

/// What is moved more than once.
#[derive(Serialize)]
pub struct Broken {
    pub tool: &'static str,
    /// Killed when half of the blob was sent, and started again: of its bytes, those sent more than once.
    pub killed_sent_again_percent: f64,
    /// The source broke off after half of the blob: of its bytes, those read more than once.
    pub cut_read_again_percent: f64,
    /// Copies that were not there in the end, of two.
    pub failures: usize,
}

/// Breaks a copy of each program.
pub async fn measure(bench: &Bench) -> anyhow::Result<Vec<Broken>> {
    let mut all = Vec::new();
    for tool in Tool::ALL {
        say(&format!("broken: {}", tool.described()));
        let (killed, not_killed) = killed(bench, tool).await?;
        let (cut, not_cut) = cut(bench, tool).await?;
        all.push(Broken {
            tool: tool.name(),
            killed_sent_again_percent: again(killed),
            cut_read_again_percent: again(cut),
            failures: not_killed + not_cut,
        });
    }
    Ok(all)
}

/// Kills a copy half-way, and starts it again. Returns the bytes that were sent in all.
async fn killed(bench: &Bench, tool: Tool) -> anyhow::Result<(u64, usize)> {
    let copies = Copies::of_tag(bench, "killed", tool, 0, (HALF, HALF_TAG))?;
    bench.begin(0);
    let half = bench.target.sent(HALF_BYTES / 2);
    let mut first = bench.programs.start(&copies.command)?;
    tokio::select! {
        () = half => first.kill().await?,
        ended = first.wait() => say(&format!("  it ended before: {}", ended?)),
    }
    // The registry ends an upload that breaks off, before it tells how much it has.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    bench.programs.start(&copies.command)?.wait().await?;
    let expected = Expected { repositories: vec![(copies.repository, 1)] };
    Ok((bench.target.take_bytes().sent, expected.missing(bench).await?))
}

/// Lets the source break off half-way. Returns the bytes that were read in all.
async fn cut(bench: &Bench, tool: Tool) -> anyhow::Result<(u64, usize)> {
    let copies = Copies::of_tag(bench, "cut", tool, 0, (HALF, HALF_TAG))?;
    bench.begin(0);
    bench.source.cut_at(HALF_BYTES / 2);
    bench.programs.start(&copies.command)?.wait().await?;
    let expected = Expected { repositories: vec![(copies.repository, 1)] };
    Ok((bench.source.take_bytes().read, expected.missing(bench).await?))
}

/// Returns how many of a hundred bytes were moved again.
fn again(bytes: u64) -> f64 {
    percent(bytes.saturating_sub(HALF_BYTES), HALF_BYTES)
}
