//! What an ImageMirror of the size of rancher's costs: writes to the API server, requests to registries, memory of the
//! agent, and the time of its export. `crates/bench/run-mirror` starts this; docs/benchmarks.md says what the figures mean.

mod export;
mod inventory;
mod registries;
mod report;
mod stage;
mod writes;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use imgop_bench::results;

use inventory::Inventory;
use registries::Registries;
use report::{Measured, say};
use stage::Stage;

/// How long the agent rests before its memory is read.
const SETTLE: Duration = Duration::from_mins(1);
/// How long is looked for writes where there should be none.
const QUIET: Duration = Duration::from_secs(40);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // An error means that there is a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [agent, plugin, folder] = &arguments[..] else {
        bail!("usage: imgop-bench-mirror AGENT PLUGIN FOLDER; but start it with crates/bench/run-mirror");
    };
    let inventory = Inventory::of_ranchers_size();
    let registries = Registries::start(&inventory).await?;
    let spec = inventory.spec(&registries);
    let export = export::measure(plugin, folder, &spec).await?;
    let stage = Stage::start(agent).await?;
    let measured = measure(&stage, &inventory, &registries, export).await?;
    stage.agent.stop().await?;
    report::print(&measured)?;
    let serde_json::Value::Object(figures) = serde_json::to_value(&measured)? else {
        bail!("the results are no object");
    };
    let figures = [("mirror".to_owned(), figures.into())].into_iter().collect();
    results::merge(&folder.join("results.json"), figures)
}

async fn measure(
    stage: &Stage,
    inventory: &Inventory,
    registries: &Registries,
    export: export::Seconds,
) -> anyhow::Result<Measured> {
    let (mut spec, children) = (inventory.spec(registries), inventory.children());
    say("the inventory is made");
    let (mark, began) = (stage.mark()?, Instant::now());
    stage.apply(&spec).await?;
    stage.ready(children).await?;
    let ready_seconds = began.elapsed().as_secs();
    let made = stage.writes(mark)?;
    let first_pass = registries.take_counts();
    tokio::time::sleep(SETTLE).await;
    let memory = stage.agent.memory()?;

    say("another order");
    let mark = stage.mark()?;
    spec.entries.reverse();
    spec.entries.iter_mut().for_each(|entry| entry.tags.reverse());
    stage.apply(&spec).await?;
    stage.ready(children).await?;
    tokio::time::sleep(QUIET).await;
    let reordered = stage.writes(mark)?;

    say("a sync of all that finds nothing to do");
    registries.take_counts();
    stage.sync().await?;
    stage.ready(children).await?;
    let sync = registries.take_counts();

    say("an entry less");
    let mark = stage.mark()?;
    let gone = spec.entries.remove(0);
    stage.apply(&spec).await?;
    stage.ready(children - inventory.targets_of(&gone)).await?;
    tokio::time::sleep(QUIET).await;
    let removed = stage.writes(mark)?;
    Ok(Measured {
        entries: inventory.entries().len(),
        children,
        rows: inventory.rows(),
        writes: made.of_images,
        most_writes_in_a_second: made.most_in_a_second,
        seconds_until_ready: ready_seconds,
        first_pass_requests: first_pass,
        rss_mb: report::megabytes(memory.resident),
        rss_anonymous_mb: report::megabytes(memory.anonymous),
        hwm_mb: report::megabytes(stage.agent.memory()?.peak),
        writes_of_another_order: reordered.of_images,
        deleted_with_an_entry: removed.deleted,
        other_writes_with_it: removed.of_images - removed.deleted,
        children_of_that_entry: inventory.targets_of(&gone),
        sync_requests: sync,
        export_regsync_seconds: export.regsync,
        export_rancher_seconds: export.rancher,
    })
}
