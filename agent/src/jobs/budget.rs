//! How many Jobs run at once: of one owner, in one namespace, and in all, where image-operator made thousands
//! at once; and which owner is next when a place becomes free.
//!
//! An owner that gets fewer places than it wants is queued, and stays in the queue until it takes places or
//! leaves. It does not poll: it is woken when it is next, and others leave it a place until it comes.

mod by_uid;
mod full;
mod of_kind;
mod queue;
mod refresh;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::cluster::owner::Owner;
use by_uid::ByUid;
pub use full::Full;
pub use of_kind::KindCap;

/// How many Jobs may run at once, and how long a place is left to the owner that is next.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    /// In all.
    pub in_all: usize,
    /// In one namespace, so that one tenant leaves room for the others.
    pub per_namespace: usize,
    /// Of one owner.
    pub per_owner: usize,
    /// Of the owners of one kind.
    pub of_kind: Option<KindCap>,
    /// How long an owner that was woken may take to come before it goes to the end of its queue. Its pass waits for
    /// a turn, for its registries and for their tag lists before it asks for its room; none whose pass ends without a
    /// place is waited for.
    pub wake_timeout: Duration,
}

/// How many Jobs an owner has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// All that exist.
    pub total: usize,
    /// Those that have not ended.
    pub unfinished: usize,
}

/// How many Jobs there are, of all owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// Jobs that have not ended, and places that are taken for others.
    pub unfinished: usize,
    /// Owners that wait for a place.
    pub waiting: usize,
}

/// Places for Jobs, and why there are not more.
#[derive(Debug)]
pub struct Granted {
    /// One for each Job that may be created. A place that is dropped is free again.
    pub places: Vec<Place>,
    /// Why there are fewer than wanted. The owner is woken when it is next.
    pub full: Option<Full>,
}

/// A place for one Job. Dropping it without a Job makes it free again, and takes its owner out of the queue:
/// one that can create no Job keeps no other from creating theirs.
#[derive(Debug)]
pub struct Place {
    budget: JobBudget,
    key: Key,
    is_filled: bool,
}

impl Place {
    /// The Job exists and is counted by itself from now on.
    pub fn fill(mut self) {
        self.is_filled = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.budget.release(&self.key, self.is_filled);
    }
}

/// Counts unfinished Jobs by owner, and knows who waits. Cloning shares it.
#[derive(Clone)]
pub struct JobBudget(Arc<Shared>);

struct Shared {
    caps: Caps,
    state: Mutex<State>,
    wake: Box<dyn Fn(&Owner) + Send + Sync>,
}

impl std::fmt::Debug for JobBudget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("JobBudget").field(&self.0.caps).finish()
    }
}

/// Namespace and UID of an owner: what is labelled as another namespace's takes no place of that.
type Key = (String, String);

#[derive(Default)]
struct State {
    owners: HashMap<Key, Held>,
    /// Owners that are known to exist, and are of the kind that has a cap of its own.
    known: HashSet<Key>,
    namespaces: HashMap<String, Namespace>,
    /// The owners in the queues, and the turn of each.
    waiting: HashMap<ByUid, Turn>,
    /// UIDs of owners that have called `take` in the pass that runs.
    took: HashSet<String>,
    /// The number of the next owner that is queued.
    next: u64,
    /// The latest time that a caller handed in.
    now: Timestamp,
}

/// The turn of an owner in a queue. One that was woken in vain comes after all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    was_missed: bool,
    number: u64,
}

/// The places of an owner.
#[derive(Default)]
struct Held {
    /// Its Jobs that have not ended.
    unfinished: usize,
    /// Places that it has taken for Jobs that are not created yet.
    taken: usize,
    /// Whether it is known to exist, and is of the kind that has a cap of its own.
    is_of_kind: bool,
}

#[derive(Default)]
struct Namespace {
    /// The places of its owners.
    held: usize,
    /// Those of them that are of the kind with a cap of its own.
    held_of_kind: usize,
    /// Owners that were woken, and when each was last active. One place is left to each.
    woken: BTreeMap<Turn, (Arc<Owner>, Timestamp)>,
    /// Owners that wait, in the order of their turns.
    queue: BTreeMap<Turn, Arc<Owner>>,
}

