//! What is remembered for a while, within bounds: [`Bounded`], and calls that many callers share:
//! [`SingleFlight`].

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

/// The TTL of what stays true: 30 years, about the longest that the clock can add.
pub const NO_EXPIRY: Duration = Duration::from_hours(30 * 365 * 24);
/// Below this many keys, a [`SingleFlight`] keeps the places of calls that have ended.
const SWEEP_FROM: usize = 64;

/// A map whose entries expire and whose total weight has a maximum.
///
/// Where an entry does not fit, those go that expire first; of entries that expire together, the one
/// that was inserted first.
#[derive(Debug)]
pub struct Bounded<K, V> {
    max_weight: usize,
    weight: usize,
    entries: HashMap<K, Entry<V>>,
    order: BTreeMap<Place, K>,
    inserted: u64,
}

/// When an entry expires, and which insertion it was.
type Place = (Instant, u64);

#[derive(Debug)]
struct Entry<V> {
    value: V,
    weight: usize,
    place: Place,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    /// Returns an empty map for entries of this total weight; [`Self::insert`] gives each a weight of 1.
    pub fn new(max_weight: usize) -> Self {
        Self { max_weight, weight: 0, entries: HashMap::new(), order: BTreeMap::new(), inserted: 0 }
    }

    /// Returns the value unless it has expired.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).filter(|entry| Instant::now() < entry.place.0).map(|entry| &entry.value)
    }

    /// Returns the value for a change unless it has expired. Weight and expiry stay.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let entry = self.entries.get_mut(key).filter(|entry| Instant::now() < entry.place.0);
        entry.map(|entry| &mut entry.value)
    }

    /// Returns the time until the entry expires; `None` if it has or there is none.
    pub fn expires_in(&self, key: &K) -> Option<Duration> {
        let left = self.entries.get(key)?.place.0.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Whether an entry of this weight fits without that another one goes which has not expired.
    pub fn has_room_for(&mut self, weight: usize) -> bool {
        self.remove_expired();
        self.weight.saturating_add(weight) <= self.max_weight
    }

    /// Inserts or replaces a value.
    pub fn insert(&mut self, key: K, value: V, ttl: Duration) {
        self.insert_weighted(key, value, ttl, 1);
    }

    /// Inserts or replaces a value of this weight. A value heavier than the whole map is dropped.
    pub fn insert_weighted(&mut self, key: K, value: V, ttl: Duration, weight: usize) {
        self.remove(&key);
        self.remove_expired();
        if weight > self.max_weight {
            return;
        }
        while self.weight + weight > self.max_weight && self.remove_first() {}
        self.inserted += 1;
        let place = (Instant::now() + ttl.min(NO_EXPIRY), self.inserted);
        self.order.insert(place, key.clone());
        self.entries.insert(key, Entry { value, weight, place });
        self.weight += weight;
    }

    /// Removes an entry and returns its value, expired or not.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.order.remove(&entry.place);
        self.weight -= entry.weight;
        Some(entry.value)
    }

    /// Removes the entries with such a key.
    pub fn remove_keys(&mut self, is_removed: impl Fn(&K) -> bool) {
        let removed: Vec<K> = self.entries.keys().filter(|key| is_removed(key)).cloned().collect();
        for key in removed {
            self.remove(&key);
        }
    }

    /// Frees what expired entries hold.
    pub fn remove_expired(&mut self) {
        let now = Instant::now();
        while self.order.first_key_value().is_some_and(|((expires_at, _), _)| *expires_at <= now) {
            self.remove_first();
        }
    }

    /// Iterates over the entries that have not expired, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let now = Instant::now();
        let fresh = self.entries.iter().filter(move |(_, entry)| now < entry.place.0);
        fresh.map(|(key, entry)| (key, &entry.value))
    }

    /// Returns the number of entries, expired ones included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn remove_first(&mut self) -> bool {
        let first = self.order.pop_first();
        let entry = first.and_then(|(_, key)| self.entries.remove(&key));
        self.weight -= entry.as_ref().map_or(0, |entry| entry.weight);
        entry.is_some()
    }
}

/// Calls by key, of which one runs at a time: who comes meanwhile waits and gets the same outcome,
/// be it a failure. Who comes afterwards starts another call.
#[derive(Debug)]
pub struct SingleFlight<K, V>(Mutex<Flights<K, V>>);

#[derive(Debug)]
struct Flights<K, V> {
    by_key: HashMap<K, Weak<Flight<V>>>,
    sweep_at: usize,
}

/// Locked while the call runs; holds its outcome afterwards.
type Flight<V> = AsyncMutex<Option<V>>;

impl<K, V> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Flights { by_key: HashMap::new(), sweep_at: SWEEP_FROM }))
    }
}

impl<K: Clone + Eq + Hash, V: Clone> SingleFlight<K, V> {
    /// Returns the outcome of the call that is under way, or else of `call`; and whether it was `call`. A
    /// call whose caller goes away is started again by the next one who waits.
    pub async fn run<F>(&self, key: &K, call: impl FnOnce() -> F) -> (V, bool)
    where
        F: Future<Output = V>,
    {
        let flight = self.0.lock().join(key);
        let mut outcome = flight.lock().await;
        if let Some(outcome) = &*outcome {
            return (outcome.clone(), false);
        }
        let value = call().await;
        *outcome = Some(value.clone());
        self.0.lock().end(key, &flight);
        (value, true)
    }

