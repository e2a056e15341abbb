//! Which objects a verb is for: names, labels, or all of the namespace.

use clap::Args;

use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::cluster::objects::Found;
use crate::kinds::ObjectRef;
use crate::kinds::object_name::parse_selector;
use crate::output::Ui;

/// The objects that a verb changes. One of these is required.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct SelectedArgs {
    /// Names of the Images
    #[arg(value_name = "NAME", value_parser = ObjectRef::parse)]
    names: Vec<ObjectRef>,

    /// Select Images by labels, such as team=web
    #[arg(short = 'l', long, value_parser = parse_selector)]
    selector: Option<String>,

    /// Select all Images in the namespace
    #[arg(long)]
    all: bool,
}

impl SelectedArgs {
    /// Returns whether each is named, and not selected among all.
    pub fn are_named(&self) -> bool {
        !self.names.is_empty()
    }

    /// Returns the objects. A name that does not exist stops none of the others.
    pub async fn find(&self, ui: Ui, cluster: &Cluster) -> Result<Found, CliError> {
        cluster.find(ui, &self.names, self.selector.as_deref()).await
    }
}
