//! Blobs that the destination's registry has already: mounted before a Job looks for them, so that
//! Skopeo finds them there and sends nothing.
//!
//! A Job's pod begins with an empty cache, so Skopeo itself knows of no repository to mount from.
//! Whatever fails here costs bytes and nothing else: the Job sends what is not there.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use imgop_core::copy::CopyRequest;
use imgop_core::copy::mount::{KnownBlobs, Mount, plan};
use imgop_registry::reference::{Digest, ManifestRef, Repository};
use imgop_registry::{Account, Manifest, RepositoryClient};

/// Blobs that are known in all.
const MAX_KNOWN_BLOBS: usize = 20_000;
/// Manifests of one index that are read.
const MAX_MANIFESTS: usize = 20;
/// Contents whose manifests are read in one pass.
pub(super) const MAX_CONTENTS: usize = 50;
/// Blobs that are read of in one pass, and blobs that are kept of one Image until their tags are set: a
/// source may list as many as it likes.
const MAX_BLOBS: usize = 2_000;
/// Requests at once; the registry's own limit bounds it further.
const CONCURRENCY: usize = 8;
/// How long a pass may take over mounts, and over what is learned for later ones.
const MOUNT_TIMEOUT: Duration = Duration::from_secs(10);

/// Who may know of a blob: a namespace, with one credential at one registry. What one tenant has
/// copied is nothing that another one should be able to find out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The registry and the credential.
    pub account: Account,
    /// The namespace.
    pub namespace: String,
}

/// Which repositories hold which blobs.
#[derive(Debug)]
pub struct Blobs(Mutex<KnownBlobs<Scope>>);

impl Default for Blobs {
    fn default() -> Self {
        Self(Mutex::new(KnownBlobs::new(MAX_KNOWN_BLOBS)))
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

/// A content whose tag was set, with its manifest if that is at hand.
pub struct PublishedContent {
    /// Which.
    pub digest: Digest,
    /// Its manifest.
    pub manifest: Option<Manifest>,
}

/// What came of mounting.
#[derive(Default)]
pub struct Mounted {
    /// The contents for which it was tried: never twice for one content.
    pub tried: Vec<Digest>,
    /// How many blobs were mounted.
    pub count: u64,
    /// The blobs of contents, as read at the source.
    pub blobs: Vec<(Digest, Vec<Digest>)>,
}

/// Mounts what the destination's registry has of these contents: all, if the source is of the same registry, or
/// what was copied there before.
pub async fn mount(
    known: &Blobs,
    scope: Scope,
    (source, destination): (&RepositoryClient, &RepositoryClient),
    request: &CopyRequest,
    contents: impl Iterator<Item = Digest>,
) -> Mounted {
    let tried: Vec<Digest> = contents.take(MAX_CONTENTS).collect();
    let mounted = AtomicU64::new(0);
    let mounting = Mounting {
        blobs: known,
        mounted: &mounted,
        scope,
        source: (source, &request.source),
        destination: (destination, &request.destination),
    };
    if tried.is_empty() || !mounting.may_help() {
        return Mounted { tried, ..Mounted::default() };
    }
    let blobs = tokio::time::timeout(MOUNT_TIMEOUT, mounting.run(tried.clone())).await.unwrap_or_else(|_| {
        tracing::debug!(destination = %request.destination, "mounting took too long");
        Vec::new()
    });
    Mounted { tried, count: mounted.into_inner(), blobs }
}

/// Remembers which blobs the destination holds now that tags were set; `blobs` are those of contents that were
/// read before. Manifests that were not read yet are read there. Returns how many pulls a copy takes, if that
/// is known now.
pub async fn learn(
    known: &Blobs,
    scope: Scope,
    (destination, repository): (&RepositoryClient, &Repository),
    published: Vec<PublishedContent>,
    blobs: &mut HashMap<Digest, Vec<Digest>>,
) -> Option<u64> {
    if published.is_empty() || destination.counts_pulls() {
        return None;
    }
    let mut unread = Vec::new();
    for content in published {
        match blobs.remove(&content.digest) {
            Some(blobs) => known.lock().learn(scope.clone(), repository, blobs),
            None => unread.push((content.digest, content.manifest)),
        }
    }
    unread.truncate(MAX_CONTENTS);
    let reading = contents(destination, unread);
    let read = tokio::time::timeout(MOUNT_TIMEOUT, reading).await.ok()?;
    let (mut known, mut pulls) = (known.lock(), None);
    for (_, content) in read {
        // What the destination has of a copy is what its source had.
        pulls = Some(content.manifests);
        known.learn(scope.clone(), repository, content.blobs);
    }
    pulls
}

/// What mounts are worked out from, and where they are made.
struct Mounting<'a> {
    blobs: &'a Blobs,
    mounted: &'a AtomicU64,
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
        futures::stream::iter(mounts).for_each_concurrent(CONCURRENCY, |mount| self.mount(mount)).await;
        contents.into_iter().map(|(digest, content)| (digest, content.blobs.into_iter().collect())).collect()
    }

    async fn mount(&self, Mount { blob, from }: Mount) {
        match self.destination.0.mount_blob(&blob, &from).await {
            Ok(true) => {
                self.mounted.fetch_add(1, Ordering::Relaxed);
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
    let room = &Room(AtomicUsize::new(MAX_BLOBS));
    let read = |(digest, known)| async move {
        content(client, &digest, known, room).await.map(|content| (digest, content))
    };
    futures::stream::iter(wanted)
        .map(read)
        .buffer_unordered(CONCURRENCY)
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
    for child in children.iter().take(MAX_MANIFESTS) {
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
