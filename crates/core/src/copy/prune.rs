//! Which tags of the destination are deleted, because the Image has put them and no longer selects them.
//!
//! What is deleted is gone, so everything must agree: the status says that this Image has put the tag and with what; the
//! complete lists of both registries have it; the destination still shows what was put; and no other object may put it.
//! What is not known is spared.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use imgop_registry::oci::subject_of;
use imgop_registry::reference::{Digest, Tag};
use jiff::Timestamp;

use super::CopyRequest;
use crate::access::AccessPolicy;
use crate::api::{MinAge, Prune, PrunePolicy};
use crate::build::ImageReference;
use crate::selection::{SourceRef, sort_newest_first};
use crate::time::saturating_add;

/// Digits of a digest that a status keeps.
const DIGITS: usize = 12;
/// Bytes of the tags that a status keeps, with these digits.
const MAX_MADE_BYTES: usize = 8 * 1024;
/// Bytes of an entry beside its tag: digits, quotes, colon, comma, and the time since when it is not selected.
const ENTRY_BYTES: usize = DIGITS + 6 + 48;
/// How long a tag must have been no longer selected, where nothing else is said.
const DEFAULT_MIN_AGE: Duration = Duration::from_hours(7 * 24);
/// What the tags of contents that are pinned begin with.
const PIN_PREFIX: &str = "pin-sha256-";

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneRequest {
    /// Whether tags are deleted.
    pub policy: PrunePolicy,
    /// How many of the newest stay.
    pub keep: usize,
    /// How long a tag must have been no longer selected.
    pub min_age: Duration,
}

impl PruneRequest {
    /// Reads `destination.prune`.
    pub(super) fn read(written: &Prune) -> Result<Self, String> {
        let min_age = match written.min_age.as_deref().map(str::parse::<MinAge>).transpose() {
            Ok(age) => age.map_or(DEFAULT_MIN_AGE, MinAge::period),
            Err(error) => return Err(error.to_string()),
        };
        if min_age < Duration::from_hours(1) {
            return Err("it must be at least 1h".to_owned());
        }
        let keep = written.keep.map_or(0, |keep| usize::try_from(keep).unwrap_or(usize::MAX));
        Ok(Self { policy: written.policy, keep, min_age })
    }
}

/// An image that a pod or a template of pods names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UsedImage {
    /// As it is named.
    pub reference: ImageReference,
    /// What runs, where a pod reports it.
    pub running: Option<Digest>,
}

/// What this Image has put at its destination, as its status has it: tags with the first digits of their contents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MadeTags {
    /// By tag.
    pub digits: BTreeMap<Tag, String>,
    /// Since when those are no longer selected that are not.
    pub unselected: BTreeMap<Tag, Timestamp>,
}

impl MadeTags {
    /// Adds tags that were put just now, as far as there is room, and notes which are selected.
    pub fn update<'a>(
        &mut self,
        put: impl Iterator<Item = (&'a Tag, &'a Digest)>,
        is_selected: impl Fn(&Tag) -> bool,
        now: Timestamp,
    ) {
        let mut bytes: usize = self.digits.keys().map(entry_bytes).sum();
        for (tag, digest) in put.filter(|(tag, _)| !is_named_after_content(tag)) {
            if !self.digits.contains_key(tag) {
                bytes += entry_bytes(tag);
                if bytes > MAX_MADE_BYTES {
                    break;
                }
            }
            self.digits.insert(tag.clone(), digits(digest));
        }
        self.unselected.retain(|tag, _| self.digits.contains_key(tag) && !is_selected(tag));
        for tag in self.digits.keys().filter(|tag| !is_selected(tag)) {
            self.unselected.entry(tag.clone()).or_insert(now);
        }
    }

    /// Returns whether a tag has been no longer selected for as long as is asked for.
    pub fn is_any_old_enough(&self, request: &PruneRequest, now: Timestamp) -> bool {
        self.unselected.values().any(|since| is_old_enough(*since, request, now))
    }

    /// Forgets tags that are not at the destination any more.
    pub fn forget(&mut self, is_gone: impl Fn(&Tag) -> bool) {
        self.digits.retain(|tag, _| !is_gone(tag));
        self.unselected.retain(|tag, _| !is_gone(tag));
    }

    /// Returns which of the tags that are no longer selected something uses: by their names at the destination; by those
    /// at the source, since nodes may be told to pull from here what is named there; or by what they show, whatever it is
    /// called.
    pub fn used<'u>(
        &self,
        request: &CopyRequest,
        policy: &AccessPolicy,
        all: impl IntoIterator<Item = &'u UsedImage>,
    ) -> BTreeSet<Tag> {
        let (mut names, mut contents) = (HashSet::new(), HashSet::new());
        for UsedImage { reference, running } in all {
            contents.extend(reference.digest.as_ref().map(digits));
            contents.extend(running.as_ref().map(digits));
            let Some(tag) = &reference.tag else { continue };
            if policy.is_one_repository(&reference.repository, &request.destination) {
                names.insert(tag.clone());
            }
            if policy.is_one_repository(&reference.repository, &request.source) {
                names.extend(request.naming.apply(&SourceRef::Tag(tag.clone())).ok());
            }
        }
        let is_used = |tag: &&Tag| {
            names.contains(*tag) || self.digits.get(*tag).is_some_and(|put| contents.contains(put))
        };
        self.unselected.keys().filter(is_used).cloned().collect()
    }

    /// Returns whether a tag that the destination shows with this content is as it was put.
    pub fn shows(&self, tag: &Tag, digest: &Digest) -> bool {
        self.digits.get(tag).is_some_and(|put| *put == digits(digest))
    }
}

