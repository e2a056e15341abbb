//! Lets tags at the destination point at content that Jobs have pushed by digest, or at indexes that are
//! made of such content.
//!
//! The tag comes last and from one writer, within milliseconds: a copy that breaks off leaves no half
//! image under a tag.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use imgop_registry::oci::{Subset, referrers_index, subset_of_nested};
use imgop_registry::reference::{Digest, ManifestRef};
use imgop_registry::{Manifest, RegistryError};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::parts::{PartsError, platforms_below, put_below};
use super::route::{MAX_CONCURRENT_TAGS, Refusals, Route, until};
use super::{Copy, MadeOf, Origin, Outcome};
use crate::api::{FailureReason, Overwrite, Publish};

/// How often a destination is asked for a tag that was put; some show it only after a while.
const MAX_READS: u32 = 4;
/// Bytes of a manifest that is handed back.
const MAX_KEPT_BYTES: usize = 64 * 1024;
/// Manifests that are handed back.
const MAX_KEPT_MANIFESTS: usize = 50;
/// The message where content is not there at the first try to publish it.
const NOT_SHOWN: &str = "the destination does not show what was pushed by digest, or not yet";

/// What became of tags that were to be published.
#[derive(Debug, Default)]
pub struct Publications {
    /// What the destination answers for tags.
    pub answered: Vec<Answered>,
    /// Tags that could not be published.
    pub failed: Vec<(Copy, Outcome)>,
    /// A refusal that concerns all; what was published is published.
    pub refusal: Option<RegistryError>,
}

/// A tag for which the destination has answered.
#[derive(Debug)]
pub struct Answered {
    /// Which.
    pub copy: Copy,
    /// What the tag shows.
    pub digest: Digest,
    /// Whether it was put there just now. What a tag merely shows may be another writer's.
    pub is_put: bool,
    /// What was put there, unless it is large or one of many.
    pub manifest: Option<Manifest>,
}

impl Answered {
    /// Returns whether the tag shows what it should.
    pub fn is_published(&self) -> bool {
        self.digest == self.copy.digest
    }
}

/// Publishes tags until `end`. Those that are not done by then are planned again. `outcomes` holds what
/// became of earlier tries; `on_put` is called with each copy as soon as the destination has accepted its tag.
/// `is_new` says whether the sync that pushed a copy goes on: what a registry does not show of it may come yet.
pub async fn publish(
    route: Route<'_>,
    copies: Vec<Copy>,
    outcomes: &HashMap<Copy, Outcome, impl BuildHasher>,
    now: Timestamp,
    end: Instant,
    is_new: &(dyn Fn(&Copy) -> bool + Sync),
    on_put: &(dyn Fn(&Copy) + Sync),
) -> Publications {
    let publishing = futures::stream::iter(copies).map(|copy| async move {
        // What was pushed long ago may be gone: it is read back.
        let read_ahead = route.read_ahead.filter(|_| is_new(&copy));
        (publish_one(Route { read_ahead, ..route }, &copy, now, on_put).await, copy)
    });
    // One by one: all manifests at once would be much.
    let mut results = pin!(until(end, publishing.buffer_unordered(MAX_CONCURRENT_TAGS)));
    let (mut all, mut kept, mut refusals) = (Publications::default(), 0, Refusals::default());
    while let Some((result, copy)) = results.next().await {
        refusals.add(&result);
        match result {
            Ok(Ok(Shown { digest, put })) => {
                let is_put = put.is_some();
                let is_small =
                    |put: &Manifest| put.bytes.len() <= MAX_KEPT_BYTES && kept < MAX_KEPT_MANIFESTS;
                let manifest = put.filter(is_small);
                kept += usize::from(manifest.is_some());
                all.answered.push(Answered { copy, digest, is_put, manifest });
            }
            // Some registries show what was pushed only after a while.
            Ok(Err(Outcome::ContentGone { at })) if is_new(&copy) && !is_unpublished(outcomes.get(&copy)) => {
                all.failed.push((copy, Outcome::Unpublished { tries: 1, message: NOT_SHOWN.to_owned(), at }));
            }
            Ok(Err(outcome)) => all.failed.push((copy, outcome)),
            Err(error) => {
                let tries = match outcomes.get(&copy) {
                    Some(Outcome::Unpublished { tries, .. }) => tries.saturating_add(1),
                    _ => 1,
                };
                all.failed.push((copy, Outcome::Unpublished { tries, message: error.to_string(), at: now }));
            }
        }
    }
    if let Some(read_ahead) = route.read_ahead {
        let put = all.answered.iter().filter(|answer| answer.is_put);
        read_ahead.forget(put.map(|answer| &answer.digest));
    }
    all.refusal = refusals.of_all();
    all
}

