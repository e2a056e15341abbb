//! Tag lists that several callers share for a while.
//!
//! A thousand Images may copy into one repository. Each of them needs to know what is there; one list
//! serves all of them. A list from before a write of this process is never returned after it.

use std::time::Duration;

use parking_lot::Mutex;

use super::account::Account;
use super::tag_list::{TAG_OVERHEAD, TagList};
use crate::cache::{Bounded, SingleFlight};
use crate::error::Failure;
use crate::reference::RegistryHost;

/// A list of more tags than this takes several requests: more than requests for a few tags do.
const ONE_PAGE: usize = 1000;
/// Bytes that all lists of the process hold together.
const MAX_BYTES: usize = 32 << 20;
/// What a list takes besides its tags.
const LIST_OVERHEAD: usize = 512;
/// How long a write to a repository is remembered: longer than any list takes.
const WRITE_TTL: Duration = Duration::from_hours(1);
/// Repositories whose last write is remembered.
const MAX_WRITES: usize = 16_384;
/// Repositories that are known to have long lists, and for how long.
const MAX_LONG_LISTS: usize = 4096;
const LONG_LIST_TTL: Duration = Duration::from_hours(24);

/// The list that one account sees of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ListKey {
    pub(super) account: Account,
    pub(super) path: String,
}

/// The tags of a repository, or why they cannot be listed.
pub(super) type Outcome = Result<TagList, Failure>;

/// The tags of a repository, from one list.
#[derive(Debug, Clone)]
pub struct SharedTags {
    /// All of them.
    pub tags: TagList,
    /// Whether the list was requested for this very call, and this process wrote nothing meanwhile. If
    /// not, a tag may have been added since.
    pub is_new: bool,
}

/// What a call for shared tags gets.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) outcome: Outcome,
    /// As in [`SharedTags`].
    pub(super) is_new: bool,
}

/// The lists of all registries.
#[derive(Debug)]
pub(super) struct TagListCache {
    ttl: Duration,
    state: Mutex<State>,
    flights: SingleFlight<ListKey, Listed>,
}

/// The outcome of one call to list the tags.
#[derive(Debug, Clone)]
struct Listed {
    outcome: Outcome,
    /// The number of the last write when it began.
    began_after: u64,
    /// Whether this process did not write to the repository meanwhile.
    is_current: bool,
    is_cached: bool,
}

#[derive(Debug)]
struct State {
    lists: Bounded<ListKey, Outcome>,
    long: Bounded<ListKey, ()>,
    /// The number of the last write to each repository, whoever made it.
    writes: Bounded<(RegistryHost, String), u64>,
    last_write: u64,
}

impl TagListCache {
    /// Returns an empty cache of lists that are shared for so long; zero shares nothing.
    pub(super) fn new(ttl: Duration) -> Self {
        let state = State {
            lists: Bounded::new(MAX_BYTES),
            long: Bounded::new(MAX_LONG_LISTS),
            writes: Bounded::new(MAX_WRITES),
            last_write: 0,
        };
        Self { ttl, state: Mutex::new(state), flights: SingleFlight::default() }
    }

    /// Returns the list of this key; `fetch` runs at most once at a time. A failure is shared as well, or
    /// all who wait would repeat it one after another.
    pub(super) async fn get<F>(&self, key: &ListKey, fetch: impl Fn() -> F) -> Shared
    where
        F: Future<Output = Result<TagList, Failure>>,
    {
        if self.ttl.is_zero() {
            let Listed { outcome, is_current, .. } = self.list(key, &fetch).await;
            return Shared { outcome, is_new: is_current };
        }
        let last_write = {
            let mut state = self.state.lock();
            if let Some(outcome) = state.cached(key) {
                return Shared { outcome, is_new: false };
            }
            state.last_write_to(&repository(key))
        };
        loop {
            let (listed, is_own) = self.flights.run(key, || self.list(key, &fetch)).await;
            // A list from before a write does not serve those who came after the write.
            if is_own || listed.is_current || listed.began_after >= last_write {
                let is_new = is_own && listed.is_current && !listed.is_cached;
                return Shared { outcome: listed.outcome, is_new };
            }
        }
    }

