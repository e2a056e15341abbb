//! What of a source repository one tag of the destination is made of.

use std::fmt;
use std::str::FromStr;

use imgop_registry::reference::{Digest, ManifestRef, ReferenceError, Tag};

/// What of a source repository one tag of the destination is made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SourceRef {
    /// What a tag shows, which may move.
    Tag(Tag),
    /// A content; the spec says elsewhere under which tag.
    Digest(Digest),
    /// A content, under this tag at the destination. The tag itself is not asked for at the source.
    Pinned(Tag, Digest),
}

/// What the tag begins with under which a content stands that has no other one. Not `sha256-`: that is how the
/// tags of referrers and of signatures begin.
const PIN_TAG_PREFIX: &str = "pin-sha256-";

impl SourceRef {
    /// Returns a content under its pin tag, `pin-sha256-` and its 64 digits.
    pub fn under_pin_tag(digest: Digest) -> Result<Self, ReferenceError> {
        let tag = format!("{PIN_TAG_PREFIX}{}", digest.hex()).parse()?;
        Ok(Self::Pinned(tag, digest))
    }

    /// Returns what the source is asked for.
    pub fn asked_for(&self) -> ManifestRef {
        match self {
            Self::Tag(tag) => ManifestRef::Tag(tag.clone()),
            Self::Digest(digest) | Self::Pinned(_, digest) => ManifestRef::Digest(digest.clone()),
        }
    }

    /// Returns the tag at the source, whose content may change.
    pub fn tag(&self) -> Option<&Tag> {
        match self {
            Self::Tag(tag) => Some(tag),
            Self::Digest(_) | Self::Pinned(..) => None,
        }
    }

    /// Returns the content that it is and stays.
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Tag(_) => None,
            Self::Digest(digest) | Self::Pinned(_, digest) => Some(digest),
        }
    }

    /// Returns the tag that it has before `destination.version` is applied.
    pub fn name(&self) -> Option<&Tag> {
        match self {
            Self::Tag(tag) | Self::Pinned(tag, _) => Some(tag),
            Self::Digest(_) => None,
        }
    }

    /// Returns the text that [`str::parse`] reads as the same again, with a pin tag where it has one.
    pub fn recorded(&self) -> String {
        match self {
            Self::Pinned(tag, digest) => format!("{tag}@{digest}"),
            Self::Tag(_) | Self::Digest(_) => self.to_string(),
        }
    }
}

impl fmt::Display for SourceRef {
    /// Writes it as it stands in a spec.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
            Self::Pinned(tag, digest) if is_pin_tag(tag, digest) => digest.fmt(f),
            Self::Pinned(tag, digest) => write!(f, "{tag}@{digest}"),
        }
    }
}

fn is_pin_tag(tag: &Tag, digest: &Digest) -> bool {
    tag.as_str().strip_prefix(PIN_TAG_PREFIX) == Some(digest.hex())
}

impl FromStr for SourceRef {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('@') {
            Some((tag, digest)) => Ok(Self::Pinned(tag.parse()?, digest.parse()?)),
            None if text.contains(':') => Ok(Self::Digest(text.parse()?)),
            None => Ok(Self::Tag(text.parse()?)),
        }
    }
}

impl From<Tag> for SourceRef {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl From<Digest> for SourceRef {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl From<ManifestRef> for SourceRef {
    fn from(what: ManifestRef) -> Self {
        match what {
            ManifestRef::Tag(tag) => Self::Tag(tag),
            ManifestRef::Digest(digest) => Self::Digest(digest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_without_a_tag_stands_under_a_pin_tag_that_no_referrer_has() {
        let digest = Digest::of(b"a");
        let pinned = SourceRef::under_pin_tag(digest.clone()).unwrap();
        let tag = pinned.name().unwrap();
        assert_eq!(tag.as_str(), format!("pin-sha256-{}", digest.hex()));
        assert_eq!(imgop_registry::oci::subject_of(tag), None, "it is no referrer's");
        assert_eq!(pinned.to_string(), digest.to_string());
        assert_eq!(pinned.asked_for(), ManifestRef::Digest(digest));
    }

    #[test]
    fn what_is_recorded_is_read_as_the_same() {
        let digest = Digest::of(b"a");
        for one in [
            SourceRef::Tag("1.27".parse().unwrap()),
            SourceRef::Digest(digest.clone()),
            SourceRef::Pinned("1.27".parse().unwrap(), digest.clone()),
            SourceRef::under_pin_tag(digest).unwrap(),
        ] {
            assert_eq!(one.recorded().parse(), Ok(one));
        }
    }
}
