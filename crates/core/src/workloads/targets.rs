//! Where the mirrors in sight bring images: what lies there comes from elsewhere.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use crate::api::{ImageMirror, WorkloadMirror};
use crate::registry_prefix::RegistryPrefix;

/// Where a mirror brings images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorTarget {
    /// Where.
    pub place: RegistryPrefix,
    /// The namespace for whose pods alone that counts; none for all. Whoever may write a mirror must not decide what is
    /// mirrored of others.
    pub only_of: Option<String>,
}

/// Returns the targets of the mirrors in the namespace `own`, and those of the namespaces that are looked at for their own
/// pods.
pub fn targets_in_sight(
    own: &str,
    namespaces: &BTreeSet<String>,
    inventories: impl IntoIterator<Item = impl Borrow<ImageMirror>>,
    mirrors: impl IntoIterator<Item = impl Borrow<WorkloadMirror>>,
) -> Vec<MirrorTarget> {
    let mut all = Vec::new();
    let mut add = |namespace: Option<&String>, text: &str| {
        let Some(of) = namespace.filter(|of| *of == own || namespaces.contains(*of)) else { return };
        let only_of = (of != own).then(|| of.clone());
        all.extend(text.parse().ok().map(|place| MirrorTarget { place, only_of }));
    };
    for inventory in inventories {
        let inventory: &ImageMirror = inventory.borrow();
        let targets = inventory.spec.targets.iter();
        targets.for_each(|target| add(inventory.metadata.namespace.as_ref(), &target.repository));
    }
    for mirror in mirrors {
        let mirror: &WorkloadMirror = mirror.borrow();
        add(mirror.metadata.namespace.as_ref(), &mirror.spec.destination.repository);
    }
    all
}
