//! Asks both registries about the tags that a request selects: at most one list a side, and one HEAD a tag
//! and side, or a few pages where the source reports the digests of many tags at once. The agent and the
//! preview both do it here.

mod answers;
mod contents;
mod observation;
mod referrers;
mod selected;
mod young;

use std::collections::{BTreeSet, HashMap};

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use imgop_registry::reference::{Digest, ReferenceError, Tag};
use imgop_registry::{Reason, RegistryError, RepositoryClient, SharedTags, Unreachable};

pub use self::answers::AnswersOfBoth;
pub use self::contents::ContentCache;
use self::observation::Observation;
use self::selected::{List, Selected, selected};
use super::{CopyRequest, FirstSeen, MaxParts, Naming, Observed, ObservedTag, ReadAhead, Seen};
use crate::api::{Referrers, Side};
use crate::selection::{SourceRef, by_version};

/// How many tags of one Image an agent copies that has no other setting.
pub const MAX_TAGS_PER_IMAGE: u16 = 500;

/// Caps that keep one request from asking for a whole registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many tags one request may select.
    pub max_tags: usize,
    /// How many of those that refer to these tags are taken.
    pub max_referrers: usize,
    /// How many manifests of one content are copied one by one.
    pub max_parts: MaxParts,
    /// How many near misses are kept.
    pub max_excluded: usize,
    /// How many tags are asked about at once; each registry's own limit bounds it further.
    pub concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_tags: MAX_TAGS_PER_IMAGE.into(),
            max_referrers: 1_000,
            max_parts: MaxParts::default(),
            max_excluded: 100,
            concurrency: 32,
        }
    }
}

/// Why nothing is known of any tag. What fails for one tag only stands in its [`Seen::Unknown`].
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
    /// The registries took longer than the caller waits.
    #[error("the registries did not answer within {seconds} seconds")]
    TooSlow {
        /// How long that is.
        seconds: u64,
    },
    /// `destination.version` makes no tag of a source tag.
    #[error("spec.destination.version: {0}")]
    Naming(#[from] ReferenceError),
    /// More tags are selected than the cap.
    #[error(
        "{version} selects {count} of {listed} tags, and at most {cap} are copied; narrow it, or use select.latest"
    )]
    TooManyTags {
        /// The version of the request.
        version: String,
        /// How many tags it selects.
        count: usize,
        /// How many there are.
        listed: usize,
        /// How many may be selected.
        cap: usize,
    },
    /// More tags are named than the cap.
    #[error(
        "source.tags has {count} tags, and at most {cap} are copied; spread them over several Images, or an administrator \
         raises MAX_TAGS_PER_IMAGE of the agent"
    )]
    TooManyNamed {
        /// How many there are.
        count: usize,
        /// How many there may be.
        cap: usize,
    },
    /// More refers to the tags than the cap.
    #[error(
        "{count} signatures and the like refer to the tags, and at most {cap} are copied; narrow the version"
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
    /// The destination repository; `None` for a preview of what a pattern selects.
    pub destination: Option<RepositoryClient>,
}

/// What is known before a registry is asked.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Tags of the source that mode `OnceByTag` has copied.
    pub already_synced: BTreeSet<Tag>,
    /// Whether nothing records which tags mode `OnceByTag` has copied, as where there is no status: a tag that the
    /// destination has counts as copied then, whatever it shows.
    pub has_no_record: bool,
    /// What the destination answered lately, by its own tags; what has expired is left out.
    pub at_destination: HashMap<Tag, Digest>,
    /// What tags of the source showed when they were first seen; needed where `select.minAge` is set.
    pub first_seen: HashMap<Tag, FirstSeen>,
    /// The time; needed where `select.minAge` is set, and nothing is old enough without it.
    pub now: Timestamp,
    /// The newest tag that the observation before selected for a fixed tag of the destination.
    pub newest: Option<Tag>,
    /// What the source answered lately, for tags that refer to others and for tags that it need not be
    /// asked about but for those.
    pub at_source: HashMap<Tag, Digest>,
    /// What the destination should have of contents of the source, where only some platforms are wanted.
    pub contents: ContentCache,
    /// Where the manifests of what is missing at the destination are read, and kept here, instead of looked up.
    pub read_ahead: Option<ReadAhead>,
    /// Whether the destination is asked if it has such a repository at all.
    pub asks_for_repository: AsksForRepository,
    /// Whether the source is read for that, whatever an index at the destination states as its origin: whoever
    /// may write there may have written that too.
    pub reads_source: bool,
}

/// When it is worth a request to know that the destination has no such repository: a copy asks for less then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AsksForRepository {
    /// Never.
    #[default]
    No,
    /// Where none of the tags is there, and these are copied.
    IfAbsent,
    /// Before all else, as where most is likely to be copied at once.
    First,
}

/// From this many tags on, the destination is listed first: one request instead of one for each tag
/// that is not there, that never moves, or whose digest is known.
const LIST_FROM: usize = 3;

