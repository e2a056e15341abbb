//! Asks both registries about the tags that a request means: at most one list a side, and one HEAD
//! a tag and side, or a few pages where the source tells the digests of many tags at once. The agent
//! and the preview both do it here.

mod contents;
mod referrers;
mod young;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use crate::api::{Referrers, Side};
use crate::copy::{CopyRequest, FirstSeen, Naming, Observed, ObservedTag, Seen};
use crate::selection::{Excluded, Exclusion, Version, by_version, select};
use imgop_registry::reference::Tag;
use imgop_registry::reference::{Digest, ManifestRef, ReferenceError};
use imgop_registry::{BulkDigest, Reason, RegistryError, RepositoryClient, SharedTags, Unreachable};

pub use contents::ContentCache;

/// Caps that keep one request from asking for a whole registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many tags one request may mean.
    pub max_tags: usize,
    /// How many of those that refer to these tags are taken.
    pub max_referrers: usize,
    /// How many near misses are kept.
    pub max_excluded: usize,
    /// How many tags are asked about at once; each registry's own budget bounds it further.
    pub concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_tags: 500, max_referrers: 1_000, max_excluded: 100, concurrency: 32 }
    }
}

/// Why nothing can be said of the tags at all. What fails for one tag only stands in its
/// [`Seen::Unknown`].
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// A registry refuses, or does not answer.
    #[error("{side}: {error}")]
    Registry {
        /// Which.
        side: Side,
        /// Why.
        error: RegistryError,
    },
    /// The caller's patience ended first.
    #[error("the registries did not answer within {seconds} seconds")]
    TooSlow {
        /// The caller's patience.
        seconds: u64,
    },
    /// `destination.version` makes no tag of a source tag.
    #[error("spec.destination.version: {0}")]
    Naming(#[from] ReferenceError),
    /// More tags are meant than the cap.
    #[error(
        "{version} means {count} tags of {listed}, and at most {cap} are taken; narrow it, or use select.latest"
    )]
    TooManyTags {
        /// The version of the request.
        version: String,
        /// How many tags it means.
        count: usize,
        /// How many there are.
        listed: usize,
        /// How many may be meant.
        cap: usize,
    },
    /// More refers to the tags than the cap.
    #[error(
        "{count} signatures and the like refer to the tags, and at most {cap} are taken; narrow the version"
    )]
    TooManyReferrers {
        /// How many there are.
        count: usize,
        /// How many may be taken.
        cap: usize,
    },
}

/// The two sides of a request.
#[derive(Debug, Clone)]
pub struct Sides {
    /// The source repository.
    pub source: RepositoryClient,
    /// The destination repository; none for a preview of what a pattern means.
    pub destination: Option<RepositoryClient>,
}

/// What is known before anybody is asked.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Tags of the source that mode `OnceByTag` has copied.
    pub already_synced: BTreeSet<Tag>,
    /// What the destination answered lately, by its own tags.
    pub at_destination: HashMap<Tag, Digest>,
    /// What tags of the source showed when they were first seen; needed where `select.minAge` is set.
    pub first_seen: HashMap<Tag, FirstSeen>,
    /// The time; needed where `select.minAge` is set, and nothing is old enough without it.
    pub now: Timestamp,
    /// What the source answered lately, for tags that refer to others and for tags that it need not be
    /// asked about but for those.
    pub at_source: HashMap<Tag, Digest>,
    /// What becomes of contents of the source of which only some platforms are wanted.
    pub contents: ContentCache,
    /// Whether an index at the destination is not believed when it says what it was made from.
    pub reads_source: bool,
}

/// Parts of one index that is made: each is a container of a Job.
const MOST_PARTS: usize = 32;

/// From this many tags on, the destination is listed first: one request instead of one for each tag
/// that is not there, that never moves, or whose digest is known.
const LIST_FROM: usize = 3;

