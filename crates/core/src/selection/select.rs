//! Which tags of a repository a spec selects.

use std::fmt;

use imgop_registry::reference::Tag;
use jiff::Timestamp;

use super::matching::{Match, NearMiss};
use super::newest::Newest;
use super::order::{Ranked, ReadTag, SingleNumbers};
use super::{Filter, Version};
use crate::api::MinAge;

/// The tags that a version selects, and its near misses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Newest version first.
    pub tags: Vec<Tag>,
    /// The newest near misses, newest version first.
    pub excluded: Vec<Excluded>,
    /// How many near misses there are, those that are not kept included.
    pub near_misses: usize,
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
    /// It is a pre-release, and those are not allowed.
    Candidate,
    /// It misses the version in one respect.
    Near(NearMiss),
    /// `select.include` does not let it in.
    NotIncluded,
    /// This expression of `select.exclude` keeps it out.
    Excluded(String),
    /// The template of `destination.version` makes a name of it that is too long for a tag.
    TooLong,
    /// The template of `destination.version` makes this tag of another one of the same repository, so that it
    /// would be copied once more by each sync.
    MadeOf(Tag),
    /// It is this version in another spelling, and `select.latest` counts each version once.
    Spelling(Tag),
    /// It is older than the newest ones that `select.latest` asks for.
    NotLatest(usize),
    /// It has not shown the same content for as long as `select.minAge` asks for.
    TooYoung {
        /// What is asked for.
        min_age: MinAge,
        /// When it is old enough, if it still shows the same content then.
        until: Timestamp,
    },
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Candidate => write!(f, "it is a pre-release; allowCandidateRelease includes those"),
            Self::Near(near) => near.fmt(f),
            Self::NotIncluded => write!(f, "select.include does not match it"),
            Self::Excluded(expression) => write!(f, "select.exclude matches it with {expression:?}"),
            Self::TooLong => {
                write!(f, "its name at the destination (destination.version) is too long for a tag")
            }
            Self::MadeOf(tag) => write!(f, "destination.version makes it of {tag}"),
            Self::Spelling(tag) => write!(f, "it is another spelling of {tag} (select.latest)"),
            Self::NotLatest(latest) => write!(f, "it is not among the newest {latest} (select.latest)"),
            Self::TooYoung { min_age, until } => write!(
                f,
                "it is younger than {min_age} (select.minAge); taken from {until} if it still has the same content"
            ),
        }
    }
}

/// Why a tag is left out, while most of them are not kept.
#[derive(Debug, Clone, Copy)]
enum Reason<'a> {
    Candidate,
    Near(NearMiss<&'a str>),
    NotIncluded,
    Excluded(&'a str),
    Spelling(&'a Tag),
    NotLatest(usize),
}

impl From<Reason<'_>> for Exclusion {
    fn from(reason: Reason<'_>) -> Self {
        match reason {
            Reason::Candidate => Self::Candidate,
            Reason::Near(near_miss) => Self::Near(near_miss.to_owned()),
            Reason::NotIncluded => Self::NotIncluded,
            Reason::Excluded(expression) => Self::Excluded(expression.to_owned()),
            Reason::Spelling(tag) => Self::Spelling(tag.clone()),
            Reason::NotLatest(latest) => Self::NotLatest(latest),
        }
    }
}

/// Selects from a repository's tags: the version first, then `include` and `exclude`, then the newest
/// ones. Near misses are kept up to `max_excluded`, newest first.
///
/// Takes memory for the matches and the near misses that are kept, and not for the others.
pub fn select(
    version: &Version,
    candidates: bool,
    filter: &Filter,
    tags: &[Tag],
    max_excluded: usize,
) -> Selection {
    let mut selecting = Selecting::new(version, candidates, filter, tags, max_excluded);
    selecting.add(tags);
    selecting.end()
}

/// A selection from a repository's tags in pieces, between which others may have the thread: what `include` and
/// `exclude` cost depends on who wrote them.
pub(crate) struct Selecting<'a> {
    version: &'a Version,
    candidates: bool,
    filter: &'a Filter,
    numbers: SingleNumbers,
    selected: Vec<Ranked<'a>>,
    excluded: Newest<'a, Reason<'a>>,
    /// Memory to use again from tag to tag.
    scratch: Vec<u8>,
}

