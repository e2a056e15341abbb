//! `kubectl imgop sync`.

use clap::Args;
use imgop_core::api::REQUESTED_AT_ANNOTATION;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::json;

use crate::commands::copy::FIELD_MANAGER;
use crate::connection::{Cluster, ConnectionArgs};
use crate::duration::TimeLimit;
use crate::errors::{CliError, Outcome};
use crate::progress::Goal;
use crate::ui::Ui;
use crate::wait::wait_for_all;
use crate::which_images::{Found, WhichImages, each, is_suspended, names};

/// Sync Images now, and wait for the outcome
///
/// The agent looks at both registries again and copies what is missing, also what failed before and
/// would be tried later. Exit code 0 means that every tag is at its
/// destination, and 1 also that there is nothing to sync.
#[derive(Debug, Args)]
pub struct SyncArgs {
    #[command(flatten)]
    which: WhichImages,

    /// Only ask for the sync
    #[arg(long)]
    no_wait: bool,

    /// How long to wait; 0 means no limit
    #[arg(long, value_name = "DURATION", default_value = "10m", conflicts_with = "no_wait")]
    timeout: TimeLimit,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Asks for syncs and waits for them.
pub async fn run(ui: Ui, args: &SyncArgs) -> Result<Outcome, CliError> {
    let cluster = args.connection.connect().await?;
    let (images, found) = images(ui, args, &cluster).await?;
    let token = Timestamp::now().to_string();
    let (names, mut asked) = (names(&images), Vec::new());
    let triggered = each(ui, &names, async |name| {
        request(&cluster, name, &token).await?;
        asked.push((name.to_owned(), Goal::Token(token.clone())));
        ui.data(&format!("image.skopeo.io/{name} triggered"))
    })
    .await?;
    let outcome = found.and(triggered);
    if asked.is_empty() {
        // Whoever relies on a sync must not take none for one.
        return Ok(Outcome::NotReady);
    }
    if args.no_wait {
        return Ok(outcome);
    }
    Ok(outcome.and(wait_for_all(ui, &cluster, &asked, args.timeout).await?))
}

/// The Images to sync. One that is suspended would never answer: named, it is refused; among all of
/// a selection it is left out.
async fn images(
    ui: Ui,
    args: &SyncArgs,
    cluster: &Cluster,
) -> Result<(Vec<DynamicObject>, Outcome), CliError> {
    let Found { images, outcome } = args.which.find(ui, cluster).await?;
    let (suspended, images): (Vec<_>, Vec<_>) = images.into_iter().partition(is_suspended);
    if !args.which.are_named() {
        for name in names(&suspended) {
            ui.note(&format!("{name} is suspended and left out"));
        }
        return Ok((images, outcome));
    }
    let mut errors: Vec<CliError> = Vec::new();
    for name in names(&suspended) {
        let resume = format!("resume it with: kubectl imgop resume {name}{}", cluster.place());
        errors.push(CliError::failed(format!("{name} is suspended")).hinted(resume));
    }
    match errors.pop() {
        None => Ok((images, outcome)),
        Some(only) if images.is_empty() && errors.is_empty() => Err(only),
        Some(last) => {
            errors.iter().chain([&last]).for_each(|error| ui.error(error));
            Ok((images, Outcome::NotReady))
        }
    }
}

/// Writes the token. A merge patch, not an apply: an apply of this one annotation would give up the
/// fields that `copy` applied under the same name.
async fn request(cluster: &Cluster, name: &str, token: &str) -> Result<(), CliError> {
    let patch = json!({ "metadata": { "annotations": { REQUESTED_AT_ANNOTATION: token } } });
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patched = cluster.raw_images(false).patch(name, &params, &Patch::Merge(&patch)).await;
    patched.map(drop).map_err(|error| cluster.explain("patch", Some(name), &error))
}
