//! Reads the manifests of a content from its source.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt as _, TryStreamExt as _};
use imgop_registry::Manifest;
use imgop_registry::reference::{Digest, ManifestRef};

use crate::copier::Copier;
use crate::destination::DestinationId;
use crate::error::CopyError;
use crate::item::{Root, SourceId};
use crate::manifest_memory::{ManifestMemory, SMALL_BYTES};
use crate::tree::{Node, Tree};

/// Manifests of one content that are read at a time.
const READS: usize = 8;
/// How deep indexes may stand in indexes.
const MAX_DEPTH: usize = 8;

/// What of a content each destination has already, with all that it names.
pub(crate) type Present = HashMap<DestinationId, HashSet<Digest>>;

impl Copier {
    /// Returns the manifest of a root.
    pub(crate) async fn root(
        &self,
        source: SourceId,
        root: &Root,
        memory: &ManifestMemory<'_>,
    ) -> Result<Node, CopyError> {
        let manifest = match root {
            Root::Manifest(manifest) => manifest.clone(),
            Root::Digest(digest) => self.manifest(source, digest, memory).await?,
        };
        Ok(Node::new(manifest)?)
    }

    /// Reads what a manifest names, as deep as it goes, but for what all of these destinations have. `rechecks` is whether
    /// it does not count what they say that they have.
    pub(crate) async fn tree(
        &self,
        source: SourceId,
        root: Node,
        destinations: &[DestinationId],
        rechecks: bool,
        memory: &ManifestMemory<'_>,
    ) -> Result<(Tree, Present), CopyError> {
        memory.begin(root.manifest.bytes.len());
        let mut tree = Tree::new(root);
        let mut present: Present = destinations.iter().map(|to| (*to, HashSet::new())).collect();
        let mut level = vec![tree.root.clone()];
        for depth in 0.. {
            let named =
                level.iter().filter_map(|digest| tree.nodes.get(digest)).flat_map(|node| &node.children);
            let mut unread: Vec<Digest> =
                named.filter(|child| !tree.nodes.contains_key(child)).cloned().collect();
            unread.sort_unstable();
            unread.dedup();
            unread.retain(|child| present.values().any(|has| !has.contains(child)));
            if unread.is_empty() {
                break;
            }
            if depth >= MAX_DEPTH {
                return Err(memory.too_much());
            }
            let mut reads = futures::stream::iter(&unread)
                .map(|child| self.child(source, child, destinations, rechecks, memory))
                .buffer_unordered(READS);
            level = Vec::new();
            let mut read = Vec::new();
            while let Some((digest, node, has)) = reads.try_next().await? {
                for to in has {
                    present.entry(to).or_default().insert(digest.clone());
                }
                if let Some(node) = node {
                    level.push(digest.clone());
                    read.push((digest, node));
                }
            }
            drop(reads);
            tree.nodes.extend(read);
        }
        Ok((tree, present))
    }

    /// Reads a manifest, unless all destinations have it. Returns which have.
    async fn child(
        &self,
        source: SourceId,
        digest: &Digest,
        destinations: &[DestinationId],
        rechecks: bool,
        memory: &ManifestMemory<'_>,
    ) -> Result<(Digest, Option<Node>, Vec<DestinationId>), CopyError> {
        let mut has = Vec::new();
        for to in destinations {
            if !rechecks && self.has_manifest(*to, digest).await? {
                has.push(*to);
            }
        }
        let is_everywhere = has.len() == destinations.len();
        if is_everywhere {
            return Ok((digest.clone(), None, has));
        }
        let node = Node::new(self.manifest(source, digest, memory).await?)?;
        Ok((digest.clone(), Some(node), has))
    }

    /// Returns whether a destination has a manifest, and so all that it names. One that was empty is not asked. An index
    /// says nothing of what it names: registries clean up images that have no tag.
    pub(crate) async fn has_manifest(&self, to: DestinationId, digest: &Digest) -> Result<bool, CopyError> {
        let destination = self.at(to);
        if destination.was_empty {
            return Ok(false);
        }
        let reference = ManifestRef::Digest(digest.clone());
        let there = self.patiently(|| destination.client.head(&reference)).await?;
        Ok(there.is_some_and(|descriptor| !descriptor.may_be_index()))
    }

    /// Reads a manifest. Whoever finds it large waits until it may hold it, and reads it then.
    async fn manifest(
        &self,
        source: SourceId,
        digest: &Digest,
        memory: &ManifestMemory<'_>,
    ) -> Result<Manifest, CopyError> {
        let (client, reference) = (self.source(source), ManifestRef::Digest(digest.clone()));
        let most = if memory.has_permit() { usize::MAX } else { SMALL_BYTES };
        let read = match self.patiently(|| client.manifest_within(&reference, most)).await {
            Err(error) if error.is_too_large() && most == SMALL_BYTES => {
                memory.acquire().await;
                self.patiently(|| client.manifest(&reference)).await
            }
            read => read,
        };
        let manifest = read?.ok_or_else(|| CopyError::NoManifest(digest.clone()))?;
        memory.add(manifest.bytes.len()).await?;
        Ok(manifest)
    }
}
