//! `kubectl imgop wait`.

use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;
use kube::ResourceExt as _;
use kube::core::DynamicObject;

use crate::completion::image_names;
use crate::connection::ConnectionArgs;
use crate::duration::TimeLimit;
use crate::errors::{CliError, Outcome};
use crate::names::{parse_image_name, parse_selector};
use crate::progress::Goal;
use crate::ui::Ui;
use crate::wait::wait_for_all;
use crate::which_images::{Found, find};

/// Wait until every tag of Images is at its destination
///
/// Nothing is triggered. What the agent tries again by itself is waited for; what somebody must change
/// first, and tags that are too young (--min-age), end the waiting with exit code 1, as
/// does having nothing to wait for.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Images to wait for; without any, all of the namespace
    #[arg(value_name = "NAME", value_parser = parse_image_name,
        add = ArgValueCompleter::new(image_names))]
    names: Vec<String>,

    /// The Images with these labels, such as team=web
    #[arg(short = 'l', long, conflicts_with = "names", value_parser = parse_selector)]
    selector: Option<String>,

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
    let Found { images, outcome } = find(ui, &cluster, &args.names, args.selector.as_deref()).await?;
    // What is waited for is the spec as it is now.
    let goal = |image: &DynamicObject| Goal::Generation(image.metadata.generation.unwrap_or_default());
    let goals: Vec<(String, Goal)> = match args.condition {
        Condition::Ready => images.iter().map(|image| (image.name_any(), goal(image))).collect(),
    };
    if goals.is_empty() {
        // Whoever relies on this must not take none for a ready one.
        return Ok(Outcome::NotReady);
    }
    Ok(outcome.and(wait_for_all(ui, &cluster, &goals, args.timeout).await?))
}
