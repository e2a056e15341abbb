//! The parts of indexes, manifests and configurations that are read (OCI image-spec 1.1).
//!
//! What is not read may be anything: these files come from whoever made the image. No field is parsed into a
//! tree of values, which would take many times the memory of its text.

use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::manifest::is_index_type;
use super::platform::Platform;
use crate::reference::Digest;

/// Configurations that name a platform. Those of charts, signatures and other artifacts do not.
const IMAGE_CONFIGS: [&str; 2] = [OCI_CONFIG, "application/vnd.docker.container.image.v1+json"];
/// The one of them that the OCI image-spec defines.
pub(super) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// An entry of an index.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IndexEntry {
    pub(super) digest: Digest,
    #[serde(default)]
    media_type: Option<String>,
    /// Zero where it is none that can be: only that of a blob matters.
    #[serde(default, deserialize_with = "any_size")]
    pub(super) size: u64,
    #[serde(default)]
    artifact_type: IsGiven,
    #[serde(default)]
    data: IsGiven,
    #[serde(default)]
    urls: IsGiven,
    #[serde(default, deserialize_with = "plain_platform")]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<EntryAnnotations>,
}

fn any_size<'de, D: Deserializer<'de>>(size: D) -> Result<u64, D::Error> {
    Ok(serde_json::Value::deserialize(size)?.as_u64().unwrap_or_default())
}

/// Whether a field holds anything.
#[derive(Debug, Default)]
struct IsGiven(bool);

/// The annotations of an entry that are read.
#[derive(Debug, Deserialize)]
struct EntryAnnotations {
    /// `BuildKit` ties an attestation to its image with this one (`BuildKit` documentation,
    /// "attestation-storage.md").
    #[serde(default, rename = "vnd.docker.reference.digest")]
    attested: Option<String>,
}

/// The annotations of an image that are read.
#[derive(Debug, Deserialize)]
struct ImageAnnotations {
    #[serde(default, rename = "org.opencontainers.image.created", deserialize_with = "readable")]
    created: Option<Timestamp>,
}

/// The manifest of a single image.
#[derive(Debug, Deserialize)]
pub(crate) struct ImageManifest {
    #[serde(default)]
    pub(crate) config: Option<Blob>,
    #[serde(default)]
    pub(super) layers: Vec<Blob>,
    #[serde(default)]
    annotations: Option<ImageAnnotations>,
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
    pub(super) media_type: Option<String>,
    #[serde(default)]
    pub(super) size: u64,
    #[serde(default)]
    urls: IsGiven,
}

impl IndexEntry {
    /// Whether this is a blob and no manifest, as the layers that a cache of `BuildKit` lists (its documentation, "Export
    /// cache": `image-manifest=false`). What has no media type is a manifest.
    pub(super) fn is_blob(&self) -> bool {
        let media_type = self.media_type.as_deref().unwrap_or_default();
        !media_type.is_empty() && !media_type.contains(".manifest.") && !media_type.contains(".index.")
    }

    /// Returns the platform of an image; `None` for attestations and other artifacts.
    pub(super) fn image_platform(&self) -> Option<&Platform> {
        self.platform.as_ref().filter(|platform| !platform.is_unknown())
    }

    /// Whether this names a platform of whatever kind.
    pub(super) fn has_platform(&self) -> bool {
        self.platform.is_some()
    }

    /// Whether this is an index within an index.
    pub(super) fn is_index(&self) -> bool {
        self.media_type.as_deref().is_some_and(is_index_type)
    }

    /// Whether this has fields that Skopeo does not write again when it writes an index.
    pub(super) fn loses_fields(&self) -> bool {
        [&self.artifact_type, &self.data, &self.urls].into_iter().any(|field| field.0)
    }

    /// Returns the digest of the image that this attests, if it is an attestation.
    pub(super) fn attested(&self) -> Option<&str> {
        let attested = self.annotations.as_ref()?.attested.as_deref()?;
        let is_unknown = |platform: &Platform| platform.os == "unknown" && platform.architecture == "unknown";
        self.platform.as_ref().is_some_and(is_unknown).then_some(attested)
    }
}

impl ImageManifest {
    /// Whether this is an index, whatever media type the registry gave it.
    pub(crate) fn is_index(&self) -> bool {
        self.manifests.is_some()
    }

    /// Returns the time in the annotations; `None` if there is none or it cannot be read.
    pub(crate) fn created(&self) -> Option<Timestamp> {
        self.annotations.as_ref()?.created
    }
}

impl Blob {
    /// Whether it is kept elsewhere than in registries (OCI image-spec, "layer.md", and Docker's "foreign" layers).
    pub(super) fn is_foreign(&self) -> bool {
        let media_type = self.media_type.as_deref().unwrap_or_default();
        self.urls.0 && (media_type.contains(".nondistributable.") || media_type.contains(".foreign."))
    }

    /// Whether it is a configuration that names a platform.
    pub(crate) fn is_image_config(&self) -> bool {
        self.media_type.as_deref().is_some_and(|media_type| IMAGE_CONFIGS.contains(&media_type))
    }

    /// Whether it is of this media type.
    pub(super) fn is_of_type(&self, media_type: &str) -> bool {
        self.media_type.as_deref() == Some(media_type)
    }
}

impl<'de> Deserialize<'de> for IsGiven {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(from)?.get();
        let is_empty_list = text.strip_prefix('[').is_some_and(|rest| rest.trim_start() == "]");
        Ok(Self(!is_empty_list && !matches!(text, "null" | "\"\"")))
    }
}

/// Reads a value; `None` if it is of another form.
fn readable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    let text = <&RawValue>::deserialize(from)?.get();
    Ok(serde_json::from_str(text).ok())
}

/// Reads the platform of an entry; `None` if it is incomplete or not made of plain words.
fn plain_platform<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Platform>, D::Error> {
    Ok(readable(from)?.filter(Platform::is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(fields: &str) -> IndexEntry {
        let digest = Digest::of(b"x");
        serde_json::from_str(&format!(r#"{{"digest":"{digest}"{fields}}}"#)).unwrap()
    }

    #[test]
    fn of_fields_that_get_lost_only_that_they_are_given_is_kept() {
        for field in ["artifactType", "data", "urls"] {
            let loses = |value: &str| entry(&format!(r#","{field}": {value} "#)).loses_fields();
            for empty in ["null", "\"\"", "[]", "[ \n]"] {
                assert!(!loses(empty), "{field} {empty}");
            }
            for given in ["\"a\"", "[0,0]", "{}", "1e400", "[[]]"] {
                assert!(loses(given), "{field} {given}");
            }
        }
        assert!(!entry("").loses_fields());
        // However much text the field has.
        assert_eq!(size_of::<IsGiven>(), 1);
    }

    #[test]
    fn annotations_and_platforms_of_another_form_are_passed_over() {
        let large = format!("[{}0]", "0,".repeat(1000));
        let strange = format!(r#","platform":{large},"annotations":{{"a":{large}}}"#);
        assert!(!entry(&strange).has_platform() && entry(&strange).attested().is_none());
        let created = |value: &str| {
            let text = format!(r#"{{"annotations":{{"x":1,"org.opencontainers.image.created":{value}}}}}"#);
            serde_json::from_str::<ImageManifest>(&text).unwrap().created()
        };
        assert_eq!((created(&large), created("null"), created("\"soon\"")), (None, None, None));
        assert!(created("\"2024-01-02T03:04:05Z\"").is_some());
    }
}