fn is_unpublished(outcome: Option<&Outcome>) -> bool {
    matches!(outcome, Some(Outcome::Unpublished { .. }))
}

/// What the destination shows under a tag.
#[derive(Debug)]
struct Shown {
    digest: Digest,
    /// What was put there just now.
    put: Option<Manifest>,
}

/// Puts a tag, and asks the destination for it unless the answer names the digest. The manifest is that which was read
/// ahead of the source, or is read back from the destination; its bytes are checked against the digest, so that only what
/// was planned is published. Where the Job has pushed
/// to the tag itself, the destination is only asked. An index that is made is made here, in either way of
/// publishing, from what the source has under the digest that was planned.
async fn publish_one(
    route: Route<'_>,
    copy: &Copy,
    now: Timestamp,
    on_put: &(dyn Fn(&Copy) + Sync),
) -> Result<Result<Shown, Outcome>, RegistryError> {
    let mut put = None;
    if route.request.publish == Publish::Staged || copy.made_of.is_some() {
        if let Some(digest) = kept(route, copy).await? {
            return Ok(Ok(Shown { digest, put: None }));
        }
        let manifest = match manifest(route, copy, now).await {
            // An index within the index was refused.
            Err(error) if copy.made_of.is_some() && lacks_a_part(&error) => {
                return Ok(Err(Outcome::ContentGone { at: now }));
            }
            manifest => match manifest? {
                Ok(manifest) => manifest,
                Err(outcome) => return Ok(Err(outcome)),
            },
        };
        // To make an index takes a while, in which another writer may have put the tag.
        if copy.made_of.is_some()
            && let Some(digest) = kept(route, copy).await?
        {
            return Ok(Ok(Shown { digest, put: None }));
        }
        let tag = ManifestRef::Tag(copy.destination_tag.clone());
        let confirmed = match route.destination.put_and_confirm(&tag, &manifest).await {
            Err(error) if lacks_a_part(&error) => {
                return Ok(Err(Outcome::ContentGone { at: now }));
            }
            Err(error) if error.is_of_immutable_tag() => {
                let shows = route.destination.head(&tag).await?.map(|descriptor| descriptor.digest);
                return Ok(Err(Outcome::Immutable { shows, at: now }));
            }
            confirmed => confirmed?,
        };
        on_put(copy);
        if confirmed {
            return Ok(Ok(Shown { digest: manifest.digest.clone(), put: Some(manifest) }));
        }
        put = Some(manifest);
    }
    read_back(route, copy, put, now).await
}

/// Returns what the tag shows where `overwrite: IfMissing` keeps that.
async fn kept(route: Route<'_>, copy: &Copy) -> Result<Option<Digest>, RegistryError> {
    if route.request.overwrite != Overwrite::IfMissing {
        return Ok(None);
    }
    let there = route.destination.head(&ManifestRef::Tag(copy.destination_tag.clone())).await?;
    Ok(there.map(|descriptor| descriptor.digest))
}

/// Returns the manifest that the tag gets.
async fn manifest(
    route: Route<'_>,
    copy: &Copy,
    now: Timestamp,
) -> Result<Result<Manifest, Outcome>, RegistryError> {
    match &copy.made_of {
        None => {
            let read = route.read_ahead.and_then(|read| read.get(&copy.digest));
            let manifest = match read {
                Some(read) => Some(read),
                None => route.destination.manifest(&ManifestRef::Digest(copy.digest.clone())).await?,
            };
            Ok(manifest.ok_or(Outcome::ContentGone { at: now }))
        }
        Some(made) => {
            let made = make(route, copy, made).await?;
            Ok(made.map_err(|message| failed(FailureReason::CopyFailed, message, now)))
        }
    }
}

