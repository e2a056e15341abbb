//! `kubectl imgop suspend`.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::commands::copy::FIELD_MANAGER;
use crate::completion::image_names;
use crate::connection::{Cluster, ConnectionArgs};
use crate::errors::{CliError, Outcome};
use crate::names::parse_image_name;
use crate::ui::Ui;

/// Start no more syncs of Images until they are resumed
///
/// Copies that run already end by themselves. Nothing is deleted.
#[derive(Debug, Args)]
pub struct SuspendArgs {
    /// Images to suspend
    #[arg(value_name = "NAME", required = true, value_parser = parse_image_name,
        add = ArgValueCompleter::new(image_names))]
    names: Vec<String>,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Suspends Images.
pub async fn run(ui: Ui, args: &SuspendArgs) -> Result<Outcome, CliError> {
    let cluster = args.connection.connect().await?;
    set(ui, &cluster, &args.names, true).await
}

/// Sets `spec.suspend` of Images that exist.
pub async fn set(ui: Ui, cluster: &Cluster, names: &[String], suspend: bool) -> Result<Outcome, CliError> {
    for name in names {
        let image = cluster.image(name).await?;
        let what = match (image.spec.suspend == suspend, suspend) {
            (true, _) => "unchanged",
            (false, true) => "suspended",
            (false, false) => "resumed",
        };
        if image.spec.suspend != suspend {
            write(cluster, &image.name_any(), suspend).await?;
        }
        ui.data(&format!("image.skopeo.io/{name} {what}"))?;
    }
    Ok(Outcome::Done)
}

/// A merge patch, not an apply: an apply of this one field would give up those that `copy` applied
/// under the same name.
async fn write(cluster: &Cluster, name: &str, suspend: bool) -> Result<(), CliError> {
    let patch = json!({ "spec": { "suspend": suspend } });
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patched = cluster.raw_images(false).patch(name, &params, &Patch::Merge(&patch)).await;
    patched.map(drop).map_err(|error| cluster.explain("patch", Some(name), &error))
}
