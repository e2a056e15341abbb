//! Asks both registries about the tags that a request means: at most one list a side, and one HEAD
//! a tag and side. The agent and the preview both do it here.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use futures::{StreamExt as _, TryStreamExt as _};

use crate::plan::{CopyRequest, Observed, ObservedTag, Seen};
use crate::reference::{ManifestRef, ReferenceError};
use crate::registry::{Reason, RegistryError, RepositoryClient};
use crate::tags::{Tag, Version, select};

/// Caps that keep one request from asking for a whole registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many tags one request may mean.
    pub max_tags: usize,
    /// How many near misses are kept.
    pub max_excluded: usize,
    /// How many tags are asked about at once; each registry's own budget bounds it further.
    pub concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_tags: 500, max_excluded: 100, concurrency: 32 }
    }
}

/// Which registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one that images come from.
    Source,
    /// The one that images go to.
    Destination,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Destination => "destination",
        })
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
}

/// The two sides of a request.
#[derive(Debug, Clone)]
pub struct Sides {
    /// The source repository.
    pub source: RepositoryClient,
    /// The destination repository; none for a preview of what a pattern means.
    pub destination: Option<RepositoryClient>,
}

/// Asks both sides. Tags in `already_synced` (mode `OnceByTag`) are not asked about one by one:
/// the destination's list tells whether they are still there, and only those that vanished are
/// looked at again.
pub async fn observe(
    sides: &Sides,
    request: &CopyRequest,
    already_synced: &BTreeSet<Tag>,
    limits: Limits,
) -> Result<Observed, ObserveError> {
    let (meant, mut observed) = meant(sides, request, limits).await?;
    let settled = still_there(sides, request, &meant, already_synced).await?;
    observed.tags = futures::stream::iter(meant)
        .map(|source_ref| {
            let is_settled = settled.contains(&source_ref);
            observe_tag(sides, request, source_ref, is_settled)
        })
        .buffered(limits.concurrency.max(1))
        .try_collect()
        .await?;
    Ok(observed)
}

/// What the version of the request means, newest first.
async fn meant(
    sides: &Sides,
    request: &CopyRequest,
    limits: Limits,
) -> Result<(Vec<ManifestRef>, Observed), ObserveError> {
    match &request.version {
        Version::Exact(tag) => return Ok((vec![tag.clone().into()], Observed::default())),
        Version::Digest(digest) => return Ok((vec![digest.clone().into()], Observed::default())),
        Version::Pattern(_) | Version::Range(_) => {}
    }
    let tags =
        sides.source.tags().await.map_err(|error| ObserveError::Registry { side: Side::Source, error })?;
    let selection = select(&request.version, request.candidates, &request.filter, &tags, limits.max_excluded);
    if selection.tags.len() > limits.max_tags {
        return Err(ObserveError::TooManyTags {
            version: request.version.to_string(),
            count: selection.tags.len(),
            listed: tags.len(),
            cap: limits.max_tags,
        });
    }
    let observed = Observed { listed: Some(tags.len()), tags: Vec::new(), excluded: selection.excluded };
    Ok((selection.tags.into_iter().map(ManifestRef::Tag).collect(), observed))
}

/// Which of the tags that were already synced the destination still has.
async fn still_there(
    sides: &Sides,
    request: &CopyRequest,
    meant: &[ManifestRef],
    already_synced: &BTreeSet<Tag>,
) -> Result<HashSet<ManifestRef>, ObserveError> {
    let synced: Vec<&ManifestRef> =
        meant.iter().filter(|m| matches!(m, ManifestRef::Tag(tag) if already_synced.contains(tag))).collect();
    let (Some(destination), false) = (&sides.destination, synced.is_empty()) else {
        return Ok(synced.into_iter().cloned().collect());
    };
    let there: HashSet<Tag> = match destination.tags().await {
        Ok(tags) => tags.into_iter().collect(),
        Err(error) if *error.reason() == Reason::RepositoryNotFound => HashSet::new(),
        Err(error) => return Err(ObserveError::Registry { side: Side::Destination, error }),
    };
    Ok(synced
        .into_iter()
        .filter(|tag| request.naming.apply(tag).is_ok_and(|name| there.contains(&name)))
        .cloned()
        .collect())
}

/// Asks both sides about one tag at the same time, unless it is settled.
async fn observe_tag(
    sides: &Sides,
    request: &CopyRequest,
    source_ref: ManifestRef,
    is_settled: bool,
) -> Result<ObservedTag, ObserveError> {
    let destination_tag = request.naming.apply(&source_ref)?;
    if is_settled {
        let (source, destination) = (Seen::NotAsked, Seen::NotAsked);
        return Ok(ObservedTag { source_ref, destination_tag, source, destination });
    }
    let at_destination = ManifestRef::Tag(destination_tag.clone());
    let (source, destination) = futures::try_join!(seen(Side::Source, &sides.source, &source_ref), async {
        match &sides.destination {
            Some(client) => seen(Side::Destination, client, &at_destination).await,
            None => Ok(Seen::NotAsked),
        }
    })?;
    Ok(ObservedTag { source_ref, destination_tag, source, destination })
}

/// Asks one side about one tag. A refusal concerns all tags, so it ends the whole observation;
/// anything else is this tag's alone.
async fn seen(side: Side, client: &RepositoryClient, what: &ManifestRef) -> Result<Seen, ObserveError> {
    match client.head(what).await {
        Ok(Some(descriptor)) => Ok(Seen::Present(descriptor.digest)),
        Ok(None) => Ok(Seen::Absent),
        Err(error) => match error.reason() {
            Reason::RepositoryNotFound => Ok(Seen::Absent),
            Reason::Unauthorized | Reason::Forbidden | Reason::Refused | Reason::Settings => {
                Err(ObserveError::Registry { side, error })
            }
            _ => Ok(Seen::Unknown(error.to_string())),
        },
    }
}
