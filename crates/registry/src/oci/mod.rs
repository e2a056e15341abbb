//! Indexes that are made here and not at the source: of some platforms of an index, and of the
//! referrers of an image. Pure and deterministic: what the agent writes is what the preview compares.
//!
//! A registry refuses an index whose entries it does not have (`MANIFEST_BLOB_UNKNOWN`), so a subset of
//! the platforms is an index of its own, with a digest of its own.

mod platforms;
mod referrers;
mod subset;

pub use platforms::{PlatformError, PlatformSelector, Platforms};
pub use referrers::{Referrer, referrers_index, referrers_tag, subject_of};
pub use subset::{
    IndexError, NarrowedIndex, PLATFORMS_ANNOTATION, SOURCE_DIGEST_ANNOTATION, Subset, read_narrowed, subset,
};
