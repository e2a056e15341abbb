//! Images as a Dockerfile names them.

use std::fmt;
use std::str::FromStr;

use imgop_registry::reference::{Digest, ManifestRef, Reference, ReferenceError, Repository, Tag};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The tag of a name without one.
const DEFAULT_TAG: &str = "latest";

/// An image: a repository with a tag, a digest or both. Both together mean the digest; the tag is for people.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageReference {
    /// Where it is.
    pub repository: Repository,
    /// The tag; there is one where there is no digest.
    pub tag: Option<Tag>,
    /// The digest.
    pub digest: Option<Digest>,
}

impl ImageReference {
    /// Returns what a registry is asked for.
    pub fn manifest_ref(&self) -> Option<ManifestRef> {
        let tag = self.tag.clone().map(ManifestRef::Tag);
        self.digest.clone().map(ManifestRef::Digest).or(tag)
    }

    /// Whether it always means the same content, so that there is nothing to watch.
    pub fn is_pinned(&self) -> bool {
        self.digest.is_some()
    }
}

impl FromStr for ImageReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        let Reference { repository, version } = name.parse()?;
        let tag = match version {
            Some(version) => Some(version.parse::<Tag>()?),
            None if digest.is_none() => Some(DEFAULT_TAG.parse::<Tag>()?),
            None => None,
        };
        Ok(Self { repository, tag, digest })
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

impl Serialize for ImageReference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ImageReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_a_digest_or_both_may_stand_behind_a_name() {
        let digest = Digest::of(b"x");
        for (text, written, is_pinned) in [
            ("busybox", "docker.io/library/busybox:latest".to_owned(), false),
            ("busybox:1.36", "docker.io/library/busybox:1.36".to_owned(), false),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest".to_owned(), false),
            (&format!("quay.io/a/b@{digest}"), format!("quay.io/a/b@{digest}"), true),
            (&format!("quay.io/a/b:1@{digest}"), format!("quay.io/a/b:1@{digest}"), true),
        ] {
            let read: ImageReference = text.parse().unwrap();
            assert_eq!((read.to_string(), read.is_pinned()), (written, is_pinned), "{text}");
            assert_eq!(read.to_string().parse::<ImageReference>().unwrap(), read);
        }
    }

    #[test]
    fn other_texts_are_no_images() {
        for bad in ["", ":1", "a b", "docker://a/b", "a@sha256:00", "a:x@", "a::b", "A/b", "a:-1", "$X"] {
            assert!(bad.parse::<ImageReference>().is_err(), "{bad}");
        }
    }
}
