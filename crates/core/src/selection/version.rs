//! What `source.version` or `source.tags` may be.

use std::fmt;
use std::str::FromStr;

use imgop_registry::oci::subject_of;
use imgop_registry::reference::{Digest, ReferenceError, Tag};

use super::matching::{Match, NearMiss};
use super::order::ReadTag;
use super::pattern::PatternError;
use super::prerelease::is_prerelease_name;
use super::{ExactTags, Pattern, Range, RangeError, TagVersion};

/// What `source.version` may be, or what `source.tags` holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Version {
    /// One tag.
    Exact(Tag),
    /// All tags that match.
    Pattern(Pattern),
    /// All tags whose numbers are in a range.
    Range(Range),
    /// Every tag but pre-releases, and those that are named after a content, as signatures are.
    Every,
    /// One manifest, whatever its tags.
    Digest(Digest),
    /// Several tags and contents, each named.
    Tags(ExactTags),
}

/// How every tag is written.
const EVERY: &str = "*";

/// Why a text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Nothing was given.
    #[error(
        "it is empty; give a tag (v2.13.1), a pattern (v2.13.x), a range (>=2.13 <2.15), * for every tag but \
         pre-releases, or a digest (sha256:…)"
    )]
    Empty,
    /// It looks like a pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// It looks like a range.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// It looks like a tag or a digest.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            Err(VersionError::Empty)
        } else if text == EVERY {
            Ok(Self::Every)
        } else if text.contains(':') {
            Ok(Self::Digest(text.parse()?))
        } else if Range::looks_like(text) {
            Ok(Self::Range(text.parse()?))
        } else if Pattern::looks_like(text) {
            Ok(Self::Pattern(text.parse()?))
        } else {
            Ok(Self::Exact(text.parse()?))
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(tag) => tag.fmt(f),
            Self::Pattern(pattern) => pattern.fmt(f),
            Self::Range(range) => range.fmt(f),
            Self::Every => f.write_str(EVERY),
            Self::Digest(digest) => digest.fmt(f),
            Self::Tags(tags) => tags.fmt(f),
        }
    }
}

impl Version {
    /// Compares a tag with it.
    pub(super) fn compare<'a>(&'a self, read: &ReadTag<'a>) -> Match<&'a str> {
        match (self, &read.version) {
            (Self::Pattern(pattern), Some(version)) => pattern.compare(version),
            (Self::Range(range), Some(version)) => range.compare(version),
            (Self::Every, _) if subject_of(read.tag).is_some() => Match::Near(NearMiss::Referrer),
            (Self::Every, _) if is_prerelease(read) => Match::Candidate,
            (Self::Every, _) => Match::Yes,
            (Self::Exact(exact), _) if exact == read.tag => Match::Yes,
            (Self::Tags(tags), _) if tags.named(read.tag).is_some() => Match::Yes,
            (Self::Exact(_) | Self::Digest(_) | Self::Tags(_), _)
            | (Self::Pattern(_) | Self::Range(_), None) => Match::No,
        }
    }

    /// Returns a regular expression that matches what it selects as a whole; none where there is no such.
    pub fn expression(&self) -> Option<String> {
        if let Self::Pattern(pattern) = self { Some(pattern.expression()) } else { None }
    }

    /// Whether it selects a tag, be it a release or a pre-release.
    pub fn selects(&self, tag: &Tag) -> bool {
        matches!(self.compare(&ReadTag::new(tag)), Match::Yes | Match::Candidate)
    }

    /// Whether it selects a tag, a pre-release only where those are allowed.
    pub fn selects_with(&self, tag: &Tag, candidates: bool) -> bool {
        match self.compare(&ReadTag::new(tag)) {
            Match::Yes => true,
            Match::Candidate => candidates,
            Match::Near(_) | Match::No => false,
        }
    }

    /// Whether it selects among the tags of a repository, so that they must be listed.
    pub fn is_selector(&self) -> bool {
        matches!(self, Self::Pattern(_) | Self::Range(_) | Self::Every)
    }
}

/// Whether a tag is a pre-release by what stands behind its numbers, or by its name alone.
fn is_prerelease(read: &ReadTag<'_>) -> bool {
    if let Some(version) = &read.version {
        return version.is_prerelease();
    }
    let (name, version) = TagVersion::read_name(read.tag);
    is_prerelease_name(name) || version.is_prerelease()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_exact_a_pattern_a_range_or_a_digest() {
        assert!(matches!("v2.13.1".parse(), Ok(Version::Exact(_))));
        assert!(matches!("v2.13.x".parse(), Ok(Version::Pattern(_))));
        assert!(matches!(">=2.13 <2.15".parse(), Ok(Version::Range(_))));
        assert!(matches!("~2.13".parse(), Ok(Version::Range(_))));
        assert!(matches!(Digest::of(b"").as_str().parse(), Ok(Version::Digest(_))));
        assert!(matches!("".parse::<Version>(), Err(VersionError::Empty)));
        assert!(matches!("2.x.y".parse::<Version>(), Err(VersionError::Pattern(_))));
        assert!(matches!("a/b".parse::<Version>(), Err(VersionError::Reference(_))));
    }
}
