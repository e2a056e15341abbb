//! What the tests of plans are built from.

use jiff::Timestamp;

use super::{Copy, CopyRequest, MadeOf, ObservedTag, Origin, Seen};
use crate::api::{Destination, ImageSpec, Mode, Source};
use crate::selection::SourceRef;
use imgop_registry::reference::Digest;

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

/// The nth try of this tag, its content being the tag's own text.
pub fn copy(tag: &str, attempt: u32) -> Copy {
    Copy {
        source_ref: SourceRef::Tag(tag.parse().unwrap()),
        destination_tag: tag.parse().unwrap(),
        digest: Digest::of(tag.as_bytes()),
        made_of: None,
        attempt,
    }
}

/// The first try of a tag that becomes an index of two platforms.
pub fn subset(tag: &str) -> Copy {
    let parts = ["amd64", "arm64"].map(|part| Digest::of(format!("{tag} {part}").as_bytes())).to_vec();
    let origin = Origin::PlatformsOf(Digest::of(format!("{tag} whole").as_bytes()));
    Copy { made_of: Some(MadeOf { origin, parts }), ..copy(tag, 1) }
}

/// A tag as both sides have it.
pub fn observed_tag(tag: &str, source: Seen, destination: Seen) -> ObservedTag {
    ObservedTag::whole(SourceRef::Tag(tag.parse().unwrap()), tag.parse().unwrap(), source, destination)
}

/// The time in all tests.
pub fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}
