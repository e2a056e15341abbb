//! What is measured, one after the other, each with an agent of its own.

use std::time::{Duration, Instant};

use imgop_tests::agent_process::AgentProcess;
use imgop_tests::api_server::install_crds;
use imgop_tests::wait;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, to_value};
use tokio::time::sleep;

use crate::images::Images;
use crate::report::{Idle, NoopSyncs, Results, Sync, merge, per_minute, say, sum, total};
use crate::setup::Setup;
use crate::waiting::Waits;
use crate::{access_log, audit_log, builders, silent, waiting};

/// How long the agent has nothing to do before its memory is read.
pub const SETTLE: Duration = Duration::from_mins(1);
/// How long requests and CPU time are counted while nothing is due.
pub const SHORT: Duration = Duration::from_mins(2);
/// And where every Image is due once in five minutes.
const LONG: Duration = Duration::from_mins(5);

/// How many Images are synced, in which mode, and for how long is counted.
type IdleCase = (usize, &'static str, Duration);

const IDLE_0: IdleCase = (0, "", SHORT);
const IDLE_100: IdleCase = (100, "Recurrent", LONG);
const IDLE_1000: IdleCase = (1000, "OneShot", SHORT);
/// Each of them is looked at once in the window: a full resync.
const RESYNC_10000: IdleCase = (10_000, "Recurrent", LONG);

/// Measures everything.
pub async fn run(setup: &Setup) -> anyhow::Result<Results> {
    install_crds(&setup.client).await?;
    Ok(Results {
        measured_at: Timestamp::now().to_string(),
        first_status: silent::first_status(setup).await?,
        idle_0: idle(setup, IDLE_0).await?,
        noop_sync_4_tags: noop_syncs(setup).await?,
        idle_100: idle(setup, IDLE_100).await?,
        idle_1000: idle(setup, IDLE_1000).await?,
        resync_10000: idle(setup, RESYNC_10000).await?,
        waiting: waiting::waiting(setup, Waits::ForPatterns).await?,
        waiting_for_tags: waiting::waiting(setup, Waits::ForTags).await?,
        watching_builders: builders::watching(setup).await?,
        idle_builders: builders::idle(setup).await?,
    })
}

/// Measures what is in the results under this name.
pub async fn run_one(setup: &Setup, name: &str) -> anyhow::Result<Value> {
    install_crds(&setup.client).await?;
    Ok(match name {
        "first_status" => to_value(silent::first_status(setup).await?)?,
        "idle_0" => to_value(idle(setup, IDLE_0).await?)?,
        "noop_sync_4_tags" => to_value(noop_syncs(setup).await?)?,
        "idle_100" => to_value(idle(setup, IDLE_100).await?)?,
        "idle_1000" => to_value(idle(setup, IDLE_1000).await?)?,
        "resync_10000" => to_value(idle(setup, RESYNC_10000).await?)?,
        "waiting" => to_value(waiting::waiting(setup, Waits::ForPatterns).await?)?,
        "waiting_for_tags" => to_value(waiting::waiting(setup, Waits::ForTags).await?)?,
        "watching_builders" => to_value(builders::watching(setup).await?)?,
        "idle_builders" => to_value(builders::idle(setup).await?)?,
        _ => anyhow::bail!("there is no scenario {name:?}"),
    })
}

/// The agent with this many synced Images.
async fn idle(setup: &Setup, (count, mode, window): IdleCase) -> anyhow::Result<Idle> {
    say(&format!("the agent idling with {count} Images"));
    let images = Images::new(setup);
    let agent = setup.start_agent().await?;
    if count > 0 {
        images.synced(count, mode, "5m").await?;
    }
    let cpu_until_synced = agent.cpu_seconds()?;
    quiet(&agent, "settling", SETTLE).await?;
    let settled = agent.memory()?;

    let (before, cpu, began) = (Marks::now(setup).await?, agent.cpu_seconds()?, Instant::now());
    quiet(&agent, "counting", window).await?;
    let (after, elapsed) = (Marks::now(setup).await?, began.elapsed());
    let cpu_seconds = hundredths(agent.cpu_seconds()? - cpu);
    let api = setup.audit_log.count(before.audit, after.audit)?;
    let asked = merge(
        &setup.source.log.count(before.source, after.source)?,
        &setup.target.log.count(before.target, after.target)?,
    );
    let asked = per_minute(&asked, elapsed);
    let ended = agent.memory()?;
    agent.stop().await?;
    images.delete().await?;
    Ok(Idle {
        rss_mb: megabytes(settled.resident)?,
        rss_anonymous_mb: megabytes(settled.anonymous)?,
        hwm_mb: megabytes(ended.peak)?,
        window_seconds: elapsed.as_secs(),
        api_writes: api.writes,
        api_requests_per_minute: per_minute(&api.all, elapsed),
        registry_requests_per_minute: sum(&asked),
        registry_requests_per_minute_by_kind: asked,
        cpu_seconds,
        cpu_seconds_until_synced: cpu_until_synced,
    })
}

/// Syncs of one Image that find nothing to do: the first one of an agent, one whose time has come,
/// and one that was requested (which uses nothing that the agent remembers).
async fn noop_syncs(setup: &Setup) -> anyhow::Result<NoopSyncs> {
    say("syncs that find nothing to do");
    let images = Images::new(setup);
    let agent = setup.start_agent().await?;
    let begin = Marks::now(setup).await?;
    images.synced(1, "Recurrent", "10s").await?;
    let first_ended = Marks::now(setup).await?;
    let first = first_ended.since(&begin, setup)?;
    // A sync takes milliseconds, so each wait for quiet logs ends between two of them.
    let scheduled_ended = wait::poll("the next sync", Duration::from_mins(1), || async {
        let now = Marks::now(setup).await?;
        Ok((now.source != first_ended.source).then_some(now))
    })
    .await?;
    let scheduled = scheduled_ended.since(&first_ended, setup)?;
    images.sync_now(0).await?;
    let requested = Marks::now(setup).await?.since(&scheduled_ended, setup)?;
    agent.stop().await?;
    images.delete().await?;
    Ok(NoopSyncs {
        requests: total(&scheduled.source) + total(&scheduled.target),
        scheduled,
        requested,
        first,
    })
}

/// The ends of all three logs.
pub struct Marks {
    source: access_log::Mark,
    target: access_log::Mark,
    /// That of the API server.
    pub audit: audit_log::Mark,
}

impl Marks {
    /// Returns where they end now.
    pub async fn now(setup: &Setup) -> anyhow::Result<Self> {
        Ok(Self {
            source: setup.source.log.mark().await?,
            target: setup.target.log.mark().await?,
            audit: setup.audit_log.mark()?,
        })
    }

    /// Returns what was asked between two of them.
    pub fn since(&self, before: &Self, setup: &Setup) -> anyhow::Result<Sync> {
        let mut api = setup.audit_log.count(before.audit, self.audit)?.all;
        // They are renewed every minute, whatever else is done.
        api.retain(|kind, _| !kind.starts_with("watch "));
        Ok(Sync {
            source: setup.source.log.count(before.source, self.source)?,
            target: setup.target.log.count(before.target, self.target)?,
            api_server: api,
        })
    }
}

/// Waits, and says so every half minute. Ends early if the agent does.
pub async fn quiet(agent: &AgentProcess, what: &str, duration: Duration) -> anyhow::Result<()> {
    const SAID: Duration = Duration::from_secs(30);
    let began = Instant::now();
    while let Some(left) = duration.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
        say(&format!("  {what}: {} s to go", left.as_secs_f64().round()));
        sleep(left.min(SAID)).await;
        agent.memory()?;
    }
    Ok(())
}

/// Returns memory in MB (of 1,000,000 bytes), to a tenth.
pub fn megabytes(bytes: u64) -> anyhow::Result<f64> {
    Ok((f64::from(u32::try_from(bytes / 1000)?) / 100.0).round() / 10.0)
}

/// Returns a number to a hundredth.
pub fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
