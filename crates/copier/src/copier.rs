//! One run: which repositories there are, and how each item is copied.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt as _;
use futures::future::join_all;
use imgop_registry::reference::Digest;
use imgop_registry::{Account, BlobDescriptor, RepositoryClient};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::blobs::{Moved, Place};
use crate::destination::{Destination, DestinationId, Holders};
use crate::error::CopyError;
use crate::item::{Copied, Item, Root, SourceId, Target};
use crate::journal::Journal;
use crate::manifest_memory::ManifestMemory;
use crate::options::Options;
use crate::plan::{Plan, plan};
use crate::progress::Progress;
use crate::single_flight::SingleFlight;
use crate::tree::Node;

/// Copies items. What one of them has brought to a destination the others find there.
#[derive(Debug)]
pub struct Copier {
    pub(crate) options: Options,
    pub(crate) journal: Journal,
    pub(crate) progress: Arc<Progress>,
    sources: Vec<RepositoryClient>,
    destinations: Vec<Destination>,
    pub(crate) holders: Holders,
    pub(crate) blobs: SingleFlight<Place, Moved>,
    /// Blobs of which a source has something else, which is not read again for each who wants it.
    pub(crate) wrong: Mutex<HashMap<(SourceId, Digest), CopyError>>,
    /// The first upload of a blob to a registry: its other repositories mount it then.
    pub(crate) first_uploads: SingleFlight<(Account, Digest), ()>,
    pub(crate) puts: SingleFlight<Place, Result<(), CopyError>>,
    pub(crate) movers: Semaphore,
    /// The right to hold the manifests of a content that has many of them.
    pub(crate) large_contents: Semaphore,
    ends: AtomicBool,
}

/// A content, and all targets of the items that have it, each with its place in the lists.
struct Content<'i> {
    source: SourceId,
    root: &'i Root,
    targets: Vec<Target>,
    places: Vec<(usize, usize)>,
}

/// What becomes of the targets of an item, in their order.
type Outcomes = Vec<Result<Copied, CopyError>>;

impl Copier {
    /// Returns a copier without repositories.
    pub fn new(options: Options, journal: Journal) -> Self {
        Self {
            movers: Semaphore::new(options.blobs.max(1)),
            large_contents: Semaphore::new(1),
            options,
            journal,
            progress: Arc::default(),
            sources: Vec::new(),
            destinations: Vec::new(),
            holders: Holders::default(),
            blobs: SingleFlight::default(),
            wrong: Mutex::default(),
            first_uploads: SingleFlight::default(),
            puts: SingleFlight::default(),
            ends: AtomicBool::new(false),
        }
    }

    /// Lets [`run`](Self::run) end soon: nothing is begun any more, and large blobs break off behind the chunk that is
    /// under way, where every registry lets a later process go on.
    pub fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    /// Returns an error once it is to end.
    pub(crate) fn goes_on(&self) -> Result<(), CopyError> {
        if self.ends.load(Ordering::Relaxed) { Err(CopyError::Ended) } else { Ok(()) }
    }

    /// Adds a repository that is read.
    pub fn add_source(&mut self, client: RepositoryClient) -> SourceId {
        self.sources.push(client);
        SourceId(self.sources.len() - 1)
    }

    /// Adds a repository that is written to. `is_empty` is whether it is known to have nothing, as one that does not
    /// exist: then it is asked for nothing before it is sent everything.
    pub fn add_destination(&mut self, client: RepositoryClient, is_empty: bool) -> DestinationId {
        let account = client.account();
        let known = self.destinations.iter().find(|destination| destination.account == account);
        let registry = known.map_or(self.destinations.len(), |destination| destination.registry);
        self.destinations.push(Destination::new(client, is_empty, registry));
        DestinationId(self.destinations.len() - 1)
    }

    /// Notes what all tags of a destination show, so that it is not asked whether it has an image under one of them.
    pub fn note_shown(&mut self, destination: DestinationId, contents: impl IntoIterator<Item = Digest>) {
        self.destinations[destination.0].shown = Some(contents.into_iter().collect());
    }

    /// Returns what has been done so far; it goes on counting.
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Copies all of these; those of one content as one, so that it is read once. `on_end` is called as soon as an item
    /// has ended at a target, with the places of both in their lists. What fails for one does not keep the others.
    pub async fn run(
        &self,
        items: &[Item],
        on_end: &mut (dyn FnMut(usize, usize, Result<Copied, CopyError>) + Send),
    ) {
        let copying = futures::stream::iter(by_content(items))
            .map(|content| async move { (self.copy(&content).await, content.places) });
        let mut copied = std::pin::pin!(copying.buffer_unordered(self.options.items.max(1)));
        while let Some((outcomes, places)) = copied.next().await {
            for ((item, target), outcome) in places.into_iter().zip(outcomes) {
                on_end(item, target, outcome);
            }
        }
    }

