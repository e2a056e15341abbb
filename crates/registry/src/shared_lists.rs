//! Tag lists that several questions share for a short while.
//!
//! A thousand Images may copy into one repository. Each of them wants to know what is there; one
//! list tells all of them. What this process writes there itself is never hidden by a list from before.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use super::access::Fingerprint;
use super::error::Failure;
use crate::reference::Tag;

/// Below this many entries nobody looks for old ones.
const SWEEP_FROM: usize = 256;
/// A list of more tags than this takes several requests: more than asking for a few tags does.
const ONE_PAGE: usize = 1000;

/// Bytes that all lists of the process hold together.
const MOST_BYTES: usize = 32 << 20;
/// What a tag takes besides its text, and a list besides its tags: of the set, and of the allocator.
const OF_A_TAG: usize = 64;
const OF_A_LIST: usize = 512;

/// The repository's path, and who asks.
pub(super) type ListKey = (String, Option<Fingerprint>);

/// The tags of a repository, or why they are not listed.
type Outcome = Result<Arc<HashSet<Tag>>, Failure>;

/// The tags of a repository, as one list told them.
#[derive(Debug, Clone)]
pub struct SharedTags {
    /// All of them.
    pub tags: Arc<HashSet<Tag>>,
    /// Whether the registry was asked for this very call, and nothing was written by this process
    /// meanwhile. If not, a tag may have come since.
    pub is_new: bool,
}

/// The lists of one registry.
#[derive(Debug, Default)]
pub(super) struct SharedLists {
    slots: Mutex<Slots>,
    held: Held,
}

/// The lists that are held for all registries, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Held(Arc<Mutex<VecDeque<HeldList>>>);

#[derive(Debug)]
struct HeldList {
    slot: Weak<Slot>,
    at: Instant,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Slots {
    by_key: HashMap<ListKey, Arc<Slot>>,
    sweep_at: usize,
}

#[derive(Debug, Default)]
struct Slot {
    /// Counts what this process wrote to the repository.
    writes: AtomicU64,
    /// What came last. It is locked while the registry is asked.
    last: AsyncMutex<Option<Told>>,
}

/// What a list said, when, and after how many writes of our own it was asked for.
#[derive(Debug)]
struct Told {
    at: Instant,
    writes: u64,
    /// None once nobody may use it any more.
    outcome: Option<Outcome>,
    is_short: bool,
}

impl SharedLists {
    /// No list yet; what they hold counts with what others hold.
    pub(super) fn new(held: Held) -> Self {
        Self { held, ..Self::default() }
    }

    /// The list of this key, not older than `shared_for`; `fetch` runs at most once at a time. A
    /// failure is shared for as long, or all who wait would repeat it one after another.
    pub(super) async fn get<F>(
        &self,
        key: ListKey,
        shared_for: Duration,
        fetch: impl FnOnce() -> F,
    ) -> Result<SharedTags, Failure>
    where
        F: Future<Output = Result<Vec<Tag>, Failure>>,
    {
        let slot = self.slot(key, shared_for);
        let mut last = slot.last.lock().await;
        let writes = slot.writes.load(Ordering::Acquire);
        if let Some(told) = last.as_ref().filter(|told| told.is_fresh(writes, shared_for))
            && let Some(outcome) = told.outcome.clone()
        {
            tracing::trace!(age = ?told.at.elapsed(), "a shared tag list");
            return outcome.map(|tags| SharedTags { tags, is_new: false });
        }
        let outcome: Outcome = fetch().await.map(|tags| Arc::new(tags.into_iter().collect()));
        let (at, tags) = (Instant::now(), outcome.as_ref().map_or(0, |tags| tags.len()));
        let is_short = outcome.is_ok() && tags <= ONE_PAGE;
        *last = Some(Told { at, writes, outcome: Some(outcome.clone()), is_short });
        drop(last);
        self.held.add(HeldList { slot: Arc::downgrade(&slot), at, bytes: size(&outcome) }, shared_for);
        let is_new = slot.writes.load(Ordering::Acquire) == writes;
        outcome.map(|tags| SharedTags { tags, is_new })
    }

    /// Takes note that this process has written to a repository, or doubts what it knows of it: lists
    /// from before are not shared any more, whoever asked for them.
    pub(super) fn written(&self, path: &str) {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, slot) in slots.by_key.iter().filter(|((listed, _), _)| listed == path) {
            slot.writes.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Whether a list costs no more than asking for one tag, as far as is known: one is there or on
    /// its way, or the last one was short.
    pub(super) fn is_cheap(&self, key: &ListKey, shared_for: Duration) -> bool {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = slots.by_key.get(key) else { return true };
        let Ok(last) = slot.last.try_lock() else { return true };
        last.as_ref().is_none_or(|told| {
            told.is_fresh(slot.writes.load(Ordering::Acquire), shared_for) || told.is_short
        })
    }

    fn slot(&self, key: ListKey, shared_for: Duration) -> Arc<Slot> {
        self.held.sweep(shared_for);
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.by_key.len() >= slots.sweep_at.max(SWEEP_FROM) {
            slots.by_key.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.is_useful(shared_for));
            slots.sweep_at = slots.by_key.len() * 2;
        }
        slots.by_key.entry(key).or_default().clone()
    }
}

impl Held {
    fn add(&self, list: HeldList, shared_for: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(list);
        self.sweep(shared_for);
    }

