//! The Images that an inventory asks for. Pure.

use imgop_core::api::{FOUND_TAGS_ANNOTATION, ImageMirrorSpec};
use imgop_core::inventory::{Child, Expansion, Inventory};
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

/// Returns which tags of an Image version sources have added.
pub(super) fn found(image: &Mirrored) -> Vec<Tag> {
    let found = image.annotations.get(FOUND_TAGS_ANNOTATION).map(String::as_str).unwrap_or_default();
    found.split(',').filter_map(|tag| tag.parse().ok()).collect()
}
