//! `kubectl imgop wait`.

use clap::{Args, ValueEnum};

use crate::cli_error::{CliError, Outcome};
use crate::cluster::objects::{Found, FoundObject};
use crate::cluster::wait_until_ready::wait_for_all;
use crate::cluster::{ConnectionArgs, TimeLimit};
use crate::kinds::ObjectRef;
use crate::kinds::object_name::parse_selector;
use crate::kinds::progress::Goal;
use crate::output::Ui;

/// Wait until every tag of Images is at its destination
///
/// Nothing is triggered. What the agent retries by itself is waited for; what needs a change first, and tags
/// that are too young (--min-age), end the waiting with exit code 1, as does having nothing to wait for.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Images to wait for; by default all in the namespace
    #[arg(value_name = "NAME", value_parser = ObjectRef::parse)]
    names: Vec<ObjectRef>,

    /// Select Images by labels, such as team=web
    #[arg(short = 'l', long, conflicts_with = "names", value_parser = parse_selector)]
    selector: Option<String>,

    /// What to wait for
    #[arg(long = "for", value_enum, ignore_case = true, value_name = "CONDITION", default_value = "Ready")]
    condition: Condition,

    /// How long to wait; 0 means no limit
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    timeout: TimeLimit,
}

/// What can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Condition {
    /// Every tag is at the destination
    #[value(name = "Ready", alias = "condition=Ready")]
    Ready,
}

/// Waits.
pub async fn run(ui: Ui, args: &WaitArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let cluster = connection.connect().await?;
    let Found { objects, outcome } = cluster.find(ui, &args.names, args.selector.as_deref()).await?;
    let goal = |object: &FoundObject| {
        // The spec as it is now.
        let generation = object.object.metadata.generation.unwrap_or_default();
        (object.reference(), Goal::Generation(generation))
    };
    let goals: Vec<(ObjectRef, Goal)> = match args.condition {
        Condition::Ready => objects.iter().map(goal).collect(),
    };
    if goals.is_empty() {
        // Scripts that rely on this must not mistake none for a ready one.
        return Ok(Outcome::NotReady);
    }
    Ok(outcome.and(wait_for_all(ui, &cluster, &goals, args.timeout).await?))
}
