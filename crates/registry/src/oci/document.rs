//! The parts of indexes, manifests and configurations that are read (OCI image-spec 1.1).
//!
//! What is not read may be anything: these files come from whoever made the image.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::platform::Platform;
use crate::reference::Digest;

/// `BuildKit` ties an attestation to its image with this annotation (`BuildKit` documentation,
/// "attestation-storage.md").
pub(super) const ATTESTED_ANNOTATION: &str = "vnd.docker.reference.digest";
const CREATED_ANNOTATION: &str = "org.opencontainers.image.created";
/// Configurations that name a platform. Those of charts, signatures and other artifacts do not.
const IMAGE_CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// An entry of an index.
#[derive(Debug, Deserialize)]
pub(super) struct IndexEntry {
    pub(super) digest: Digest,
    #[serde(default, deserialize_with = "plain_platform")]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

/// The manifest of a single image.
#[derive(Debug, Deserialize)]
pub(crate) struct ImageManifest {
    #[serde(default)]
    pub(crate) config: Option<Blob>,
    #[serde(default)]
    pub(super) layers: Vec<Blob>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, serde_json::Value>>,
    /// Only indexes have it.
    #[serde(default)]
    manifests: Option<IgnoredAny>,
}

/// What a manifest says of a blob.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Blob {
    pub(crate) digest: Digest,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    pub(super) size: u64,
}

impl IndexEntry {
    /// Returns the platform of an image; `None` for attestations and other artifacts.
    pub(super) fn image_platform(&self) -> Option<&Platform> {
        self.platform.as_ref().filter(|platform| !platform.is_unknown())
    }

    /// Returns the digest of the image that this attests, if it is an attestation.
    pub(super) fn attested(&self) -> Option<&str> {
        let attested = self.annotations.as_ref()?.get(ATTESTED_ANNOTATION)?;
        let is_unknown = |platform: &Platform| platform.os == "unknown" && platform.architecture == "unknown";
        self.platform.as_ref().is_some_and(is_unknown).then_some(attested.as_str())
    }
}

impl ImageManifest {
    /// Whether this is an index, whatever media type the registry gave it.
    pub(crate) fn is_index(&self) -> bool {
        self.manifests.is_some()
    }

    /// Returns the time in the annotations; `None` if there is none or it cannot be read.
    pub(crate) fn created(&self) -> Option<Timestamp> {
        self.annotations.as_ref()?.get(CREATED_ANNOTATION)?.as_str()?.parse().ok()
    }
}

impl Blob {
    /// Whether it is a configuration that names a platform.
    pub(crate) fn is_image_config(&self) -> bool {
        self.media_type.as_deref().is_some_and(|media_type| IMAGE_CONFIGS.contains(&media_type))
    }
}

/// Reads the platform of an entry; `None` if it is incomplete or not made of plain words.
fn plain_platform<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Platform>, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(Platform::deserialize(value).ok().filter(Platform::is_plain))
}
