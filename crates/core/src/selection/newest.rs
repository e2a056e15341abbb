//! The newest ones of a list that may be long.

use super::order::{Ranked, ReadTag, SingleNumbers};
use imgop_registry::reference::Tag;

/// Below this many entries none is dropped before the end.
const PRUNE_FROM: usize = 1_000;

/// Keeps the newest versions of those that are added, each with a reason.
#[derive(Debug)]
pub(crate) struct Newest<'a, T> {
    max: usize,
    entries: Vec<(Ranked<'a>, T)>,
    added: usize,
    /// Whether entries were dropped; then the last of the `max` first ones is the oldest of those
    /// that count, and nothing older needs to be kept.
    is_pruned: bool,
}

impl<'a, T> Newest<'a, T> {
    /// Keeps at most `max`.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, entries: Vec::new(), added: 0, is_pruned: false }
    }

    /// Adds a tag.
    pub(crate) fn add_tag(&mut self, tag: &'a Tag, reason: T) {
        let ranked = Ranked::new(&ReadTag::new(tag), SingleNumbers::default(), &mut Vec::new());
        self.add(ranked, reason);
    }

    /// Adds one. Now and then the oldest are dropped, so that a long list is never held as a whole.
    pub(super) fn add(&mut self, ranked: Ranked<'a>, reason: T) {
        self.added += 1;
        if self.is_pruned {
            let oldest = self.max.checked_sub(1).and_then(|oldest| self.entries.get(oldest));
            if oldest.is_none_or(|(oldest, _)| ranked < *oldest) {
                return;
            }
        }
        self.entries.push((ranked, reason));
        if self.entries.len() >= self.max.saturating_mul(2).max(PRUNE_FROM) {
            self.prune();
            self.is_pruned = true;
        }
    }

    /// Returns how many were added, those that were dropped included.
    pub(crate) fn added(&self) -> usize {
        self.added
    }

    /// Drops all but the newest `max`.
    fn prune(&mut self) {
        if let Some(last) = self.max.checked_sub(1).filter(|last| *last < self.entries.len()) {
            self.entries.select_nth_unstable_by(last, |(a, _), (b, _)| b.cmp(a));
        }
        self.entries.truncate(self.max);
    }

    /// Returns the newest ones, newest first.
    pub(crate) fn into_sorted(mut self) -> impl Iterator<Item = (&'a Tag, T)> {
        self.prune();
        self.entries.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
        self.entries.into_iter().map(|(ranked, reason)| (ranked.tag, reason))
    }
}
