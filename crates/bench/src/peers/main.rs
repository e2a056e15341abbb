//! imgop beside regsync and crane, finding that nothing is to be copied, and at first copies. `crates/bench/run-peers` starts
//! the registries and then this program; docs/benchmarks.md says what the figures mean.

mod data;
mod first_copies;
mod measures;
mod pages;
mod programs;
mod report;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use imgop_bench::proxy::Proxy;
use imgop_bench::results;
use tokio::signal::unix::{SignalKind, signal};

use data::Scale;
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
    if let [part, registry] = &arguments[..]
        && part == "fill"
    {
        return data::fill_first_copies(registry.parse()?, Scale::FULL).await;
    }
    if let [part, latency, source, target] = &arguments[..]
        && part == "proxies"
    {
        return proxies(latency.parse()?, source.parse()?, target.parse()?).await;
    }
    let [part, observe, plugin, peers, folder, source, target] = &arguments[..] else {
        bail!(
            "usage: imgop-bench-peers PART OBSERVE PLUGIN PEERS FOLDER SOURCE TARGET; but start it with \
             crates/bench/run-peers"
        );
    };
    let part: Part = part.parse()?;
    let (source, target): (SocketAddr, SocketAddr) = (source.parse()?, target.parse()?);
    let folder = PathBuf::from(folder);
    report::say("filling both registries");
    let scale = part.scale();
    tokio::try_join!(data::fill(source, true, scale), data::fill(target, false, scale))
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
    let bench = Bench { programs, source, target };
    let mut figures = serde_json::Map::new();
    if part != Part::NoOps {
        let measured = match part {
            Part::Large => first_copies::large(&bench, scale).await?,
            Part::Limited => first_copies::limited(&bench, scale).await?,
            Part::Broken => first_copies::broken(&bench).await?,
            _ => first_copies::measure(&bench, scale).await?,
        };
        report::print_first_copies(&measured)?;
        figures.extend(report::first_copies(&measured)?);
    }
    if matches!(part, Part::All | Part::NoOps) {
        let measured = measures::all(&bench).await?;
        report::print(&measured)?;
        figures.extend(report::figures(&measured)?);
    }
    if matches!(part, Part::Quick | Part::Large | Part::Limited | Part::Broken) {
        return Ok(());
    }
    let file = folder.join("results.json");
    results::merge(&file, figures)?;
    report::say(&format!("also in {}", file.display()));
    Ok(())
}

/// Serves a proxy before each registry, at its address, with this latency in milliseconds, until a signal. Prints the
/// places of both.
async fn proxies(latency: u64, source: SocketAddr, target: SocketAddr) -> anyhow::Result<()> {
    let source = Proxy::start_at(source.ip(), "source", source).await?;
    let target = Proxy::start_at(target.ip(), "target", target).await?;
    source.set_latency(latency);
    target.set_latency(latency);
    writeln!(std::io::stdout(), "{} {}", source.address, target.address)?;
    std::future::pending().await
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    NoOps,
    FirstCopies,
    /// First copies of little, once: whether all of it runs.
    Quick,
    /// The first copy of a large image, into no file.
    Large,
    /// First copies to a destination that refuses requests, into no file.
    Limited,
    /// Copies that are killed or whose source breaks off, into no file.
    Broken,
}

impl Part {
    fn scale(self) -> Scale {
        if self == Self::Quick { Scale::QUICK } else { Scale::FULL }
    }
}

impl std::str::FromStr for Part {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        Ok(match text {
            "all" => Self::All,
            "no_ops" => Self::NoOps,
            "first_copies" => Self::FirstCopies,
            "quick" => Self::Quick,
            "large" => Self::Large,
            "limited" => Self::Limited,
            "broken" => Self::Broken,
            _ => bail!("{text:?} is no part: all, no_ops, first_copies, large, limited, broken or quick"),
        })
    }
}
