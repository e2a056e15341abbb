//! Manifests: what a tag points to (OCI image-spec 1.1, "manifest.md" and "image-index.md").

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::document::{Blob, ImageManifest, IndexEntry};
use super::platform::Platform;
use crate::reference::Digest;
use crate::text::clean;

/// The media type of an index.
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The same in Docker's format.
pub(super) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// The two media types of Docker's schema 1.
const SCHEMA_1: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/// Sent with HEAD and GET alike: registries choose by it, and a different list would give a
/// different digest for the same tag.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// Entries of an index that are read. The largest official images have about 20.
pub(super) const MAX_ENTRIES: usize = 200;
/// Layers that are read. Container runtimes take about 127.
const MAX_LAYERS: usize = 500;

/// What a registry says about a manifest without sending it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The digest of the manifest's bytes.
    pub digest: Digest,
    /// The media type as the registry sent it; empty if it sent none.
    pub media_type: String,
    /// The length in bytes, if the registry sent it.
    pub size: Option<u64>,
}

impl Descriptor {
    /// Whether the manifest may be an index, as far as its media type tells.
    pub fn may_be_index(&self) -> bool {
        let media_type = self.media_type.split(';').next().unwrap_or_default().trim_end();
        !matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
    }
}

/// A manifest with the bytes that its digest is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// One of the four media types of indexes and image manifests.
    pub media_type: String,
    /// Computed from the bytes.
    pub digest: Digest,
    /// Exactly as the registry sent them.
    pub bytes: Bytes,
}

/// What a manifest says of one of its blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobDescriptor {
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// Whether it is the configuration, and no layer.
    pub is_config: bool,
    /// Whether it is kept elsewhere than in registries, as base layers of Windows are: there is nothing to copy.
    pub is_foreign: bool,
}

impl BlobDescriptor {
    fn of(blob: Blob, is_config: bool) -> Self {
        Self { is_foreign: blob.is_foreign(), digest: blob.digest, size: blob.size, is_config }
    }
}

/// One image of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformManifest {
    /// What it runs on.
    pub platform: Platform,
    /// The digest of its manifest.
    pub digest: Digest,
}

/// Why a manifest cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// A response that is no JSON object.
    #[error("the answer is no manifest")]
    NoManifest,
    /// A response of another media type.
    #[error("the manifest is of the unsupported type {0:?}")]
    Unsupported(String),
    /// Docker's first format, which registries and programs no longer take.
    #[error(
        "it is in Docker's old format (schema 1), which cannot be copied by digest; its owner has to build or \
         push it anew"
    )]
    Schema1,
    /// Not the JSON that its media type promises.
    #[error("the manifest {0} cannot be read")]
    Unreadable(Digest),
    /// More entries than any image has.
    #[error("the manifest {0} has {1} entries; at most {2} are read")]
    TooManyEntries(Digest, usize, usize),
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<IndexEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typed {
    media_type: Option<String>,
    schema_version: Option<u64>,
    manifests: Option<Vec<IgnoredAny>>,
    config: Option<Blob>,
    layers: Option<Vec<IgnoredAny>>,
}

impl Typed {
    /// Returns the media type of a manifest that names none (OCI image-spec: `mediaType` is optional).
    fn media_type_by_content(&self) -> Option<String> {
        if self.media_type.is_some() || self.schema_version != Some(2) {
            return None;
        }
        match (&self.manifests, &self.config, &self.layers) {
            (Some(_), None, None) => Some(OCI_INDEX.to_owned()),
            (None, Some(_), Some(_)) => Some(OCI_MANIFEST.to_owned()),
            _ => None,
        }
    }
}

/// Whether this is a media type of indexes.
pub(super) fn is_index_type(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_LIST)
}

impl Descriptor {
    /// Fails for a manifest in Docker's schema 1. Registries convert it or refuse it where it is pushed, so that
    /// no copy would have its digest.
    pub fn check_format(&self) -> Result<(), ManifestError> {
        if SCHEMA_1.contains(&self.media_type.as_str()) { Err(ManifestError::Schema1) } else { Ok(()) }
    }
}

impl Manifest {
    /// Returns a manifest of this media type.
    pub fn new(media_type: impl Into<String>, bytes: Bytes) -> Self {
        Self { media_type: media_type.into(), digest: Digest::of(&bytes), bytes }
    }

