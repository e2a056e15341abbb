//! The Images that an inventory becomes.

use std::fmt::Write as _;

use imgop_registry::reference::Tag;
use sha2::{Digest as _, Sha256};

use crate::selection::{SourceRef, Version};

/// Most characters of the name of an Image: its Jobs append to it.
const MAX_NAME: usize = 52;
/// Most characters of the value of a label.
const MAX_LABEL: usize = 63;
/// Hexadecimal digits that make a name unlike all others.
const HASH_DIGITS: usize = 10;
/// The suffix of an Image that follows its source beside those that do not.
const EXCEPTION: &str = "-f";

/// What of a source an entry asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Selected {
    /// One tag of the destination.
    Exact(SourceRef),
    /// A pattern, a range or a star.
    Version(Version),
}

/// An Image of a mirror: tags of one source repository at one destination repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// The source repository with its registry: however entries write it, it is one Image.
    pub source: String,
    /// The destination repository with its registry.
    pub destination: String,
    /// Which of the targets of the [`Inventory`](super::Inventory) that is.
    pub target: usize,
    /// What is copied, sorted: all are exact, or it is one version.
    pub selected: Vec<Selected>,
    /// Expressions of the tags that its version selects and that it does not copy.
    pub left_out: Vec<String>,
    /// Whether tags there are replaced when the source's change.
    pub follows: bool,
    /// Whether the mirror's other Images do not follow, so that one of the same repositories may stand beside it.
    pub is_exception: bool,
    /// Which part of the tags it is, where one Image cannot have all of them: 0 is the first.
    pub part: usize,
    /// The tags among them that version sources have added.
    pub found: Vec<Tag>,
}

impl Selected {
    /// Returns it as `source.tags` and `source.version` of an Image write it.
    pub fn text(&self) -> String {
        match self {
            Self::Exact(one) => one.to_string(),
            Self::Version(version) => version.to_string(),
        }
    }

    /// Returns whether this tag is it, or is selected by it.
    pub(super) fn has(&self, tag: &str) -> bool {
        match self {
            Self::Exact(one) => one.name().is_some_and(|name| name.as_str() == tag),
            Self::Version(version) => tag.parse().is_ok_and(|tag| version.selects_with(&tag, false)),
        }
    }

    /// Returns the tag at the destination; none of a version, which stands for many.
    pub fn destination_tag(&self) -> Option<&Tag> {
        match self {
            Self::Exact(one) => one.name(),
            Self::Version(_) => None,
        }
    }
}

impl Child {
    /// Returns its version, where it is a pattern or a range.
    pub fn version(&self) -> Option<&Version> {
        match self.selected.as_slice() {
            [Selected::Version(version)] => Some(version),
            _ => None,
        }
    }

    /// Returns its name: that of the mirror, of the destination, and a hash of what it copies from where to where, which
    /// another order of entries does not change.
    pub fn name(&self, mirror: &str) -> String {
        let version = self.version().map(ToString::to_string);
        // No version is written as nothing.
        let part = (self.part > 0).then(|| self.part.to_string());
        let parts = part.iter().flat_map(|part| ["", part.as_str()]);
        let copied =
            [self.source.as_str(), &self.destination].into_iter().chain(version.as_deref()).chain(parts);
        child_name(mirror, &self.destination, copied, if self.is_exception { EXCEPTION } else { "" })
    }
}

/// Returns the name of an Image that a mirror makes: that of the mirror, of the destination, and a hash of `copied`, which
/// says what it copies. A suffix keeps apart those that copy between the same repositories.
pub(crate) fn child_name<'a>(
    mirror: &str,
    destination: &str,
    copied: impl IntoIterator<Item = &'a str>,
    suffix: &str,
) -> String {
    let mut hash = Sha256::new();
    for (i, part) in copied.into_iter().enumerate() {
        if i > 0 {
            hash.update([0]);
        }
        hash.update(part);
    }
    let mut digits = hex::encode(hash.finalize());
    digits.truncate(HASH_DIGITS);
    format!("{}-{digits}{suffix}", name_before_hash(mirror, destination, suffix))
}

/// Returns whether a mirror may have given this name to an Image that copies to this destination: it is the name of such an
/// Image but for what the hash is of.
pub fn is_child_name(name: &str, mirror: &str, destination: &str) -> bool {
    ["", EXCEPTION].into_iter().any(|suffix| {
        let rest = name.strip_prefix(&name_before_hash(mirror, destination, suffix));
        let digits = rest.and_then(|rest| rest.strip_prefix('-')?.strip_suffix(suffix));
        let is_digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        digits.is_some_and(|digits| digits.len() == HASH_DIGITS && digits.chars().all(is_digit))
    })
}

fn name_before_hash(mirror: &str, destination: &str, suffix: &str) -> String {
    let base = destination.rsplit('/').next().unwrap_or_default();
    let room = MAX_NAME - HASH_DIGITS - suffix.len() - 1;
    // Half of what there is for the mirror's name at least, and what that leaves for the other.
    let mirror = cut(mirror, (room - 1).saturating_sub(base.len()).max(room / 2));
    let mut name = mirror.to_owned();
    let _ = write!(name, "-{}", base.replace('_', "-"));
    cut(&name, room).to_owned()
}

/// Returns the value of the label that names the mirror of an Image.
pub fn mirror_label(mirror: &str) -> String {
    if mirror.len() <= MAX_LABEL {
        return mirror.to_owned();
    }
    let mut digits = hex::encode(Sha256::digest(mirror));
    digits.truncate(HASH_DIGITS);
    format!("{}-{digits}", cut(mirror, MAX_LABEL - HASH_DIGITS - 1))
}

/// Returns the beginning of a name, which ends as a name may end. Names of objects and repositories are ASCII.
fn cut(name: &str, max: usize) -> &str {
    name.get(..max).unwrap_or(name).trim_end_matches(['-', '.'])
}
