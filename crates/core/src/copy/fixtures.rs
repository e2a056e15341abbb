//! What the tests of plans are built from.

use jiff::Timestamp;

use super::{CopyRequest, ObservedTag, Seen};
use crate::api::{Destination, ImageSpec, Mode, Source};
use imgop_registry::reference::ManifestRef;

/// A Recurrent copy of this to `registry.example.com/mirror`.
pub fn spec(source: &str, version: &str) -> ImageSpec {
    ImageSpec::new(
        Mode::Recurrent,
        Source::new(source, version),
        Destination::new("registry.example.com/mirror"),
    )
}

/// [`spec`], parsed.
pub fn request(version: &str) -> CopyRequest {
    CopyRequest::parse(&spec("quay.io/a/b", version)).unwrap()
}

/// A tag as both sides have it.
pub fn observed_tag(tag: &str, source: Seen, destination: Seen) -> ObservedTag {
    ObservedTag::whole(ManifestRef::Tag(tag.parse().unwrap()), tag.parse().unwrap(), source, destination)
}

/// The time in all tests.
pub fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}
