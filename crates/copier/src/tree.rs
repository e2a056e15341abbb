//! The manifests of one content, as deep as they go.

use std::collections::HashMap;

use imgop_registry::reference::Digest;
use imgop_registry::{BlobDescriptor, Manifest, ManifestError};

/// A manifest, and what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The manifest.
    pub manifest: Manifest,
    /// The manifests of an index, each once.
    pub children: Vec<Digest>,
    /// The blobs of an image, each once, without those that no registry keeps.
    pub blobs: Vec<BlobDescriptor>,
}

/// The manifests that were read of one content. What a destination has already may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The content.
    pub root: Digest,
    /// The manifests by their digests.
    pub nodes: HashMap<Digest, Node>,
}

impl Node {
    /// Reads a manifest.
    ///
    /// # Errors
    /// Where it is none.
    pub fn new(manifest: Manifest) -> Result<Self, ManifestError> {
        let mut children: Vec<Digest> = Vec::new();
        for child in manifest.children()? {
            if !children.contains(&child) {
                children.push(child);
            }
        }
        let mut blobs: Vec<BlobDescriptor> = Vec::new();
        for blob in manifest.blob_descriptors()?.into_iter().filter(|blob| !blob.is_foreign) {
            if blobs.iter().all(|known| known.digest != blob.digest) {
                blobs.push(blob);
            }
        }
        Ok(Self { manifest, children, blobs })
    }
}

impl Tree {
    /// Returns the tree of a manifest, without what it names.
    pub fn new(root: Node) -> Self {
        let digest = root.manifest.digest.clone();
        Self { root: digest.clone(), nodes: [(digest, root)].into() }
    }
}
