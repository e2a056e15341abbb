//! The agent while very many Images wait for a place for their Jobs, of which none ever ends.

use std::time::{Duration, Instant};

use imgop_tests::wait;
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::{DeleteParams, ListParams};

use crate::images::{Images, NAMESPACE};
use crate::report::{Waiting, say};
use crate::scenarios::{hundredths, megabytes, quiet};
use crate::setup::Setup;

const IMAGES: usize = 10_000;
/// Until all have been observed once.
const DEADLINE: Duration = Duration::from_mins(15);
const SETTLE: Duration = Duration::from_secs(30);
/// How long CPU time and passes are counted.
const WINDOW: Duration = Duration::from_mins(1);

/// How the Images say what they mean, and what the agent shows of them.
#[derive(Debug, Clone, Copy)]
pub enum Waits {
    /// A pattern each; metrics name no object.
    ForPatterns,
    /// Tags one by one; metrics name objects.
    ForTags,
}

/// Measures it.
pub async fn waiting(setup: &Setup, waits: Waits) -> anyhow::Result<Waiting> {
    say(&format!("the agent while {IMAGES} Images wait for a place for their Jobs: {waits:?}"));
    let images = Images::new(setup);
    let (tags, settings): (&[&str], &[_]) = match waits {
        Waits::ForPatterns => (&[], &[]),
        Waits::ForTags => (&["1.0.0", "1.1.0", "1.2.0", "1.3.0"], &[("METRICS_NAME_OBJECTS", "true")]),
    };
    let agent = setup.start_agent_with(settings).await?;
    images.make_missing(IMAGES, tags).await?;
    say("  made; waiting until all have a status");
    wait::poll("all Images have a status", DEADLINE, || async {
        // Lists of thousands would be more work than what is measured.
        if agent.counter("imgop_status_writes_total").await? < IMAGES as u64 {
            return Ok(None);
        }
        Ok((images.with_status().await? == IMAGES).then_some(()))
    })
    .await?;
    let cpu_until = agent.cpu_seconds()?;
    let passes_until = agent.counter("imgop_reconciliations_total").await?;
    quiet(&agent, "settling", SETTLE).await?;

    let (cpu, passes, began) =
        (agent.cpu_seconds()?, agent.counter("imgop_reconciliations_total").await?, Instant::now());
    quiet(&agent, "counting", WINDOW).await?;
    let (cpu, elapsed) = (agent.cpu_seconds()? - cpu, began.elapsed());
    let passes = agent.counter("imgop_reconciliations_total").await? - passes;
    let memory = agent.memory()?;
    agent.stop().await?;
    images.delete().await?;
    // Nothing here deletes what belonged to them.
    let jobs: Api<Job> = Api::namespaced(setup.client.clone(), NAMESPACE);
    jobs.delete_collection(&DeleteParams::background(), &ListParams::default()).await?;
    Ok(Waiting {
        images: IMAGES,
        rss_mb: megabytes(memory.resident)?,
        rss_anonymous_mb: megabytes(memory.anonymous)?,
        hwm_mb: megabytes(memory.peak)?,
        cpu_seconds_until_queued: hundredths(cpu_until),
        passes_until_queued: passes_until,
        window_seconds: elapsed.as_secs(),
        cpu_seconds: hundredths(cpu),
        cpu_percent_of_a_core: hundredths(cpu / elapsed.as_secs_f64() * 100.0),
        passes,
    })
}
