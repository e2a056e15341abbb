//! The index of an image that is built for several platforms (OCI image-spec, "image-index.md").

use std::collections::BTreeMap;

use serde::Serialize;

use super::manifest::{DOCKER_LIST, Manifest, OCI_INDEX};
use super::platform::PlatformSelector;
use crate::reference::Digest;

/// In which format an index is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexFormat {
    /// Docker's manifest list, which has no annotations.
    Docker,
    /// OCI's index.
    Oci,
}

/// An image that an index lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedImage {
    /// What it runs on.
    pub platform: PlatformSelector,
    /// The media type of its manifest.
    pub media_type: String,
    /// The digest of its manifest.
    pub digest: Digest,
    /// Bytes of its manifest.
    pub size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'a str,
    manifests: Vec<Entry<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    media_type: &'a str,
    digest: &'a Digest,
    size: u64,
    platform: EntryPlatform<'a>,
}

#[derive(Serialize)]
struct EntryPlatform<'a> {
    architecture: &'a str,
    os: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
}

impl<'a> From<&'a IndexedImage> for Entry<'a> {
    fn from(image: &'a IndexedImage) -> Self {
        let of = &image.platform;
        let platform = EntryPlatform { architecture: of.architecture(), os: of.os(), variant: of.variant() };
        Self { media_type: &image.media_type, digest: &image.digest, size: image.size, platform }
    }
}

/// Returns the index of these images, in the order of their platforms. The same images give the same bytes.
pub fn image_index(
    format: IndexFormat,
    images: &[IndexedImage],
    annotations: &BTreeMap<String, String>,
) -> Result<Manifest, serde_json::Error> {
    let (media_type, annotations) = match format {
        IndexFormat::Docker => (DOCKER_LIST, BTreeMap::new()),
        IndexFormat::Oci => (OCI_INDEX, annotations.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()),
    };
    let sorted: BTreeMap<&PlatformSelector, &IndexedImage> =
        images.iter().map(|image| (&image.platform, image)).collect();
    let manifests = sorted.into_values().map(Entry::from).collect();
    let index = Index { schema_version: 2, media_type, manifests, annotations };
    Ok(Manifest::new(media_type, serde_json::to_vec(&index)?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(platform: &str) -> IndexedImage {
        IndexedImage {
            platform: platform.parse().unwrap(),
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            digest: Digest::of(platform.as_bytes()),
            size: 7,
        }
    }

    fn index(format: IndexFormat, platforms: &[&str]) -> Manifest {
        let images: Vec<IndexedImage> = platforms.iter().map(|platform| image(platform)).collect();
        image_index(format, &images, &BTreeMap::from([("a".to_owned(), "b".to_owned())])).unwrap()
    }

    #[test]
    fn the_same_images_give_the_same_bytes_in_whichever_order() {
        let one = index(IndexFormat::Oci, &["linux/arm/v7", "linux/amd64"]);
        assert_eq!(one, index(IndexFormat::Oci, &["linux/amd64", "linux/arm/v7"]));
        insta::assert_snapshot!(String::from_utf8(one.bytes.to_vec()).unwrap(), @r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:baf0239e48ff4c47ebac3ba02b5cf1506b69cd5a0c0d0c825a53ba65976fb942","size":7,"platform":{"architecture":"amd64","os":"linux"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:35df9beb9b1c4fe630707bc51e4360b94b506b4e6d5372d5d0d52a385350621b","size":7,"platform":{"architecture":"arm","os":"linux","variant":"v7"}}],"annotations":{"a":"b"}}"#);
    }

    #[test]
    fn an_index_is_read_with_its_platforms_in_either_format() {
        for format in [IndexFormat::Docker, IndexFormat::Oci] {
            let index = index(format, &["linux/arm64", "linux/amd64"]);
            let platforms: Vec<String> =
                index.platforms().unwrap().iter().map(|image| image.platform.to_string()).collect();
            assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
            let text = String::from_utf8(index.bytes.to_vec()).unwrap();
            assert_eq!(text.contains("annotations"), format == IndexFormat::Oci);
        }
    }
}
