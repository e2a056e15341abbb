//! What is measured, one after the other, each with an agent of its own.

use std::time::{Duration, Instant};

use imgop_tests::api_server::install_crds;
use k8s_openapi::jiff::Timestamp;
use tokio::time::sleep;

use crate::agent::Agent;
use crate::images::Images;
use crate::report::{Idle, NoopSync, Results, merge, per_minute, say, sum, total};
use crate::setup::Setup;

/// How long the agent has nothing to do before its memory is read.
const SETTLE: Duration = Duration::from_mins(1);
/// How long requests and CPU time are counted while nothing is due.
const SHORT: Duration = Duration::from_mins(2);
/// And where every Image is due once in five minutes.
const LONG: Duration = Duration::from_mins(5);

/// Measures everything.
pub async fn run(setup: &Setup) -> anyhow::Result<Results> {
    install_crds(&setup.client).await?;
    Ok(Results {
        measured_at: Timestamp::now().to_string(),
        idle_0: idle(setup, 0, "", SHORT).await?,
        noop_sync_4_tags: noop_sync(setup).await?,
        idle_100: idle(setup, 100, "Recurrent", LONG).await?,
        idle_1000: idle(setup, 1000, "OneShot", SHORT).await?,
    })
}

/// The agent with this many synced Images.
async fn idle(setup: &Setup, count: usize, mode: &str, window: Duration) -> anyhow::Result<Idle> {
    say(&format!("the agent idling with {count} Images"));
    let images = Images::new(setup);
    let agent = Agent::start(setup).await?;
    if count > 0 {
        images.synced(count, mode, "5m").await?;
    }
    let cpu_until_synced = agent.cpu_seconds()?;
    quiet(&agent, "settling", SETTLE).await?;
    let settled = agent.memory()?;

    let (source, target) = (setup.source.log.mark().await?, setup.target.log.mark().await?);
    let (audit, cpu, began) = (setup.audit_log.mark()?, agent.cpu_seconds()?, Instant::now());
    quiet(&agent, "counting", window).await?;
    let elapsed = began.elapsed();
    let cpu_seconds = ((agent.cpu_seconds()? - cpu) * 100.0).round() / 100.0;
    let api = setup.audit_log.count(audit)?;
    let asked = merge(
        &setup.source.log.count(source, setup.source.log.mark().await?)?,
        &setup.target.log.count(target, setup.target.log.mark().await?)?,
    );
    let asked = per_minute(&asked, elapsed);
    let ended = agent.memory()?;
    agent.stop().await?;
    images.delete().await?;
    Ok(Idle {
        rss_mb: settled.resident,
        rss_anonymous_mb: settled.anonymous,
        hwm_mb: ended.peak,
        window_seconds: elapsed.as_secs(),
        api_writes: api.writes,
        api_requests_per_minute: per_minute(&api.all, elapsed),
        registry_requests_per_minute: sum(&asked),
        registry_requests_per_minute_by_kind: asked,
        cpu_seconds,
        cpu_seconds_until_synced: cpu_until_synced,
    })
}

/// One sync of one Image that finds nothing to do, by an agent that has synced it before.
async fn noop_sync(setup: &Setup) -> anyhow::Result<NoopSync> {
    say("one sync that finds nothing to do");
    let images = Images::new(setup);
    let agent = Agent::start(setup).await?;
    let before = (setup.source.log.mark().await?, setup.target.log.mark().await?);
    images.synced(1, "Recurrent", "1h").await?;
    let (source, target) = (setup.source.log.mark().await?, setup.target.log.mark().await?);
    let first_source = setup.source.log.count(before.0, source)?;
    let first_target = setup.target.log.count(before.1, target)?;
    let audit = setup.audit_log.mark()?;
    images.sync_now(0).await?;
    let at_source = setup.source.log.count(source, setup.source.log.mark().await?)?;
    let at_target = setup.target.log.count(target, setup.target.log.mark().await?)?;
    let mut api = setup.audit_log.count(audit)?.all;
    // They are renewed every minute, whatever else is done.
    api.retain(|kind, _| !kind.starts_with("watch "));
    agent.stop().await?;
    images.delete().await?;
    Ok(NoopSync {
        requests: total(&at_source) + total(&at_target),
        source: at_source,
        target: at_target,
        first_source,
        first_target,
        api_requests: api,
    })
}

/// Waits, and says so every half minute. Ends early if the agent does.
async fn quiet(agent: &Agent, what: &str, duration: Duration) -> anyhow::Result<()> {
    const SAID: Duration = Duration::from_secs(30);
    let began = Instant::now();
    while let Some(left) = duration.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
        say(&format!("  {what}: {} s to go", left.as_secs_f64().round()));
        sleep(left.min(SAID)).await;
        agent.memory()?;
    }
    Ok(())
}
