//! The tags of the source that a request selects.

use std::borrow::Cow;
use std::collections::HashSet;

use imgop_registry::reference::Tag;
use imgop_registry::{SharedTags, TagList};

use super::{Limits, ObserveError, Sides};
use crate::api::Side;
use crate::copy::{CopyRequest, Naming, Observed};
use crate::selection::{Excluded, Exclusion, Newest, Selecting, Selection, SourceRef, Version};

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
    pub(super) refs: Vec<SourceRef>,
    /// All tags of the source, if it was listed.
    pub(super) among: TagList,
    /// Whether they were listed for this observation alone.
    pub(super) is_new: bool,
    pub(super) observed: Observed,
}

impl From<Vec<SourceRef>> for Selected {
    fn from(refs: Vec<SourceRef>) -> Self {
        Self { refs, among: TagList::default(), is_new: true, observed: Observed::default() }
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
        Version::Exact(tag) => return Ok(vec![SourceRef::from(tag.clone())].into()),
        Version::Digest(digest) => return Ok(vec![SourceRef::from(digest.clone())].into()),
        Version::Tags(tags) if tags.len() > limits.max_tags => {
            return Err(ObserveError::TooManyNamed { count: tags.len(), cap: limits.max_tags });
        }
        Version::Tags(tags) => return Ok(tags.iter().cloned().collect::<Vec<_>>().into()),
        Version::Pattern(_) | Version::Range(_) | Version::Every => {}
    }
    let listed = match list {
        List::Shared => sides.source.listed_tags().await,
        List::Own => sides.source.own_tags().await.map(|tags| SharedTags {
            tags,
            is_new: true,
            has_no_repository: false,
        }),
    };
    let SharedTags { tags, is_new, .. } =
        listed.map_err(|error| ObserveError::Registry { side: Side::Source, error })?;
    let (among, made) = originals(request, &tags, limits.max_excluded);
    let mut selection = select(request, &among, limits).await;
    let excluded = selection.near_misses + made.number;
    selection.excluded.splice(..0, made.newest);
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
    let refs: Vec<SourceRef> = selection.tags.into_iter().map(SourceRef::Tag).collect();
    let (refs, nameless): (Vec<_>, Vec<_>) =
        refs.into_iter().partition(|what| request.naming.apply(what).is_ok());
    // One over-long tag, of whoever pushes there, must not stop all others.
    observed.excluded.extend(nameless.into_iter().filter_map(|what| match what {
        SourceRef::Tag(tag) => Some(Excluded { tag, reason: Exclusion::TooLong }),
        SourceRef::Digest(_) | SourceRef::Pinned(..) => None,
    }));
    drop(among);
    Ok(Selected { refs, among: tags, is_new, observed })
}

/// Tags that are compared before others get the thread. With all the expressions that a spec may have, and with
/// the longest tags, that takes a few milliseconds.
const PIECE: usize = 1_024;

/// Selects from the tags of the source.
async fn select(request: &CopyRequest, tags: &[Tag], limits: Limits) -> Selection {
    let CopyRequest { version, candidates, filter, .. } = request;
    let mut selecting = Selecting::new(version, *candidates, filter, tags, limits.max_excluded);
    for piece in tags.chunks(PIECE) {
        selecting.add(piece);
        tokio::task::yield_now().await;
    }
    selecting.end()
}

/// Tags that a request has made itself.
#[derive(Default)]
struct Made {
    /// The newest of them, newest first.
    newest: Vec<Excluded>,
    /// How many there are.
    number: usize,
}

/// Returns the tags of the source without those that this very request makes of others: within one
/// repository each sync would else make tags of what the one before has made. Of those at most `max` are kept.
fn originals<'a>(request: &CopyRequest, tags: &'a [Tag], max: usize) -> (Cow<'a, [Tag]>, Made) {
    if !request.source.is_same_place(&request.destination)
        || !matches!(request.naming, Naming::Template { .. })
    {
        return (Cow::Borrowed(tags), Made::default());
    }
    let all: HashSet<&Tag> = tags.iter().collect();
    let (mut originals, mut made) = (Vec::new(), Newest::new(max));
    for tag in tags {
        let original = request.naming.original(tag).filter(|original| all.contains(original));
        match original.filter(|original| request.selects(original) && request.selects(tag)) {
            Some(original) => made.add_tag(tag, original),
            None => originals.push(tag.clone()),
        }
    }
    let number = made.added();
    let excluded =
        |(tag, original): (&Tag, Tag)| Excluded { tag: tag.clone(), reason: Exclusion::MadeOf(original) };
    (Cow::Owned(originals), Made { newest: made.into_sorted().map(excluded).collect(), number })
}
