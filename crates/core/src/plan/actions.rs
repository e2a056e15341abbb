//! A plan: for each tag, what is to be done.

use jiff::Timestamp;

use super::Copy;
use crate::api::{Counts, TagFailure};
use imgop_registry::reference::Tag;
use imgop_registry::reference::{Digest, ManifestRef};

/// What is to be done, tag by tag, newest version first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The tags that are meant.
    pub tags: Vec<PlannedTag>,
    /// How many were nearly meant.
    pub excluded: usize,
    /// When the first one of those that are too young is old enough; none if there are none.
    pub waiting_until: Option<Timestamp>,
}

/// One tag, and what is to be done for it.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedTag {
    /// The tag, or the digest, at the source.
    pub source_ref: ManifestRef,
    /// The tag at the destination.
    pub destination_tag: Tag,
    /// What it refers to, if it is no tag that the version means.
    pub referrer_of: Option<Digest>,
    /// What is to be done.
    pub action: Action,
}

/// What is to be done for a tag.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Nothing: the destination has it.
    UpToDate,
    /// Nothing: the destination has it, and mode `OnceByTag` has copied it or it never moves.
    AlreadySynced,
    /// Nothing: it exists with other content, and `overwrite: IfMissing` keeps it.
    Keep,
    /// Nothing for now: it exists with other content, and what the source has is too young for
    /// `select.minAge` until then.
    Young(Timestamp),
    /// Wait: a Job copies it.
    Wait,
    /// Make a Job that copies it.
    Copy(Copy),
    /// The content is at the destination; let the tag point at it.
    Publish(Copy),
    /// It failed, and is tried again at `failure.next_attempt`.
    BackOff(TagFailure),
    /// The source does not have it, or a registry could not be asked: look again later.
    RetryLater(TagFailure),
}

impl Plan {
    /// The copies that need a Job.
    pub fn copies(&self) -> impl Iterator<Item = &Copy> {
        self.tags.iter().filter_map(|t| match &t.action {
            TagAction::Copy(copy) => Some(copy),
            _ => None,
        })
    }

    /// The copies whose content is there and whose tag is not.
    pub fn publications(&self) -> impl Iterator<Item = &Copy> {
        self.tags.iter().filter_map(|t| match &t.action {
            TagAction::Publish(copy) => Some(copy),
            _ => None,
        })
    }

    /// The tags that failed, or that could not be looked at.
    pub fn failures(&self) -> impl Iterator<Item = &TagFailure> {
        self.tags.iter().filter_map(|t| match &t.action {
            TagAction::BackOff(failure) | TagAction::RetryLater(failure) => Some(failure),
            _ => None,
        })
    }

    /// Whether something is to be done or waited for now.
    pub fn is_busy(&self) -> bool {
        self.tags.iter().any(|t| matches!(t.action, TagAction::Copy(_) | TagAction::Publish(_) | TagAction::Wait))
    }

    /// The tags that stay as they are because of their age: until when.
    pub fn young(&self) -> impl Iterator<Item = Timestamp> {
        self.tags.iter().filter_map(|t| match &t.action {
            TagAction::Young(until) => Some(*until),
            _ => None,
        })
    }

    /// When the next failed tag is tried again.
    pub fn next_attempt(&self) -> Option<Timestamp> {
        self.failures().filter_map(|f| f.next_attempt.as_ref()).map(|t| t.0).min()
    }

    /// How many tags are in which state.
    pub fn counts(&self) -> Counts {
        let mut counts =
            Counts { matched: as_u32(self.tags.len()), excluded: as_u32(self.excluded), ..Counts::default() };
        for tag in &self.tags {
            let count = match tag.action {
                TagAction::UpToDate | TagAction::AlreadySynced => &mut counts.synced,
                TagAction::Keep | TagAction::Young(_) => &mut counts.kept,
                TagAction::Wait | TagAction::Copy(_) | TagAction::Publish(_) => &mut counts.copying,
                TagAction::BackOff(_) | TagAction::RetryLater(_) => &mut counts.failed,
            };
            *count += 1;
        }
        counts
    }
}

fn as_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
