//! The newest ones of a list that may be long.

use super::order::Ranked;
use imgop_registry::reference::Tag;

/// Below this many entries none is dropped before the end.
const PRUNE_FROM: usize = 1_000;

/// Keeps the newest versions of those that are added, and a word about each.
#[derive(Debug)]
pub(super) struct Newest<'a, T> {
    most: usize,
    entries: Vec<(Ranked<'a>, T)>,
    /// Whether entries were dropped; then the last of the `most` first ones is the oldest of those
    /// that count, and nothing older needs to be kept.
    is_pruned: bool,
}

impl<'a, T> Newest<'a, T> {
    /// Keeps at most `most`.
    pub(super) fn new(most: usize) -> Self {
        Self { most, entries: Vec::new(), is_pruned: false }
    }

    /// Adds one. Now and then the oldest are dropped, so that a long list is never held as a whole.
    pub(super) fn add(&mut self, ranked: Ranked<'a>, word: T) {
        if self.is_pruned && self.most.checked_sub(1).is_none_or(|oldest| ranked < self.entries[oldest].0) {
            return;
        }
        self.entries.push((ranked, word));
        if self.entries.len() >= self.most.saturating_mul(2).max(PRUNE_FROM) {
            self.older_than(self.most);
            self.is_pruned = true;
        }
    }

    /// Takes out all but the newest `most`, in no order: of a long list only a few are usually wanted.
    pub(super) fn older_than(&mut self, most: usize) -> Vec<(Ranked<'a>, T)> {
        match most.checked_sub(1) {
            _ if most >= self.entries.len() => Vec::new(),
            None => std::mem::take(&mut self.entries),
            Some(last) => {
                self.entries.select_nth_unstable_by(last, |(a, _), (b, _)| b.cmp(a));
                self.entries.split_off(most)
            }
        }
    }

    /// The newest ones, newest first.
    pub(super) fn into_sorted(mut self) -> impl Iterator<Item = (Tag, T)> + use<'a, T> {
        self.older_than(self.most);
        // Registries list tags by name, which leaves runs in order that a stable sort makes use of.
        self.entries.sort_by(|(a, _), (b, _)| b.cmp(a));
        self.entries.into_iter().map(|(ranked, word)| (ranked.tag.clone(), word))
    }
}
