//! Tags, and which of them a version in a spec selects.
//!
//! Own code and not a semver crate: tags are not semantic versions, and every crate that reads them
//! as such drops or rewrites some of them silently (docs/decisions/0002-own-tag-patterns.md).

mod date_or_commit;
mod exact_tags;
mod filter;
mod immutable;
mod matching;
mod newest;
mod order;
mod pattern;
mod prerelease;
mod range;
mod select;
mod source_ref;
mod tag_version;
mod typing;
mod version;

pub use exact_tags::{ExactTags, ExactTagsError, few_of};
pub use filter::{Filter, FilterError};
pub use immutable::ImmutableTags;
pub use matching::{Match, NearMiss};
pub(crate) use newest::Newest;
pub use order::{by_version, sort_newest_first};
pub use pattern::{Pattern, PatternError};
pub use range::{Range, RangeError};
pub(crate) use select::Selecting;
pub use select::{Excluded, Exclusion, Selection, select};
pub use source_ref::SourceRef;
pub use tag_version::TagVersion;
pub use typing::{TypedVersion, typed_version};
pub use version::{Version, VersionError};
