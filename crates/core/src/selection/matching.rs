//! What a comparison of a tag with a version comes to.

use std::fmt;

use super::TagVersion;

/// What a comparison of a tag with a version comes to. While a long list is compared, the texts in it are
/// borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match<S = String> {
    /// It is selected.
    Yes,
    /// It would be selected if pre-releases were allowed.
    Candidate,
    /// It differs in one respect only, so people may wonder why it is left out.
    Near(NearMiss<S>),
    /// It is something else.
    No,
}

/// The one respect in which a tag misses a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NearMiss<S = String> {
    /// It is one number, and the range has several.
    OneNumber,
    /// Its first number looks like a date or a commit, and no bound of the range is as long.
    DateOrCommit,
    /// The numbers match, but something follows them: `-alpine`.
    Suffix(S),
    /// The numbers match, but the suffix that the pattern asks for is missing.
    SuffixMissing(S),
    /// It is named after a content, as signatures and the like are.
    Referrer,
    /// The pattern has a `v`, the tag has none.
    NoVPrefix,
    /// The first numbers match, but there are more or fewer of them.
    Parts {
        /// How many the tag has.
        tag: usize,
        /// How many the pattern has.
        pattern: usize,
    },
}

impl Match<&str> {
    pub(super) fn to_owned(self) -> Match {
        match self {
            Self::Yes => Match::Yes,
            Self::Candidate => Match::Candidate,
            Self::Near(near_miss) => Match::Near(near_miss.to_owned()),
            Self::No => Match::No,
        }
    }
}

impl NearMiss<&str> {
    pub(super) fn to_owned(self) -> NearMiss {
        match self {
            Self::OneNumber => NearMiss::OneNumber,
            Self::DateOrCommit => NearMiss::DateOrCommit,
            Self::Suffix(suffix) => NearMiss::Suffix(suffix.to_owned()),
            Self::SuffixMissing(suffix) => NearMiss::SuffixMissing(suffix.to_owned()),
            Self::Referrer => NearMiss::Referrer,
            Self::NoVPrefix => NearMiss::NoVPrefix,
            Self::Parts { tag, pattern } => NearMiss::Parts { tag, pattern },
        }
    }
}

impl fmt::Display for NearMiss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suffix(suffix) => write!(f, "it ends in {suffix:?}, which is not asked for"),
            Self::SuffixMissing(suffix) => write!(f, "it does not end in {suffix:?}"),
            Self::Referrer => {
                write!(f, "it is named after a content, as signatures are; referrers takes those of the tags")
            }
            Self::OneNumber => write!(f, "it is a single number, and the range has several"),
            Self::DateOrCommit => {
                write!(f, "it looks like a date or a commit, which only a bound with as many digits selects")
            }
            Self::NoVPrefix => write!(f, "it has no leading v, which is asked for"),
            Self::Parts { tag, pattern } => {
                write!(f, "it has {tag} numbers, the pattern has {pattern}")
            }
        }
    }
}

/// What a version asks for behind the numbers.
pub(super) struct Suffix<'a> {
    pub(super) asked: &'a str,
    /// Whether a tag is a pre-release of what has the suffix that is asked for.
    pub(super) is_candidate: fn(&TagVersion<'a>, &str) -> bool,
}

impl<'a> Suffix<'a> {
    /// Compares a tag whose numbers match with the rest: the `v` before them and what follows them.
    pub(super) fn compare(&self, version: &TagVersion<'a>, v_is_met: bool) -> Match<&'a str> {
        let asked = self.asked;
        if version.suffix == asked {
            return if v_is_met { Match::Yes } else { Match::Near(NearMiss::NoVPrefix) };
        }
        if !v_is_met {
            Match::No
        } else if (self.is_candidate)(version, asked) {
            Match::Candidate
        } else if version.suffix.starts_with('.') {
            // Another dotted part is no suffix.
            Match::No
        } else if asked.is_empty() {
            Match::Near(NearMiss::Suffix(version.suffix))
        } else if version.suffix.is_empty() {
            Match::Near(NearMiss::SuffixMissing(asked))
        } else {
            Match::No
        }
    }
}
