//! Which objects a verb is for: names, or labels or all of the namespace for one kind.

use clap::Args;

use super::pick::{self, check_can_pick};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::cluster::objects::Found;
use crate::kinds::object_name::parse_selector;
use crate::kinds::{DEFAULT_KIND, KINDS, KindRef, ObjectRef, TypedName, kind_of_word};
use crate::output::Ui;

/// The objects that a verb changes. One of these is required; on a terminal the user picks otherwise.
#[derive(Debug, Args)]
pub struct SelectedArgs {
    /// Names of Images and ImageBuilders; kind/NAME where both have one. With --selector or --all the kind to select from, if it is not Image
    #[arg(value_name = "NAME", value_parser = TypedName::parse)]
    names: Vec<TypedName>,

    /// Select by labels, such as team=web
    #[arg(short = 'l', long, value_parser = parse_selector, conflicts_with = "all")]
    selector: Option<String>,

    /// Select all in the namespace
    #[arg(long)]
    all: bool,
}

/// What is selected.
#[derive(Debug, PartialEq, Eq)]
pub enum Selected {
    /// These objects.
    Named(Vec<TypedName>),
    /// Objects of this kind, all of them or those with labels.
    OfKind(KindRef),
}

impl SelectedArgs {
    /// Returns whether each is named, and not selected among all.
    pub fn are_named(&self) -> bool {
        !self.all && self.selector.is_none()
    }

    /// Fails where nothing is selected and the user cannot be asked.
    pub fn check(&self, ui: Ui) -> Result<(), CliError> {
        if self.are_named() && self.names.is_empty() {
            check_can_pick(ui, "NAME, --selector or --all")?;
        }
        Ok(())
    }

    /// Fails if an object is of another kind than its bare name stands for: what cannot be undone must not go from an
    /// Image to the ImageBuilder that has its name once the Image is gone.
    pub fn check_kinds(&self, objects: &[ObjectRef]) -> Result<(), CliError> {
        let of_default_kind = |name: &&TypedName| self.are_named() && !name.has_kind();
        for bare in self.names.iter().filter(of_default_kind).map(TypedName::reference) {
            let other = objects.iter().find(|object| object.name == bare.name && object.kind != bare.kind);
            let Some(other) = other.filter(|other| !self.names.contains(&TypedName::from((*other).clone())))
            else {
                continue;
            };
            let (kind, default) = (other.kind.title(), bare.kind.title());
            let message = format!("{} is an {kind} and no {default}; nothing is deleted", bare.name);
            return Err(CliError::failed(message).hinted(format!("to delete it, name its kind: {other}")));
        }
        Ok(())
    }

    /// Returns the objects. A name that does not exist stops none of the others.
    pub async fn find(&self, ui: Ui, cluster: &Cluster) -> Result<Found, CliError> {
        match selected(&self.names, self.are_named(), &KINDS)? {
            Selected::Named(none) if none.is_empty() => {
                cluster.get_all(ui, &pick::some(ui, cluster).await?).await
            }
            Selected::Named(names) => cluster.get_all(ui, &names).await,
            Selected::OfKind(kind) => cluster.find(ui, kind, self.selector.as_deref()).await,
        }
    }
}

/// Returns what is selected. Where objects are not named, all are of one kind: what changes many objects must not
/// grow by a kind that was not asked for. A kind alone reads as a name; nothing else may stand there.
pub fn selected(names: &[TypedName], are_named: bool, kinds: &[KindRef]) -> Result<Selected, CliError> {
    match names {
        names if are_named => Ok(Selected::Named(names.to_vec())),
        [] => Ok(Selected::OfKind(DEFAULT_KIND)),
        [only] if let Some(kind) = kind_of_word(&only.reference().name, kinds) => Ok(Selected::OfKind(kind)),
        [name, ..] => Err(CliError::usage(format!(
            "{}: a name goes with neither --selector nor --all; give one of them",
            name.reference()
        ))),
    }
}
