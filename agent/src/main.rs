//! The process: settings, logs, signals, the endpoints, the election, and one controller for each kind.

use std::ffi::OsString;
use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::FutureExt as _;
use imgop_agent::children::ChildImages;
use imgop_agent::config::given_credentials::GivenCredentials;
use imgop_agent::config::{ProcessSettings, SettingsError};
use imgop_agent::controller::{self, READY_WITHOUT_SOME_AFTER, ReadyGate, Watched};
use imgop_agent::heartbeat::Heartbeat;
use imgop_agent::image::Images;
use imgop_agent::image_builder::ImageBuilders;
use imgop_agent::image_mirror::ImageMirrors;
use imgop_agent::image_operator_names::{self, DockerHubQuota};
use imgop_agent::leader_election::{
    Clock, EarlierHeartbeat, Election, KubeLease, Leadership, Timings, when_lost,
};
use imgop_agent::metrics::Metrics;
use imgop_agent::notifications::{Notifications, Webhook};
use imgop_agent::registry_access::status::Reporter;
use imgop_agent::workload_mirror::workloads::Workloads;
use imgop_agent::workload_mirror::{Others, WorkloadMirrors, watch_workloads};
use imgop_agent::{Agent, Config, OF_KINDS, log_writer, native_copy, probe, web};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing_appender::non_blocking::NonBlocking;

/// A connection that is silent for longer is dead: every watch is renewed once a minute.
const READ_TIMEOUT: Duration = Duration::from_secs(70);
/// How long a stop may take; Kubernetes waits for 30 seconds.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the last line of the log has to be written where the process ends at once.
const LOG_TIME: Duration = Duration::from_millis(200);

/// Its settings stand in `.cargo/config.toml`.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Only one TLS provider is in the tree, but rustls takes none by itself.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if let Some(targets) = probe::arguments(std::env::args_os()) {
        return ended(on_runtime(print_probe(&targets)));
    }
    if let Some(arguments) = native_copy::arguments(std::env::args_os()) {
        return copied(on_runtime(copy(&arguments)));
    }
    let (lines, flush) = log_writer(std::io::stderr());
    let dropped_lines = lines.error_counter();
    log_as_json(lines);
    let metrics = Metrics::new();
    metrics.watch_log(move || dropped_lines.dropped_lines());
    let ended = on_runtime(run(metrics));
    if let Err(error) = &ended {
        tracing::error!("{error:#}");
    }
    drop(flush);
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Copies until it is asked to end. The log is for people: `kubectl imgop logs --follow` shows it.
async fn copy(arguments: &[String]) -> anyhow::Result<native_copy::Ended> {
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone())?);
    // A log that is closed is no reason not to copy.
    let log = |line: &str| drop(writeln!(std::io::stdout(), "{line}"));
    Ok(native_copy::run(arguments, &native_copy::Places::of_container(), stop, &log).await?)
}

fn copied(result: anyhow::Result<native_copy::Ended>) -> ExitCode {
    match result {
        Ok(native_copy::Ended::Copied) => ExitCode::SUCCESS,
        Ok(native_copy::Ended::Failed) => ExitCode::FAILURE,
        Ok(native_copy::Ended::Interrupted) => ExitCode::from(native_copy::TERMINATED),
        Err(error) => ended(Err(error)),
    }
}

fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is no other place to report that stderr is closed.
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Asks registries, and prints what they answer.
async fn print_probe(targets: &[OsString]) -> anyhow::Result<()> {
    let answers = probe::run(targets).await?;
    std::io::stdout().write_all(answers.as_bytes()).context("cannot write the answers")
}

/// Runs the process. What is still under way at the end is not waited for: another agent may begin at that moment.
fn on_runtime<T>(process: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(process);
    runtime.shutdown_background();
    ended
}