impl JobBudget {
    /// Returns a budget of which nothing is used. `wake` is called with an owner that is next; it must not use
    /// the store of Jobs, which may be locked.
    pub fn new(caps: Caps, wake: impl Fn(&Owner) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared { caps, state: Mutex::default(), wake: Box::new(wake) }))
    }

    /// Notes how many unfinished Jobs an owner has. Labels can be forged, so no owner counts for more than it
    /// may have.
    pub fn set(&self, namespace: &str, uid: &str, unfinished: usize) {
        self.change(|state, caps| {
            state.hold(caps, &(namespace.to_owned(), uid.to_owned()), |held| held.unfinished = unfinished);
        });
    }

    /// Returns how many Jobs an owner may create now, of those that it wants, and why not more. An owner that
    /// was woken has come, and has its time anew.
    pub fn room(&self, owner: &Owner, wanted: usize, now: Timestamp) -> (usize, Option<Full>) {
        self.change(|state, caps| {
            state.renew(&owner.uid, now);
            state.advance(caps, now);
            state.room(caps, owner, wanted)
        })
    }

    /// Takes up to `wanted` places for an owner. One that gets fewer, for another reason than its own cap, is
    /// queued; one that gets none keeps its turn.
    pub fn take(&self, owner: &Owner, wanted: usize, now: Timestamp) -> Granted {
        let (granted, full) = self.change(|state, caps| {
            state.renew(&owner.uid, now);
            state.advance(caps, now);
            let (granted, full) = state.room(caps, owner, wanted);
            let waits = !matches!(full, None | Some(Full::Owner(_)));
            let turn = state.dequeue(&owner.uid).filter(|_| granted == 0);
            if waits {
                state.enqueue(owner, turn.map(|turn| turn.number));
            }
            state.took.insert(owner.uid.clone());
            let is_of_kind = caps.of_kind.is_some_and(|cap| (cap.is_of)(owner));
            state.hold(caps, &key(owner), |held| {
                held.taken += granted;
                held.is_of_kind = is_of_kind;
            });
            (granted, full)
        });
        let place = || Place { budget: self.clone(), key: key(owner), is_filled: false };
        Granted { places: std::iter::repeat_with(place).take(granted).collect(), full }
    }

    /// Returns how many places are taken, and how many owners wait for one.
    pub fn places(&self) -> Places {
        let state = self.0.state.lock();
        let unfinished = state.namespaces.values().map(|namespace| namespace.held).sum();
        Places { unfinished, waiting: state.waiting.len() }
    }

    /// Notes that an owner exists: its Jobs count for the cap of its kind. Others only have its label, or an owner
    /// that does not exist.
    pub fn know(&self, owner: &Owner) {
        self.change(|state, caps| state.know(caps, owner));
    }

    /// Forgets those owners that do not exist any more.
    pub fn retain_known(&self, exists: impl Fn(&str) -> bool) {
        self.change(|state, _| state.known.retain(|(_, uid)| exists(uid)));
    }

    /// Takes an owner out of the queue: it wants no place any more.
    pub fn leave(&self, uid: &str) {
        self.change(|state, _| state.dequeue(uid));
    }

    /// Ends a pass over an owner. One that has not called `take` in it leaves the queue.
    pub fn end_pass(&self, uid: &str) {
        self.change(|state, _| {
            if !state.took.remove(uid) {
                state.dequeue(uid);
            }
        });
    }

    /// Takes those owners out of the queue that do not satisfy `stays`.
    pub fn retain_waiting(&self, stays: impl Fn(&Owner) -> bool) {
        self.change(|state, _| {
            let waiting = state.waiting.keys().map(|ByUid(owner)| owner);
            let gone: Vec<String> =
                waiting.filter(|owner| !stays(owner)).map(|owner| owner.uid.clone()).collect();
            for uid in &gone {
                state.dequeue(uid);
            }
        });
    }

    /// Moves owners to the end of their queues that were woken and did not come in time.
    pub fn expire(&self, now: Timestamp) {
        self.change(|state, caps| state.advance(caps, now));
    }

    fn release(&self, key: &Key, is_filled: bool) {
        self.change(|state, caps| {
            state.hold(caps, key, |held| held.taken = held.taken.saturating_sub(1));
            if !is_filled {
                state.dequeue(&key.1);
            }
        });
    }

    /// Changes who has what, and wakes those that are next.
    fn change<T>(&self, change: impl FnOnce(&mut State, Caps) -> T) -> T {
        let (result, next) = {
            let mut state = self.0.state.lock();
            let result = change(&mut state, self.0.caps);
            (result, state.call_next(self.0.caps))
        };
        for owner in &next {
            (self.0.wake)(owner);
        }
        result
    }
}

