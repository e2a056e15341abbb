//! The newest ones of a list that may be long.

use super::order::Ranked;
use imgop_registry::reference::Tag;

/// Below this many entries none is dropped before the end.
const PRUNE_FROM: usize = 1_000;

/// Keeps the newest versions of those that are added, and a word about each.
#[derive(Debug)]
pub(super) struct Newest<'a, T> {
    max: usize,
    entries: Vec<(Ranked<'a>, T)>,
    added: usize,
    /// Whether entries were dropped; then the last of the `max` first ones is the oldest of those
    /// that count, and nothing older needs to be kept.
    is_pruned: bool,
}

impl<'a, T> Newest<'a, T> {
    /// Keeps at most `max`.
    pub(super) fn new(max: usize) -> Self {
        Self { max, entries: Vec::new(), added: 0, is_pruned: false }
    }

    /// Adds one. Now and then the oldest are dropped, so that a long list is never held as a whole.
    pub(super) fn add(&mut self, ranked: Ranked<'a>, word: T) {
        self.added += 1;
        if self.is_pruned && self.max.checked_sub(1).is_none_or(|oldest| ranked < self.entries[oldest].0) {
            return;
        }
        self.entries.push((ranked, word));
        if self.entries.len() >= self.max.saturating_mul(2).max(PRUNE_FROM) {
            self.prune();
            self.is_pruned = true;
        }
    }

    /// Returns how many were added, those that were dropped included.
    pub(super) fn added(&self) -> usize {
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
    pub(super) fn into_sorted(mut self) -> impl Iterator<Item = (Tag, T)> + use<'a, T> {
        self.prune();
        // Registries list tags by name, which leaves runs in order that a stable sort makes use of.
        self.entries.sort_by(|(a, _), (b, _)| b.cmp(a));
        self.entries.into_iter().map(|(ranked, word)| (ranked.tag.clone(), word))
    }
}
