//! Figures of the agent while it has nothing to do. `crates/bench/run` starts the servers and then
//! this program; docs/benchmarks.md says what the figures mean.

mod access_log;
mod audit_log;
mod builders;
mod images;
mod report;
mod scenarios;
mod setup;
mod silent;
mod waiting;

use std::path::PathBuf;

use anyhow::bail;
use imgop_bench::results;
use tokio::signal::unix::{SignalKind, signal};

use setup::Setup;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(agent), Some(folder), only, None) =
        (arguments.next(), arguments.next(), arguments.next(), arguments.next())
    else {
        bail!("usage: imgop-bench AGENT FOLDER [SCENARIO]; but start it with crates/bench/run");
    };
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Dropping what was measured until now also ends the agent.
    tokio::select! {
        done = measure(agent, folder, only) => done,
        _ = terminate.recv() => bail!("ended by a signal"),
        _ = interrupt.recv() => bail!("interrupted"),
    }
}

async fn measure(agent: PathBuf, folder: PathBuf, only: Option<PathBuf>) -> anyhow::Result<()> {
    let results_file = folder.join("results.json");
    let setup = Setup::new(agent, folder).await?;
    if let Some(name) = only.as_ref().and_then(|name| name.to_str()) {
        let result = scenarios::run_one(&setup, name).await?;
        report::say(&serde_json::to_string_pretty(&result)?);
        return results::merge(&results_file, serde_json::Map::from_iter([(name.to_owned(), result)]));
    }
    let results = scenarios::run(&setup).await?;
    report::print(&results)?;
    let serde_json::Value::Object(figures) = serde_json::to_value(&results)? else {
        bail!("the results are no object");
    };
    results::merge(&results_file, figures)?;
    report::say(&format!("also in {}", results_file.display()));
    Ok(())
}
