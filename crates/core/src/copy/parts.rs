//! Indexes that Skopeo cannot copy as they are: their parts are copied instead, and their bytes are put when
//! those are there.

use futures::future::BoxFuture;
use imgop_registry::oci::{
    ManifestError, NarrowedIndex, PlatformsBelow, index_parts, indexes_without_platform,
};
use imgop_registry::reference::{Digest, ManifestRef};
use imgop_registry::{Manifest, Platform, RegistryError, RepositoryClient};

use super::{Copy, MadeOf, MaxParts, Origin, Route};

/// How deep indexes within indexes are read.
const MAX_DEPTH: usize = 4;
/// Indexes within one index that are read.
pub(super) const MAX_READS: usize = 32;

/// Why it is not known what stands in the indexes within an index.
#[derive(Debug, thiserror::Error)]
pub(super) enum PartsError {
    /// A registry did not answer.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// One of them cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// More of them than are read.
    #[error(
        "more than {MAX_READS} indexes stand in {0}, and at most {MAX_READS} are read for their platforms"
    )]
    TooManyIndexes(Digest),
    /// Indexes within indexes within …
    #[error("indexes stand in indexes of {0}, more than {MAX_DEPTH} deep")]
    TooDeep(Digest),
    /// More to copy than a Job takes.
    #[error("{0} manifests of {1} are for the wanted platforms; {2}")]
    TooManyEntries(usize, Digest, MaxParts),
    /// The same, counted within its indexes.
    #[error("too many manifests in indexes of {0} are for the wanted platforms; {1}")]
    TooManyBelow(Digest, MaxParts),
    /// More to read within it.
    #[error("more than {MAX_READS} indexes stand in {0}, and at most {MAX_READS} are read for their parts")]
    TooManyReads(Digest),
}

/// How Skopeo copies a content.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BySkopeo {
    /// As it is.
    AsItIs,
    /// In these parts.
    InParts(MadeOf),
    /// Not at all: it is an index that lists blobs, as the layers of a cache of `BuildKit`.
    NotAtAll,
}

/// What is found in an index that Skopeo cannot copy as it is.
struct Found {
    /// How many parts are looked for.
    max_parts: MaxParts,
    /// What Skopeo copies, each once.
    parts: Vec<Digest>,
    /// The indexes within the index that are put after that, the innermost first. Only their digests are kept:
    /// an index may have megabytes.
    indexes: Vec<Digest>,
    /// Manifests that were read.
    reads: usize,
}

impl Found {
    fn new(max_parts: MaxParts) -> Self {
        Self { max_parts, parts: Vec::new(), indexes: Vec::new(), reads: 0 }
    }

    /// Returns whether there is more than is copied or read, so that nothing more is read.
    fn is_too_much(&self) -> bool {
        self.has_too_many_parts() || self.reads > MAX_READS
    }

    fn has_too_many_parts(&self) -> bool {
        self.parts.len() > self.max_parts.number()
    }
}

/// Returns how Skopeo copies a content. It copies as it is what has more parts than a Job takes, and says what is wrong with
/// it.
///
/// Where reading manifests counts as pulls, that is found out once Skopeo has failed.
pub(super) async fn by_skopeo(
    Route { request, source, read_ahead, .. }: Route<'_>,
    copy: &Copy,
) -> Result<BySkopeo, RegistryError> {
    let counts_pulls = source.counts_pulls() || request.source.host().is_docker_hub();
    if copy.made_of.is_some() || counts_pulls && copy.attempt == 1 {
        return Ok(BySkopeo::AsItIs);
    }
    let read = read_ahead.and_then(|read| read.get(&copy.digest));
    let Some(index) = (if read.is_some() { read } else { index_at(source, &copy.digest).await? }) else {
        return Ok(BySkopeo::AsItIs);
    };
    if index.is_index() && index.blob_descriptors().is_ok_and(|blobs| !blobs.is_empty()) {
        return Ok(BySkopeo::NotAtAll);
    }
    let mut found = Found::new(MaxParts::default());
    let is_split = find(source, &index, MAX_DEPTH, &mut found).await?;
    let is_copied = is_split && !found.parts.is_empty() && !found.is_too_much();
    Ok(if is_copied {
        BySkopeo::InParts(MadeOf { origin: Origin::AllOf(copy.digest.clone()), parts: found.parts })
    } else {
        BySkopeo::AsItIs
    })
}

