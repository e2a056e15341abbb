//! Which tags stay where there are more than an Image can have.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use imgop_registry::reference::Tag;

use super::claims::Claims;
use super::{Desired, Finding, MAX_TAGS, Situation};
use crate::selection::SourceRef;
use crate::workloads::child::{ChildImage, ChildKey};

/// Takes out tags beyond what an Image can have: those that nothing is known to use, first those that are unused for longest,
/// then the last by name. While not everything is known that is used, what an Image has and is not known to be unused stays
/// before what is new.
pub(super) fn cap(
    situation: &Situation<'_>,
    key: &ChildKey,
    desired: &mut Desired,
    claims: &Claims,
) -> Option<Finding> {
    let limit = situation.max_tags.min(MAX_TAGS);
    let left_out = desired.items.len().checked_sub(limit).filter(|more| *more > 0)?;
    let there = if situation.is_complete { BTreeSet::new() } else { tags_there(situation, key) };
    let mut tags: Vec<_> = desired
        .items
        .keys()
        .map(|tag| {
            let since = desired.unused_since.0.get(tag.as_str()).copied();
            let is_new = !there.contains(tag) || since.is_some();
            let is_unused = !claims.is_used(&(key.destination.clone(), tag.clone()));
            // Among those that are unused, those come first that are so for the shortest time.
            (is_new, is_unused, since.is_some(), Reverse(since), tag.clone())
        })
        .collect();
    tags.sort();
    for (.., tag) in tags.into_iter().skip(limit) {
        desired.items.remove(&tag);
        desired.unused_since.0.remove(tag.as_str());
    }
    let (source, destination) = (key.source.to_string(), key.destination.to_string());
    Some(Finding::TooManyTags { source, destination, left_out, limit })
}

/// Returns the tags that Images of the mirror have between the same two repositories.
fn tags_there<'a>(situation: &Situation<'a>, key: &ChildKey) -> BTreeSet<&'a Tag> {
    let same = |child: &&ChildImage| child.source == key.source && child.destination == key.destination;
    let children = situation.children.iter().filter(same);
    children.flat_map(|child| child.tags.iter().filter_map(SourceRef::name)).collect()
}
