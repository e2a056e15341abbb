//! What comes out.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use serde::Serialize;

/// How often each kind of thing was seen.
pub type Counts = BTreeMap<String, u64>;
/// How often each kind of thing was seen in a minute.
pub type Rates = BTreeMap<String, f64>;

/// Everything that was measured.
#[derive(Serialize)]
pub struct Results {
    pub measured_at: String,
    pub idle_0: Idle,
    pub idle_100: Idle,
    pub idle_1000: Idle,
    /// Each of 10,000 Images is looked at once while is counted.
    pub resync_10000: Idle,
    pub noop_sync_4_tags: NoopSyncs,
    pub first_status: FirstStatus,
    pub waiting: Waiting,
    /// With tags one by one, and metrics that name objects.
    pub waiting_for_tags: Waiting,
    pub watching_builders: WatchingBuilders,
    pub idle_builders: IdleBuilders,
}

/// Builders that watch base images and git repositories of which nothing moves.
#[derive(Serialize)]
pub struct WatchingBuilders {
    pub builders: usize,
    /// Base images that they watch.
    pub bases: usize,
    /// Git repositories that they watch.
    pub git_repositories: usize,
    /// HEADs in one period, of bases and of their own images.
    pub head_per_period: f64,
    /// All requests to registries in one period.
    pub registry_requests_per_period: f64,
    /// Requests to the git server in one period.
    pub git_requests_per_period: f64,
    /// Jobs that were made.
    pub jobs: usize,
    /// Requests to the API server that change something, in all periods.
    pub api_writes: u64,
}

/// Builders that have nothing to do.
#[derive(Serialize)]
pub struct IdleBuilders {
    pub builders: usize,
    /// Resident memory with them.
    pub rss_mb: f64,
    /// Resident memory of an agent without any.
    pub rss_mb_without: f64,
    /// The part of the first that is not the program's file.
    pub rss_anonymous_mb: f64,
    /// The part of the second that is not the program's file.
    pub rss_anonymous_mb_without: f64,
    /// How long requests were counted.
    pub window_seconds: u64,
    /// Jobs that were made.
    pub jobs: usize,
    /// Requests to the API server that change something, in the whole window.
    pub api_writes: u64,
}

/// An agent whose Images wait for places for their Jobs.
#[derive(Serialize)]
pub struct Waiting {
    /// How many Images.
    pub images: usize,
    /// Resident memory while they wait.
    pub rss_mb: f64,
    /// The part of it that is not the program's file.
    pub rss_anonymous_mb: f64,
    /// The most resident memory from the start to the end.
    pub hwm_mb: f64,
    /// CPU seconds from the start until each had a status.
    pub cpu_seconds_until_queued: f64,
    /// Passes until then.
    pub passes_until_queued: u64,
    /// How long CPU time and passes were counted.
    pub window_seconds: u64,
    /// CPU seconds in the window.
    pub cpu_seconds: f64,
    /// The same as a part of the window.
    pub cpu_percent_of_a_core: f64,
    /// Passes in the window.
    pub passes: u64,
}

/// First statuses of healthy Images, in seconds.
#[derive(Serialize)]
pub struct FirstStatus {
    /// How many Images of another namespace wait for registries that never answer.
    pub silent_images: usize,
    /// The median while there are no other Images.
    pub alone_median: f64,
    /// The greatest while there are no other Images.
    pub alone_greatest: f64,
    /// The median beside the Images of the silent registries.
    pub beside_median: f64,
    /// The greatest beside them.
    pub beside_greatest: f64,
    /// The greatest beside them, divided by the median alone.
    pub ratio: f64,
}

/// An agent that has nothing to do, or only what is due regularly.
#[derive(Serialize)]
pub struct Idle {
    /// Resident memory after a minute of rest.
    pub rss_mb: f64,
    /// The part of it that is not the program's file.
    pub rss_anonymous_mb: f64,
    /// The most resident memory from the start to the end.
    pub hwm_mb: f64,
    /// How long requests and CPU time were counted.
    pub window_seconds: u64,
    pub api_requests_per_minute: Rates,
    /// Requests to the API server that change something, in the whole window.
    pub api_writes: u64,
    pub registry_requests_per_minute: f64,
    pub registry_requests_per_minute_by_kind: Rates,
    /// CPU seconds in the window.
    pub cpu_seconds: f64,
    /// CPU seconds from the start until every Image was synced.
    pub cpu_seconds_until_synced: f64,
}

/// Syncs of four tags that find nothing to do.
#[derive(Serialize)]
pub struct NoopSyncs {
    /// Of the scheduled one, to both registries.
    pub requests: u64,
    /// One whose time has come.
    pub scheduled: Sync,
    /// One that was requested.
    pub requested: Sync,
    /// The first one of an agent that has just started.
    pub first: Sync,
}

/// What one sync asks.
#[derive(Serialize)]
pub struct Sync {
    pub source: Counts,
    pub target: Counts,
    /// Without watches.
    pub api_server: Counts,
}

pub fn total(counts: &Counts) -> u64 {
    counts.values().sum()
}

pub fn merge(a: &Counts, b: &Counts) -> Counts {
    let mut all = a.clone();
    for (kind, count) in b {
        *all.entry(kind.clone()).or_default() += count;
    }
    all
}

