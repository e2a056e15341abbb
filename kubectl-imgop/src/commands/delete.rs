//! `kubectl imgop delete`.

use clap::Args;
use kube::api::DeleteParams;

use crate::connection::{Cluster, ConnectionArgs};
use crate::errors::{CliError, Outcome};
use crate::text::count;
use crate::ui::Ui;
use crate::which_images::{Found, WhichImages, each, names};

/// Delete Images; nothing is deleted in any registry
///
/// The Image's Jobs go with it, also those that are copying. The tags that it copied stay where they
/// are, but nobody keeps them up to date any more.
#[derive(Debug, Args)]
#[command(visible_alias = "rm")]
pub struct DeleteArgs {
    #[command(flatten)]
    which: WhichImages,

    /// Do not ask; needed where nobody can be asked
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Deletes Images.
pub async fn run(ui: Ui, args: &DeleteArgs) -> Result<Outcome, CliError> {
    if !args.yes && !ui.can_ask() {
        return Err(CliError::usage("nobody can be asked whether to delete; if it is meant, add --yes"));
    }
    let cluster = args.connection.connect().await?;
    let Found { images, outcome } = args.which.find(ui, &cluster).await?;
    let names = names(&images);
    if names.is_empty() {
        return Ok(outcome);
    }
    if !args.yes && !ui.confirm(&question(&cluster, &names))? {
        ui.note("Nothing was deleted.");
        return Ok(Outcome::NotReady);
    }
    let mut number = 0;
    let deleted = each(ui, &names, async |name| {
        let deleted = cluster.raw_images(false).delete(name, &DeleteParams::background()).await;
        deleted.map_err(|error| cluster.explain("delete", Some(name), &error))?;
        number += 1;
        ui.data(&format!("image.skopeo.io/{name} deleted"))
    })
    .await?;
    if number > 0 {
        ui.note("The tags in the registries stay as they are.");
    }
    Ok(outcome.and(deleted))
}

fn question(cluster: &Cluster, names: &[String]) -> String {
    format!(
        "Delete {} of namespace {}: {}? Nothing is deleted in any registry. [y/N] ",
        count(names.len(), "Image"),
        cluster.namespace,
        names.join(", ")
    )
}