/// Runs until a signal, or until this process does not lead any more.
async fn run(metrics: Metrics) -> anyhow::Result<()> {
    let settings = ProcessSettings::read(std::env::args_os(), |name| std::env::var(name).ok());
    let ProcessSettings { config, given, webhook, notices } = match settings {
        Err(SettingsError::Arguments(error)) => error.exit(),
        settings => settings.context("cannot start")?,
    };
    for notice in &notices {
        tracing::warn!("{notice}");
    }
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone())?);
    let heartbeat = Heartbeat::new();
    let mut found = kube::Config::infer().await.context("cannot find the API server")?;
    found.read_timeout = Some(READ_TIMEOUT);
    let lease = config.election.leader_elect.then(|| lease(&config, &found, &heartbeat)).transpose()?;
    let earlier = lease.as_ref().map(KubeLease::earlier_heartbeat).unwrap_or_default();
    let election = lease.map(|lease| election(&config, lease));
    let leadership = election.as_ref().map_or_else(Leadership::unelected, Election::leadership);
    if election.is_some() {
        when_lost(leadership.clone(), end_now).context("cannot watch the election")?;
    }
    let shown = web::Shown {
        metrics: metrics.clone(),
        ready_gate: ReadyGate::default(),
        heartbeat: heartbeat.clone(),
        leadership: leadership.clone(),
    };
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    tokio::spawn(web::serve(listener, shown.clone(), stop.clone().cancelled_owned()));
    metrics.watch_heartbeat(heartbeat.clone());
    metrics.watch_ready_gate(shown.ready_gate.clone());
    metrics.collect(leadership.clone());
    let client = heartbeat.client(found, &leadership).context("cannot connect to the API server")?;
    let work = Box::pin(work((config, given, webhook), earlier, client, shown, &stop));
    match election {
        None => work.await,
        Some(election) => Box::pin(while_leading(election, work, &stop)).await,
    }
}

/// Returns the Lease of all agents.
fn lease(config: &Config, found: &kube::Config, heartbeat: &Heartbeat) -> anyhow::Result<KubeLease> {
    // It tries again by itself, and how soon matters.
    let mut found = found.clone();
    found.default_retry = false;
    let client = heartbeat.client_apart(found).context("cannot connect to the API server")?;
    let namespace = config.election.namespace(client.default_namespace()).to_owned();
    let name = &config.election.lease_name;
    tracing::info!(namespace, lease = name, "waits to lead");
    Ok(KubeLease::new(client, &namespace, name))
}

/// Returns this process as one that waits to lead.
fn election(config: &Config, lease: KubeLease) -> Election<KubeLease> {
    Election::new(lease, config.election.identity(), Timings::default(), Clock::of_this_machine())
}

/// Waits until this process leads, does `work` while it does, and lets another one lead when that has ended.
async fn while_leading(
    mut election: Election<KubeLease>,
    work: impl Future<Output = anyhow::Result<()>>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let is_elected = tokio::select! {
        () = election.acquire() => true,
        () = stop.cancelled() => false,
    };
    let ended = if is_elected {
        tokio::select! {
            ended = work => ended,
            // Nothing is released then: it is another's.
            loss = election.keep() => return Err(loss.into()),
        }
    } else {
        Ok(())
    };
    election.release().await;
    ended
}

/// Does the agent's work until `stop`.
async fn work(
    given: (Config, Vec<GivenCredentials>, Option<Webhook>),
    earlier: EarlierHeartbeat,
    client: kube::Client,
    shown: web::Shown,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    shown.heartbeat.begin();
    let agent = agent(given, &earlier, client, &shown);
    let ready_gate = shown.ready_gate;
    // All watches are expected before the first of them begins.
    let images = Watched::new(&agent.config.watch_namespaces, &ready_gate);
    let builders = Watched::new(&agent.config.watch_namespaces, &ready_gate);
    let mirrors = Watched::new(&agent.config.watch_namespaces, &ready_gate);
    let workload_mirrors = Watched::new(&agent.config.watch_namespaces, &ready_gate);
    let namespaces = agent.config.watch_namespaces.clone();
    let jobs = agent.jobs.clone().run(namespaces, ready_gate.clone(), stop.clone());
    let jobs = tokio::spawn(run_until_stop(jobs, stop.clone()));
    let policies = agent.policies.clone().run(ready_gate.clone(), stop.clone());
    let policies = tokio::spawn(run_until_stop(policies, stop.clone()));
    // What an earlier process left is known before anything is begun.
    let (jobs_known, granted_known) = (
        agent.jobs.wait_until_known(&agent.config.watch_namespaces, READY_WITHOUT_SOME_AFTER),
        agent.policies.wait_until_known(READY_WITHOUT_SOME_AFTER),
    );
    tokio::select! {
        _ = async { tokio::join!(jobs_known, granted_known) } => {}
        () = stop.cancelled() => return Ok(()),
    }
    let (reporting, stopped) = (agent.clone(), stop.clone());
    let reports = async move {
        Reporter::new(&reporting.client, reporting.registry_access()).run(stopped).await;
    };
    let reports = tokio::spawn(run_until_stop(reports, stop.clone()));
    let image_builders = ImageBuilders::new(agent.clone(), builders.objects(), images.objects());
    let children = ChildImages::new(images.objects());
    let image_mirrors = ImageMirrors::new(agent.clone(), children.clone());
    let others = Others { image_mirrors: mirrors.objects(), workload_mirrors: workload_mirrors.objects() };
    let workloads = Workloads::default();
    let seen = (workloads.clone(), agent.clone(), workload_mirrors.objects());
    let seeing = watch_workloads(seen.0, seen.1, seen.2, stop.clone());
    let seeing = tokio::spawn(run_until_stop(seeing, stop.clone()));
    let of_workloads = WorkloadMirrors::new(agent.clone(), children, workloads, others);
    let copied = Images::new(agent, images.objects()).beside(builders.objects());
    let building = controller::run(image_builders, builders, stop.clone());
    let copying = controller::run(copied, images, stop.clone());
    let mirroring = controller::run(image_mirrors, mirrors, stop.clone());
    let following = controller::run(of_workloads, workload_mirrors, stop.clone());
    let controllers = async { tokio::join!(copying, building, mirroring, following) };
    let accepting = tokio::spawn(async move { ready_gate.accept_some(READY_WITHOUT_SOME_AFTER).await });
    Box::pin(run_until_stopped(controllers, stop)).await;
    accepting.abort();
    seeing.await.context("the watches of workloads")??;
    reports.await.context("the reports of RegistryAccesses")??;
    policies.await.context("the watch of RegistryAccesses")??;
    jobs.await.context("the watches of Jobs")?
}