/// Asks both sides, as little as what is known allows.
///
/// Tags that were already synced, or that never move, are settled once the destination has them.
/// Of a tag whose digest at the destination is known, only the source is asked. A no-op so costs
/// one list of the destination and one HEAD for each tag that may move; on Docker Hub, Quay and ECR
/// Public, fewer: one request for each 100 tags or more.
pub async fn observe(
    sides: &Sides,
    request: &CopyRequest,
    known: &Known,
    limits: Limits,
) -> Result<Observed, ObserveError> {
    let Meant { refs: meant, among, mut observed } = meant(sides, request, limits).await?;
    // What refers to a tag is looked for at the destination too, and then there are several.
    let with_referrers = request.referrers == Referrers::All;
    let mut look = Look { sides, request, known, listed: None, bulk: HashMap::new() };
    if let Some(destination) = &sides.destination
        && (meant.len() >= LIST_FROM
            || with_referrers
            || (destination.prefers_shared_tags() && look.a_list_is_enough(&meant)))
    {
        look.listed = listed(destination).await;
    }
    let wanted = look.comparable(&meant)?;
    look.bulk = sides.source.digests_in_bulk(&wanted, &among).await;
    observed.tags = futures::stream::iter(meant)
        .map(|tag| look.at(tag))
        .buffered(limits.concurrency.max(1))
        .try_collect()
        .await?;
    if let Some(min_age) = request.min_age {
        look.learn_pushes(&observed.tags, &among).await;
        let bulk = std::mem::take(&mut look.bulk);
        young::hold_back(&look, &bulk, min_age, limits, &mut observed).await;
    }
    // What is too young is not copied, nor is what refers to it.
    if with_referrers {
        let among = observed.listed.is_some().then_some(among);
        // Boxed, as it is large and seldom needed.
        let referrers =
            Box::pin(look.referrers(&mut observed.tags, &observed.waiting, among, limits)).await?;
        observed.tags.extend(referrers);
    }
    Ok(observed)
}

/// The tags of the destination. None when it does not let us list them: each is asked for then.
async fn listed(destination: &RepositoryClient) -> Option<SharedTags> {
    match destination.shared_tags().await {
        Ok(tags) => Some(tags),
        Err(error) => {
            tracing::debug!(%error, "the destination is not listed; each tag is asked for");
            None
        }
    }
}

/// What the version of a request means.
struct Meant {
    /// Newest first.
    refs: Vec<ManifestRef>,
    /// All tags of the source, if it was listed.
    among: Vec<Tag>,
    observed: Observed,
}

impl From<ManifestRef> for Meant {
    fn from(one: ManifestRef) -> Self {
        Self { refs: vec![one], among: Vec::new(), observed: Observed::default() }
    }
}

async fn meant(sides: &Sides, request: &CopyRequest, limits: Limits) -> Result<Meant, ObserveError> {
    match &request.version {
        Version::Exact(tag) => return Ok(ManifestRef::from(tag.clone()).into()),
        Version::Digest(digest) => return Ok(ManifestRef::from(digest.clone()).into()),
        Version::Pattern(_) | Version::Range(_) | Version::Every => {}
    }
    let tags =
        sides.source.tags().await.map_err(|error| ObserveError::Registry { side: Side::Source, error })?;
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
    Ok(Meant { refs, among: tags, observed })
}

/// The tags of the source without those that this very request makes of others: within one repository each
/// sync would else make tags of what the one before has made.
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

/// How one tag after the other is looked at.
struct Look<'a> {
    sides: &'a Sides,
    request: &'a CopyRequest,
    known: &'a Known,
    listed: Option<SharedTags>,
    /// Digests at the source that its bulk API told; they may be a little old.
    bulk: HashMap<Tag, BulkDigest>,
}

