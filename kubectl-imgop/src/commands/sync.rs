//! `kubectl imgop sync`.

use clap::Args;
use imgop_core::api::REQUESTED_AT_ANNOTATION;
use jiff::Timestamp;
use serde_json::json;

use crate::args::SelectedArgs;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::objects::{Found, FoundObject, each, references};
use crate::cluster::wait_until_ready::wait_for_all;
use crate::cluster::{Cluster, ConnectionArgs, TimeLimit};
use crate::kinds::progress::Goal;
use crate::output::Ui;

/// Sync Images or rebuild ImageBuilders now, and wait for the outcome
///
/// For an Image the agent compares both registries again and copies what is missing, including what failed before and
/// would be retried later; for an ImageBuilder it starts a build, though nothing has changed. Exit code 0 means that every tag is at its destination, and 1 also that there is
/// nothing to sync.
#[derive(Debug, Args)]
pub struct SyncArgs {
    #[command(flatten)]
    selected: SelectedArgs,

    /// Request the sync without waiting for it
    #[arg(long)]
    no_wait: bool,

    /// How long to wait; 0 means no limit
    #[arg(long, value_name = "DURATION", default_value = "10m", conflicts_with = "no_wait")]
    timeout: TimeLimit,
}

/// Requests syncs and waits for them.
pub async fn run(ui: Ui, args: &SyncArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    args.selected.check(ui)?;
    let cluster = connection.connect().await?;
    let (objects, found) = objects(ui, args, &cluster).await?;
    let token = Timestamp::now().to_string();
    let annotation = json!({ "metadata": { "annotations": { REQUESTED_AT_ANNOTATION: token } } });
    let mut requested = Vec::new();
    let triggered = each(ui, &references(&objects), async |object| {
        cluster.merge(object, &annotation).await?;
        requested.push((object.clone(), Goal::Token(token.clone())));
        ui.data(&format!("{} triggered", object.qualified()))
    })
    .await?;
    let outcome = found.and(triggered);
    if requested.is_empty() {
        // Scripts that rely on a sync must not mistake none for a successful one.
        return Ok(Outcome::NotReady);
    }
    if args.no_wait {
        return Ok(outcome);
    }
    Ok(outcome.and(wait_for_all(ui, &cluster, &requested, args.timeout).await?))
}

/// Returns the objects to sync. One that is suspended would never answer: it is refused where it is named,
/// and skipped where many are selected.
async fn objects(
    ui: Ui,
    args: &SyncArgs,
    cluster: &Cluster,
) -> Result<(Vec<FoundObject>, Outcome), CliError> {
    let Found { objects, outcome } = args.selected.find(ui, cluster).await?;
    let (suspended, objects): (Vec<_>, Vec<_>) = objects.into_iter().partition(FoundObject::is_suspended);
    if !args.selected.are_named() {
        for object in references(&suspended) {
            ui.note(&format!("{object} is suspended, skipping"));
        }
        return Ok((objects, outcome));
    }
    let mut errors: Vec<CliError> = Vec::new();
    for object in references(&suspended) {
        let resume = format!("resume it with: kubectl imgop resume {object}{}", cluster.place());
        errors.push(CliError::failed(format!("{object} is suspended")).hinted(resume));
    }
    match errors.pop() {
        None => Ok((objects, outcome)),
        Some(only) if objects.is_empty() && errors.is_empty() => Err(only),
        Some(last) => {
            errors.iter().chain([&last]).for_each(|error| ui.error(error));
            Ok((objects, Outcome::NotReady))
        }
    }
}
