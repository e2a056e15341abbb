//! Puts manifests: those that others name by digest, the root last and under its tag.

use futures::{StreamExt as _, TryStreamExt as _};
use imgop_registry::Manifest;
use imgop_registry::reference::{Digest, ManifestRef};
use tokio::time::sleep;

use crate::copier::Copier;
use crate::destination::DestinationId;
use crate::error::CopyError;
use crate::item::{Copied, Target};
use crate::plan::Plan;
use crate::single_flight::Claim;
use crate::tree::Tree;
use crate::tries::wait;

/// Manifests of one content that are put at a time.
const PUTS: usize = 8;
/// How often a destination is asked for a tag that was put; some show it only after a while.
const MAX_READS: u32 = 4;

impl Copier {
    /// Puts all manifests below the root.
    pub(crate) async fn put_below(
        &self,
        to: DestinationId,
        tree: &Tree,
        plan: &Plan,
    ) -> Result<(), CopyError> {
        for step in &plan.steps {
            futures::stream::iter(step.iter().filter_map(|digest| tree.nodes.get(digest)))
                .map(|node| self.put_once(to, &node.manifest))
                .buffer_unordered(PUTS)
                .try_collect::<()>()
                .await?;
        }
        Ok(())
    }

    /// Puts a manifest by its digest, once, however many name it.
    async fn put_once(&self, to: DestinationId, manifest: &Manifest) -> Result<(), CopyError> {
        loop {
            match self.puts.claim((to, manifest.digest.clone())) {
                Claim::Mine(flight) => {
                    let by_digest = ManifestRef::Digest(manifest.digest.clone());
                    let client = &self.at(to).client;
                    let outcome = self.patiently(|| client.put_manifest(&by_digest, manifest)).await;
                    match &outcome {
                        Ok(()) => flight.share(outcome.clone()),
                        Err(_) => flight.share_failure(outcome.clone()),
                    }
                    return outcome;
                }
                Claim::Others(waiting) => {
                    if let Some(outcome) = waiting.outcome().await {
                        return outcome;
                    }
                }
            }
        }
    }

    /// Puts the root, and returns what the destination answers.
    pub(crate) async fn put_root(&self, target: &Target, root: &Manifest) -> Result<Copied, CopyError> {
        let client = &self.at(target.destination).client;
        let Some(tag) = &target.tag else {
            self.put_once(target.destination, root).await?;
            return Ok(Copied::Done(root.digest.clone()));
        };
        let tag = ManifestRef::Tag(tag.clone());
        if target.keeps_existing
            && let Some(there) = self.patiently(|| client.head(&tag)).await?
        {
            let is_same = there.digest == root.digest;
            return Ok(if is_same { Copied::Done(there.digest) } else { Copied::Kept(there.digest) });
        }
        if self.patiently(|| client.put_and_confirm(&tag, root)).await? {
            return Ok(Copied::Done(root.digest.clone()));
        }
        let mut found = None;
        for read in 0..MAX_READS {
            if read > 0 {
                sleep(wait(self.options.first_wait * 4, read)).await;
            }
            found = self.patiently(|| client.head(&tag)).await?.map(|descriptor| descriptor.digest);
            if found.as_ref() == Some(&root.digest) {
                return Ok(Copied::Done(root.digest.clone()));
            }
        }
        Err(CopyError::NotShown { expected: root.digest.clone(), found })
    }

    /// Lets everything of a content be done again at a destination.
    pub(crate) fn forget_all(&self, to: DestinationId, tree: &Tree) {
        for node in tree.nodes.values() {
            let blobs = node.blobs.iter().map(|blob| &blob.digest);
            let forget = |digest: &Digest| (to, digest.clone());
            blobs.for_each(|blob| self.blobs.forget(&forget(blob)));
            self.puts.forget(&forget(&node.manifest.digest));
        }
    }
}