/// Returns the agent, of which the metrics show all that there is.
fn agent(
    (config, given, webhook): (Config, Vec<GivenCredentials>, Option<Webhook>),
    earlier: &EarlierHeartbeat,
    client: kube::Client,
    web::Shown { metrics, leadership, .. }: &web::Shown,
) -> Arc<Agent> {
    tracing::info!(namespaces = %config.watch_namespaces, image = config.job_image(), "starting");
    // What is lent is where this process runs, whatever the settings say.
    let config = config.in_namespace(client.default_namespace());
    if let Some(notice) = config.notice_of_lent_namespace() {
        tracing::warn!("{notice}");
    }
    let agent = Agent::gated(client, config, metrics.clone(), OF_KINDS, leadership.write_gate());
    let notifications = notifications(&agent.config, webhook, metrics);
    let agent = Arc::new(agent.lending(given).after(earlier.get()).notifying(notifications));
    metrics.watch_registries(agent.registries.clone(), agent.config.metrics.metrics_name_registries);
    metrics.watch_objects(agent.config.metrics.max_object_series());
    let registries = agent.registries.clone();
    image_operator_names::export(metrics, &agent.config.metrics, || DockerHubQuota(registries.clone()));
    metrics.watch_turns(agent.turns.clone());
    metrics.watch_jobs(agent.jobs.clone());
    agent
}

/// Returns where notifications go, and begins to deliver them. What waits when the process ends is not sent.
fn notifications(config: &Config, webhook: Option<Webhook>, metrics: &Metrics) -> Notifications {
    if let Some(webhook) = &webhook {
        tracing::info!(host = webhook.host(), "notifications are sent");
    }
    let (notifications, delivery) = Notifications::new(&config.notifications, webhook, metrics);
    if let Some(delivery) = delivery {
        tokio::spawn(delivery.run());
    }
    notifications
}

/// Runs the controllers until `stop`, and lets passes under way end.
async fn run_until_stopped<T>(controllers: impl Future<Output = T>, stop: &CancellationToken) {
    tokio::pin!(controllers);
    tokio::select! {
        _ = &mut controllers => {}
        () = stop.cancelled() => {
            // What they would have written next is worked out again anyway.
            if tokio::time::timeout(STOP_TIMEOUT, &mut controllers).await.is_err() {
                tracing::warn!("stopped with passes still under way");
            }
        }
    }
}

/// Runs watches that all kinds need. If they end before `stop`, the process stops with an error: without them every Job
/// would seem to run for ever, and what was granted once would be so for ever.
async fn run_until_stop(watches: impl Future<Output = ()>, stop: CancellationToken) -> anyhow::Result<()> {
    let ended = AssertUnwindSafe(watches).catch_unwind().await;
    let is_expected = stop.is_cancelled() && ended.is_ok();
    stop.cancel();
    anyhow::ensure!(is_expected, "a watch that all kinds need has ended");
    Ok(())
}

/// Ends the process from a thread that waits for no other.
#[expect(clippy::exit, reason = "nothing that could be returned to goes on")]
fn end_now() {
    tracing::error!("does not lead any more and is stuck: ends");
    std::thread::sleep(LOG_TIME);
    std::process::exit(1);
}

/// Writes the log as JSON, a line each.
fn log_as_json(lines: NonBlocking) {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(
            // What is wrong with a certificate stands in the condition of its object. A span of each pass, of which
            // thousands may wait, would take memory and is not written.
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "info,kube_runtime=warn,rustls_platform_verifier=off".into()),
        )
        .with_writer(lines)
        .init();
}

fn stop_on_signal(stop: CancellationToken) -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    })
}