    /// Drops the lists that nobody may use any more, and the oldest of too many.
    fn sweep(&self, shared_for: Duration) {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held: usize = lists.iter().map(|list| list.bytes).sum();
        let mut busy = Vec::new();
        while let Some(list) = lists.front()
            && (held > MOST_BYTES || list.at.elapsed() >= shared_for)
            && let Some(list) = lists.pop_front()
        {
            held -= list.bytes;
            if let Some(slot) = list.slot.upgrade()
                && !slot.drop_list_of(list.at)
            {
                busy.push(list);
            }
        }
        busy.into_iter().rev().for_each(|list| lists.push_front(list));
    }
}

/// Bytes that a list holds, roughly.
fn size(outcome: &Outcome) -> usize {
    let of_tags = |tags: &Arc<HashSet<Tag>>| tags.iter().map(|tag| tag.as_str().len() + OF_A_TAG).sum();
    OF_A_LIST + outcome.as_ref().map_or(0, of_tags)
}

impl Slot {
    /// Drops the list of this time, if there is still that one. `false` if somebody is at it.
    fn drop_list_of(&self, at: Instant) -> bool {
        let Ok(mut last) = self.last.try_lock() else { return false };
        if let Some(told) = last.as_mut().filter(|told| told.at == at) {
            told.outcome = None;
        }
        true
    }

    fn is_useful(&self, shared_for: Duration) -> bool {
        let Ok(last) = self.last.try_lock() else { return true };
        last.as_ref().is_some_and(|told| told.at.elapsed() < shared_for)
    }
}

impl Told {
    fn is_fresh(&self, writes: u64, shared_for: Duration) -> bool {
        self.outcome.is_some() && self.writes == writes && self.at.elapsed() < shared_for
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lists_that_nobody_may_use_any_more_are_forgotten() {
        let (lists, shared_for) = (SharedLists::default(), Duration::from_secs(10));
        for round in 0..4 {
            for i in 0..SWEEP_FROM {
                let key = (format!("{round}-{i}"), None);
                lists.get(key, shared_for, async || Ok(Vec::new())).await.unwrap();
            }
            tokio::time::advance(shared_for).await;
        }
        let kept = lists.slots.lock().unwrap().by_key.len();
        assert!(kept <= 2 * SWEEP_FROM, "{kept}");
    }

    fn held(lists: &SharedLists) -> Vec<usize> {
        let slots = lists.slots.lock().unwrap();
        let told = |slot: &Arc<Slot>| {
            let last = slot.last.try_lock().unwrap();
            last.as_ref().and_then(|told| Some(told.outcome.as_ref()?.as_ref().ok()?.len()))
        };
        slots.by_key.values().filter_map(told).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn expired_lists_are_dropped_when_anybody_asks_for_another() {
        let (lists, shared_for) = (SharedLists::default(), Duration::from_secs(10));
        let others = SharedLists::new(lists.held.clone());
        let key = |name: &str| (name.to_owned(), None);
        let one = async || Ok(vec!["1".parse().unwrap()]);
        lists.get(key("a"), shared_for, one).await.unwrap();
        lists.get(key("b"), shared_for, one).await.unwrap();
        assert_eq!(held(&lists), [1, 1]);
        tokio::time::advance(shared_for).await;
        others.get(key("c"), shared_for, one).await.unwrap();
        assert_eq!((held(&lists), held(&others)), (vec![], vec![1]), "also those of other registries");
    }

    #[tokio::test(start_paused = true)]
    async fn all_lists_together_hold_no_more_bytes_than_the_bound() {
        let (lists, shared_for) = (SharedLists::default(), Duration::from_secs(10));
        let others = SharedLists::new(lists.held.clone());
        // Few tags with long names.
        let number = MOST_BYTES / 5 * 2 / (128 + OF_A_TAG);
        let many = || async { Ok((0..number).map(|n| format!("{n:0>128}").parse().unwrap()).collect()) };
        lists.get(("a".to_owned(), None), shared_for, many).await.unwrap();
        lists.get(("b".to_owned(), None), shared_for, many).await.unwrap();
        let third = others.get(("c".to_owned(), None), shared_for, many).await.unwrap();
        assert_eq!((held(&lists).len(), held(&others).len()), (1, 1), "the oldest is gone");
        assert_eq!(third.tags.len(), number);
        let again = lists.get(("a".to_owned(), None), shared_for, many).await.unwrap();
        assert!(again.is_new);
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_was_under_way_during_a_write_is_shared_with_nobody() {
        let (lists, shared_for) = (SharedLists::default(), Duration::from_secs(10));
        let (key, others) = (("a".to_owned(), None), ("b".to_owned(), None));
        let list = async || Ok(Vec::new());
        let fetch = async || {
            lists.written("a");
            Ok(Vec::new())
        };
        assert!(!lists.get(key.clone(), shared_for, fetch).await.unwrap().is_new);
        assert!(lists.get(key.clone(), shared_for, list).await.unwrap().is_new, "it was not kept");
        assert!(!lists.get(key.clone(), shared_for, list).await.unwrap().is_new);
        assert!(lists.get(others.clone(), shared_for, list).await.unwrap().is_new);
        lists.written("a");
        assert!(!lists.get(others, shared_for, list).await.unwrap().is_new, "another repository's");
        assert!(lists.get(key, shared_for, list).await.unwrap().is_new);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_list_is_cheap_only_while_it_is_shared() {
        let (lists, shared_for) = (SharedLists::default(), Duration::from_secs(10));
        let key = ("a".to_owned(), None);
        assert!(lists.is_cheap(&key, shared_for), "nothing is known of it");
        let many = async || Ok((0..=ONE_PAGE).map(|n| n.to_string().parse().unwrap()).collect());
        lists.get(key.clone(), shared_for, many).await.unwrap();
        assert!(lists.is_cheap(&key, shared_for));
        tokio::time::advance(shared_for).await;
        assert!(!lists.is_cheap(&key, shared_for));
        lists.get(key.clone(), shared_for, async || Ok(Vec::new())).await.unwrap();
        tokio::time::advance(shared_for).await;
        assert!(lists.is_cheap(&key, shared_for));
    }
}