    /// Copies one content to all its targets.
    async fn copy(&self, item: &Content<'_>) -> Outcomes {
        let memory = ManifestMemory::new(
            item.root.digest().clone(),
            self.options.max_manifest_bytes,
            &self.large_contents,
        );
        let root = match self.goes_on() {
            Ok(()) => self.root(item.source, item.root, &memory).await,
            Err(ended) => Err(ended),
        };
        let root = match root {
            Ok(root) => root,
            Err(error) => return item.targets.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut outcomes = self.copy_once(item, &root, &item.targets, (false, &memory)).await;
        // What a destination was sent may be gone again, as where it cleans up meanwhile. Once is bad luck.
        let lost = |outcome: &Result<Copied, CopyError>| outcome.as_ref().is_err_and(CopyError::lacks_a_part);
        let again: Vec<usize> = (0..outcomes.len()).filter(|target| lost(&outcomes[*target])).collect();
        if !again.is_empty() {
            let targets: Vec<Target> = again.iter().map(|target| item.targets[*target].clone()).collect();
            let retried = self.copy_once(item, &root, &targets, (true, &memory)).await;
            for (target, outcome) in again.into_iter().zip(retried) {
                outcomes[target] = outcome;
            }
        }
        outcomes
    }

    /// `rechecks` is whether nothing counts that was said before of what is there.
    async fn copy_once(
        &self,
        item: &Content<'_>,
        root: &Node,
        targets: &[Target],
        (rechecks, memory): (bool, &ManifestMemory<'_>),
    ) -> Outcomes {
        let mut destinations: Vec<DestinationId> = targets.iter().map(|target| target.destination).collect();
        destinations.sort_unstable();
        destinations.dedup();
        let lacks = join_all(destinations.iter().map(|to| async move {
            // A destination answers with an index although its images have been cleaned up, so each is looked for. One that
            // lacks another part answers with it as well.
            let may_lack_parts = rechecks || !root.children.is_empty();
            let digest = &root.manifest.digest;
            Ok::<bool, CopyError>(match &self.at(*to).shown {
                _ if may_lack_parts => true,
                Some(shown) => !shown.contains(digest),
                None => !self.has_manifest(*to, digest).await?,
            })
        }));
        let lacks: HashMap<DestinationId, Result<bool, CopyError>> =
            destinations.iter().copied().zip(lacks.await).collect();
        let lacking = destinations.into_iter().filter(|to| matches!(lacks.get(to), Some(Ok(true))));
        let brought = self.bring(item.source, root, &lacking.collect::<Vec<_>>(), (rechecks, memory)).await;
        join_all(targets.iter().map(|target| {
            let (to, lacks, brought) = (&target.destination, &lacks, &brought);
            async move {
                if let Some(Err(error)) = lacks.get(to) {
                    return Err(error.clone());
                }
                brought.get(to).cloned().unwrap_or(Ok(()))?;
                self.put_root(target, &root.manifest).await
            }
        }))
        .await
    }

    /// Brings all that a root names to these destinations.
    async fn bring(
        &self,
        source: SourceId,
        root: &Node,
        destinations: &[DestinationId],
        (rechecks, memory): (bool, &ManifestMemory<'_>),
    ) -> HashMap<DestinationId, Result<(), CopyError>> {
        if destinations.is_empty() {
            return HashMap::new();
        }
        let (tree, present) = match self.tree(source, root.clone(), destinations, rechecks, memory).await {
            Ok(read) => read,
            Err(error) => return destinations.iter().map(|to| (*to, Err(error.clone()))).collect(),
        };
        if rechecks {
            for to in destinations {
                self.forget_all(*to, &tree);
            }
        }
        let nothing = HashSet::new();
        let plans: Vec<(DestinationId, Plan)> =
            destinations.iter().map(|to| (*to, plan(&tree, present.get(to).unwrap_or(&nothing)))).collect();
        let mut brought: HashMap<DestinationId, Result<(), CopyError>> = HashMap::new();
        for (to, error) in self.ensure_blobs(source, by_blob(&plans), rechecks).await {
            brought.entry(to).or_insert(Err(error));
        }
        let put = plans.iter().filter(|(to, _)| !brought.contains_key(to));
        let put = put.map(|(to, plan)| {
            let tree = &tree;
            async move { (*to, self.put_below(*to, tree, plan).await) }
        });
        let put = join_all(put).await;
        brought.extend(put);
        brought
    }

    pub(crate) fn source(&self, id: SourceId) -> &RepositoryClient {
        &self.sources[id.0]
    }

    pub(crate) fn at(&self, id: DestinationId) -> &Destination {
        &self.destinations[id.0]
    }
}

/// Returns the contents of items, in the order of the first that has each.
fn by_content(items: &[Item]) -> Vec<Content<'_>> {
    let mut numbers: HashMap<(SourceId, &Digest), usize> = HashMap::new();
    let mut all: Vec<Content<'_>> = Vec::new();
    for (item, Item { source, root, targets }) in items.iter().enumerate() {
        let number = *numbers.entry((*source, root.digest())).or_insert_with(|| {
            all.push(Content { source: *source, root, targets: Vec::new(), places: Vec::new() });
            all.len() - 1
        });
        let content = &mut all[number];
        // One that was read already is not read again.
        if matches!(root, Root::Manifest(_)) {
            content.root = root;
        }
        content.targets.extend(targets.iter().cloned());
        content.places.extend((0..targets.len()).map(|target| (item, target)));
    }
    all
}

/// Returns each blob with the destinations that need it, in the order of the plans.
fn by_blob(plans: &[(DestinationId, Plan)]) -> Vec<(BlobDescriptor, Vec<DestinationId>)> {
    let mut places: HashMap<&Digest, usize> = HashMap::new();
    let mut all: Vec<(BlobDescriptor, Vec<DestinationId>)> = Vec::new();
    for (to, plan) in plans {
        for blob in &plan.blobs {
            let place = *places.entry(&blob.digest).or_insert_with(|| {
                all.push((blob.clone(), Vec::new()));
                all.len() - 1
            });
            all[place].1.push(*to);
        }
    }
    all
}
