//! `kubectl imgop sync`.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use imgop_core::api::{Image, REQUESTED_AT_ANNOTATION};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::commands::copy::FIELD_MANAGER;
use crate::completion::image_names;
use crate::connection::{Cluster, ConnectionArgs};
use crate::duration::TimeLimit;
use crate::errors::{CliError, Outcome};
use crate::names::parse_image_name;
use crate::progress::Goal;
use crate::ui::Ui;
use crate::wait::wait_for_all;

/// Sync Images now, and wait for the outcome
///
/// The agent looks at both registries again and copies what is missing, also what failed before and
/// would be tried later. Exit code 0 means that every tag is at its destination.
#[derive(Debug, Args)]
pub struct SyncArgs {
    /// Images to sync
    #[arg(value_name = "NAME", value_parser = parse_image_name,
        add = ArgValueCompleter::new(image_names))]
    names: Vec<String>,

    /// Sync the Images with these labels, such as team=web
    #[arg(short = 'l', long, conflicts_with = "names")]
    selector: Option<String>,

    /// Sync all Images of the namespace
    #[arg(long, conflicts_with_all = ["names", "selector"])]
    all: bool,

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
    if args.names.is_empty() && args.selector.is_none() && !args.all {
        return Err(CliError::usage("which Images? Give names, --selector or --all"));
    }
    let cluster = args.connection.connect().await?;
    let images = images(ui, args, &cluster).await?;
    if images.is_empty() {
        return Ok(Outcome::Done);
    }
    let goal = Goal::Token(Timestamp::now().to_string());
    for image in &images {
        request(&cluster, image, &goal).await?;
        ui.data(&format!("image.skopeo.io/{} triggered", image.name_any()))?;
    }
    if args.no_wait {
        return Ok(Outcome::Done);
    }
    let goals: Vec<(String, Goal)> = images.iter().map(|image| (image.name_any(), goal.clone())).collect();
    wait_for_all(ui, &cluster, &goals, args.timeout).await
}

/// The Images to sync. One that is suspended would never answer: named, it is refused; among all of
/// a selection it is left out.
async fn images(ui: Ui, args: &SyncArgs, cluster: &Cluster) -> Result<Vec<Image>, CliError> {
    if args.names.is_empty() {
        let mut wanted = ListParams::default();
        wanted.label_selector.clone_from(&args.selector);
        let list = cluster.images().list(&wanted).await;
        let list = list.map_err(|error| cluster.explain("list", None, &error))?;
        if list.items.is_empty() {
            ui.note(&format!("No resources found in {} namespace.", cluster.namespace));
        }
        let (suspended, images): (Vec<_>, Vec<_>) =
            list.items.into_iter().partition(|image| image.spec.suspend);
        for image in suspended {
            ui.note(&format!("{} is suspended and left out", image.name_any()));
        }
        return Ok(images);
    }
    let mut images = Vec::new();
    for name in &args.names {
        let image = cluster.image(name).await?;
        if image.spec.suspend {
            let resume = format!("resume it with: kubectl imgop resume {name}{}", cluster.place());
            return Err(CliError::failed(format!("{name} is suspended")).hinted(resume));
        }
        images.push(image);
    }
    Ok(images)
}

/// Writes the token. A merge patch, not an apply: an apply of this one annotation would give up the
/// fields that `copy` applied under the same name.
async fn request(cluster: &Cluster, image: &Image, goal: &Goal) -> Result<(), CliError> {
    let Goal::Token(token) = goal else { return Ok(()) };
    let name = image.name_any();
    let patch = json!({ "metadata": { "annotations": { REQUESTED_AT_ANNOTATION: token } } });
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patched = cluster.raw_images(false).patch(&name, &params, &Patch::Merge(&patch)).await;
    patched.map(drop).map_err(|error| cluster.explain("patch", Some(&name), &error))
}