    /// Whether a call for this key is under way.
    pub fn is_running(&self, key: &K) -> bool {
        self.0.lock().by_key.get(key).is_some_and(|flight| flight.strong_count() > 0)
    }
}

impl<K: Clone + Eq + Hash, V> Flights<K, V> {
    fn join(&mut self, key: &K) -> Arc<Flight<V>> {
        if let Some(flight) = self.by_key.get(key).and_then(Weak::upgrade) {
            return flight;
        }
        // Calls whose callers have all gone away are still in the map.
        if self.by_key.len() >= self.sweep_at {
            self.by_key.retain(|_, flight| flight.strong_count() > 0);
            self.sweep_at = SWEEP_FROM.max(self.by_key.len() * 2);
        }
        let flight = Arc::default();
        self.by_key.insert(key.clone(), Arc::downgrade(&flight));
        flight
    }

    fn end(&mut self, key: &K, ended: &Arc<Flight<V>>) {
        if self.by_key.get(key).is_some_and(|flight| flight.as_ptr() == Arc::as_ptr(ended)) {
            self.by_key.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::FutureExt as _;
    use futures::future::join_all;
    use tokio::sync::Semaphore;
    use tokio::time::advance;

    use super::*;

    const TTL: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn entries_expire_and_free_their_weight() {
        let mut cache = Bounded::new(3);
        cache.insert("a", 1, TTL);
        advance(TTL / 2).await;
        cache.insert("b", 2, TTL);
        advance(TTL / 2).await;
        assert_eq!((cache.get(&"a"), cache.get(&"b")), (None, Some(&2)));
        assert_eq!(cache.expires_in(&"b"), Some(TTL / 2));
        assert_eq!(cache.iter().count(), 1);
        cache.insert_weighted("c", 3, TTL, 2);
        assert_eq!((cache.len(), cache.weight), (2, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_map_drops_what_expires_first_and_then_what_came_first() {
        let mut cache = Bounded::new(3);
        cache.insert("long", 0, 2 * TTL);
        cache.insert("first", 1, TTL);
        cache.insert("second", 2, TTL);
        cache.insert("third", 3, TTL);
        assert!(cache.get(&"first").is_none() && cache.get(&"long").is_some());
        cache.insert("second", 4, TTL);
        cache.insert("fourth", 5, TTL);
        assert!(cache.get(&"third").is_none() && cache.get(&"second").is_some(), "it came again");
        cache.insert_weighted("huge", 6, TTL, 4);
        assert_eq!((cache.get(&"huge"), cache.len()), (None, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_room_for_what_pushes_nothing_out() {
        let mut cache = Bounded::new(3);
        cache.insert_weighted("a", 1, TTL, 2);
        assert!(cache.has_room_for(1) && !cache.has_room_for(2));
        advance(TTL).await;
        assert!(cache.has_room_for(3) && !cache.has_room_for(4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_replaced_or_removed_entry_leaves_no_trace() {
        let mut cache = Bounded::new(10);
        for n in 0..100 {
            cache.insert_weighted("a", n, NO_EXPIRY, 7);
        }
        cache.insert("b", 0, TTL);
        cache.remove_keys(|key| *key == "b");
        assert_eq!(cache.remove(&"a"), Some(99));
        assert_eq!((cache.len(), cache.order.len(), cache.weight), (0, 0, 0));
    }

    #[tokio::test]
    async fn callers_of_one_key_share_one_call_and_later_ones_make_another() {
        let (flights, calls, gate) = (SingleFlight::default(), Cell::new(0), Semaphore::new(0));
        // The first call ends only after all others wait behind it.
        let call = async || {
            calls.set(calls.get() + 1);
            let _ = gate.acquire().await;
            calls.get()
        };
        let all = join_all((0..20).map(|_| flights.run(&"a", call)));
        let (outcomes, ()) = tokio::join!(all, async { gate.close() });
        assert!(outcomes.iter().all(|(outcome, _)| *outcome == 1));
        assert_eq!(outcomes.iter().filter(|(_, is_own)| *is_own).count(), 1);
        assert_eq!(flights.run(&"a", call).await, (2, true));
        assert!(!flights.is_running(&"a"));
    }

    #[tokio::test]
    async fn a_call_whose_caller_goes_away_is_started_again() {
        let flights = SingleFlight::default();
        let mut first = Box::pin(flights.run(&"a", async || std::future::pending::<u8>().await));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = Box::pin(flights.run(&"a", async || 2));
        assert!(second.as_mut().now_or_never().is_none() && flights.is_running(&"a"));
        drop(first);
        assert_eq!(second.await, (2, true));
    }

    #[tokio::test]
    async fn abandoned_calls_take_no_memory() {
        let flights = SingleFlight::default();
        for n in 0..10 * SWEEP_FROM {
            let mut call = Box::pin(flights.run(&n, async || std::future::pending::<()>().await));
            assert!(call.as_mut().now_or_never().is_none());
        }
        assert!(flights.0.lock().by_key.len() <= 2 * SWEEP_FROM);
    }
}
