//! `kubectl imgop suspend`.

use clap::Args;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::commands::copy::FIELD_MANAGER;
use crate::connection::{Cluster, ConnectionArgs};
use crate::errors::{CliError, Outcome};
use crate::ui::Ui;
use crate::which_images::{Found, WhichImages, each, is_suspended, names};

/// Start no more syncs of Images until they are resumed
///
/// Copies that run already end by themselves. Nothing is deleted.
#[derive(Debug, Args)]
pub struct SuspendArgs {
    #[command(flatten)]
    which: WhichImages,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Suspends Images.
pub async fn run(ui: Ui, args: &SuspendArgs) -> Result<Outcome, CliError> {
    let cluster = args.connection.connect().await?;
    set(ui, &cluster, &args.which, true).await
}

/// Sets `spec.suspend` of Images that exist.
pub async fn set(ui: Ui, cluster: &Cluster, which: &WhichImages, suspend: bool) -> Result<Outcome, CliError> {
    let Found { images, outcome } = which.find(ui, cluster).await?;
    let (unchanged, images): (Vec<_>, Vec<_>) =
        images.into_iter().partition(|image| is_suspended(image) == suspend);
    for name in names(&unchanged) {
        ui.data(&format!("image.skopeo.io/{name} unchanged"))?;
    }
    let names = names(&images);
    let what = if suspend { "suspended" } else { "resumed" };
    let set = each(ui, &names, async |name| {
        write(cluster, name, suspend).await?;
        ui.data(&format!("image.skopeo.io/{name} {what}"))
    })
    .await?;
    Ok(outcome.and(set))
}

/// A merge patch, not an apply: an apply of this one field would give up those that `copy` applied
/// under the same name.
async fn write(cluster: &Cluster, name: &str, suspend: bool) -> Result<(), CliError> {
    let patch = json!({ "spec": { "suspend": suspend } });
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patched = cluster.raw_images(false).patch(name, &params, &Patch::Merge(&patch)).await;
    patched.map(drop).map_err(|error| cluster.explain("patch", Some(name), &error))
}
