//! Divides what goes from one repository to another among Images, so that each tag is copied by one of them, and none
//! has more tags than an Image may have.

use std::collections::BTreeSet;

use imgop_registry::reference::{Digest, Tag};

use super::child::Selected;
use crate::selection::{Filter, SourceRef, Version};

/// Most expressions of `select.exclude`, and most characters of each, as the schema of an Image says.
const MAX_EXPRESSIONS: usize = 16;
const MAX_EXPRESSION: usize = 256;
/// As many of them take little memory in any case.
const MAX_UNCHECKED: usize = 2;
/// As many doublings as make a part of each tag of the largest inventory.
const MAX_DOUBLINGS: u32 = 17;

/// What one Image copies.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// All are exact, or it is one version.
    pub selected: Vec<Selected>,
    /// Whether tags are replaced when the source's change.
    pub follows: bool,
    /// Which part of the exact tags it is.
    pub part: usize,
    /// Expressions of the tags that its version selects and that others copy, or nothing does.
    pub left_out: Vec<String>,
}

/// A version that is too hard to tell from the tags beside it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyBeside {
    /// As it is written.
    pub version: String,
    /// How many tags it selects that are not its own.
    pub count: usize,
}

/// What goes from one repository to another.
pub(super) struct Between<'a> {
    /// What is copied, sorted.
    pub selected: &'a [&'a Selected],
    /// Tags that nothing of this copies, whatever selects them.
    pub kept_out: &'a BTreeSet<&'a str>,
    /// Most tags of one Image.
    pub max_tags: usize,
}

impl Between<'_> {
    /// Returns the shares of the Images.
    pub(super) fn divide(
        &self,
        follows: impl Fn(&Selected) -> bool,
    ) -> Result<Vec<Share>, Vec<TooManyBeside>> {
        let mut versions: Vec<(&Version, &Selected, bool)> = Vec::new();
        for selected in self.selected {
            if let Selected::Version(version) = selected {
                versions.push((version, selected, follows(selected)));
            }
        }
        let is_of_a_version = |tag: &Tag, of: bool| {
            versions.iter().any(|(version, _, follows)| *follows == of && version.selects_with(tag, false))
        };
        let mut exact: [Vec<&Selected>; 2] = <_>::default();
        for selected in self.selected {
            let (Selected::Exact(one), of) = (selected, follows(selected)) else { continue };
            let is_kept_out = one.name().is_some_and(|tag| self.kept_out.contains(tag.as_str()));
            // A content that is named is not what a version means by its tag.
            let is_covered = matches!(one, SourceRef::Tag(tag) if is_of_a_version(tag, of));
            if !is_kept_out && !is_covered {
                exact[usize::from(of)].push(selected);
            }
        }
        let own: BTreeSet<&str> =
            exact.iter().flatten().filter_map(|one| one.destination_tag()).map(Tag::as_str).collect();
        let mut shares = Vec::new();
        let mut problems = Vec::new();
        for (version, selected, follows) in &versions {
            let others = own.iter().chain(self.kept_out).copied();
            let others = others.filter(|tag| tag.parse().is_ok_and(|tag| version.selects_with(&tag, false)));
            let others: BTreeSet<String> = others.map(|tag| tag.replace('.', "\\.")).collect();
            let count = others.len();
            let earlier = versions.iter().filter(|(other, ..)| precedes(other, version));
            let earlier = earlier.filter_map(|(other, ..)| other.expression());
            match packed(others.into_iter().chain(earlier)) {
                Some(left_out) => {
                    let selected = vec![Selected::clone(selected)];
                    shares.push(Share { selected, follows: *follows, part: 0, left_out });
                }
                None => problems.push(TooManyBeside { version: version.to_string(), count }),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        for (tags, follows) in exact.into_iter().zip([false, true]) {
            let parts = parts(tags, self.max_tags).into_iter().enumerate();
            shares.extend(parts.filter(|(_, tags)| !tags.is_empty()).map(|(part, tags)| Share {
                selected: tags.into_iter().cloned().collect(),
                follows,
                part,
                left_out: Vec::new(),
            }));
        }
        Ok(shares)
    }
}

/// Returns whether tags that both versions select are the first one's. Ranges have no expression: what two of them
/// select, or a range and a star, both copy, and it is the same content.
fn precedes(first: &Version, second: &Version) -> bool {
    match (first, second) {
        (Version::Pattern(first), Version::Pattern(second)) => {
            first.as_str() < second.as_str() && first.may_overlap(second)
        }
        (Version::Pattern(_), Version::Range(_) | Version::Every) => true,
        _ => false,
    }
}

/// Returns expressions as few longer ones; none where an Image has no room for them.
fn packed(alternatives: impl Iterator<Item = String>) -> Option<Vec<String>> {
    let mut packed: Vec<String> = Vec::new();
    for alternative in alternatives {
        match packed.last_mut() {
            Some(last) if last.len() + 1 + alternative.len() <= MAX_EXPRESSION => {
                last.push('|');
                last.push_str(&alternative);
            }
            _ => packed.push(alternative),
        }
    }
    let fits = packed.len() <= MAX_EXPRESSIONS && packed.iter().all(|one| one.len() <= MAX_EXPRESSION);
    // Only long ones may take more memory than they may; to find out takes longer than all the rest.
    let is_short = packed.len() <= MAX_UNCHECKED;
    (fits && (is_short || Filter::new(&[], &packed, None).is_ok())).then_some(packed)
}

/// Divides exact tags into parts of at most `max` tags. A tag's own hash says into which of them it goes, and they
/// double: one more tag changes one part, until one of them is full and gives half of its tags to a new one.
fn parts(tags: Vec<&Selected>, max: usize) -> Vec<Vec<&Selected>> {
    let mut parts = vec![tags];
    for doublings in 1..=MAX_DOUBLINGS {
        if parts.iter().all(|part| part.len() <= max) {
            break;
        }
        let mut doubled: Vec<Vec<&Selected>> = vec![Vec::new(); 1 << doublings];
        let mask = (1_usize << doublings) - 1;
        for selected in parts.into_iter().flatten() {
            doubled[hash(selected) & mask].push(selected);
        }
        parts = doubled;
    }
    // They were sorted, and each part still is: the order of what goes into one does not change.
    parts
}

/// Returns a number that only the tag at the destination decides.
fn hash(selected: &Selected) -> usize {
    let tag = selected.destination_tag().map(Tag::as_str).unwrap_or_default();
    let digest = Digest::of(tag.as_bytes());
    digest.hex().get(..8).and_then(|digits| usize::from_str_radix(digits, 16).ok()).unwrap_or_default()
}
