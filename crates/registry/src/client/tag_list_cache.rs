//! Tag lists that several callers share for a while.
//!
//! A thousand Images may copy into one repository. Each of them needs to know what is there; one list
//! serves all of them. A list from before a write of this process is never returned after it.

use std::time::Duration;

use parking_lot::Mutex;

use super::account::Account;
use super::tag_list::{TAG_OVERHEAD, TagList};
use super::tag_memory::WhenFull;
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
    /// Whether the registry has just said that there is no such repository.
    pub has_no_repository: bool,
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
    flights: SingleFlight<(ListKey, WhenFull), Listed>,
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
    /// Those who wait for memory: of one registry, or of all. While there are any, no list of it is kept.
    waiting: Vec<Option<RegistryHost>>,
}

/// That memory is waited for, until it is dropped.
pub(super) struct NothingKept<'a> {
    lists: &'a TagListCache,
    of: Option<RegistryHost>,
}

impl Drop for NothingKept<'_> {
    fn drop(&mut self) {
        let waiting = &mut self.lists.state.lock().waiting;
        if let Some(own) = waiting.iter().position(|of| *of == self.of) {
            waiting.swap_remove(own);
        }
    }
}

impl TagListCache {
    /// Returns an empty cache of lists that are shared for so long; zero shares nothing.
    pub(super) fn new(ttl: Duration) -> Self {
        let state = State {
            lists: Bounded::new(MAX_BYTES),
            long: Bounded::new(MAX_LONG_LISTS),
            writes: Bounded::new(MAX_WRITES),
            last_write: 0,
            waiting: Vec::new(),
        };
        Self { ttl, state: Mutex::new(state), flights: SingleFlight::default() }
    }

    /// Returns the list of this key; `fetch` runs at most once at a time. A failure is shared as well, or
    /// all who wait would repeat it one after another; but one for want of memory is not shared with those who
    /// wait for that.
    pub(super) async fn get<F>(&self, key: &ListKey, when_full: WhenFull, fetch: impl Fn() -> F) -> Shared
    where
        F: Future<Output = Result<TagList, Failure>>,
    {
        if self.ttl.is_zero() {
            let Listed { outcome, is_current, .. } = self.list(key, when_full, &fetch).await;
            return Shared { outcome, is_new: is_current };
        }
        let last_write = {
            let mut state = self.state.lock();
            if let Some(outcome) = state.cached(key, when_full) {
                return Shared { outcome, is_new: false };
            }
            state.last_write_to(&repository(key))
        };
        let flight = (key.clone(), when_full);
        loop {
            let (listed, is_own) = self.flights.run(&flight, || self.list(key, when_full, &fetch)).await;
            // A list from before a write does not serve those who came after the write.
            if is_own || listed.is_current || listed.began_after >= last_write {
                let is_new = is_own && listed.is_current && !listed.is_cached;
                return Shared { outcome: listed.outcome, is_new };
            }
        }
    }

    async fn list<F>(&self, key: &ListKey, when_full: WhenFull, fetch: &impl Fn() -> F) -> Listed
    where
        F: Future<Output = Result<TagList, Failure>>,
    {
        let before = {
            let mut state = self.state.lock();
            // Another caller may have listed it since.
            if let Some(outcome) = state.cached(key, when_full) {
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

    /// Drops what is cached of one registry, or of all, for the memory that it holds.
    pub(super) fn clear(&self, of: Option<&RegistryHost>) {
        self.state.lock().lists.remove_keys(|key| of.is_none_or(|host| key.account.host == *host));
    }

    /// The same, and keeps nothing more of it until what is returned is dropped.
    pub(super) fn keep_nothing(&self, of: Option<&RegistryHost>) -> NothingKept<'_> {
        self.state.lock().waiting.push(of.cloned());
        self.clear(of);
        NothingKept { lists: self, of: of.cloned() }
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// Whether a list that waits for nothing costs no more than a request for one tag, as far as is known: it is
    /// cached or under way, or the last one was short.
    pub(super) fn is_cheap(&self, key: &ListKey) -> bool {
        if self.ttl.is_zero() {
            return false;
        }
        let mut state = self.state.lock();
        let is_running = || self.flights.is_running(&(key.clone(), WhenFull::Fail));
        state.cached(key, WhenFull::Fail).is_some() || is_running() || state.long.get(key).is_none()
    }
}

impl State {
    fn cached(&mut self, key: &ListKey, when_full: WhenFull) -> Option<Outcome> {
        self.lists.remove_expired();
        let lacked_memory = |outcome: &Outcome| outcome.as_ref().is_err_and(|failure| failure.is_local);
        let known = self.lists.get(key).filter(|known| when_full == WhenFull::Fail || !lacked_memory(known));
        known.cloned()
    }

    /// Returns the number of the last write to a repository; 0 if there was none.
    fn last_write_to(&self, repository: &(RegistryHost, String)) -> u64 {
        self.writes.get(repository).copied().unwrap_or_default()
    }

    /// Keeps a list that was requested after write number `before`. Returns whether the repository was not
    /// written to meanwhile; if it was, the list is not kept, and not while others wait for memory.
    fn insert(&mut self, key: &ListKey, outcome: Outcome, before: u64, ttl: Duration) -> bool {
        if outcome.as_ref().is_ok_and(|tags| tags.len() > ONE_PAGE) {
            self.long.insert(key.clone(), (), LONG_LIST_TTL);
        } else {
            self.long.remove(key);
        }
        let is_new = self.last_write_to(&repository(key)) <= before;
        let is_waited_for =
            |of: &Option<RegistryHost>| of.as_ref().is_none_or(|host| key.account.host == *host);
        if is_new && !self.waiting.iter().any(is_waited_for) {
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
mod tests;