    /// Returns the manifest that a registry sent. Some registries store manifests as plain files without a
    /// media type; then that in the manifest counts, or else what is in it.
    pub(crate) fn received(media_type: Option<&str>, bytes: Bytes) -> Result<Self, ManifestError> {
        let is_known =
            |media_type: &str| [OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST].contains(&media_type);
        let typed: Typed = serde_json::from_slice(&bytes).map_err(|_| ManifestError::NoManifest)?;
        let is_schema_1 = media_type.is_some_and(|sent| SCHEMA_1.contains(&sent));
        if is_schema_1 || typed.schema_version == Some(1) {
            return Err(ManifestError::Schema1);
        }
        let by_content = typed.media_type_by_content();
        let own = typed.media_type.filter(|own| is_known(own)).or(by_content);
        match media_type.map(str::to_owned).filter(|sent| is_known(sent)).or(own) {
            Some(media_type) => Ok(Self::new(media_type, bytes)),
            None => Err(ManifestError::Unsupported(clean(media_type.unwrap_or_default(), &[]))),
        }
    }

    /// Whether this lists the images of several platforms.
    pub fn is_index(&self) -> bool {
        is_index_type(&self.media_type)
    }

    /// Returns the images of an index; none for the manifest of a single image, whose platform stands in
    /// its configuration. Entries that are no images are left out: attestations of `BuildKit` have the
    /// platform `unknown/unknown`, and other artifacts have none.
    pub fn platforms(&self) -> Result<Vec<PlatformManifest>, ManifestError> {
        let image = |entry: IndexEntry| {
            let platform = entry.image_platform()?.clone();
            Some(PlatformManifest { platform, digest: entry.digest })
        };
        Ok(self.entries()?.into_iter().filter_map(image).collect())
    }

    /// Returns the manifests that an index lists, be they of images or not; none for a single image.
    pub fn children(&self) -> Result<Vec<Digest>, ManifestError> {
        let manifests = self.entries()?.into_iter().filter(|entry| !entry.is_blob());
        Ok(manifests.map(|entry| entry.digest).collect())
    }

    /// Returns the configuration and the layers of a single image; none for an index.
    pub fn blobs(&self) -> Result<Vec<Digest>, ManifestError> {
        Ok(self.sized_blobs()?.into_iter().map(|(digest, _)| digest).collect())
    }

    /// Returns the same with the bytes of each, as the manifest states them.
    pub fn sized_blobs(&self) -> Result<Vec<(Digest, u64)>, ManifestError> {
        if self.is_index() {
            return Ok(Vec::new());
        }
        let image = self.image()?;
        let Some(config) = image.config else { return Err(self.unreadable()) };
        self.at_most(MAX_LAYERS, image.layers.len())?;
        Ok([config].into_iter().chain(image.layers).map(|blob| (blob.digest, blob.size)).collect())
    }

    /// Returns the first part of this media type, the configuration before the layers; none for an index.
    pub(crate) fn part(&self, media_type: &str) -> Result<Option<Digest>, ManifestError> {
        if self.is_index() {
            return Ok(None);
        }
        let image = self.image()?;
        self.at_most(MAX_LAYERS, image.layers.len())?;
        let mut parts = image.config.into_iter().chain(image.layers);
        Ok(parts.find(|part| part.is_of_type(media_type)).map(|part| part.digest))
    }

    /// Returns the same with what else the manifest says of each that matters to a copy, the configuration first; of an
    /// index the blobs that it lists.
    pub fn blob_descriptors(&self) -> Result<Vec<BlobDescriptor>, ManifestError> {
        if self.is_index() {
            let blobs = self.entries()?.into_iter().filter(IndexEntry::is_blob);
            let of = |IndexEntry { digest, size, .. }| BlobDescriptor {
                digest,
                size,
                is_config: false,
                is_foreign: false,
            };
            return Ok(blobs.map(of).collect());
        }
        let image = self.image()?;
        let Some(config) = image.config else { return Err(self.unreadable()) };
        self.at_most(MAX_LAYERS, image.layers.len())?;
        let layers = image.layers.into_iter().map(|layer| BlobDescriptor::of(layer, false));
        Ok([BlobDescriptor::of(config, true)].into_iter().chain(layers).collect())
    }

    /// Returns the parts of a single image's manifest.
    pub(crate) fn image(&self) -> Result<ImageManifest, ManifestError> {
        serde_json::from_slice(&self.bytes).map_err(|_| self.unreadable())
    }

    pub(super) fn entries(&self) -> Result<Vec<IndexEntry>, ManifestError> {
        if !self.is_index() {
            return Ok(Vec::new());
        }
        let index: Index = serde_json::from_slice(&self.bytes).map_err(|_| self.unreadable())?;
        self.at_most(MAX_ENTRIES, index.manifests.len())?;
        Ok(index.manifests)
    }

    pub(super) fn unreadable(&self) -> ManifestError {
        ManifestError::Unreadable(self.digest.clone())
    }

