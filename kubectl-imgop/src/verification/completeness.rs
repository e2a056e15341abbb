//! Whether a destination has everything that a manifest names, however deep.

use std::collections::HashSet;

use futures::future::BoxFuture;
use imgop_registry::oci::{ManifestError, index_parts};
use imgop_registry::reference::{Digest, ManifestRef};
use imgop_registry::{Manifest, RegistryError, RepositoryClient};

use super::{Depth, VerifiedPlatform};

/// How deep indexes may stand within an index.
const MAX_DEPTH: usize = 4;
/// Manifests of one tag that are asked for.
const MAX_MANIFESTS: usize = 1000;

/// What a destination has of a content.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The images of an index, each with what is lacking of it.
    pub(super) platforms: Vec<VerifiedPlatform>,
    /// The first that is lacking of what has no platform: a layer of a single image, an attestation.
    other: Option<String>,
}

/// What a destination was found to have, and how much of it was asked for.
#[derive(Debug)]
pub(super) struct Checked {
    /// What it has.
    pub(super) contents: Contents,
    /// The configurations and layers that it was asked for.
    pub(super) layers: usize,
}

/// Why it is not known what a destination has.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unchecked {
    /// The destination did not answer.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// What it has cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// An index within an index within …
    #[error("indexes stand in indexes, more than {MAX_DEPTH} deep")]
    TooDeep,
    /// More than is asked for.
    #[error("there are more than {MAX_MANIFESTS} manifests in it")]
    TooMany,
}

/// Asks the destination for all that a content names.
pub(super) async fn contents(
    client: &RepositoryClient,
    digest: &Digest,
    depth: Depth,
) -> Result<Checked, Unchecked> {
    let mut walk = Walk { client, depth, left: MAX_MANIFESTS, asked: HashSet::new() };
    let contents = match client.manifest(&ManifestRef::Digest(digest.clone())).await? {
        Some(manifest) => walk.manifest(&manifest, MAX_DEPTH + 1).await?,
        None => Contents::lacking("its manifest".to_owned()),
    };
    Ok(Checked { contents, layers: walk.asked.len() })
}

/// Asks a repository for all that a content names, down to its layers. Returns what it lacks, if anything.
pub async fn lacks_content(client: &RepositoryClient, digest: &Digest) -> Result<Option<String>, String> {
    let checked = contents(client, digest, Depth::Layers).await;
    checked.map(|checked| checked.contents.lacks()).map_err(|error| error.to_string())
}

impl Contents {
    fn lacking(what: String) -> Self {
        Self { other: Some(what), ..Self::default() }
    }

    /// Returns what the destination lacks, if anything.
    pub(super) fn lacks(&self) -> Option<String> {
        let lacking = self.platforms.iter().filter(|platform| platform.lacks.is_some());
        let names: Vec<&str> = lacking.map(|platform| platform.platform.as_str()).collect();
        if names.is_empty() { self.other.clone() } else { Some(names.join(", ")) }
    }
}

/// A walk through the manifests of one tag.
struct Walk<'a> {
    client: &'a RepositoryClient,
    depth: Depth,
    /// Manifests that may still be asked for.
    left: usize,
    /// The configurations and layers that the destination was asked for, and has.
    asked: HashSet<Digest>,
}

impl Walk<'_> {
    async fn manifest(&mut self, manifest: &Manifest, levels: usize) -> Result<Contents, Unchecked> {
        if manifest.is_index() {
            return self.index(manifest, levels).await;
        }
        Ok(Contents { other: self.missing_blob(manifest).await?, ..Contents::default() })
    }

    fn index<'w>(
        &'w mut self,
        index: &'w Manifest,
        levels: usize,
    ) -> BoxFuture<'w, Result<Contents, Unchecked>> {
        Box::pin(async move {
            let levels = levels.checked_sub(1).ok_or(Unchecked::TooDeep)?;
            let parts = index_parts(index)?.unwrap_or_default();
            let is_index = |digest: &Digest| parts.iter().any(|part| part.is_index && part.digest == *digest);
            let (images, mut all) = (index.platforms()?, Contents::default());
            for image in &images {
                let lacks = self.entry(&image.digest, is_index(&image.digest), levels).await?.lacks();
                let (platform, digest) = (image.platform.to_string(), image.digest.clone());
                all.platforms.push(VerifiedPlatform { platform, digest, lacks });
            }
            // Attestations and the like, which are of no platform, and indexes whose platforms stand in them.
            let is_image = |digest: &Digest| images.iter().any(|image| image.digest == *digest);
            for other in index.children()?.iter().filter(|digest| !is_image(digest)) {
                let within = self.entry(other, is_index(other), levels).await?;
                all.platforms.extend(within.platforms);
                all.other = all.other.or(within.other);
            }
            Ok(all)
        })
    }

    /// Asks for an entry of an index. What is no index is only looked up unless its layers are asked for.
    async fn entry(&mut self, digest: &Digest, is_index: bool, levels: usize) -> Result<Contents, Unchecked> {
        self.left = self.left.checked_sub(1).ok_or(Unchecked::TooMany)?;
        let (what, absent) = (ManifestRef::Digest(digest.clone()), format!("manifest {digest}"));
        if self.depth == Depth::Manifests && !is_index {
            let is_there = self.client.head(&what).await?.is_some();
            return Ok(if is_there { Contents::default() } else { Contents::lacking(absent) });
        }
        match self.client.manifest(&what).await? {
            Some(manifest) => self.manifest(&manifest, levels).await,
            None => Ok(Contents::lacking(absent)),
        }
    }

    async fn missing_blob(&mut self, manifest: &Manifest) -> Result<Option<String>, Unchecked> {
        if self.depth == Depth::Manifests {
            return Ok(None);
        }
        for blob in manifest.blobs()? {
            // Platforms and attestations share layers.
            if !self.asked.contains(&blob) && !self.client.has_blob(&blob).await? {
                return Ok(Some(format!("layer {blob}")));
            }
            self.asked.insert(blob);
        }
        Ok(None)
    }
}
