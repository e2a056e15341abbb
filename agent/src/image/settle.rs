//! Before Jobs are made: whether what is to be copied is at the destination already; and the tags
//! whose content is there are set.

use std::pin::pin;

use futures::{Stream, StreamExt as _};
use imgop_core::api::Publish;
use imgop_core::copy::{Copy, Outcome, Run, Seen};
use imgop_registry::reference::{Digest, ManifestRef};
use imgop_registry::{Reason, RegistryError, RepositoryClient};
use tokio::time::{Instant, sleep_until};

use super::act::Work;
use super::jobs::Jobs;
use super::mounts::MOST_CONTENTS;
use super::publish::{Published, publish};
use super::reconcile::{Look, PATIENCE};

/// How many tags are asked for or set at once; the registry's own budget bounds it further.
const AT_ONCE: usize = 16;
/// Bytes of a manifest that is not read again for its blobs. Many tags may be set in one look.
const LARGEST_KEPT: usize = 64 * 1024;

impl Look<'_> {
    /// Looks whether what is to be copied is there already, and sets the tags whose content is.
    pub(super) async fn settle(
        &mut self,
        (source, destination): (&RepositoryClient, &RepositoryClient),
        jobs: &Jobs<'_>,
        work: &mut Work<'_>,
    ) -> Result<(), RegistryError> {
        let end = end();
        if !self.image.spec.suspend {
            let copies = self.copies(work);
            let new = copies.iter().take(jobs.room(&copies)).filter(|c| !self.memory.probed.contains(c));
            let new: Vec<Copy> = new.cloned().collect();
            self.probe(destination, new, work, end).await?;
        }
        let publications: Vec<Copy> = self.plan(work).publications().cloned().collect();
        self.publish_all((source, destination), publications, work, end).await
    }

    /// Before a Job is made: the tag may be there although a list did not name it, and its content may
    /// be there from a Job that nobody saw the end of. Two questions are cheaper than a pod; without an answer
    /// in time there is a Job all the same.
    async fn probe(
        &mut self,
        destination: &RepositoryClient,
        copies: Vec<Copy>,
        work: &mut Work<'_>,
        end: Instant,
    ) -> Result<(), RegistryError> {
        let staged = work.request.publish == Publish::Staged;
        let asked = futures::stream::iter(copies).map(|copy| async move {
            let tag = destination.head(&ManifestRef::Tag(copy.destination_tag.clone())).await;
            let content = match &tag {
                Ok(None) if staged => has_all(destination, copy.parts()).await,
                // Of a tag that was copied whole the parts are there.
                Ok(_) if copy.made_of.is_some() => has_all(destination, copy.parts()).await,
                _ => Ok(false),
            };
            (copy, tag, content)
        });
        let answers: Vec<_> = until(sleep_until(end), asked.buffer_unordered(AT_ONCE)).collect().await;
        let mut probed = Vec::new();
        for (copy, tag, content) in answers {
            match (&tag, &content) {
                (Err(error), _) | (_, Err(error)) if is_refusal(error) => return Err(error.clone()),
                _ => {}
            }
            if let Ok(Some(there)) = tag {
                work.seen(&copy, &Seen::Present(there.digest));
            }
            if matches!(content, Ok(true)) {
                work.runs.push(Run { copy: copy.clone(), outcome: Outcome::Succeeded });
            }
            probed.push(copy);
        }
        self.memory.probed.extend(probed);
        Ok(())
    }

    /// Sets every tag whose content is there. What the destination answers is what the plan is
    /// worked out from next. A refusal concerns all tags, but what was set is set.
    pub(super) async fn publish_all(
        &mut self,
        sides: (&RepositoryClient, &RepositoryClient),
        copies: Vec<Copy>,
        work: &mut Work<'_>,
        end: Instant,
    ) -> Result<(), RegistryError> {
        let (request, at) = (work.request, self.now);
        let setting = futures::stream::iter(copies)
            .map(|copy| async move { (publish(sides, request, &copy, at).await, copy) });
        // One by one: all manifests at once would be much.
        let mut results = pin!(until(sleep_until(end), setting.buffer_unordered(AT_ONCE)));
        let mut refusal = None;
        while let Some((result, copy)) = results.next().await {
            let outcome = match result {
                Ok(Published::Seen(seen, manifest)) => {
                    if seen.digest() == Some(&copy.digest) {
                        self.memory.published = self.memory.published.saturating_add(1);
                        // What it merely shows may be somebody else's; what was put was put with the
                        // credentials of this Image.
                        if manifest.is_some() {
                            let uid = self.image.metadata.uid.as_deref().unwrap_or_default();
                            self.context.rivals.wrote(uid, &request.destination, &copy.destination_tag);
                        }
                        let manifest = manifest.filter(|manifest| {
                            manifest.bytes.len() <= LARGEST_KEPT && self.memory.landed.len() < MOST_CONTENTS
                        });
                        self.memory.landed.push((copy.digest.clone(), manifest));
                    }
                    work.seen(&copy, &seen);
                    continue;
                }
                Ok(Published::Failed(outcome)) => outcome,
                Err(error) => {
                    let tries = match self.memory.outcomes.get(&copy) {
                        Some(Outcome::Unpublished { tries, .. }) => tries.saturating_add(1),
                        _ => 1,
                    };
                    let message = error.to_string();
                    if is_refusal(&error) {
                        refusal = Some(error);
                    }
                    Outcome::Unpublished { tries, message, at }
                }
            };
            work.became(&copy, &outcome);
            self.memory.outcomes.insert(copy, outcome);
        }
        refusal.map_or(Ok(()), Err)
    }
}

/// When settling ends that begins now. What is not done by then is planned again.
pub(super) fn end() -> Instant {
    Instant::now() + PATIENCE
}

/// What a stream gives until the end. What was given is not lost with what is broken off.
fn until<T>(end: impl Future<Output = ()>, stream: impl Stream<Item = T>) -> impl Stream<Item = T> {
    stream.take_until(end)
}

fn is_refusal(error: &RegistryError) -> bool {
    matches!(error.reason(), Reason::Unauthorized | Reason::Forbidden)
}

/// Whether the destination has everything that would be copied.
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
