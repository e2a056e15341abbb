//! Tags, and which of them a version in a spec selects.
//!
//! Own code and not a semver crate: tags are not semantic versions, and every crate that reads them
//! as such drops or rewrites some of them silently (docs/decisions/0002-own-tag-patterns.md).

mod filter;
mod immutable;
mod newest;
mod order;
mod pattern;
mod range;
mod select;
mod tag_version;
mod typing;
mod version;

pub use filter::{Filter, FilterError};
pub use immutable::ImmutableTags;
pub use order::{by_version, sort_newest_first};
pub use pattern::{Match, NearMiss, Pattern, PatternError};
pub use range::{Range, RangeError};
pub use select::{Excluded, Exclusion, Selection, select};
pub use tag_version::TagVersion;
pub use typing::{TypedVersion, typed_version};
pub use version::{Version, VersionError};