/// Asks both sides, as little as what is known allows.
///
/// Of tags that were already synced, or that never move, it is enough that the destination has them.
/// Of a tag whose digest at the destination is known, only the source is asked. A no-op so costs
/// one list of the destination and one HEAD for each tag that may move; on Docker Hub, Quay and ECR
/// Public, fewer: one request for each 100 tags or more.
pub async fn observe(
    sides: &Sides,
    request: &CopyRequest,
    known: &Known,
    limits: Limits,
) -> Result<Observed, ObserveError> {
    let mut selection = selected(sides, request, limits, List::Shared).await?;
    // Two lists have to agree that a tag goes backwards, and not one that was read for others before.
    if !selection.is_new && newest_before(request, known, selection.refs.first()).is_some() {
        // Whoever waits for memory should hold none.
        drop(selection);
        selection = selected(sides, request, limits, List::Own).await?;
    }
    let Selected { refs, among, mut observed, .. } = selection;
    if let Some(kept) = kept_newest(request, known, refs.first(), &mut observed) {
        observed.tags.push(kept);
        return Ok(observed);
    }
    // What refers to a tag is sought at the destination too, and then there are several.
    let with_referrers = request.referrers == Referrers::All;
    let mut observation = Observation::new(sides, request, known, limits.max_parts);
    let is_listed_first = |destination: &&RepositoryClient| {
        refs.len() >= LIST_FROM
            || known.asks_for_repository == AsksForRepository::First
            || with_referrers
            || (destination.prefers_shared_tags() && observation.a_list_is_enough(&refs))
    };
    let listed_first = sides.destination.as_ref().filter(is_listed_first);
    if let Some(destination) = listed_first {
        observation.listed = listed(destination).await;
    }
    let wanted = observation.comparable(&refs)?;
    observation.bulk = sides.source.digests_in_bulk(&wanted, &among).await;
    observed.tags = futures::stream::iter(refs)
        .map(|tag| observation.at(tag))
        .buffered(limits.concurrency.max(1))
        .try_collect()
        .await?;
    observed.destination_is_new = observation.is_without_repository(&observed, listed_first.is_some()).await;
    observation.check_refusals(&observed)?;
    if let Some(min_age) = request.min_age {
        observation.learn_pushes(&observed.tags, &among).await;
        let bulk = std::mem::take(&mut observation.bulk);
        young::hold_back(&observation, &bulk, min_age, limits, &mut observed).await;
    }
    // What is too young is not copied, nor is what refers to it.
    if with_referrers {
        let among = observed.listed.is_some().then_some(among);
        // Boxed, as it is large and seldom needed.
        let referrers =
            Box::pin(observation.referrers(&mut observed.tags, &observed.waiting, among, limits)).await?;
        observed.tags.extend(referrers);
    }
    observed.destination_is_known = observation.knows_destination(&observed.tags);
    Ok(observed)
}

/// Returns the newest tag of the observation before, to stay under the fixed tag of the destination, where
/// this list has only an older one. A list may be incomplete for a while, and must not move a tag
/// backwards: a second one has to agree.
fn kept_newest(
    request: &CopyRequest,
    known: &Known,
    newest: Option<&SourceRef>,
    observed: &mut Observed,
) -> Option<ObservedTag> {
    let Naming::Fixed(fixed) = &request.naming else { return None };
    if !request.version.is_selector() {
        return None;
    }
    observed.newest = newest.and_then(SourceRef::tag).cloned();
    let before = SourceRef::Tag(newest_before(request, known, newest)?.clone());
    Some(ObservedTag::whole(before, fixed.clone(), Seen::NotAsked, Seen::NotAsked))
}

/// Returns the newest tag of the observation before, where this list has only an older one for the fixed tag of
/// the destination.
fn newest_before<'a>(request: &CopyRequest, known: &'a Known, newest: Option<&SourceRef>) -> Option<&'a Tag> {
    let is_fixed = matches!(request.naming, Naming::Fixed(_)) && request.version.is_selector();
    let before = known.newest.as_ref().filter(|_| is_fixed)?;
    let is_older = newest.and_then(SourceRef::tag).is_none_or(|newest| by_version(newest, before).is_lt());
    is_older.then_some(before)
}

/// Returns the tags of the destination; none where it does not list them, and each is asked for.
async fn listed(destination: &RepositoryClient) -> Option<SharedTags> {
    let listed = destination.shared_tags().await;
    let tell = |error: &RegistryError| {
        tracing::debug!(%error, "the destination is not listed; each tag is asked for");
    };
    listed.inspect_err(tell).ok()
}

/// Returns the message of an error that concerns one tag; what concerns all stays an error. That a registry
/// denies one thing may be a policy for this one alone, as where a scanner has found something in it.
fn for_this_tag(side: Side, error: RegistryError) -> Result<String, ObserveError> {
    match error.reason() {
        Reason::Unauthorized
        | Reason::Refused
        | Reason::Settings
        | Reason::Unreachable(
            Unreachable::Dns | Unreachable::Tls | Unreachable::NoTls | Unreachable::WantsTls,
        ) => Err(ObserveError::Registry { side, error }),
        _ => Ok(error.to_string()),
    }
}
