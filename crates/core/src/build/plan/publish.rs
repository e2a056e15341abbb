//! When all parts are built: what the tags show, and which of them are still to be set.

use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::{Digest, Repository, Tag};

use super::{PartAction, PlannedPart};
use crate::build::BuildRequest;

/// A tag of the destination, and what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagSeen {
    /// The repository.
    pub repository: Repository,
    /// The tag.
    pub tag: Tag,
    /// What it shows; none if it is not there.
    pub digest: Option<Digest>,
}

/// What the tags of a build show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuiltContent {
    /// The manifest of the only platform, which gets the tag itself.
    Manifest(Digest),
    /// An index of these, in the order of the platforms.
    Index(Vec<(PlatformSelector, Digest)>),
}

/// What is to be put at the registry, and in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Publication {
    /// Nothing yet: parts are missing.
    PartsMissing,
    /// Nothing any more: a newer build was begun, and an older one never takes its tags.
    Superseded,
    /// The index is put first, by digest.
    PutIndex(Vec<(PlatformSelector, Digest)>),
    /// The content is there: these tags are set one by one, in this order.
    SetTags(Digest, Vec<(Repository, Tag)>),
    /// Every tag shows the content.
    Done(Digest),
}

/// Returns what the tags of a build show, once all parts are built.
fn content(planned: &[PlannedPart]) -> Option<BuiltContent> {
    let built: Option<Vec<_>> = planned
        .iter()
        .map(|part| match &part.action {
            PartAction::Built(digest) => Some((part.platform.clone(), digest.clone())),
            _ => None,
        })
        .collect();
    let built = built.filter(|built| !built.is_empty())?;
    Some(match built.as_slice() {
        [(_, digest)] => BuiltContent::Manifest(digest.clone()),
        _ => BuiltContent::Index(built),
    })
}

/// Returns the next step towards the tags of the build with this number. `newest` is the number of the newest build
/// that the live object has; `index` the digest of the index, once it is at the registry; `seen` what tags show.
pub fn publication(
    request: &BuildRequest,
    (number, newest): (u64, u64),
    planned: &[PlannedPart],
    index: Option<&Digest>,
    seen: &[TagSeen],
) -> Publication {
    if number < newest {
        return Publication::Superseded;
    }
    let digest = match (content(planned), index) {
        (None, _) => return Publication::PartsMissing,
        (Some(BuiltContent::Index(parts)), None) => return Publication::PutIndex(parts),
        (Some(BuiltContent::Index(_)), Some(index)) => index.clone(),
        (Some(BuiltContent::Manifest(digest)), _) => digest,
    };
    let shows = |(repository, tag): &&(Repository, Tag)| {
        seen.iter().any(|seen| {
            &seen.repository == repository && &seen.tag == tag && seen.digest.as_ref() == Some(&digest)
        })
    };
    let missing: Vec<_> = request.destination.tags.iter().filter(|tag| !shows(tag)).cloned().collect();
    if missing.is_empty() { Publication::Done(digest) } else { Publication::SetTags(digest, missing) }
}
