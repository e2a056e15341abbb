//! What of a source tag the destination should have: all of it, or an index of the wanted platforms.
//!
//! A GET of a manifest is a pull that Docker Hub counts, so the source is the last to be asked. What
//! was worked out before is remembered by the caller; an index at the destination names what it
//! was made from.

use std::collections::HashMap;

use super::observation::Observation;
use super::{ObserveError, for_this_tag};
use crate::api::Side;
use crate::copy::parts::{PartsError, parts_of_narrowed, platforms_below};
use crate::copy::{Content, CopyRequest, MadeIndex, MadeOf, MaxParts, Observed, ObservedTag, Origin, Seen};
use imgop_registry::oci::{NarrowedIndex, Platforms, Subset, read_narrowed, subset_of_nested};
use imgop_registry::reference::{Digest, ManifestRef};
use imgop_registry::{Manifest, Platform, Reason, RepositoryClient};

/// What the destination should have of contents of the source, as it was worked out before. It follows from
/// the content and the platforms alone, and holds until the destination is no longer trusted, from which
/// some of it may come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContentCache {
    platforms: Platforms,
    by_source: HashMap<Digest, Content>,
    /// The images of indexes that are copied whole.
    images: HashMap<Digest, Vec<Digest>>,
}

impl ContentCache {
    /// Returns what an observation found out, of the tags that wait too: each pass would pull their manifests
    /// again. It has no more entries than tags are selected.
    pub fn of(request: &CopyRequest, observed: &Observed) -> Self {
        let images = |tag: &ObservedTag| Some((tag.subject.clone()?, tag.images.clone()?));
        let images = observed.tags.iter().filter_map(images).collect();
        if request.platforms.selects_all() {
            return Self { images, ..Self::default() };
        }
        let known = |content: &Content| !matches!(content, Content::Unknown(_) | Content::NotAsked);
        let tags = observed.tags.iter().filter(|tag| tag.referrer_of.is_none());
        let tags = tags.filter_map(|tag| Some((tag.source.digest()?, &tag.content)));
        let waiting = observed.waiting.iter().map(|waiting| (&waiting.digest, &waiting.content));
        let all = tags.chain(waiting).filter(|(_, content)| known(content));
        Self {
            platforms: request.platforms.clone(),
            by_source: all.map(|(digest, content)| (digest.clone(), content.clone())).collect(),
            images,
        }
    }

    /// Returns the images of an index that was read before.
    pub(super) fn images(&self, index: &Digest) -> Option<&Vec<Digest>> {
        self.images.get(index)
    }

    fn get(&self, platforms: &Platforms, source: &Digest) -> Option<&Content> {
        self.by_source.get(source).filter(|_| self.platforms == *platforms)
    }
}

impl Observation<'_> {
    /// Returns the digest that the destination should answer with for this content of the source, if it is
    /// known without a request.
    pub(super) fn wanted_of(&self, source: &Digest) -> Option<Digest> {
        if self.request.platforms.selects_all() {
            return Some(source.clone());
        }
        match self.known.contents.get(&self.request.platforms, source)? {
            Content::Whole(_) => Some(source.clone()),
            Content::Made(made) => Some(made.digest.clone()),
            Content::NoPlatform(_) | Content::Unknown(_) | Content::NotAsked => None,
        }
    }

    /// Returns what the destination should have of what the source has.
    pub(super) async fn content(&self, source: &Seen, destination: &Seen) -> Result<Content, ObserveError> {
        let Seen::Present(source) = source else { return Ok(Content::NotAsked) };
        let (platforms, max_parts) = (&self.request.platforms, self.max_parts);
        if platforms.selects_all() {
            return Ok(Content::Whole(Vec::new()));
        }
        // What another engine copies may be more than this one does.
        let is_copied = |content: &&Content| match content {
            Content::Made(made) => made.of.parts.len() <= max_parts.number(),
            _ => true,
        };
        if let Some(content) = self.known.contents.get(platforms, source).filter(is_copied) {
            return Ok(content.clone());
        }
        if let (Seen::Present(there), Some(client)) = (destination, &self.sides.destination)
            // What has the source's digest is what the source has.
            && (!self.known.reads_source || there == source)
        {
            match manifest(Side::Destination, client, there).await? {
                ManifestAnswer::There(manifest) if there == source => {
                    return narrow(Side::Destination, client, &manifest, platforms, max_parts).await;
                }
                ManifestAnswer::There(manifest) => {
                    if let Some(rewritten) = read_narrowed(&manifest, source, platforms) {
                        return made(Side::Destination, client, source, rewritten, max_parts).await;
                    }
                }
                ManifestAnswer::Absent | ManifestAnswer::Unreadable => {}
                ManifestAnswer::Unknown(why) => return Ok(Content::Unknown(why)),
            }
        }
        let client = &self.sides.source;
        if let Some(read) = self.known.read_ahead.as_ref().and_then(|kept| kept.get(source)) {
            return narrow(Side::Source, client, &read, platforms, max_parts).await;
        }
        match manifest(Side::Source, client, source).await? {
            ManifestAnswer::There(manifest) => {
                narrow(Side::Source, client, &manifest, platforms, max_parts).await
            }
            ManifestAnswer::Absent | ManifestAnswer::Unreadable => {
                Ok(Content::Unknown(format!("the source no longer has {source}")))
            }
            ManifestAnswer::Unknown(why) => Ok(Content::Unknown(why)),
        }
    }
}