fn key(owner: &Owner) -> Key {
    (owner.namespace.clone(), owner.uid.clone())
}

impl Held {
    fn places(&self, caps: Caps) -> usize {
        (self.unfinished + self.taken).min(caps.per_owner)
    }

    fn places_of_kind(&self, caps: Caps) -> usize {
        if self.is_of_kind { self.places(caps) } else { 0 }
    }
}

impl State {
    /// Changes what an owner holds, and the sum of its namespace.
    fn hold(&mut self, caps: Caps, key: &Key, change: impl FnOnce(&mut Held)) {
        let namespace = self.namespaces.entry(key.0.clone()).or_default();
        let is_of_kind = self.known.contains(key);
        let new = || Held { is_of_kind, ..Held::default() };
        let held = self.owners.entry(key.clone()).or_insert_with(new);
        let (before, before_of_kind) = (held.places(caps), held.places_of_kind(caps));
        change(held);
        namespace.held = namespace.held - before + held.places(caps);
        namespace.held_of_kind = namespace.held_of_kind - before_of_kind + held.places_of_kind(caps);
        if held.unfinished + held.taken == 0 {
            self.owners.remove(key);
        }
        self.drop_empty(&key.0);
    }

    fn drop_empty(&mut self, name: &str) {
        let is_empty = |of: &Namespace| of.held == 0 && of.woken.is_empty() && of.queue.is_empty();
        if self.namespaces.get(name).is_some_and(is_empty) {
            self.namespaces.remove(name);
        }
    }

    fn room(&self, caps: Caps, owner: &Owner, wanted: usize) -> (usize, Option<Full>) {
        let own = self.places(caps, &owner.namespace, &owner.uid);
        let here = self.namespaces.get(&owner.namespace);
        let free_here = caps.per_namespace.saturating_sub(here.map_or(0, |of| of.held));
        let free = caps.in_all.saturating_sub(self.held(caps));
        // The places that are left to others that were woken.
        let is_woken = usize::from(self.is_woken(&owner.uid));
        let left_here = here.map_or(0, |of| of.woken.len()).saturating_sub(is_woken);
        let left = self.woken().saturating_sub(is_woken);
        let all = [
            (caps.per_owner.saturating_sub(own), Full::Owner(caps.per_owner)),
            (free_here, Full::Namespace(caps.per_namespace)),
            (free, Full::Agent(caps.in_all)),
            (free_here.saturating_sub(left_here).min(free.saturating_sub(left)), Full::Queue),
        ];
        let of_kind = self.room_of_kind(caps, owner, is_woken);
        let rooms = all.into_iter().chain(of_kind.into_iter().flatten());
        let (room, full) = rooms.min_by_key(|(room, _)| *room).unwrap_or((0, Full::Queue));
        if wanted <= room { (wanted, None) } else { (room, Some(full)) }
    }

    fn places(&self, caps: Caps, namespace: &str, uid: &str) -> usize {
        let key = (namespace.to_owned(), uid.to_owned());
        self.owners.get(&key).map_or(0, |held| held.places(caps))
    }

    /// Returns the places of all. Forged Jobs of many owners must not take the places of other namespaces.
    fn held(&self, caps: Caps) -> usize {
        self.namespaces.values().map(|of| of.held.min(caps.per_namespace)).sum()
    }

    /// Returns how many owners were woken and have not come yet.
    fn woken(&self) -> usize {
        self.namespaces.values().map(|of| of.woken.len()).sum()
    }

    fn is_woken(&self, uid: &str) -> bool {
        self.waiting.get_key_value(uid).is_some_and(|(ByUid(owner), turn)| {
            self.namespaces.get(&owner.namespace).is_some_and(|of| of.woken.contains_key(turn))
        })
    }
}

#[cfg(test)]
mod tests;
