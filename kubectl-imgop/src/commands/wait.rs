//! `kubectl imgop wait`.

use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;
use kube::ResourceExt as _;
use kube::api::ListParams;

use crate::completion::image_names;
use crate::connection::{Cluster, ConnectionArgs};
use crate::duration::TimeLimit;
use crate::errors::{CliError, Outcome};
use crate::names::parse_image_name;
use crate::progress::Goal;
use crate::ui::Ui;
use crate::wait::wait_for_all;

/// Wait until every tag of Images is at its destination
///
/// Nothing is triggered. What the agent tries again by itself is waited for; what somebody must change
/// first, and tags that are too young (--min-age), end the waiting with exit code 1.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Images to wait for; without any, all of the namespace
    #[arg(value_name = "NAME", value_parser = parse_image_name,
        add = ArgValueCompleter::new(image_names))]
    names: Vec<String>,

    /// What to wait for
    #[arg(long = "for", value_enum, ignore_case = true, value_name = "CONDITION", default_value = "Ready")]
    condition: Condition,

    /// How long to wait; 0 means no limit
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    timeout: TimeLimit,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// What can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Condition {
    /// Every tag is at the destination
    #[value(name = "Ready", alias = "condition=Ready")]
    Ready,
}

/// Waits.
pub async fn run(ui: Ui, args: &WaitArgs) -> Result<Outcome, CliError> {
    let cluster = args.connection.connect().await?;
    let goals = match args.condition {
        Condition::Ready => current_specs(ui, args, &cluster).await?,
    };
    wait_for_all(ui, &cluster, &goals, args.timeout).await
}

/// The Images, each with the generation whose outcome is waited for.
async fn current_specs(ui: Ui, args: &WaitArgs, cluster: &Cluster) -> Result<Vec<(String, Goal)>, CliError> {
    let mut images = Vec::new();
    for name in &args.names {
        images.push(cluster.image(name).await?);
    }
    if args.names.is_empty() {
        let list = cluster.images().list(&ListParams::default()).await;
        images = list.map_err(|error| cluster.explain("list", None, &error))?.items;
        if images.is_empty() {
            cluster.check_namespace().await?;
            ui.note(&format!("No resources found in {} namespace.", cluster.namespace));
        }
    }
    let goal = |generation: Option<i64>| Goal::Generation(generation.unwrap_or_default());
    Ok(images.iter().map(|image| (image.name_any(), goal(image.metadata.generation))).collect())
}
