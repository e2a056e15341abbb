//! The Images that an inventory asks for. Pure.

use std::collections::HashSet;

use imgop_core::api::{FOUND_TAGS_ANNOTATION, ImageMirrorSpec};
use imgop_core::inventory::{Child, Expansion, Inventory, is_child_name};
use imgop_registry::reference::Tag;

use crate::children::{Desired, Mirrored};

/// Returns the Images that an inventory asks for.
pub(super) fn desired(
    mirror: &str,
    spec: &ImageMirrorSpec,
    inventory: &Inventory,
    expansion: &Expansion,
) -> Vec<Desired> {
    let image = |child: &Child| {
        let found = child.found.iter().map(Tag::as_str).collect::<Vec<_>>().join(",");
        let annotations = (!found.is_empty()).then_some((FOUND_TAGS_ANNOTATION, found));
        let (spec, annotations) = (inventory.image_spec(child, spec), annotations.into_iter().collect());
        Desired::new(child.name(mirror), spec, annotations, [].into())
    };
    expansion.children.iter().map(image).collect()
}

/// Returns the names of the Images that an inventory does not ask for any more. One with a name that this mirror does not
/// give is another's.
pub(super) fn gone(mirror: &str, desired: &[Desired], mirrored: &[Mirrored]) -> Vec<String> {
    let asked: HashSet<&str> = desired.iter().map(|one| one.name.as_str()).collect();
    let left = mirrored.iter().filter(|one| !asked.contains(one.name.as_str()));
    let own = left.filter(|one| is_child_name(&one.name, mirror, &one.spec.destination.name));
    own.map(|one| one.name.clone()).collect()
}

/// Returns which tags of an Image version sources have added.
pub(super) fn found(image: &Mirrored) -> Vec<Tag> {
    let found = image.annotations.get(FOUND_TAGS_ANNOTATION).map(String::as_str).unwrap_or_default();
    found.split(',').filter_map(|tag| tag.parse().ok()).collect()
}
