//! How long the first status of one tenant's Image takes while another tenant's registries accept
//! connections and never answer.

use std::net::TcpListener;
use std::time::Duration;

use tokio::time::sleep;

use crate::images::Images;
use crate::report::{FirstStatus, say};
use crate::setup::Setup;

/// Registries that never answer, and Images that copy from them.
const SILENT: usize = 200;
/// First statuses that are measured in each case.
const SAMPLES: usize = 9;
/// Until the passes of the silent Images have begun.
const BEGUN: Duration = Duration::from_secs(5);

/// Measures both with one agent.
pub async fn first_status(setup: &Setup) -> anyhow::Result<FirstStatus> {
    say(&format!("first statuses alone, and beside {SILENT} Images of registries that never answer"));
    let (healthy, silent) = (Images::new(setup), Images::in_namespace(setup, "silent"));
    let agent = setup.start_agent().await?;
    let alone = samples(&healthy).await?;
    // The kernel accepts what nothing here ever reads.
    let listeners: Vec<TcpListener> =
        (0..SILENT).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    for (number, listener) in listeners.iter().enumerate() {
        silent.make_unanswered(number, listener.local_addr()?).await?;
    }
    sleep(BEGUN).await;
    let beside = samples(&healthy).await?;
    agent.stop().await?;
    silent.delete().await?;
    let (alone_median, beside_greatest) = (median(&alone), greatest(&beside));
    say(&format!("  alone {alone:.3?} s; beside {beside:.3?} s"));
    Ok(FirstStatus {
        silent_images: SILENT,
        alone_median: rounded(alone_median),
        alone_greatest: rounded(greatest(&alone)),
        beside_median: rounded(median(&beside)),
        beside_greatest: rounded(beside_greatest),
        ratio: rounded(beside_greatest / alone_median),
    })
}

/// Returns seconds, sorted.
async fn samples(images: &Images<'_>) -> anyhow::Result<Vec<f64>> {
    let mut seconds = Vec::new();
    for number in 0..SAMPLES {
        seconds.push(images.first_status(number).await?.as_secs_f64());
    }
    images.delete().await?;
    seconds.sort_by(f64::total_cmp);
    Ok(seconds)
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn greatest(sorted: &[f64]) -> f64 {
    sorted.last().copied().unwrap_or(f64::NAN)
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