impl Look<'_> {
    /// The tags whose digests at the source may turn out to be those at the destination; all that may
    /// be copied where it matters when they were pushed.
    fn comparable(&self, meant: &[ManifestRef]) -> Result<HashSet<Tag>, ObserveError> {
        let mut tags = HashSet::new();
        for what in meant.iter().filter(|what| !self.is_settled(what)) {
            let ManifestRef::Tag(tag) = what else { continue };
            let destination_tag = self.request.naming.apply(what)?;
            if self.request.min_age.is_some()
                || self.listed.as_ref().is_none_or(|listed| listed.tags.contains(&destination_tag))
            {
                tags.insert(tag.clone());
            }
        }
        Ok(tags)
    }

    async fn at(&self, source_ref: ManifestRef) -> Result<ObservedTag, ObserveError> {
        let destination_tag = self.request.naming.apply(&source_ref)?;
        let (source, destination) = if self.is_settled(&source_ref) {
            // The source is asked only if the destination turns out not to have the tag.
            match self.settled(&destination_tag).await? {
                destination @ Seen::Absent => (self.source(&source_ref).await?, destination),
                destination => (Seen::NotAsked, destination),
            }
        } else if let ManifestRef::Tag(tag) = &source_ref
            && let Some(told) = self.bulk.get(tag)
        {
            // Good enough to say that nothing has changed. What will be copied is asked of the
            // registry itself, or a bulk API that lags behind could move a tag backwards.
            let wanted = self.wanted_of(&told.digest);
            match self.destination(&destination_tag).await? {
                Seen::NotAsked => (Seen::Present(told.digest.clone()), Seen::NotAsked),
                same if wanted.is_some() && same.digest() == wanted.as_ref() => {
                    (Seen::Present(told.digest.clone()), same)
                }
                destination => (self.source(&source_ref).await?, destination),
            }
        } else {
            futures::try_join!(self.source(&source_ref), self.destination(&destination_tag))?
        };
        let content = self.content(&source, &destination).await?;
        let whole = ObservedTag::whole(source_ref, destination_tag, source, destination);
        Ok(ObservedTag { content, ..whole })
    }

    /// Whether the destination has a tag, whatever its content: its list is enough.
    async fn settled(&self, tag: &Tag) -> Result<Seen, ObserveError> {
        match &self.listed {
            Some(listed) if listed.tags.contains(tag) => Ok(Seen::NotAsked),
            _ => self.destination(tag).await,
        }
    }

    /// Whether the destination's list tells all there is to know of these tags there.
    fn a_list_is_enough(&self, meant: &[ManifestRef]) -> bool {
        meant.iter().all(|tag| {
            let known = || self.request.naming.apply(tag).map(|t| self.known.at_destination.contains_key(&t));
            self.is_settled(tag) || known().unwrap_or(false)
        })
    }

    /// Whether it is enough that the destination has the tag.
    fn is_settled(&self, source_ref: &ManifestRef) -> bool {
        match source_ref {
            ManifestRef::Tag(tag) => {
                // That a tag never moves says nothing of a fixed tag which others were put onto.
                let is_fixed = matches!(self.request.naming, Naming::Fixed(_));
                self.known.already_synced.contains(tag) || self.request.immutable.contains(tag) && !is_fixed
            }
            ManifestRef::Digest(_) => false,
        }
    }

    async fn source(&self, what: &ManifestRef) -> Result<Seen, ObserveError> {
        seen(Side::Source, &self.sides.source, what).await
    }

    async fn destination(&self, tag: &Tag) -> Result<Seen, ObserveError> {
        let Some(client) = &self.sides.destination else { return Ok(Seen::NotAsked) };
        if let Some(listed) = &self.listed {
            match self.known.at_destination.get(tag) {
                Some(digest) if listed.tags.contains(tag) => return Ok(Seen::Present(digest.clone())),
                // A list from before may lack a tag that has come since.
                _ if listed.is_new && !listed.tags.contains(tag) => return Ok(Seen::Absent),
                _ => {}
            }
        }
        seen(Side::Destination, client, &ManifestRef::Tag(tag.clone())).await
    }
}

/// Asks one side about one tag. A refusal concerns all tags, so it ends the whole observation;
/// anything else is this tag's alone.
async fn seen(side: Side, client: &RepositoryClient, what: &ManifestRef) -> Result<Seen, ObserveError> {
    match client.head(what).await {
        Ok(Some(descriptor)) => Ok(Seen::Present(descriptor.digest)),
        Ok(None) => Ok(Seen::Absent),
        Err(error) if *error.reason() == Reason::RepositoryNotFound => Ok(Seen::Absent),
        Err(error) => for_this_tag(side, error).map(Seen::Unknown),
    }
}

/// What an error says of one tag, unless it is a refusal.
fn for_this_tag(side: Side, error: RegistryError) -> Result<String, ObserveError> {
    match error.reason() {
        Reason::Unauthorized
        | Reason::Forbidden
        | Reason::Refused
        | Reason::Settings
        | Reason::Unreachable(Unreachable::Tls | Unreachable::NoTls | Unreachable::WantsTls) => {
            Err(ObserveError::Registry { side, error })
        }
        _ => Ok(error.to_string()),
    }
}
