//! Constraints on versions in the grammar of Go's `github.com/Masterminds/semver/v3`, which autoupdate.yaml uses.
//!
//! Not [`crate::selection::Range`]: that one selects tags, which are not semantic versions, and knows suffixes. Here tags
//! are read as semantic versions, and what is none matches nothing. `crates/core/tests` compares this with the library.

mod comparator;
mod parse;

use std::fmt;
use std::str::FromStr;

use semver::{BuildMetadata, Prerelease, Version};

use comparator::Comparator;

/// Bytes of a constraint, as in the library.
const MAX_BYTES: usize = 512;
/// Alternatives of a constraint, as in the library.
const MAX_GROUPS: usize = 32;

/// Comparators: those that stand together must all hold, of those that `||` separates one set.
///
/// * `=`, `!=`, `>`, `<`, `>=`, `<=`, `~`, `^`, and `1.2 - 1.4.5` for a range that holds both ends.
/// * Spaces and commas mean "and".
/// * `1.2`, `1.2.x` and `1.2.*` are any version of 1.2.
/// * Pre-releases match only where a comparator beside them names one: `>=1.0.0-0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    text: String,
    groups: Vec<Group>,
}

/// Comparators that must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    comparators: Vec<Comparator>,
    allows_prereleases: bool,
}

/// Why a text is no constraint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// Not in the grammar.
    #[error(
        "{0:?} is no constraint; write comparators such as >=1.4.0, ~1.2 or ^2, with || between alternatives"
    )]
    Unreadable(String),
    /// Longer than the library takes.
    #[error("the constraint has more than {MAX_BYTES} bytes")]
    TooLong,
    /// More alternatives than the library takes.
    #[error("the constraint has more than {MAX_GROUPS} alternatives")]
    TooManyGroups,
}

impl Constraint {
    /// Returns it as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a version satisfies it.
    pub fn matches(&self, version: &Version) -> bool {
        self.groups.iter().any(|group| {
            (group.allows_prereleases || version.pre.is_empty())
                && group.comparators.iter().all(|comparator| comparator.holds(version))
        })
    }
}

impl FromStr for Constraint {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_BYTES {
            return Err(ConstraintError::TooLong);
        }
        let unreadable = || ConstraintError::Unreadable(text.to_owned());
        let groups = text.split("||").map(|group| {
            let comparators = parse::group(group).ok_or_else(unreadable)?;
            let allows_prereleases = comparators.iter().any(Comparator::names_prerelease);
            Ok(Group { comparators, allows_prereleases })
        });
        let groups = groups.collect::<Result<Vec<_>, _>>()?;
        if groups.len() > MAX_GROUPS {
            return Err(ConstraintError::TooManyGroups);
        }
        Ok(Self { text: text.to_owned(), groups })
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads a tag as a version, as generously as the library: a `v` before it, numbers that are left out, and zeros that
/// numbers begin with. What stands behind `+` counts for no comparison and is dropped.
pub fn read_version(text: &str) -> Option<Version> {
    if text.len() > 256 {
        return None;
    }
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    if build.is_some_and(|build| build.is_empty() || BuildMetadata::new(build).is_err()) {
        return None;
    }
    let (numbers, pre) = text.split_once('-').map_or((text, None), |(numbers, pre)| (numbers, Some(pre)));
    let pre = match pre {
        None => Prerelease::EMPTY,
        Some(pre) => Prerelease::new(pre).ok().filter(|pre| !pre.is_empty())?,
    };
    let mut parts = numbers.split('.');
    let (major, minor, patch) = (parts.next()?, parts.next(), parts.next());
    if parts.next().is_some() {
        return None;
    }
    let optional = |part: Option<&str>| part.map_or(Some(0), number);
    let (major, minor, patch) = (number(major)?, optional(minor)?, optional(patch)?);
    Some(Version { major, minor, patch, pre, build: BuildMetadata::EMPTY })
}

fn number(digits: &str) -> Option<u64> {
    let is_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
