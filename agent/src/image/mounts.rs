//! Blobs that the destination's registry has already: mounted before a Job looks for them, so that
//! Skopeo finds them there and sends nothing.
//!
//! A Job's pod begins with an empty cache, so Skopeo itself knows of no repository to mount from.
//! Whatever fails here costs bytes and nothing else: the Job sends what is not there.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use imgop_core::copy::Sides;
use imgop_core::copy::{Copy, CopyRequest};
use imgop_registry::reference::{Digest, ManifestRef, Repository};
use imgop_registry::{Account, Manifest, RepositoryClient};
use prometheus_client::metrics::counter::Counter;

use super::reconcile::Look;

mod known;

use known::{KnownBlobs, Mount, plan};

/// Blobs that are known in all.
const MOST_BLOBS: usize = 20_000;
/// Manifests of one index that are read.
const MOST_MANIFESTS: usize = 20;
/// Contents whose manifests are read in one look.
pub(super) const MOST_CONTENTS: usize = 50;
/// Blobs that are read of in one look, and blobs that are kept of one Image until their tags are set: a
/// source may list as many as it likes.
const MOST_OF_A_LOOK: usize = 2_000;
/// Requests at once; the registry's own budget bounds it further.
const AT_ONCE: usize = 8;
/// How long a look may take over mounts, and over what is learned for later ones.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who may know of a blob: a namespace, with one credential at one registry. What one tenant has
/// copied is nothing that another one should be able to find out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    account: Account,
    namespace: String,
}

/// Which repositories hold which blobs.
#[derive(Debug)]
pub struct Blobs(Mutex<KnownBlobs<Scope>>);

impl Default for Blobs {
    fn default() -> Self {
        Self(Mutex::new(KnownBlobs::new(MOST_BLOBS)))
    }
}

impl Blobs {
    // Each operation leaves it whole, whatever panics elsewhere.
    fn lock(&self) -> MutexGuard<'_, KnownBlobs<Scope>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a manifest and the manifests that it lists refer to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Content {
    manifests: u64,
    /// Each once: the images of an index share most.
    blobs: BTreeSet<Digest>,
}

/// How many blobs may still be read of.
struct Room(AtomicUsize);

impl Room {
    fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Adds as many of the blobs as there is room for.
    fn add(&self, to: &mut BTreeSet<Digest>, blobs: Vec<Digest>) {
        for blob in blobs {
            let less = |room: usize| room.checked_sub(1);
            if !to.contains(&blob) && self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
            {
                to.insert(blob);
            }
        }
    }
}

impl Look<'_> {
    /// Mounts what the destination's registry has of these copies: all, if the source is of the same
    /// registry, or what was copied there before. Never tried twice for one content.
    pub(super) async fn mount(&mut self, request: &CopyRequest, sides: &Sides, copies: &[Copy]) {
        let Some(destination) = &sides.destination else { return };
        let new: Vec<Digest> = copies
            .iter()
            .flat_map(Copy::parts)
            .filter(|content| !self.memory.mounted.contains(*content))
            .take(MOST_CONTENTS)
            .cloned()
            .collect();
        self.memory.mounted.extend(new.iter().cloned());
        let mounting = Mounting {
            blobs: &self.context.blobs,
            mounted: &self.context.metrics.blobs_mounted,
            scope: self.scope(destination),
            source: (&sides.source, &request.source),
            destination: (destination, &request.destination),
        };
        if new.is_empty() || !mounting.may_help() {
            return;
        }
        if let Ok(contents) = tokio::time::timeout(PATIENCE, mounting.run(new)).await {
            let mut kept: usize = self.memory.blobs.values().map(Vec::len).sum();
            for (content, blobs) in contents {
                kept += blobs.len();
                if kept > MOST_OF_A_LOOK {
                    break;
                }
                self.memory.blobs.insert(content, blobs);
            }
        } else {
            tracing::debug!(destination = %request.destination, "mounting took too long");
        }
    }

    /// Remembers which blobs the destination holds now that tags were set. Manifests that nobody has read
    /// yet are read there.
    pub(super) async fn learn(&mut self, request: &CopyRequest, destination: &RepositoryClient) {
        let landed = std::mem::take(&mut self.memory.landed);
        if landed.is_empty() || destination.counts_pulls() {
            return;
        }
        let mut unread = Vec::new();
        let scope = self.scope(destination);
        for (content, manifest) in landed {
            match self.memory.blobs.remove(&content) {
                Some(blobs) => self.context.blobs.lock().learn(scope.clone(), &request.destination, blobs),
                None => unread.push((content, manifest)),
            }
        }
        unread.truncate(MOST_CONTENTS);
        let reading = contents(destination, unread);
        let Ok(read) = tokio::time::timeout(PATIENCE, reading).await else { return };
        let mut known = self.context.blobs.lock();
        for (_, content) in read {
            // What the destination has of a copy is what its source had.
            self.memory.pulls_of_a_copy = Some(content.manifests);
            known.learn(scope.clone(), &request.destination, content.blobs);
        }
    }

    fn scope(&self, destination: &RepositoryClient) -> Scope {
        let namespace = self.image.metadata.namespace.clone().unwrap_or_default();
        Scope { account: destination.account(), namespace }
    }
}

