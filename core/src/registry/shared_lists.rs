//! Tag lists that several questions share for a short while.
//!
//! A thousand Images may copy into one repository. Each of them wants to know what is there; one
//! list tells all of them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use super::access::Fingerprint;
use super::error::Failure;
use crate::tags::Tag;

/// Below this many entries nobody looks for old ones.
const SWEEP_FROM: usize = 256;

/// The repository's path, and who asks.
pub(super) type ListKey = (String, Option<Fingerprint>);

/// The tags of a repository, or why they are not listed.
type Outcome = Result<Arc<HashSet<Tag>>, Failure>;

/// The tags of a repository, as one list told them.
#[derive(Debug, Clone)]
pub struct SharedTags {
    /// All of them.
    pub tags: Arc<HashSet<Tag>>,
    /// Whether the registry was asked for this very call. If not, a tag may have come since.
    pub is_new: bool,
}

/// The lists of one registry.
#[derive(Debug, Default)]
pub(super) struct SharedLists {
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    by_key: HashMap<ListKey, Arc<Slot>>,
    sweep_at: usize,
}

/// What came last, and when. It is locked while the registry is asked.
#[derive(Debug, Default)]
struct Slot(AsyncMutex<Option<(Instant, Outcome)>>);

impl SharedLists {
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
        let mut last = slot.0.lock().await;
        if let Some((at, outcome)) = last.as_ref().filter(|(at, _)| at.elapsed() < shared_for) {
            tracing::trace!(age = ?at.elapsed(), "a shared tag list");
            return outcome.clone().map(|tags| SharedTags { tags, is_new: false });
        }
        let outcome = fetch().await.map(|tags| Arc::new(tags.into_iter().collect()));
        *last = Some((Instant::now(), outcome.clone()));
        outcome.map(|tags| SharedTags { tags, is_new: true })
    }

    fn slot(&self, key: ListKey, shared_for: Duration) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.by_key.len() >= slots.sweep_at.max(SWEEP_FROM) {
            slots.by_key.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.is_useful(shared_for));
            slots.sweep_at = slots.by_key.len() * 2;
        }
        slots.by_key.entry(key).or_default().clone()
    }
}

impl Slot {
    fn is_useful(&self, shared_for: Duration) -> bool {
        let Ok(last) = self.0.try_lock() else { return true };
        last.as_ref().is_some_and(|(at, _)| at.elapsed() < shared_for)
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
}
