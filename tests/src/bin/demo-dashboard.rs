//! demo-dashboard AGENT,... COMMAND...
//! Runs a command, which gives the agents at these addresses something to do, while a Prometheus scrapes them. Fails if a
//! panel of the dashboard has no data then. With `IMGOP_UPDATE` it draws `docs/pictures/dashboard.svg`. `tests/dashboard`
//! runs this.
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use imgop_tests::dashboard::{drawing, have_data, panels, path};
use imgop_tests::environment::Environment;
use imgop_tests::prometheus::Prometheus;

/// Panels that show nothing of the demo: it asks nothing of Docker Hub, no registry refuses it, and no webhook is set.
const MAY_BE_EMPTY: [&str; 3] = ["Pulls left at Docker Hub", "Requests refused as too many", "Notifications"];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [agents, program, rest @ ..] = arguments.as_slice() else {
        bail!("usage: demo-dashboard AGENT,... COMMAND...")
    };
    let agents = agents.split(',').map(str::parse).collect::<Result<Vec<SocketAddr>, _>>()?;
    let (environment, folder) = (Environment::load()?, tempfile::tempdir()?);
    for part in ["run", "log"] {
        fs::create_dir(folder.path().join(part))?;
    }
    let prometheus = Prometheus::start(folder.path(), &agents, std::iter::empty()).await?;
    prometheus.has("imgop_leading == 1").await.context("are the pods of this cluster reached from here?")?;

    let began = Instant::now();
    let mut command = Command::new(program);
    command.args(rest);
    let status = tokio::task::spawn_blocking(move || command.status()).await??;
    ensure!(status.success(), "{program} fails");
    // What the command did last was scraped.
    prometheus.has("imgop_objects{state=\"Stalled\"} > 0").await?;

    let panels = panels()?;
    have_data(&prometheus, &panels, &MAY_BE_EMPTY).await?;
    if std::env::var_os("IMGOP_UPDATE").is_some() {
        let minutes = u32::try_from(began.elapsed().as_secs().div_ceil(60))?;
        // The registries' names as a reader would have them.
        let names = [
            (environment.source_registry.as_str(), "quay.io"),
            (environment.target_registry.as_str(), "registry.example.com"),
        ];
        fs::write(path(), drawing(&prometheus, &panels, minutes, &names).await?)?;
    }
    Ok(())
}