    pub(super) fn at_most(&self, max: usize, entries: usize) -> Result<(), ManifestError> {
        if entries > max {
            return Err(ManifestError::TooManyEntries(self.digest.clone(), entries, max));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(platform: &str) -> String {
        let digest = Digest::of(platform.as_bytes());
        format!(r#"{{"mediaType":"{OCI_MANIFEST}","digest":"{digest}","size":5,"platform":{platform}}}"#)
    }

    fn index(entries: &[String]) -> Manifest {
        let json = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
        Manifest::new(OCI_INDEX, json.into())
    }

    #[test]
    fn attestations_and_artifacts_are_no_platforms() {
        let manifest = index(&[
            entry(r#"{"os":"linux","architecture":"amd64"}"#),
            entry(r#"{"os":"linux","architecture":"arm","variant":"v7"}"#),
            entry(r#"{"os":"unknown","architecture":"unknown"}"#),
            entry("null"),
        ]);
        let platforms: Vec<_> =
            manifest.platforms().unwrap().iter().map(|entry| entry.platform.to_string()).collect();
        assert_eq!(platforms, ["linux/amd64", "linux/arm/v7"]);
    }

    #[test]
    fn a_platform_of_other_things_than_words_is_none() {
        let long = "x".repeat(65);
        let manifest = index(&[
            entry(r#"{"os":"windows","architecture":"amd64","variant":"","os.version":"10.0.17763.5206"}"#),
            entry(r#"{"os":"linux\u001b[31m","architecture":"amd64"}"#),
            entry(r#"{"os":"linux","architecture":"amd64, and all is well"}"#),
            entry(r#"{"os":"linux","architecture":"arm","variant":"https://evil.example"}"#),
            entry(&format!(r#"{{"os":"{long}","architecture":"amd64"}}"#)),
        ]);
        assert_eq!(manifest.children().unwrap().len(), 5, "they are entries still");
        let platforms: Vec<_> =
            manifest.platforms().unwrap().iter().map(|entry| entry.platform.to_string()).collect();
        assert_eq!(platforms, ["windows/amd64/"]);
    }

    #[test]
    fn hostile_indexes_are_errors() {
        let many = vec![entry("null"); 201];
        assert!(matches!(index(&many).platforms(), Err(ManifestError::TooManyEntries(_, 201, _))));
        for bad in [
            r#"{"manifests":5}"#,
            r#"{"manifests":[{"mediaType":"x","digest":"sha256:../../x","size":1}]}"#,
            r#"{"manifests":[{"mediaType":"x","digest":"sha512:00","size":1}]}"#,
            r#"{"manifests":[{"mediaType":"x","size":-1}]}"#,
        ] {
            let manifest = Manifest::new(OCI_INDEX, Bytes::from_static(bad.as_bytes()));
            assert!(matches!(manifest.platforms(), Err(ManifestError::Unreadable(_))), "{bad}");
        }
    }

    #[test]
    fn what_a_manifest_refers_to_is_an_indexs_entries_or_an_images_blobs() {
        let list = index(&[entry(r#"{"os":"linux","architecture":"amd64"}"#), entry("null")]);
        assert_eq!(list.children().unwrap().len(), 2);
        assert!(list.blobs().unwrap().is_empty());
        let [config, layer] = [&b"config"[..], b"layer"].map(Digest::of);
        let json = |layers: usize| {
            let layers = vec![format!(r#"{{"digest":"{layer}","size":1}}"#); layers].join(",");
            format!(r#"{{"config":{{"digest":"{config}","size":1}},"layers":[{layers}]}}"#)
        };
        let image = Manifest::new(OCI_MANIFEST, json(1).into());
        assert_eq!(
            (image.children().unwrap(), image.blobs().unwrap()),
            (vec![], vec![config.clone(), layer.clone()])
        );
        let many = Manifest::new(OCI_MANIFEST, json(501).into()).blobs();
        assert!(matches!(many, Err(ManifestError::TooManyEntries(_, 501, _))));
    }

    #[test]
    fn the_manifests_own_media_type_counts_where_the_registry_has_none() {
        let json = format!(r#"{{"mediaType":"{DOCKER_LIST}","manifests":[]}}"#);
        let manifest = Manifest::received(Some("application/octet-stream"), json.into()).unwrap();
        assert_eq!(manifest.media_type, DOCKER_LIST);
        for (media_type, body) in [
            ("text/html", "<html>"),
            ("application/json", "{}"),
            ("application/vnd.docker.distribution.manifest.v1+prettyjws", "{}"),
        ] {
            assert!(Manifest::received(Some(media_type), Bytes::from_static(body.as_bytes())).is_err());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(body in r#"([{}\[\]",:]|manifests|platform|[ -~]){0,60}"#) {
            let _ = Manifest::received(Some(OCI_INDEX), body.clone().into());
            let _ = Manifest::new(OCI_INDEX, body.clone().into()).platforms();
            let _ = Manifest::new(OCI_MANIFEST, body.into()).blobs();
        }
    }
}
