//! Which tags of a repository a spec means.

use std::fmt;
use std::str::FromStr;

use super::pattern::{Match, NearMiss, PatternError};
use super::{Pattern, Tag, by_version};
use crate::reference::{Digest, ReferenceError};

/// What `source.version` may be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Version {
    /// One tag.
    Exact(Tag),
    /// All tags that match.
    Pattern(Pattern),
    /// One manifest, whatever its tags.
    Digest(Digest),
}

/// Why a text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Nothing was given.
    #[error("it is empty; give a tag (v2.13.1), a pattern (v2.13.x) or a digest (sha256:…)")]
    Empty,
    /// Meant as a pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// Meant as a tag or a digest.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            Err(VersionError::Empty)
        } else if text.contains(':') {
            Ok(Self::Digest(text.parse()?))
        } else if Pattern::is_meant(text) {
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
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// The tags that a pattern means, and those that it nearly means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Newest version first.
    pub tags: Vec<Tag>,
    /// Newest version first.
    pub excluded: Vec<Excluded>,
}

/// A tag that people may expect, and why it is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excluded {
    /// The tag.
    pub tag: Tag,
    /// Why.
    pub reason: Exclusion,
}

/// Why a tag is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exclusion {
    /// It is a release candidate, and those are not allowed.
    Candidate,
    /// It misses the pattern in one respect.
    Near(NearMiss),
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Candidate => write!(f, "it is a release candidate; allowCandidateRelease includes those"),
            Self::Near(near) => near.fmt(f),
        }
    }
}

/// Chooses from a repository's tags. Near misses are kept up to `max_excluded`, newest first, so
/// that memory is bounded by what is chosen and not by what is listed.
pub fn select(pattern: &Pattern, candidates: bool, tags: &[Tag], max_excluded: usize) -> Selection {
    let mut selection = Selection::default();
    for tag in tags {
        let reason = match pattern.matches(tag) {
            Match::Yes => None,
            Match::Candidate if candidates => None,
            Match::Candidate => Some(Exclusion::Candidate),
            Match::Near(near) => Some(Exclusion::Near(near)),
            Match::No => continue,
        };
        match reason {
            None => selection.tags.push(tag.clone()),
            Some(reason) => selection.excluded.push(Excluded { tag: tag.clone(), reason }),
        }
    }
    selection.tags.sort_by(|a, b| by_version(b, a));
    selection.excluded.sort_by(|a, b| by_version(&b.tag, &a.tag));
    selection.excluded.truncate(max_excluded);
    selection
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(texts: &[&str]) -> Vec<Tag> {
        texts.iter().map(|t| t.parse().unwrap()).collect()
    }

    #[test]
    fn the_newest_comes_first_and_candidates_only_when_allowed() {
        let all =
            tags(&["v2.13.0", "v2.13.10", "v2.13.9", "v2.13.11-rc2", "v2.13.11-rc10", "v2.14.0", "latest"]);
        let pattern: Pattern = "v2.13.x".parse().unwrap();
        let chosen = select(&pattern, false, &all, 100);
        assert_eq!(chosen.tags, tags(&["v2.13.10", "v2.13.9", "v2.13.0"]));
        assert_eq!(chosen.excluded.len(), 2);
        assert!(chosen.excluded.iter().all(|e| e.reason == Exclusion::Candidate));
        let chosen = select(&pattern, true, &all, 100);
        assert_eq!(chosen.tags, tags(&["v2.13.11-rc10", "v2.13.11-rc2", "v2.13.10", "v2.13.9", "v2.13.0"]));
        assert!(chosen.excluded.is_empty());
    }

    #[test]
    fn a_version_is_exact_a_pattern_or_a_digest() {
        assert!(matches!("v2.13.1".parse(), Ok(Version::Exact(_))));
        assert!(matches!("v2.13.x".parse(), Ok(Version::Pattern(_))));
        assert!(matches!(Digest::of(b"").as_str().parse(), Ok(Version::Digest(_))));
        assert!(matches!("".parse::<Version>(), Err(VersionError::Empty)));
        assert!(matches!("2.x.y".parse::<Version>(), Err(VersionError::Pattern(_))));
        assert!(matches!("a b".parse::<Version>(), Err(VersionError::Reference(_))));
    }
}
