//! Mounts blobs that another repository of the destination's registry holds, so that Skopeo finds them there
//! and sends nothing. The agent's own program mounts by itself what the source's repository holds.
//!
//! A Job's pod begins with an empty cache, so Skopeo itself knows of no repository to mount from.
//! Whatever fails here costs bytes and nothing else: the Job sends what is not there.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::BuildHasher;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use imgop_registry::cache::{Bounded, NO_EXPIRY};
use imgop_registry::reference::{Digest, ManifestRef, Repository};
use imgop_registry::{Account, Manifest, RepositoryClient};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::{Copy, Route};
use crate::api::Engine;

/// Blobs whose repositories are known, in all.
const MAX_KNOWN: usize = 20_000;
/// Manifests of one index that are read.
const MAX_CHILDREN: usize = 20;
/// Contents whose manifests are read in one step.
const MAX_CONTENTS: usize = 50;
/// Blobs that are read of in one step: a source may list as many as it likes.
const MAX_BLOBS: usize = 2_000;
/// Requests at once; the registry's own limit bounds it further.
const MAX_REQUESTS: usize = 8;
/// How long one step may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// Who may know of a blob: a namespace, with one credential at one registry. What one tenant has copied is
/// nothing that another one should be able to find out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Scope {
    account: Account,
    namespace: String,
}

impl Scope {
    fn new(destination: &RepositoryClient, namespace: &str) -> Self {
        Self { account: destination.account(), namespace: namespace.to_owned() }
    }
}

/// Which repositories hold which blobs. Bounded: what was learned first is dropped first.
#[derive(Debug)]
pub struct KnownBlobs(Mutex<Known>);

#[derive(Debug)]
struct Known(Bounded<(Arc<Scope>, Digest), Arc<Repository>>);

impl Default for KnownBlobs {
    fn default() -> Self {
        Self(Mutex::new(Known::new(MAX_KNOWN)))
    }
}

impl Known {
    fn new(max: usize) -> Self {
        Self(Bounded::new(max))
    }

    fn any(&self, scope: &Arc<Scope>) -> bool {
        self.0.iter().any(|((of, _), _)| of == scope)
    }

    fn find(&self, scope: &Arc<Scope>, blob: &Digest) -> Option<Arc<Repository>> {
        self.0.get(&(scope.clone(), blob.clone())).cloned()
    }

    fn learn(&mut self, scope: &Arc<Scope>, repository: &Arc<Repository>, blob: Digest) {
        self.0.insert((scope.clone(), blob), repository.clone(), NO_EXPIRY);
    }

    fn forget(&mut self, scope: &Arc<Scope>, blob: &Digest) {
        self.0.remove(&(scope.clone(), blob.clone()));
    }
}

/// Who mounts what the source holds, where that is in the destination's registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceMounts {
    /// [`mount`] does.
    Before,
    /// The program that copies, which reads the manifests anyway.
    WhileCopying,
}

impl From<Engine> for SourceMounts {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Skopeo => Self::Before,
            Engine::Native => Self::WhileCopying,
        }
    }
}

/// Mounts what the destination's registry has of these copies: all, if the source is of the same registry
/// and may be read with the destination's credential, or what was copied there before in this namespace.
/// Contents in `tried` are left out, and added to it. Returns how many blobs were mounted.
pub async fn mount(
    route: Route<'_>,
    copies: &[Copy],
    tried: &mut HashSet<Digest, impl BuildHasher>,
    (namespace, known): (&str, &KnownBlobs),
    of_source: SourceMounts,
) -> u64 {
    if of_source == SourceMounts::WhileCopying && source_is_readable(route) {
        return 0;
    }
    let contents = copies.iter().flat_map(Copy::parts).filter(|content| tried.insert((*content).clone()));
    let contents: Vec<Digest> = contents.take(MAX_CONTENTS).cloned().collect();
    let mounting = Mounting { route, scope: Arc::new(Scope::new(route.destination, namespace)), known };
    if contents.is_empty() || !mounting.may_help() {
        return 0;
    }
    let mounted = AtomicU64::new(0);
    if timeout(STEP_TIMEOUT, mounting.run(contents, &mounted)).await.is_err() {
        tracing::debug!(repository = %route.request.destination, "mounting took too long");
    }
    mounted.into_inner()
}

/// Learns which blobs the destination holds now that these contents are published there, from their
/// manifests, which are read unless they are at hand. Returns `None` if nothing was read.
pub async fn learn(
    route: Route<'_>,
    published: Vec<(Digest, Option<Manifest>)>,
    namespace: &str,
    known: &KnownBlobs,
) -> Option<Learned> {
    let destination = route.destination;
    // Within one registry the source holds everything.
    if published.is_empty() || destination.counts_pulls() || source_is_readable(route) {
        return None;
    }
    let reading = read(destination, published.into_iter().take(MAX_CONTENTS));
    let read = timeout(STEP_TIMEOUT, reading).await.ok()?;
    let scope = Arc::new(Scope::new(destination, namespace));
    let repository = Arc::new(route.request.destination.clone());
    let (mut known, mut new_bytes) = (known.0.lock(), 0_u64);
    for (blob, bytes) in read.blobs {
        if known.find(&scope, &blob).is_none() {
            new_bytes = new_bytes.saturating_add(bytes);
        }
        known.learn(&scope, &repository, blob);
    }
    (read.manifests > 0).then_some(Learned { manifests: read.manifests, new_bytes })
}