/// What a registry answered when it was asked for a manifest.
pub(super) enum ManifestAnswer {
    There(Manifest),
    /// There is none.
    Absent,
    /// There is one that is no manifest of an image or an index, or a larger one than is read: at a destination
    /// anything may stand under a tag.
    Unreadable,
    Unknown(String),
}

pub(super) async fn manifest(
    side: Side,
    client: &RepositoryClient,
    digest: &Digest,
) -> Result<ManifestAnswer, ObserveError> {
    match client.manifest(&ManifestRef::Digest(digest.clone())).await {
        Ok(Some(manifest)) => Ok(ManifestAnswer::There(manifest)),
        Ok(None) => Ok(ManifestAnswer::Absent),
        Err(error) => match error.reason() {
            Reason::Protocol | Reason::Rejected | Reason::Schema1 | Reason::TooLarge { .. }
                if side == Side::Destination =>
            {
                Ok(ManifestAnswer::Unreadable)
            }
            _ => for_this_tag(side, error).map(ManifestAnswer::Unknown),
        },
    }
}

/// Returns what is wanted of a manifest. A single image or an index that names no platform is wanted whole:
/// it may be a chart.
async fn narrow(
    side: Side,
    client: &RepositoryClient,
    manifest: &Manifest,
    platforms: &Platforms,
    max_parts: MaxParts,
) -> Result<Content, ObserveError> {
    if !manifest.is_index() {
        return match client.platform(manifest).await {
            Ok(Some(platform)) if !platforms.selects(&platform) => {
                Ok(Content::NoPlatform(vec![platform.to_string()]))
            }
            Ok(platform) => Ok(Content::Whole(platform.iter().map(Platform::to_string).collect())),
            Err(error) => for_this_tag(side, error).map(Content::Unknown),
        };
    }
    let below = match platforms_below(client, manifest).await {
        Ok(below) => below,
        Err(error) => return unknown(side, error),
    };
    Ok(match subset_of_nested(manifest, platforms, &below) {
        Ok(Subset::Whole { platforms }) => Content::Whole(platforms),
        Ok(Subset::Narrowed(rewritten)) => {
            return made(side, client, &manifest.digest, rewritten, max_parts).await;
        }
        Ok(Subset::Nothing { there }) if there.is_empty() => Content::Whole(there),
        Ok(Subset::Nothing { there }) => Content::NoPlatform(there),
        Err(error) => Content::Unknown(error.to_string()),
    })
}

/// Returns the content that is made of some platforms of an index; what stands in it is read from this side.
async fn made(
    side: Side,
    client: &RepositoryClient,
    source: &Digest,
    rewritten: NarrowedIndex,
    max_parts: MaxParts,
) -> Result<Content, ObserveError> {
    let parts = match parts_of_narrowed(client, &rewritten, source, max_parts).await {
        Ok(parts) => parts,
        Err(error) => return unknown(side, error),
    };
    Ok(Content::Made(MadeIndex {
        digest: rewritten.manifest.digest,
        of: MadeOf { origin: Origin::PlatformsOf(source.clone()), parts },
        platforms: rewritten.platforms,
    }))
}

fn unknown(side: Side, error: PartsError) -> Result<Content, ObserveError> {
    match error {
        PartsError::Registry(error) => for_this_tag(side, error).map(Content::Unknown),
        error => Ok(Content::Unknown(error.to_string())),
    }
}
