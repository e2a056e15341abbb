//! Reads the manifests of a content from its source.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt as _, TryStreamExt as _};
use imgop_registry::Manifest;
use imgop_registry::reference::{Digest, ManifestRef};
use tokio::sync::SemaphorePermit;

use crate::copier::Copier;
use crate::destination::DestinationId;
use crate::error::CopyError;
use crate::item::{Root, SourceId};
use crate::tree::{Node, Tree};

/// Manifests of one content that are read at a time.
const READS: usize = 8;
/// How deep indexes may stand in indexes.
const MAX_DEPTH: usize = 8;

/// Bytes of manifests that each content may have. Of those with more one at a time is held.
const FREE_BYTES: usize = 1 << 20;

/// The manifests of a content.
pub(crate) struct Read<'c> {
    pub(crate) tree: Tree,
    pub(crate) present: Present,
    /// The right to hold them, where they are many.
    pub(crate) turn: Option<SemaphorePermit<'c>>,
}

/// What of a content each destination has already, with all that it names.
pub(crate) type Present = HashMap<DestinationId, HashSet<Digest>>;

impl Copier {
    /// Returns the manifest of a root.
    pub(crate) async fn root(&self, source: SourceId, root: &Root) -> Result<Node, CopyError> {
        let manifest = match root {
            Root::Manifest(manifest) => manifest.clone(),
            Root::Digest(digest) => self.manifest(source, digest).await?,
        };
        Ok(Node::new(manifest)?)
    }

    /// Reads what a manifest names, as deep as it goes, but for what all of these destinations have. `doubts` is whether
    /// it does not count what they say that they have.
    pub(crate) async fn tree(
        &self,
        source: SourceId,
        root: Node,
        destinations: &[DestinationId],
        doubts: bool,
    ) -> Result<Read<'_>, CopyError> {
        let mut bytes = root.manifest.bytes.len();
        let mut turn = None;
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
            let too_much = || CopyError::TooMuch(tree.root.clone(), self.options.max_manifest_bytes);
            if depth >= MAX_DEPTH {
                return Err(too_much());
            }
            let mut reads = futures::stream::iter(&unread)
                .map(|child| self.child(source, child, destinations, doubts))
                .buffer_unordered(READS);
            level = Vec::new();
            let mut read = Vec::new();
            while let Some((digest, node, has)) = reads.try_next().await? {
                bytes += node.as_ref().map_or(0, |node| node.manifest.bytes.len());
                if bytes > self.options.max_manifest_bytes {
                    return Err(too_much());
                }
                if bytes > FREE_BYTES && turn.is_none() {
                    // The semaphore is never closed.
                    turn = self.large_contents.acquire().await.ok();
                }
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
        Ok(Read { tree, present, turn })
    }

    /// Reads a manifest, unless all destinations have it. Returns which have.
    async fn child(
        &self,
        source: SourceId,
        digest: &Digest,
        destinations: &[DestinationId],
        doubts: bool,
    ) -> Result<(Digest, Option<Node>, Vec<DestinationId>), CopyError> {
        let mut has = Vec::new();
        for to in destinations {
            if !doubts && self.has_manifest(*to, digest).await? {
                has.push(*to);
            }
        }
        let is_everywhere = has.len() == destinations.len();
        let node = if is_everywhere { None } else { Some(Node::new(self.manifest(source, digest).await?)?) };
        Ok((digest.clone(), node, has))
    }

    /// Returns whether a destination has a manifest, and so all that it names. One that was empty is not asked.
    pub(crate) async fn has_manifest(&self, to: DestinationId, digest: &Digest) -> Result<bool, CopyError> {
        let destination = self.at(to);
        if destination.was_empty {
            return Ok(false);
        }
        Ok(destination.client.head(&ManifestRef::Digest(digest.clone())).await?.is_some())
    }

    async fn manifest(&self, source: SourceId, digest: &Digest) -> Result<Manifest, CopyError> {
        let read = self.source(source).manifest(&ManifestRef::Digest(digest.clone())).await?;
        read.ok_or_else(|| CopyError::NoManifest(digest.clone()))
    }
}
