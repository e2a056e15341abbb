//! imgop beside regsync and crane, finding that nothing is to be copied, and at first copies. `crates/bench/run-peers` starts
//! the registries and then this program; docs/benchmarks.md says what the figures mean.

mod data;
mod first_copies;
mod measures;
mod pages;
mod programs;
mod report;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use imgop_bench::proxy::Proxy;
use imgop_bench::results;
use tokio::signal::unix::{SignalKind, signal};

use measures::Bench;
use programs::Programs;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // An error means that there is a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        done = measure() => done,
        _ = terminate.recv() => bail!("ended by a signal"),
        _ = interrupt.recv() => bail!("interrupted"),
    }
}

async fn measure() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [observe, plugin, peers, folder, source, target] = &arguments[..] else {
        bail!(
            "usage: imgop-bench-peers OBSERVE PLUGIN PEERS FOLDER SOURCE TARGET; but start it with crates/bench/run-peers"
        );
    };
    let (source, target): (SocketAddr, SocketAddr) = (source.parse()?, target.parse()?);
    let folder = PathBuf::from(folder);
    report::say("filling both registries (about 9,000 manifests)");
    tokio::try_join!(data::fill(source, true), data::fill(target, false))
        .context("filling the registries")?;
    let (source, target) = (Proxy::start("source", source).await?, Proxy::start("target", target).await?);
    let programs = Programs {
        observe: observe.into(),
        plugin: plugin.into(),
        peers: peers.into(),
        scratch: folder.join("peers-scratch"),
        source: source.address.to_string(),
        target: target.address.to_string(),
    };
    std::fs::create_dir_all(&programs.scratch)?;
    let measured = measures::all(&Bench { programs, source, target }).await?;
    report::print(&measured)?;
    let file = folder.join("results.json");
    results::merge(&file, report::figures(&measured)?)?;
    report::say(&format!("also in {}", file.display()));
    Ok(())
}
