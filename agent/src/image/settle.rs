//! Before Jobs are created: what is at the destination already, and the tags whose content is there.

use std::pin::pin;

use futures::{Stream, StreamExt as _};
use imgop_core::api::Publish;
use imgop_core::copy::{Copy, CopyRequest, Outcome};
use imgop_registry::reference::{Digest, ManifestRef};
use imgop_registry::{Manifest, Reason, RegistryError, RepositoryClient};
use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::mounts::MAX_CONTENTS;
use super::publish::{Published, publish};

/// How many tags are asked for or set at once; the registry's own limit bounds it further.
const CONCURRENCY: usize = 16;
/// Bytes of a manifest that is not read again for its blobs. Many tags may be set in one pass.
const MAX_KEPT_MANIFEST: usize = 64 * 1024;

/// What the destination answers for a copy that is to be made.
pub struct Probed {
    /// The copy.
    pub copy: Copy,
    /// What its tag shows; none if it is absent or not known.
    pub tag: Option<Digest>,
    /// Whether everything that would be copied is there.
    pub is_content_present: bool,
}

/// Asks the destination for the tags of these copies, and for their contents where that may save a Job. Copies
/// without an answer in time are made all the same.
pub async fn probe(
    destination: &RepositoryClient,
    publish: Publish,
    copies: Vec<Copy>,
    end: Instant,
) -> Result<Vec<Probed>, RegistryError> {
    let asked = futures::stream::iter(copies).map(|copy| async move {
        let tag = destination.head(&ManifestRef::Tag(copy.destination_tag.clone())).await;
        let content = match &tag {
            Ok(None) if publish == Publish::Staged => has_all(destination, copy.parts()).await,
            // Of a tag that was copied whole the parts are there.
            Ok(_) if copy.made_of.is_some() => has_all(destination, copy.parts()).await,
            _ => Ok(false),
        };
        (copy, tag, content)
    });
    let answers: Vec<_> = take_until(sleep_until(end), asked.buffer_unordered(CONCURRENCY)).collect().await;
    let mut probed = Vec::new();
    for (copy, tag, content) in answers {
        if let Some(refusal) =
            [tag.as_ref().err(), content.as_ref().err()].into_iter().flatten().find(is_refusal_ref)
        {
            return Err(refusal.clone());
        }
        let tag = tag.ok().flatten().map(|descriptor| descriptor.digest);
        probed.push(Probed { copy, tag, is_content_present: matches!(content, Ok(true)) });
    }
    Ok(probed)
}

fn is_refusal_ref(error: &&RegistryError) -> bool {
    is_refusal(error)
}

/// What became of a tag that was to be set.
#[derive(Debug)]
pub enum Publication {
    /// The destination shows this for the tag.
    Shown {
        /// The content.
        digest: Digest,
        /// Whether it was put, and not merely found.
        is_put: bool,
        /// Its manifest, if it is at hand and small.
        manifest: Option<Manifest>,
    },
    /// It could not be set.
    Failed(Outcome),
}

/// Sets every one of these tags. What is not done at the end is left out.
pub async fn publish_all(
    sides: (&RepositoryClient, &RepositoryClient),
    request: &CopyRequest,
    copies: Vec<Copy>,
    now: Timestamp,
    end: Instant,
) -> Vec<(Copy, Result<Publication, RegistryError>)> {
    let setting = futures::stream::iter(copies)
        .map(|copy| async move { (publish(sides, request, &copy, now).await, copy) });
    let mut results = pin!(take_until(sleep_until(end), setting.buffer_unordered(CONCURRENCY)));
    let (mut all, mut kept) = (Vec::new(), 0);
    // One by one: all manifests at once would be much.
    while let Some((result, copy)) = results.next().await {
        let publication = result.map(|published| match published {
            Published::Failed(outcome) => Publication::Failed(outcome),
            Published::Seen(digest, manifest) => {
                let is_put = manifest.is_some();
                let manifest = manifest
                    .filter(|manifest| manifest.bytes.len() <= MAX_KEPT_MANIFEST && kept < MAX_CONTENTS);
                kept += usize::from(manifest.is_some());
                Publication::Shown { digest, is_put, manifest }
            }
        });
        all.push((copy, publication));
    }
    all
}

/// Returns what a stream gives until the end. What it gave is not lost with what is broken off.
fn take_until<T>(end: impl Future<Output = ()>, stream: impl Stream<Item = T>) -> impl Stream<Item = T> {
    stream.take_until(end)
}

/// Returns whether a registry refuses the credentials, which concerns all tags.
pub fn is_refusal(error: &RegistryError) -> bool {
    matches!(error.reason(), Reason::Unauthorized | Reason::Forbidden)
}

/// Returns whether the destination has everything that would be copied.
async fn has_all(destination: &RepositoryClient, parts: &[Digest]) -> Result<bool, RegistryError> {
    for part in parts {
        if destination.head(&ManifestRef::Digest(part.clone())).await?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
