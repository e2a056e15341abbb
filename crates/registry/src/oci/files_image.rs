//! The image of one layer that is no more than files: of no platform, and with nothing that could be run.

use bytes::Bytes;
use serde::Serialize;

use super::document::OCI_CONFIG;
use super::manifest::{Manifest, OCI_MANIFEST};
use crate::reference::Digest;

/// The media type of the layer: a tar archive with gzip.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// What stands for the system and the machine where there is none, as other tools write it.
const NO_PLATFORM: &str = "unknown";

/// A tar archive with gzip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesLayer {
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// The digest of the archive without gzip.
    pub diff_id: Digest,
}

/// An image of one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesImage {
    /// The manifest.
    pub manifest: Manifest,
    /// The configuration, which is pushed before it, as the layer is.
    pub config: Bytes,
}

#[derive(Serialize)]
struct Config<'a> {
    architecture: &'static str,
    os: &'static str,
    rootfs: RootFs<'a>,
}

#[derive(Serialize)]
struct RootFs<'a> {
    #[serde(rename = "type")]
    type_: &'static str,
    diff_ids: [&'a Digest; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageOfLayer<'a> {
    schema_version: u8,
    media_type: &'static str,
    config: Described<'a>,
    layers: [Described<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Described<'a> {
    media_type: &'static str,
    digest: &'a Digest,
    size: u64,
}

impl FilesImage {
    /// Returns the image of a layer. The same layer gives the same bytes.
    pub fn of(layer: &FilesLayer) -> Result<Self, serde_json::Error> {
        let rootfs = RootFs { type_: "layers", diff_ids: [&layer.diff_id] };
        let config = Config { architecture: NO_PLATFORM, os: NO_PLATFORM, rootfs };
        let config = serde_json::to_vec(&config)?;
        let digest = Digest::of(&config);
        let manifest = ImageOfLayer {
            schema_version: 2,
            media_type: OCI_MANIFEST,
            config: Described { media_type: OCI_CONFIG, digest: &digest, size: config.len() as u64 },
            layers: [Described { media_type: LAYER, digest: &layer.digest, size: layer.size }],
        };
        let manifest = Manifest::new(OCI_MANIFEST, serde_json::to_vec(&manifest)?.into());
        Ok(Self { manifest, config: config.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_an_image_with_a_configuration_and_of_no_platform() {
        let layer = FilesLayer { digest: Digest::of(b"gzip"), size: 4, diff_id: Digest::of(b"tar") };
        let image = FilesImage::of(&layer).unwrap();
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        insta::assert_snapshot!(text(&image.config), @r#"{"architecture":"unknown","os":"unknown","rootfs":{"type":"layers","diff_ids":["sha256:90aebae315675cbf04612de4f7d5874850f48e0b8dd82becbeaa47ca93f5ebfb"]}}"#);
        insta::assert_snapshot!(text(&image.manifest.bytes), @r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:08396a98203a3895c163a00e975166c3f7e7af56d69498faa16c1067243e858f","size":155},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:c8d77bf4d8b1a10dd67a283d0c82bd96c9d5609860f84d7fc77692a36ab9b4c2","size":4}]}"#);
        let blobs = image.manifest.sized_blobs().unwrap();
        assert_eq!(blobs, [(Digest::of(&image.config), image.config.len() as u64), (layer.digest, 4)]);
    }
}
