//! Which content each tag of a destination has.

use std::collections::{BTreeMap, BTreeSet};

use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::{Digest, Tag};

use super::request::WorkloadRequest;
use super::usage::Newest;
use crate::build::ImageReference;
use crate::selection::SourceRef;

/// An image that goes from one repository to another.
#[derive(Debug, Clone)]
pub(super) struct Named<'a> {
    /// Its place among the used images.
    pub used: usize,
    pub reference: &'a ImageReference,
    /// What pods report that they run.
    pub running: Option<&'a Digest>,
    /// The newest of these pods.
    pub newest: Option<&'a Newest>,
    pub platforms: BTreeSet<PlatformSelector>,
}

/// One tag of a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub what: SourceRef,
    /// The platforms of nodes that run it; empty where no pod does.
    pub platforms: BTreeSet<PlatformSelector>,
}

/// The tags of a destination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Items {
    pub items: BTreeMap<Tag, Item>,
    /// Tags that have no content until a pod reports it.
    pub waiting: BTreeSet<Tag>,
}

/// A content that a tag may have. The greatest is taken: what a tag is asked for without a digest counts before what names
/// a digest, which can be pulled by that; then the newest pod decides.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate<'a> {
    is_plain: bool,
    newest: Option<&'a Newest>,
    what: SourceRef,
}

/// Returns the tags that these images are at a destination.
pub(super) fn items(request: &WorkloadRequest, named: &[Named<'_>]) -> Items {
    let mut items = Items::default();
    let tags: BTreeSet<&Tag> = named.iter().filter_map(|one| one.reference.tag.as_ref()).collect();
    for tag in tags {
        let asking = named.iter().filter(|one| one.reference.tag.as_ref() == Some(tag));
        let asking: Vec<&Named<'_>> = asking.collect();
        let mut candidates: Vec<Candidate<'_>> =
            asking.iter().filter_map(|one| candidate(request, tag, one)).collect();
        let is_plain_known = candidates.iter().any(|one| one.is_plain);
        let is_plain_asked = asking.iter().any(|one| one.reference.digest.is_none());
        if is_plain_asked && !is_plain_known {
            if !request.resolves_unknown() {
                items.waiting.insert(tag.clone());
                continue;
            }
            let what = SourceRef::Tag(tag.clone());
            candidates.push(Candidate { is_plain: true, newest: None, what });
        }
        let platforms: BTreeSet<_> = asking.iter().flat_map(|one| one.platforms.clone()).collect();
        candidates.sort();
        let Some(taken) = candidates.pop() else { continue };
        // What the others run keeps a name of its own.
        for other in candidates {
            items.pin(other.what.digest().filter(|digest| taken.what.digest() != Some(*digest)));
        }
        items.items.insert(tag.clone(), Item { what: taken.what, platforms });
    }
    for one in named {
        items.pin(one.reference.digest.as_ref());
    }
    items
}

impl Items {
    fn pin(&mut self, digest: Option<&Digest>) {
        let pinned = digest.and_then(|digest| SourceRef::under_pin_tag(digest.clone()).ok());
        let Some(what) = pinned else { return };
        if let Some(tag) = what.name().cloned() {
            self.items.insert(tag, Item { what, platforms: BTreeSet::new() });
        }
    }

    /// Returns the tags under which an image can be pulled as it is used.
    pub(super) fn of<'a>(&'a self, one: &'a Named<'_>) -> impl Iterator<Item = &'a SourceRef> {
        let digest = one.reference.digest.as_ref().or(one.running);
        let tag = one.reference.tag.as_ref();
        self.items
            .iter()
            .filter(move |(name, item)| {
                let is_content = digest.is_some() && item.what.digest() == digest;
                is_content || tag == Some(*name)
            })
            .map(|(_, item)| &item.what)
    }
}

/// Returns what a tag may be by one of those that ask for it.
fn candidate<'a>(request: &WorkloadRequest, tag: &Tag, one: &Named<'a>) -> Option<Candidate<'a>> {
    let pinned = |digest: &Digest| SourceRef::Pinned(tag.clone(), digest.clone());
    let (is_plain, what) = match (&one.reference.digest, one.running) {
        (Some(digest), _) => (false, pinned(digest)),
        (None, _) if !request.takes_running(tag) => (true, SourceRef::Tag(tag.clone())),
        (None, Some(digest)) => (true, pinned(digest)),
        (None, None) => return None,
    };
    Some(Candidate { is_plain, newest: one.newest, what })
}
