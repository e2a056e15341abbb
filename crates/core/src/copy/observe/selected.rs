//! The tags of the source that a request selects.

use std::borrow::Cow;
use std::collections::HashSet;

use imgop_registry::reference::{ManifestRef, Tag};
use imgop_registry::{SharedTags, TagList};

use super::{Limits, ObserveError, Sides};
use crate::api::Side;
use crate::copy::{CopyRequest, Naming, Observed};
use crate::selection::{Excluded, Exclusion, Version, by_version, select};

/// Which list of the source is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum List {
    /// One that others of this process read as well, or have read a moment ago.
    Shared,
    /// One for this observation alone.
    Own,
}

/// What the version of a request selects.
pub(super) struct Selected {
    /// Newest first.
    pub(super) refs: Vec<ManifestRef>,
    /// All tags of the source, if it was listed.
    pub(super) among: TagList,
    /// Whether they were listed for this observation alone.
    pub(super) is_new: bool,
    pub(super) observed: Observed,
}

impl From<ManifestRef> for Selected {
    fn from(one: ManifestRef) -> Self {
        Self { refs: vec![one], among: TagList::default(), is_new: true, observed: Observed::default() }
    }
}

/// Lists the source if the version selects among its tags, and selects.
pub(super) async fn selected(
    sides: &Sides,
    request: &CopyRequest,
    limits: Limits,
    list: List,
) -> Result<Selected, ObserveError> {
    match &request.version {
        Version::Exact(tag) => return Ok(ManifestRef::from(tag.clone()).into()),
        Version::Digest(digest) => return Ok(ManifestRef::from(digest.clone()).into()),
        Version::Pattern(_) | Version::Range(_) | Version::Every => {}
    }
    let listed = match list {
        List::Shared => sides.source.listed_tags().await,
        List::Own => sides.source.tags().await.map(|tags| SharedTags { tags: tags.into(), is_new: true }),
    };
    let SharedTags { tags, is_new } =
        listed.map_err(|error| ObserveError::Registry { side: Side::Source, error })?;
    let (among, made) = originals(request, &tags);
    let mut selection =
        select(&request.version, request.candidates, &request.filter, &among, limits.max_excluded);
    let excluded = selection.near_misses + made.len();
    selection.excluded.splice(..0, made);
    selection.excluded.truncate(limits.max_excluded);
    if selection.tags.len() > limits.max_tags {
        return Err(ObserveError::TooManyTags {
            version: request.version.to_string(),
            count: selection.tags.len(),
            listed: tags.len(),
            cap: limits.max_tags,
        });
    }
    let mut observed = Observed {
        listed: Some(tags.len()),
        excluded_beyond: excluded - selection.excluded.len(),
        excluded: selection.excluded,
        ..Observed::default()
    };
    let refs: Vec<ManifestRef> = selection.tags.into_iter().map(ManifestRef::Tag).collect();
    let (refs, nameless): (Vec<_>, Vec<_>) =
        refs.into_iter().partition(|what| request.naming.apply(what).is_ok());
    // One over-long tag, of whoever pushes there, must not stop all others.
    observed.excluded.extend(nameless.into_iter().filter_map(|what| match what {
        ManifestRef::Tag(tag) => Some(Excluded { tag, reason: Exclusion::TooLong }),
        ManifestRef::Digest(_) => None,
    }));
    drop(among);
    Ok(Selected { refs, among: tags, is_new, observed })
}

/// Returns the tags of the source without those that this very request makes of others: within one
/// repository each sync would else make tags of what the one before has made.
fn originals<'a>(request: &CopyRequest, tags: &'a [Tag]) -> (Cow<'a, [Tag]>, Vec<Excluded>) {
    if !request.source.is_same_place(&request.destination)
        || !matches!(request.naming, Naming::Template { .. })
    {
        return (Cow::Borrowed(tags), Vec::new());
    }
    let all: HashSet<&Tag> = tags.iter().collect();
    let (mut originals, mut made) = (Vec::new(), Vec::new());
    for tag in tags {
        let original = request.naming.original(tag).filter(|original| all.contains(original));
        match original.filter(|original| request.selects(original) && request.selects(tag)) {
            Some(original) => made.push(Excluded { tag: tag.clone(), reason: Exclusion::MadeOf(original) }),
            None => originals.push(tag.clone()),
        }
    }
    made.sort_by(|a, b| by_version(&b.tag, &a.tag));
    (Cow::Owned(originals), made)
}
