//! Manifests, indexes and configurations: read, narrowed to platforms, and built for referrers. Pure and
//! deterministic: what the agent writes is what the preview compares.
//!
//! A registry refuses an index whose entries it does not have (`MANIFEST_BLOB_UNKNOWN`), so an index of some
//! platforms is an index of its own, with a digest of its own.

mod document;
mod files_image;
mod image_config;
mod image_index;
mod index_parts;
mod manifest;
mod platform;
mod referrers;
mod subset;

pub(crate) use document::{Blob, ImageManifest};
pub use files_image::{FilesImage, FilesLayer};
pub use image_config::{EARLIEST_IMAGE_TIME, ImageConfig, is_plausible};
pub(crate) use image_config::{created_in, platform_in};
pub use image_index::{IndexFormat, IndexedImage, image_index};
pub use index_parts::{IndexPart, index_parts, indexes_without_platform};
pub(crate) use manifest::{ACCEPT, OCI_INDEX};
pub use manifest::{BlobDescriptor, Descriptor, Manifest, ManifestError, PlatformManifest};
pub use platform::{Platform, PlatformError, PlatformSelector, Platforms};
pub use referrers::{Referrer, referrers_index, referrers_tag, subject_of};
pub use subset::{
    NarrowedIndex, PLATFORMS_ANNOTATION, PlatformsBelow, SOURCE_DIGEST_ANNOTATION, Subset, read_narrowed,
    subset, subset_of_nested,
};
