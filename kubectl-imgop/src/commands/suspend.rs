//! `kubectl imgop suspend`.

use clap::Args;
use serde_json::json;

use crate::args::SelectedArgs;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::objects::{Found, each, references};
use crate::cluster::{Cluster, ConnectionArgs};
use crate::output::Ui;

/// Suspend Images and ImageBuilders: start no more syncs and builds until they are resumed
///
/// Copies and builds that are running finish. Nothing is deleted.
#[derive(Debug, Args)]
pub struct SuspendArgs {
    #[command(flatten)]
    selected: SelectedArgs,
}

/// Suspends objects.
pub async fn run(ui: Ui, args: &SuspendArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    args.selected.check(ui)?;
    let cluster = connection.connect().await?;
    set(ui, &cluster, &args.selected, true).await
}

/// Sets `spec.suspend` of objects that exist.
pub async fn set(
    ui: Ui,
    cluster: &Cluster,
    selected: &SelectedArgs,
    suspend: bool,
) -> Result<Outcome, CliError> {
    let Found { objects, outcome } = selected.find(ui, cluster).await?;
    let (unchanged, changed): (Vec<_>, Vec<_>) =
        objects.into_iter().partition(|object| object.is_suspended() == suspend);
    for object in references(&unchanged) {
        ui.data(&format!("{} unchanged", object.qualified()))?;
    }
    let what = if suspend { "suspended" } else { "resumed" };
    let set = each(ui, &references(&changed), async |object| {
        cluster.merge(object, &json!({ "spec": { "suspend": suspend } })).await?;
        ui.data(&format!("{} {what}", object.qualified()))
    })
    .await?;
    Ok(outcome.and(set))
}
