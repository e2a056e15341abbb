//! `kubectl imgop delete`.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use kube::api::DeleteParams;

use crate::completion::image_names;
use crate::connection::{Cluster, ConnectionArgs};
use crate::errors::{CliError, Outcome};
use crate::names::parse_image_name;
use crate::text::count;
use crate::ui::Ui;

/// Delete Images; nothing is deleted in any registry
///
/// The Image's Jobs go with it, also those that are copying. The tags that it copied stay where they
/// are, but nobody keeps them up to date any more.
#[derive(Debug, Args)]
#[command(visible_alias = "rm")]
pub struct DeleteArgs {
    /// Images to delete
    #[arg(value_name = "NAME", required = true, value_parser = parse_image_name,
        add = ArgValueCompleter::new(image_names))]
    names: Vec<String>,

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
    for name in &args.names {
        cluster.image(name).await?;
    }
    if !args.yes && !ui.confirm(&question(&cluster, &args.names))? {
        ui.note("Nothing was deleted.");
        return Ok(Outcome::NotReady);
    }
    for name in &args.names {
        let deleted = cluster.raw_images(false).delete(name, &DeleteParams::background()).await;
        deleted.map_err(|error| cluster.explain("delete", Some(name), &error))?;
        ui.data(&format!("image.skopeo.io/{name} deleted"))?;
    }
    ui.note("The tags in the registries stay as they are.");
    Ok(Outcome::Done)
}

fn question(cluster: &Cluster, names: &[String]) -> String {
    format!(
        "Delete {} of namespace {}: {}? Nothing is deleted in any registry. [y/N] ",
        count(names.len(), "Image"),
        cluster.namespace,
        names.join(", ")
    )
}
