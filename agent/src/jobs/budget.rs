//! How many Jobs run at once: of one owner, in one namespace, and in all (seed bug B20: thousands at once), and
//! who is next when a place becomes free. Nobody polls: an owner that waits is woken when a place is kept for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::cluster::owner::Owner;

/// How long a place is kept for the owner that was woken for it.
const RESERVATION_TTL: Duration = Duration::from_secs(30);

/// How many Jobs may run at once.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    /// In all.
    pub in_all: usize,
    /// In one namespace, so that one tenant leaves room for the others.
    pub per_namespace: usize,
    /// Of one owner.
    pub per_owner: usize,
}

/// How many Jobs an owner has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// All that exist.
    pub total: usize,
    /// Those that have not ended.
    pub unfinished: usize,
}

/// Why fewer Jobs may be created than are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The owner has as many as it may have.
    Owner(usize),
    /// Its namespace has as many as it may have.
    Namespace(usize),
    /// The agent has as many as it may have.
    Agent(usize),
    /// Others have waited longer, or have fewer.
    Queue,
}

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Owner(cap) => write!(f, "waiting for a place: {cap} Jobs of one object run at once"),
            Self::Namespace(cap) => write!(f, "waiting for a place: {cap} Jobs of one namespace run at once"),
            Self::Agent(cap) => write!(f, "waiting for a place: {cap} Jobs run at once in all"),
            Self::Queue => write!(f, "waiting for a place: others have waited longer or have fewer Jobs"),
        }
    }
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
    namespaces: HashMap<String, Namespace>,
    /// Where those that wait stand in the queues of their namespaces.
    waiting: HashMap<String, (String, u64)>,
    /// Owners that were woken, and until when a place is kept for each.
    reserved: HashMap<String, (String, Timestamp)>,
    /// The number of the next one that waits.
    next: u64,
    /// The time, as last heard.
    now: Timestamp,
}

/// The places of an owner.
#[derive(Default)]
struct Held {
    /// Its Jobs that have not ended.
    unfinished: usize,
    /// Places that it has taken for Jobs that are not created yet.
    taken: usize,
}

#[derive(Default)]
struct Namespace {
    /// The places of its owners.
    held: usize,
    /// Places that are kept for owners that were woken.
    reserved: usize,
    /// Those that wait, in the order in which they came.
    queue: BTreeMap<u64, Owner>,
}

impl JobBudget {
    /// Nothing runs yet. `wake` is called with an owner for which a place is kept.
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

    /// Returns how many Jobs an owner may create now, of those that it wants, and why not more.
    pub fn room(&self, owner: &Owner, wanted: usize, now: Timestamp) -> (usize, Option<Full>) {
        let mut state = self.0.state.lock();
        state.advance(now);
        state.room(self.0.caps, owner, wanted)
    }

    /// Takes up to `wanted` places for an owner. One that gets fewer, for another reason than its own cap, is
    /// queued.
    pub fn take(&self, owner: &Owner, wanted: usize, now: Timestamp) -> Granted {
        let (granted, full) = self.change(|state, caps| {
            state.advance(now);
            let (granted, full) = state.room(caps, owner, wanted);
            state.unreserve(&owner.uid);
            let waits = !matches!(full, None | Some(Full::Owner(_)));
            if granted > 0 || !waits {
                state.dequeue(&owner.uid);
            }
            if waits {
                state.enqueue(owner);
            }
            state.hold(caps, &key(owner), |held| held.taken += granted);
            (granted, full)
        });
        let place = || Place { budget: self.clone(), key: key(owner), is_filled: false };
        Granted { places: std::iter::repeat_with(place).take(granted).collect(), full }
    }

    /// An owner wants no place any more.
    pub fn leave(&self, uid: &str) {
        self.change(|state, _| {
            state.dequeue(uid);
            state.unreserve(uid);
        });
    }

    /// Gives places to others that were kept for too long.
    pub fn expire(&self, now: Timestamp) {
        self.change(|state, _| state.advance(now));
    }

    fn release(&self, key: &Key, is_filled: bool) {
        self.change(|state, caps| {
            state.hold(caps, key, |held| held.taken = held.taken.saturating_sub(1));
            if !is_filled {
                state.dequeue(&key.1);
                state.unreserve(&key.1);
            }
        });
    }

