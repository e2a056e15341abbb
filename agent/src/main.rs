//! imgop's agent: watches Images and turns them into Skopeo Jobs.

#[expect(dead_code, reason = "the passes of kinds call it from the next commits on")]
mod cluster;
mod config;
mod context;
mod events;
mod heartbeat;
mod image;
#[expect(dead_code, reason = "the passes of kinds call it from the next commits on")]
mod jobs;
mod metrics;
#[expect(dead_code, reason = "the passes of kinds call it from the next commits on")]
mod registry_access;
mod web;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use kube::Client;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use config::Config;
use context::Context;
use heartbeat::Heartbeat;
use metrics::Metrics;

/// A connection that is silent for longer is dead: every watch is renewed once a minute
/// (reliability.md F12).
const SILENCE: Duration = Duration::from_secs(70);
/// How long a stop may take; Kubernetes waits for 30 seconds.
const STOP: Duration = Duration::from_secs(5);

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    // Only one TLS provider is in the tree, but rustls wants it said (rust.md §A.2).
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config::parse();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(
            // What is wrong with a certificate stands in the condition of its Image.
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "info,rustls_platform_verifier=off".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone())?);

    let metrics = Metrics::new();
    let ready = Arc::new(AtomicBool::new(false));
    let heartbeat = Heartbeat::new();
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let shown = web::Shown { metrics: metrics.clone(), ready: ready.clone(), heartbeat: heartbeat.clone() };
    let web = tokio::spawn(web::serve(listener, shown, stop.clone().cancelled_owned()));

    let mut found = kube::Config::infer().await.context("cannot find the API server")?;
    found.read_timeout = Some(SILENCE);
    let client = heartbeat.client(found).context("cannot speak to the API server")?;
    metrics.watch_heartbeat(heartbeat);
    tracing::info!(namespaces = ?config.watch_namespaces, image = config.job_image(), "starting");
    let context = tokio::select! {
        context = begin(client, config, metrics) => Arc::new(context),
        () = stop.cancelled() => return Ok(()),
    };
    let controllers = image::run(context, ready, stop.clone());
    tokio::pin!(controllers);
    tokio::select! {
        () = &mut controllers => {}
        () = stop.cancelled() => {
            // Looks under way end; what they would have written next is worked out again anyway.
            if tokio::time::timeout(STOP, &mut controllers).await.is_err() {
                tracing::warn!("stopped with looks still under way");
            }
        }
    }
    web.abort();
    Ok(())
}

/// Waits for the API server, which may come later than the agent.
async fn begin(client: Client, config: Config, metrics: Metrics) -> Context {
    let mut wait = Duration::from_secs(1);
    loop {
        match Context::new(client.clone(), config.clone(), metrics.clone()).await {
            Ok(context) => {
                metrics.watch_registries(context.registries.clone());
                return context;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot list the Jobs yet; trying again in {wait:?}");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(30));
            }
        }
    }
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
