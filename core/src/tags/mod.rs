//! Tags, and which of them a version in a spec means.

mod tag;

pub use tag::Tag;
