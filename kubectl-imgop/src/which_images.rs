//! Which Images a verb is for: names, labels, or all of the namespace.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use kube::ResourceExt;
use kube::api::ListParams;
use kube::core::DynamicObject;

use crate::completion::image_names;
use crate::connection::Cluster;
use crate::errors::{CliError, Kind, Outcome};
use crate::names::{parse_image_name, parse_selector};
use crate::ui::Ui;

/// The Images that a verb changes. Without any of these it does nothing.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct WhichImages {
    /// Names of the Images
    #[arg(value_name = "NAME", value_parser = parse_image_name, add = ArgValueCompleter::new(image_names))]
    names: Vec<String>,

    /// The Images with these labels, such as team=web
    #[arg(short = 'l', long, value_parser = parse_selector)]
    selector: Option<String>,

    /// All Images of the namespace
    #[arg(long)]
    all: bool,
}

/// Images that were found. As they are: one that this version cannot read must not hide the others.
pub struct Found {
    /// They are there.
    pub images: Vec<DynamicObject>,
    /// Done, unless one that was named is not there; that is printed already.
    pub outcome: Outcome,
}

impl WhichImages {
    /// Whether each is named, and not chosen among all.
    pub fn are_named(&self) -> bool {
        !self.names.is_empty()
    }

    /// Looks them up. One name that is wrong stops none of the others.
    pub async fn find(&self, ui: Ui, cluster: &Cluster) -> Result<Found, CliError> {
        find(ui, cluster, &self.names, self.selector.as_deref()).await
    }
}

/// The Images of these names; without names those with these labels, or all of the namespace.
pub async fn find(
    ui: Ui,
    cluster: &Cluster,
    names: &[String],
    selector: Option<&str>,
) -> Result<Found, CliError> {
    if names.is_empty() {
        let wanted = ListParams { label_selector: selector.map(str::to_owned), ..ListParams::default() };
        let list = cluster.raw_images(false).list(&wanted).await;
        let images = list.map_err(|error| cluster.explain("list", None, &error))?.items;
        if images.is_empty() {
            cluster.check_namespace().await?;
            ui.note(&format!("No resources found in {} namespace.", cluster.namespace));
        }
        return Ok(Found { images, outcome: Outcome::Done });
    }
    let mut images = Vec::new();
    let outcome = each(ui, names, async |name| {
        images.push(cluster.raw_image(name).await?);
        Ok(())
    })
    .await?;
    Ok(Found { images, outcome })
}

/// Does the same for each of several names. What fails for one is printed, and stops none of the others.
pub async fn each(
    ui: Ui,
    names: &[String],
    mut act: impl AsyncFnMut(&str) -> Result<(), CliError>,
) -> Result<Outcome, CliError> {
    let mut outcome = Outcome::Done;
    for name in names {
        match act(name).await {
            Ok(()) => {}
            Err(error) if names.len() == 1 || error.kind == Kind::BrokenPipe => return Err(error),
            Err(error) => {
                ui.error(&error);
                outcome = Outcome::NotReady;
            }
        }
    }
    Ok(outcome)
}

/// The names of these Images.
pub fn names(images: &[DynamicObject]) -> Vec<String> {
    images.iter().map(ResourceExt::name_any).collect()
}

/// Whether the agent starts no syncs of this Image.
pub fn is_suspended(image: &DynamicObject) -> bool {
    image.data.pointer("/spec/suspend").and_then(serde_json::Value::as_bool).unwrap_or_default()
}