/// What is known of both registries, and of other objects.
#[derive(Debug, Clone, Copy)]
pub struct PruneInputs<'a> {
    /// What is asked for.
    pub request: &'a PruneRequest,
    /// What the Image has put.
    pub made: &'a MadeTags,
    /// The tags of the destination that it selects now, those that are too young included.
    pub selected: &'a HashSet<Tag>,
    /// All tags of the source, as they are called at the destination.
    pub at_source: &'a HashSet<Tag>,
    /// All tags of the destination.
    pub at_destination: &'a HashSet<Tag>,
    /// Those that other objects may put, or that something uses.
    pub in_use: &'a BTreeSet<Tag>,
    /// The contents under tags that stay, which must not go with others at a registry that deletes more than the tag.
    pub kept: &'a BTreeSet<&'a Digest>,
    /// The time.
    pub now: Timestamp,
}

/// Returns the tags that are to be deleted, the oldest version first, if the destination shows under them what was put.
pub fn due(inputs: PruneInputs<'_>) -> Vec<Tag> {
    let PruneInputs { request, made, .. } = inputs;
    let mut ours: Vec<&Tag> = made.unselected.keys().filter(|tag| is_ours(inputs, tag)).collect();
    sort_newest_first(&mut ours);
    let is_old = |tag: &&Tag| is_old_enough(made.unselected[*tag], request, inputs.now);
    ours.into_iter().skip(request.keep).rev().filter(is_old).cloned().collect()
}

/// Returns whether a tag is this Image's alone, and means nothing to it any more.
fn is_ours(inputs: PruneInputs<'_>, tag: &Tag) -> bool {
    let is_kept = || inputs.kept.iter().any(|digest| inputs.made.shows(tag, digest));
    inputs.made.digits.contains_key(tag)
        && !is_kept()
        && !inputs.selected.contains(tag)
        && inputs.at_source.contains(tag)
        && inputs.at_destination.contains(tag)
        && !inputs.in_use.contains(tag)
        && !is_named_after_content(tag)
}

/// Whether a tag is a signature's or the like, or that of a pinned content.
fn is_named_after_content(tag: &Tag) -> bool {
    subject_of(tag).is_some() || tag.as_str().starts_with(PIN_PREFIX) || tag.as_str().starts_with("sha256-")
}

fn is_old_enough(since: Timestamp, request: &PruneRequest, now: Timestamp) -> bool {
    saturating_add(since, request.min_age) <= now
}

fn digits(digest: &Digest) -> String {
    digest.hex().chars().take(DIGITS).collect()
}

fn entry_bytes(tag: &Tag) -> usize {
    // It may stand among those that are no longer selected, too.
    2 * tag.as_str().len() + ENTRY_BYTES
}

#[cfg(test)]
mod tests;