/// What was learned of contents that were published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    /// How many manifests the largest has, which is what a copy of it takes in pulls.
    pub manifests: u64,
    /// Bytes of the blobs that the destination was not known to hold before.
    pub new_bytes: u64,
}

/// Returns whether the source is another repository of the destination's registry, and open to its credential.
fn source_is_readable(Route { request, source, destination, .. }: Route<'_>) -> bool {
    destination.may_read_as(source) && request.source != request.destination
}

/// What mounts are worked out from, and where they are made.
struct Mounting<'a> {
    route: Route<'a>,
    scope: Arc<Scope>,
    known: &'a KnownBlobs,
}

impl Mounting<'_> {
    /// Returns whether manifests of the source are worth reading. They never are where that counts as a pull.
    fn may_help(&self) -> bool {
        let Route { request, source, .. } = self.route;
        let counts_pulls = source.counts_pulls() || request.source.host().is_docker_hub();
        !counts_pulls && (source_is_readable(self.route) || self.known.0.lock().any(&self.scope))
    }

    async fn run(&self, contents: Vec<Digest>, mounted: &AtomicU64) {
        let Route { source, read_ahead, .. } = self.route;
        let at_hand = |content| {
            let read = read_ahead.and_then(|read| read.get(&content));
            (content, read)
        };
        let needed = read(source, contents.into_iter().map(at_hand)).await.blobs;
        let mounts: Vec<(Digest, Arc<Repository>)> = {
            let known = self.known.0.lock();
            let request = self.route.request;
            let source = source_is_readable(self.route).then(|| Arc::new(request.source.clone()));
            let from = |blob: Digest| {
                let from = known.find(&self.scope, &blob).or_else(|| source.clone())?;
                // What the destination itself holds needs no mount.
                (*from != request.destination).then_some((blob, from))
            };
            needed.into_keys().filter_map(from).collect()
        };
        let mounting = |(blob, from): (Digest, Arc<Repository>)| async move {
            let is_mounted = self.mount(&blob, &from).await;
            mounted.fetch_add(u64::from(is_mounted), Ordering::Relaxed);
        };
        futures::stream::iter(mounts).for_each_concurrent(MAX_REQUESTS, mounting).await;
    }

    async fn mount(&self, blob: &Digest, from: &Repository) -> bool {
        match self.route.destination.mount_blob(blob, from).await {
            Ok(true) => true,
            Ok(false) => {
                self.known.0.lock().forget(&self.scope, blob);
                false
            }
            Err(error) => {
                tracing::debug!(%error, repository = %from, "a blob is not mounted");
                false
            }
        }
    }
}

/// What contents refer to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    /// Manifests of the largest content.
    manifests: u64,
    /// Each once, with its bytes: the images of an index share most.
    blobs: BTreeMap<Digest, u64>,
}

impl Read {
    /// Adds blobs while there is room.
    fn add(&mut self, manifest: &Manifest) {
        for (blob, bytes) in manifest.sized_blobs().unwrap_or_default() {
            if self.blobs.len() < MAX_BLOBS {
                self.blobs.insert(blob, bytes);
            }
        }
    }
}

/// Reads what these contents refer to, the manifests of some being at hand. One manifest after the other is
/// let go of: all at once would be much.
async fn read(
    client: &RepositoryClient,
    contents: impl IntoIterator<Item = (Digest, Option<Manifest>)>,
) -> Read {
    let (mut read, mut children) = (Read::default(), BTreeSet::new());
    let mut manifests = pin!(manifests(client, contents));
    while let Some(manifest) = manifests.next().await {
        let of_it = manifest.children().unwrap_or_default();
        read.manifests = read.manifests.max(1 + u64::try_from(of_it.len()).unwrap_or_default());
        children.extend(of_it.into_iter().take(MAX_CHILDREN));
        read.add(&manifest);
    }
    let mut manifests = pin!(self::manifests(client, children.into_iter().map(|child| (child, None))));
    while read.blobs.len() < MAX_BLOBS
        && let Some(manifest) = manifests.next().await
    {
        read.add(&manifest);
    }
    read
}

/// Returns the manifests of these contents, without those that cannot be read.
fn manifests(
    client: &RepositoryClient,
    contents: impl IntoIterator<Item = (Digest, Option<Manifest>)>,
) -> impl Stream<Item = Manifest> {
    let get = move |(digest, at_hand): (Digest, Option<Manifest>)| async move {
        if at_hand.is_some() {
            return at_hand;
        }
        match client.manifest(&ManifestRef::Digest(digest)).await {
            Ok(manifest) => manifest,
            Err(error) => {
                tracing::debug!(%error, "a manifest whose blobs might be mounted");
                None
            }
        }
    };
    futures::stream::iter(contents).map(get).buffer_unordered(MAX_REQUESTS).filter_map(std::future::ready)
}

#[cfg(test)]
mod tests;