    async fn list<F>(&self, key: &ListKey, fetch: &impl Fn() -> F) -> Listed
    where
        F: Future<Output = Result<TagList, Failure>>,
    {
        let before = {
            let mut state = self.state.lock();
            // Another caller may have listed it since.
            if let Some(outcome) = state.cached(key) {
                let began_after = state.last_write;
                return Listed { outcome, began_after, is_current: true, is_cached: true };
            }
            state.last_write
        };
        let outcome = fetch().await;
        let is_current = self.state.lock().insert(key, outcome.clone(), before, self.ttl);
        Listed { outcome, began_after: before, is_current, is_cached: false }
    }

    /// Drops the lists of a repository, whoever asked for them, those that are under way included.
    pub(super) fn invalidate(&self, key: &ListKey) {
        let mut state = self.state.lock();
        state.last_write += 1;
        let number = state.last_write;
        state.writes.insert(repository(key), number, WRITE_TTL);
        state.lists.remove_keys(|listed| repository(listed) == repository(key));
    }

    /// Drops what is cached, for the memory that it holds.
    pub(super) fn clear(&self) {
        self.state.lock().lists.remove_keys(|_| true);
    }

    /// Whether a list costs no more than a request for one tag, as far as is known: it is cached or under
    /// way, or the last one was short.
    pub(super) fn is_cheap(&self, key: &ListKey) -> bool {
        if self.ttl.is_zero() {
            return false;
        }
        let mut state = self.state.lock();
        state.cached(key).is_some() || self.flights.is_running(key) || state.long.get(key).is_none()
    }
}

impl State {
    fn cached(&mut self, key: &ListKey) -> Option<Outcome> {
        self.lists.remove_expired();
        self.lists.get(key).cloned()
    }

    /// Returns the number of the last write to a repository; 0 if there was none.
    fn last_write_to(&self, repository: &(RegistryHost, String)) -> u64 {
        self.writes.get(repository).copied().unwrap_or_default()
    }

    /// Keeps a list that was requested after write number `before`. Returns whether the repository was not
    /// written to meanwhile; if it was, the list is not kept.
    fn insert(&mut self, key: &ListKey, outcome: Outcome, before: u64, ttl: Duration) -> bool {
        if outcome.as_ref().is_ok_and(|tags| tags.len() > ONE_PAGE) {
            self.long.insert(key.clone(), (), LONG_LIST_TTL);
        } else {
            self.long.remove(key);
        }
        let is_new = self.last_write_to(&repository(key)) <= before;
        if is_new {
            let bytes = size(&outcome);
            self.lists.insert_weighted(key.clone(), outcome, ttl, bytes);
        }
        is_new
    }
}

fn repository(key: &ListKey) -> (RegistryHost, String) {
    (key.account.host.clone(), key.path.clone())
}