impl<'a> Selecting<'a> {
    /// Begins to select from `tags`; [`Self::add`] takes them piece by piece.
    pub(crate) fn new(
        version: &'a Version,
        candidates: bool,
        filter: &'a Filter,
        tags: &'a [Tag],
        max_excluded: usize,
    ) -> Self {
        Self {
            version,
            candidates,
            filter,
            numbers: SingleNumbers::of(tags),
            selected: Vec::new(),
            excluded: Newest::new(max_excluded),
            scratch: Vec::new(),
        }
    }

    /// Compares some of the tags.
    pub(crate) fn add(&mut self, tags: &'a [Tag]) {
        for tag in tags {
            let read = ReadTag::new(tag);
            let reason = match self.version.compare(&read) {
                Match::Yes => filtered_out(self.filter, tag),
                Match::Candidate if self.candidates => filtered_out(self.filter, tag),
                Match::Candidate => Some(Reason::Candidate),
                Match::Near(near_miss) => Some(Reason::Near(near_miss)),
                Match::No => continue,
            };
            let ranked = Ranked::new(&read, self.numbers, &mut self.scratch);
            match reason {
                None => self.selected.push(ranked),
                Some(reason) => self.excluded.add(ranked, reason),
            }
        }
    }

    /// Orders what was selected and returns it.
    pub(crate) fn end(mut self) -> Selection {
        if let Some(latest) = self.filter.latest {
            self.keep_newest(latest);
        } else {
            sort(&mut self.selected);
        }
        Selection {
            tags: self.selected.into_iter().map(|ranked| ranked.tag.clone()).collect(),
            near_misses: self.excluded.added(),
            excluded: self
                .excluded
                .into_sorted()
                .map(|(tag, reason)| Excluded { tag: tag.clone(), reason: reason.into() })
                .collect(),
        }
    }

    /// Keeps the newest `latest` versions, each in the spelling that comes first. The older ones are not
    /// sorted.
    fn keep_newest(&mut self, latest: usize) {
        let mut all = std::mem::take(&mut self.selected);
        let mut sorted = 0;
        let mut newest: Vec<Ranked<'a>> = Vec::new();
        while !all.is_empty() {
            // Most versions have one spelling or two.
            let piece = sorted.max(latest.saturating_mul(2)).max(1).min(all.len());
            sorted += piece;
            if let Some(rest) = all.len().checked_sub(piece).filter(|rest| *rest > 0) {
                all.select_nth_unstable(rest);
            }
            let mut next = all.split_off(all.len() - piece);
            sort(&mut next);
            for ranked in next {
                match newest.last() {
                    Some(last) if ranked.is_same_version(last) => {
                        self.excluded.add(ranked, Reason::Spelling(last.tag));
                    }
                    _ if newest.len() < latest => newest.push(ranked),
                    _ => self.excluded.add(ranked, Reason::NotLatest(latest)),
                }
            }
            if newest.len() == latest {
                break;
            }
        }
        for ranked in all {
            let reason = match newest.last() {
                Some(last) if ranked.is_same_version(last) => Reason::Spelling(last.tag),
                _ => Reason::NotLatest(latest),
            };
            self.excluded.add(ranked, reason);
        }
        self.selected = newest;
    }
}

/// Sorts, newest first.
fn sort(ranked: &mut [Ranked<'_>]) {
    ranked.sort_unstable_by(|a, b| b.cmp(a));
}

fn filtered_out<'a>(filter: &'a Filter, tag: &Tag) -> Option<Reason<'a>> {
    if !filter.includes(tag.as_str()) {
        return Some(Reason::NotIncluded);
    }
    filter.excluded_by(tag.as_str()).map(Reason::Excluded)
}

#[cfg(test)]
mod tests;