    /// Changes who has what, and wakes those that are next.
    fn change<T>(&self, change: impl FnOnce(&mut State, Caps) -> T) -> T {
        let (result, next) = {
            let mut state = self.0.state.lock();
            let result = change(&mut state, self.0.caps);
            (result, state.reserve(self.0.caps))
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
}

impl State {
    /// Changes what an owner holds, and the sum of its namespace.
    fn hold(&mut self, caps: Caps, key: &Key, change: impl FnOnce(&mut Held)) {
        let namespace = self.namespaces.entry(key.0.clone()).or_default();
        let held = self.owners.entry(key.clone()).or_default();
        let before = held.places(caps);
        change(held);
        namespace.held = namespace.held - before + held.places(caps);
        if held.unfinished + held.taken == 0 {
            self.owners.remove(key);
        }
        self.drop_empty(&key.0);
    }

    fn drop_empty(&mut self, name: &str) {
        let is_empty = |of: &Namespace| of.held + of.reserved == 0 && of.queue.is_empty();
        if self.namespaces.get(name).is_some_and(is_empty) {
            self.namespaces.remove(name);
        }
    }

    fn room(&self, caps: Caps, owner: &Owner, wanted: usize) -> (usize, Option<Full>) {
        let own = self.owners.get(&key(owner)).map_or(0, |held| held.places(caps));
        // The place that is kept for this owner is its own.
        let mine = usize::from(self.reserved.contains_key(&owner.uid));
        let here = self.namespaces.get(&owner.namespace);
        let reserved_here = here.map_or(0, |of| of.reserved).saturating_sub(mine);
        let of_namespace = |with: usize| {
            caps.per_namespace.saturating_sub(here.map_or(0, |of| of.held) + reserved_here * with)
        };
        let in_all =
            |with: usize| caps.in_all.saturating_sub(self.in_all(caps, with).saturating_sub(mine * with));
        let (room, full) = [
            (caps.per_owner.saturating_sub(own), Full::Owner(caps.per_owner)),
            (of_namespace(0), Full::Namespace(caps.per_namespace)),
            (in_all(0), Full::Agent(caps.in_all)),
            (of_namespace(1).min(in_all(1)), Full::Queue),
        ]
        .into_iter()
        .min_by_key(|(room, _)| *room)
        .unwrap_or((0, Full::Queue));
        if wanted <= room { (wanted, None) } else { (room, Some(full)) }
    }

    /// The places of all. Forged Jobs of many owners must not take the places of other namespaces.
    fn in_all(&self, caps: Caps, with_reserved: usize) -> usize {
        let of = |namespace: &Namespace| {
            namespace.held.min(caps.per_namespace) + namespace.reserved * with_reserved
        };
        self.namespaces.values().map(of).sum()
    }

    fn enqueue(&mut self, owner: &Owner) {
        if !self.waiting.contains_key(&owner.uid) {
            self.waiting.insert(owner.uid.clone(), (owner.namespace.clone(), self.next));
            let namespace = self.namespaces.entry(owner.namespace.clone()).or_default();
            namespace.queue.insert(self.next, owner.clone());
            self.next += 1;
        }
    }

    fn dequeue(&mut self, uid: &str) {
        if let Some((namespace, number)) = self.waiting.remove(uid) {
            if let Some(of) = self.namespaces.get_mut(&namespace) {
                of.queue.remove(&number);
            }
            self.drop_empty(&namespace);
        }
    }

    fn unreserve(&mut self, uid: &str) {
        if let Some((namespace, _)) = self.reserved.remove(uid) {
            if let Some(of) = self.namespaces.get_mut(&namespace) {
                of.reserved = of.reserved.saturating_sub(1);
            }
            self.drop_empty(&namespace);
        }
    }

    /// Notes the time, and ends reservations whose owners did not come.
    fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        let ended = self.reserved.iter().filter(|(_, (_, until))| *until <= self.now);
        let ended: Vec<String> = ended.map(|(uid, _)| uid.clone()).collect();
        for uid in &ended {
            self.unreserve(uid);
        }
    }

    /// Keeps each free place for whoever is next: of the namespace with the fewest places the one that came
    /// first. Returns them, to be woken.
    fn reserve(&mut self, caps: Caps) -> Vec<Owner> {
        let mut woken = Vec::new();
        while !self.waiting.is_empty() && self.in_all(caps, 1) < caps.in_all {
            let Some(owner) = self.next(caps) else { break };
            self.dequeue(&owner.uid);
            let until = self.now.checked_add(RESERVATION_TTL).unwrap_or(Timestamp::MAX);
            self.reserved.insert(owner.uid.clone(), (owner.namespace.clone(), until));
            self.namespaces.entry(owner.namespace.clone()).or_default().reserved += 1;
            woken.push(owner);
        }
        woken
    }

    fn next(&self, caps: Caps) -> Option<Owner> {
        let may_have_one = |owner: &&Owner| {
            self.owners.get(&key(owner)).map_or(0, |held| held.places(caps)) < caps.per_owner
        };
        self.namespaces
            .values()
            .filter(|of| of.held + of.reserved < caps.per_namespace)
            .filter_map(|of| {
                let (number, owner) = of.queue.iter().find(|(_, owner)| may_have_one(owner))?;
                Some(((of.held + of.reserved, *number), owner))
            })
            .min_by_key(|(rank, _)| *rank)
            .map(|(_, owner)| owner.clone())
    }
}

#[cfg(test)]
mod tests;