/// Reads a manifest that may be an index; none where it is another one, or gone.
async fn index_at(source: &RepositoryClient, digest: &Digest) -> Result<Option<Manifest>, RegistryError> {
    let content = ManifestRef::Digest(digest.clone());
    let is_index = source.head(&content).await?.is_some_and(|descriptor| descriptor.may_be_index());
    if is_index { source.manifest(&content).await } else { Ok(None) }
}

/// Returns what is copied of an index of some platforms, of which `of` was narrowed: its entries, but for indexes
/// that Skopeo cannot copy as they are, of which it is their parts.
pub(super) async fn parts_of_narrowed(
    client: &RepositoryClient,
    narrowed: &NarrowedIndex,
    of: &Digest,
    max_parts: MaxParts,
) -> Result<Vec<Digest>, PartsError> {
    if narrowed.parts.len() > max_parts.number() {
        return Err(PartsError::TooManyEntries(narrowed.parts.len(), of.clone(), max_parts));
    }
    let mut found = Found::new(max_parts);
    if !find(client, &narrowed.manifest, MAX_DEPTH, &mut found).await? {
        return Ok(narrowed.parts.clone());
    }
    if found.has_too_many_parts() {
        return Err(PartsError::TooManyBelow(of.clone(), max_parts));
    }
    if found.is_too_much() { Err(PartsError::TooManyReads(of.clone())) } else { Ok(found.parts) }
}

/// Puts all indexes within an index of the source at the destination, by digest. Returns `false` if the source no
/// longer has one. Their parts must be there.
pub(super) async fn put_below(
    Route { source, destination, .. }: Route<'_>,
    index: &Manifest,
) -> Result<bool, RegistryError> {
    // It was counted when it was planned.
    let mut found = Found::new(MaxParts::NoJob);
    find(source, index, MAX_DEPTH, &mut found).await?;
    for digest in found.indexes {
        let reference = ManifestRef::Digest(digest);
        let Some(below) = source.manifest(&reference).await? else { return Ok(false) };
        destination.put_manifest(&reference, &below).await?;
    }
    Ok(true)
}

/// Adds what is found in an index. Returns whether it is one that has to be split.
fn find<'a>(
    source: &'a RepositoryClient,
    index: &'a Manifest,
    depth: usize,
    found: &'a mut Found,
) -> BoxFuture<'a, Result<bool, RegistryError>> {
    Box::pin(async move {
        // What cannot be read is no index that was planned; Skopeo says what is wrong with it.
        let Ok(Some(parts)) = index_parts(index) else { return Ok(false) };
        for part in parts {
            if found.is_too_much() {
                break;
            }
            let below = match depth.checked_sub(1).filter(|_| part.is_index) {
                Some(_) => source.manifest(&ManifestRef::Digest(part.digest.clone())).await?,
                None => None,
            };
            found.reads += usize::from(below.is_some());
            if let Some(below) = below
                && find(source, &below, depth - 1, found).await?
            {
                found.indexes.push(part.digest);
            } else if !found.parts.contains(&part.digest) {
                found.parts.push(part.digest);
            }
        }
        Ok(true)
    })
}

/// Returns the platforms that stand in the indexes within an index whose entries name none, however deep. One that
/// is not there has none.
pub(super) async fn platforms_below(
    client: &RepositoryClient,
    index: &Manifest,
) -> Result<PlatformsBelow, PartsError> {
    let mut reads = 0;
    let mut below = PlatformsBelow::new();
    for digest in indexes_without_platform(index)? {
        let platforms = platforms_of(client, &digest, MAX_DEPTH, (&mut reads, &index.digest)).await?;
        below.insert(digest, platforms);
    }
    Ok(below)
}

/// Returns the platforms of an index; `reads` counts those that were read in an index of this digest.
fn platforms_of<'a>(
    client: &'a RepositoryClient,
    index: &'a Digest,
    depth: usize,
    (reads, of): (&'a mut usize, &'a Digest),
) -> BoxFuture<'a, Result<Vec<Platform>, PartsError>> {
    Box::pin(async move {
        let depth = depth.checked_sub(1).ok_or_else(|| PartsError::TooDeep(of.clone()))?;
        *reads += 1;
        if *reads > MAX_READS {
            return Err(PartsError::TooManyIndexes(of.clone()));
        }
        let Some(index) = client.manifest(&ManifestRef::Digest(index.clone())).await? else {
            return Ok(Vec::new());
        };
        let mut platforms: Vec<Platform> =
            index.platforms()?.into_iter().map(|image| image.platform).collect();
        for digest in indexes_without_platform(&index)? {
            platforms.extend(platforms_of(client, &digest, depth, (&mut *reads, of)).await?);
        }
        Ok(platforms)
    })
}