/// Asks the destination for the tag until it shows what was put there.
async fn read_back(
    route: Route<'_>,
    copy: &Copy,
    put: Option<Manifest>,
    now: Timestamp,
) -> Result<Result<Shown, Outcome>, RegistryError> {
    let tag = ManifestRef::Tag(copy.destination_tag.clone());
    let mut answer = None;
    for read in 0..MAX_READS {
        if read > 0 {
            sleep(Duration::from_secs(1 << (read - 1))).await;
        }
        answer = route.destination.head(&tag).await?.map(|descriptor| descriptor.digest);
        if answer.as_ref() == Some(&copy.digest) {
            return Ok(Ok(Shown { digest: copy.digest.clone(), put }));
        }
    }
    let found = answer.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string());
    let message = format!("the destination answers with {found} instead of {}", copy.digest);
    Ok(Err(failed(FailureReason::VerificationFailed, message, now)))
}

fn failed(reason: FailureReason, message: String, at: Timestamp) -> Outcome {
    Outcome::Failed { reason, message, at }
}

/// Makes the index of a copy of what the source has, and puts the indexes that stand in it; a message if that is not
/// the index that was planned.
async fn make(
    route: Route<'_>,
    copy: &Copy,
    made: &MadeOf,
) -> Result<Result<Manifest, String>, RegistryError> {
    let planned = match made_index(route, copy, made).await? {
        Ok(planned) => planned,
        Err(message) => return Ok(Err(message)),
    };
    // Of those of referrers all is copied as it is.
    if !matches!(made.origin, Origin::ReferrersOf(_)) && !put_below(route, &planned).await? {
        return Ok(Err(format!("the source no longer has all of {}", copy.digest)));
    }
    Ok(Ok(planned))
}

/// Makes the index of a copy of what the source has; a message if that is not the index that was planned. Nothing is
/// written, and what was read ahead is not read again.
///
/// # Errors
/// Where the source does not answer.
pub async fn made_index(
    route: Route<'_>,
    copy: &Copy,
    made: &MadeOf,
) -> Result<Result<Manifest, String>, RegistryError> {
    let Route { request, source, read_ahead, .. } = route;
    let manifest = match &made.origin {
        Origin::PlatformsOf(index) => {
            let known = read_ahead.and_then(|kept| kept.get(index));
            let whole = match known {
                Some(whole) => Some(whole),
                None => source.manifest(&ManifestRef::Digest(index.clone())).await?,
            };
            let Some(whole) = whole else {
                return Ok(Err(format!("the source no longer has {index}")));
            };
            let below = match platforms_below(source, &whole).await {
                Ok(below) => below,
                Err(PartsError::Registry(error)) => return Err(error),
                Err(error) => return Ok(Err(error.to_string())),
            };
            match subset_of_nested(&whole, &request.platforms, &below) {
                Ok(Subset::Narrowed(narrowed)) => Some(narrowed.manifest),
                _ => None,
            }
        }
        Origin::ReferrersOf(subject) => {
            let referrers = source.referrers(subject).await?.unwrap_or_default();
            referrers_index(&referrers).ok().map(|(manifest, _)| manifest)
        }
        Origin::AllOf(index) => match source.manifest(&ManifestRef::Digest(index.clone())).await? {
            Some(index) => Some(index),
            None => return Ok(Err(format!("the source no longer has {index}"))),
        },
    };
    let Some(planned) = manifest.filter(|manifest| manifest.digest == copy.digest) else {
        return Ok(Err(format!("what the source has no longer makes {}", copy.digest)));
    };
    Ok(Ok(planned))
}

/// Returns whether a registry refuses an index because it does not have one of its entries (OCI
/// distribution-spec, "Error Codes": `MANIFEST_BLOB_UNKNOWN`; some answer `MANIFEST_UNKNOWN`).
fn lacks_a_part(error: &RegistryError) -> bool {
    matches!(error.code(), Some("MANIFEST_BLOB_UNKNOWN" | "MANIFEST_UNKNOWN" | "BLOB_UNKNOWN"))
}

#[cfg(test)]
mod tests;