/// Returns the bytes that a list holds, roughly.
fn size(outcome: &Outcome) -> usize {
    let of_tags = |tags: &TagList| tags.iter().map(|tag| tag.as_str().len() + TAG_OVERHEAD).sum();
    LIST_OVERHEAD + outcome.as_ref().map_or(0, of_tags)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::credentials::Tls;

    const TTL: Duration = Duration::from_secs(10);

    fn key(path: &str) -> ListKey {
        let account = Account { host: "r.example".parse().unwrap(), tls: Tls::default().key(), who: None };
        ListKey { account, path: path.to_owned() }
    }

    fn numbers(of: usize) -> TagList {
        (0..of).map(|n| n.to_string().parse().unwrap()).collect::<Vec<_>>().into()
    }

    async fn is_new(lists: &TagListCache, path: &str, tags: usize) -> bool {
        lists.get(&key(path), async || Ok(numbers(tags))).await.is_new
    }

    fn held(lists: &TagListCache) -> usize {
        lists.state.lock().lists.len()
    }

    #[tokio::test(start_paused = true)]
    async fn expired_lists_are_dropped_when_another_is_requested() {
        let lists = TagListCache::new(TTL);
        assert!(is_new(&lists, "a", 1).await && is_new(&lists, "b", 1).await);
        assert!(!is_new(&lists, "a", 1).await, "it is shared");
        assert_eq!(held(&lists), 2);
        tokio::time::advance(TTL).await;
        assert!(is_new(&lists, "c", 1).await);
        assert_eq!(held(&lists), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn all_lists_together_hold_no_more_bytes_than_the_bound() {
        let lists = TagListCache::new(TTL);
        // Few tags with long names.
        let number = MAX_BYTES / 5 * 2 / (128 + TAG_OVERHEAD);
        let many = async || {
            let tags: Vec<_> = (0..number).map(|n| format!("{n:0>128}").parse().unwrap()).collect();
            Ok(tags.into())
        };
        for path in ["a", "b", "c"] {
            assert_eq!(lists.get(&key(path), many).await.outcome.unwrap().len(), number);
        }
        assert_eq!(held(&lists), 2, "the oldest is gone");
        assert!(lists.get(&key("a"), many).await.is_new);
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_was_under_way_during_a_write_is_not_shared() {
        let lists = TagListCache::new(TTL);
        let fetch = async || {
            lists.invalidate(&key("a"));
            Ok(TagList::default())
        };
        assert!(!lists.get(&key("a"), fetch).await.is_new);
        assert!(is_new(&lists, "a", 0).await, "it was not kept");
        assert!(!is_new(&lists, "a", 0).await);
        assert!(is_new(&lists, "b", 0).await);
        lists.invalidate(&key("a"));
        assert!(!is_new(&lists, "b", 0).await, "another repository's");
        assert!(is_new(&lists, "a", 0).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_after_a_write_does_not_join_a_list_from_before_it() {
        let (lists, gate) = (TagListCache::new(TTL), tokio::sync::Semaphore::new(0));
        let (a, slow) = (key("a"), async || {
            let _ = gate.acquire().await;
            Ok(numbers(1))
        });
        let mut first = Box::pin(lists.get(&a, slow));
        assert!(first.as_mut().now_or_never().is_none());
        lists.invalidate(&a);
        let second = lists.get(&a, async || Ok(numbers(2)));
        let (first, second, ()) = tokio::join!(first, second, async { gate.close() });
        assert_eq!((first.outcome.unwrap().len(), second.outcome.unwrap().len()), (1, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn one_list_serves_all_who_waited_for_it_whatever_is_written_meanwhile() {
        let (lists, a, fetched) = (TagListCache::new(TTL), key("a"), std::cell::Cell::new(0));
        let (old, new) = (tokio::sync::Semaphore::new(0), tokio::sync::Semaphore::new(0));
        let mut first = Box::pin(lists.get(&a, async || {
            let _ = old.acquire().await;
            Ok(numbers(1))
        }));
        assert!(first.as_mut().now_or_never().is_none());
        lists.invalidate(&a);
        // All of them came after the write, and wait for a list from after it.
        let list = async || {
            fetched.set(fetched.get() + 1);
            lists.invalidate(&a);
            let _ = new.acquire().await;
            Ok(numbers(2))
        };
        let waiters = futures::future::join_all((0..10).map(|_| lists.get(&a, list)));
        let end = async {
            old.close();
            // Until all of them wait for the second list.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            new.close();
        };
        let (_, waiters, ()) = tokio::join!(first, waiters, end);
        assert!(waiters.iter().all(|list| list.outcome.as_ref().unwrap().len() == 2));
        assert!(waiters.iter().all(|list| !list.is_new), "it may lack what was written");
        assert_eq!(fetched.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_list_is_shared_too() {
        let lists = TagListCache::new(TTL);
        let error = lists.get(&key("a"), async || Err(Failure::protocol("no"))).await.outcome.unwrap_err();
        assert_eq!(error.detail, "no");
        assert!(lists.get(&key("a"), async || Ok(TagList::default())).await.outcome.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_list_is_cheap_only_while_it_is_shared() {
        let lists = TagListCache::new(TTL);
        assert!(lists.is_cheap(&key("a")), "nothing is known of it");
        is_new(&lists, "a", ONE_PAGE + 1).await;
        assert!(lists.is_cheap(&key("a")));
        tokio::time::advance(TTL).await;
        assert!(!lists.is_cheap(&key("a")));
        is_new(&lists, "a", 0).await;
        tokio::time::advance(TTL).await;
        assert!(lists.is_cheap(&key("a")));
        assert!(!TagListCache::new(Duration::ZERO).is_cheap(&key("a")), "nothing is shared");
    }
}