/// What mounts are worked out from, and where they are made.
struct Mounting<'a> {
    blobs: &'a Blobs,
    mounted: &'a Counter,
    scope: Scope,
    source: (&'a RepositoryClient, &'a Repository),
    destination: (&'a RepositoryClient, &'a Repository),
}

impl Mounting<'_> {
    /// Whether manifests of the source are worth reading. They never are where that counts as a pull.
    fn may_help(&self) -> bool {
        let counts_pulls = self.source.0.counts_pulls() || self.source.1.host().is_docker_hub();
        !counts_pulls && (self.source_is_readable() || !self.blobs.lock().is_empty(&self.scope))
    }

    fn source_is_readable(&self) -> bool {
        self.destination.0.may_read_as(self.source.0) && self.source.1 != self.destination.1
    }

    /// Mounts what can be mounted. Returns the blobs of each content that was read.
    async fn run(self, new: Vec<Digest>) -> Vec<(Digest, Vec<Digest>)> {
        let contents = contents(self.source.0, new.into_iter().map(|content| (content, None))).await;
        let mounts = {
            let known = self.blobs.lock();
            let needed = contents.iter().flat_map(|(_, content)| &content.blobs);
            let source = self.source_is_readable().then_some(self.source.1);
            plan(needed, self.destination.1, source, |blob| known.find(&self.scope, blob).cloned())
        };
        futures::stream::iter(mounts).for_each_concurrent(AT_ONCE, |mount| self.mount(mount)).await;
        contents.into_iter().map(|(digest, content)| (digest, content.blobs.into_iter().collect())).collect()
    }

    async fn mount(&self, Mount { blob, from }: Mount) {
        match self.destination.0.mount_blob(&blob, &from).await {
            Ok(true) => {
                self.mounted.inc();
            }
            Ok(false) => self.blobs.lock().forget(&self.scope, &blob),
            Err(error) => tracing::debug!(%error, %from, "a blob is not mounted"),
        }
    }
}

/// What these contents consist of, the manifests of some being known; without those that cannot be read.
async fn contents(
    client: &RepositoryClient,
    wanted: impl IntoIterator<Item = (Digest, Option<Manifest>)>,
) -> Vec<(Digest, Content)> {
    let room = &Room(AtomicUsize::new(MOST_OF_A_LOOK));
    let read = |(digest, known)| async move {
        content(client, &digest, known, room).await.map(|content| (digest, content))
    };
    futures::stream::iter(wanted)
        .map(read)
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await
}

async fn content(
    client: &RepositoryClient,
    digest: &Digest,
    known: Option<Manifest>,
    room: &Room,
) -> Option<Content> {
    let manifest = match known {
        Some(manifest) => manifest,
        None => read(client, digest).await?,
    };
    let (children, blobs) = (manifest.children().ok()?, manifest.blobs().ok()?);
    let manifests = 1 + u64::try_from(children.len()).unwrap_or_default();
    let mut content = Content { manifests, blobs: BTreeSet::new() };
    room.add(&mut content.blobs, blobs);
    for child in children.iter().take(MOST_MANIFESTS) {
        if room.is_empty() {
            break;
        }
        if let Some(child) = read(client, child).await {
            room.add(&mut content.blobs, child.blobs().unwrap_or_default());
        }
    }
    Some(content)
}

async fn read(client: &RepositoryClient, digest: &Digest) -> Option<Manifest> {
    match client.manifest(&ManifestRef::Digest(digest.clone())).await {
        Ok(manifest) => manifest,
        Err(error) => {
            tracing::debug!(%error, "a manifest whose blobs might be mounted");
            None
        }
    }
}

#[cfg(test)]
mod tests;