#[expect(clippy::cast_precision_loss, reason = "there are no 2^52 requests")]
pub fn per_minute(counts: &Counts, elapsed: Duration) -> Rates {
    let minutes = elapsed.as_secs_f64() / 60.0;
    let rate = |count: &u64| (*count as f64 / minutes * 10.0).round() / 10.0;
    counts.iter().map(|(kind, count)| (kind.clone(), rate(count))).collect()
}

/// Progress, for whoever waits.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}"); // standard error may be closed
}

/// The table.
pub fn print(results: &Results) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let columns = [&results.idle_0, &results.idle_100, &results.idle_1000, &results.resync_10000];
    let head = "the idle agent, by its Images";
    writeln!(out, "{head:<44} {:>10} {:>10} {:>10} {:>10}", "0", "100", "1,000", "10,000")?;
    let mut row = |name: &str, value: &dyn Fn(&Idle) -> String| {
        let [none, hundred, thousand, all_due] = columns.map(value);
        writeln!(out, "{name:<44} {none:>10} {hundred:>10} {thousand:>10} {all_due:>10}")
    };
    row("resident memory, MB", &|i| format!("{:.1}", i.rss_mb))?;
    row("  of it not the program's file, MB", &|i| format!("{:.1}", i.rss_anonymous_mb))?;
    row("peak of resident memory, MB", &|i| format!("{:.1}", i.hwm_mb))?;
    row("CPU seconds until all were synced", &|i| format!("{:.2}", i.cpu_seconds_until_synced))?;
    row("then counted for, seconds", &|i| i.window_seconds.to_string())?;
    row("CPU seconds", &|i| format!("{:.2}", i.cpu_seconds))?;
    row("writes to the API server", &|i| i.api_writes.to_string())?;
    row("requests to the API server per minute", &|i| format!("{:.1}", sum(&i.api_requests_per_minute)))?;
    for kind in kinds(columns.map(|i| &i.api_requests_per_minute)) {
        row(&format!("  {kind}"), &|i| cell(&i.api_requests_per_minute, kind))?;
    }
    row("requests to registries per minute", &|i| format!("{:.1}", i.registry_requests_per_minute))?;
    for kind in kinds(columns.map(|i| &i.registry_requests_per_minute_by_kind)) {
        row(&format!("  {kind}"), &|i| cell(&i.registry_requests_per_minute_by_kind, kind))?;
    }
    print_waits(&mut out, results)?;
    print_builders(&mut out, results)?;
    print_noop_syncs(&mut out, &results.noop_sync_4_tags)
}

fn print_waits(out: &mut impl Write, results: &Results) -> std::io::Result<()> {
    let first = &results.first_status;
    writeln!(
        out,
        "\nfirst status of an Image: {:.3} s (at most {:.3}) alone; beside {} Images of registries that never \
         answer {:.3} s (at most {:.3}): ratio {:.2}",
        first.alone_median,
        first.alone_greatest,
        first.silent_images,
        first.beside_median,
        first.beside_greatest,
        first.ratio
    )?;
    for (waiting, which) in [
        (&results.waiting, "patterns"),
        (&results.waiting_for_tags, "tags one by one, metrics that name objects"),
    ] {
        writeln!(
            out,
            "\n{} Images that wait for a place for their Jobs ({which}): {:.1} MB resident (peak {:.1}), {:.2} % of a core \
             and {} passes in {} s",
            waiting.images,
            waiting.rss_mb,
            waiting.hwm_mb,
            waiting.cpu_percent_of_a_core,
            waiting.passes,
            waiting.window_seconds
        )?;
    }
    Ok(())
}

fn print_builders(out: &mut impl Write, results: &Results) -> std::io::Result<()> {
    let watching = &results.watching_builders;
    writeln!(
        out,
        "\n{} builders that watch {} bases and {} git repositories, in one period: {:.1} HEAD, {:.1} requests to \
         registries in all, {:.1} to git; {} Jobs, {} writes",
        watching.builders,
        watching.bases,
        watching.git_repositories,
        watching.head_per_period,
        watching.registry_requests_per_period,
        watching.git_requests_per_period,
        watching.jobs,
        watching.api_writes
    )?;
    let idle = &results.idle_builders;
    writeln!(
        out,
        "\n{} builders at rest: {:.1} MB resident, {:.1} without them; {} writes in {} s",
        idle.builders, idle.rss_mb, idle.rss_mb_without, idle.api_writes, idle.window_seconds
    )
}

fn print_noop_syncs(out: &mut impl Write, noop: &NoopSyncs) -> std::io::Result<()> {
    writeln!(out, "\nsyncs of 4 tags that find nothing to do: {} requests to registries", noop.requests)?;
    let syncs = [
        ("the time has come", &noop.scheduled),
        ("on request", &noop.requested),
        ("the agent's first", &noop.first),
    ];
    for (name, sync) in syncs {
        for (side, counts) in
            [("source", &sync.source), ("target", &sync.target), ("API server", &sync.api_server)]
        {
            let list: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
            writeln!(out, "  {name}, {side}: {}", list.join(", "))?;
        }
    }
    Ok(())
}

fn kinds(all: [&Rates; 4]) -> Vec<&String> {
    let mut kinds: Vec<&String> = all.into_iter().flat_map(Rates::keys).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

/// The sum. (That of no numbers would be -0.)
pub fn sum(rates: &Rates) -> f64 {
    rates.values().fold(0.0, |sum, rate| sum + rate)
}

fn cell(rates: &Rates, kind: &str) -> String {
    rates.get(kind).map_or_else(|| "0".to_owned(), |rate| format!("{rate:.1}"))
}
