//! How many Jobs run at once: of one Image, and in all (seed bug B20: thousands at once).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many Jobs may run at once.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    /// In all.
    pub in_all: usize,
    /// In one namespace, so that one tenant leaves room for the others.
    pub per_namespace: usize,
    /// Of one Image.
    pub per_image: usize,
}

/// Counts unfinished Jobs by the UID of their Image.
#[derive(Debug)]
pub struct JobBudget {
    caps: Caps,
    unfinished: Mutex<HashMap<String, Held>>,
}

/// The places that an Image holds.
#[derive(Debug, Clone)]
struct Held {
    namespace: String,
    jobs: usize,
}

/// Why fewer Jobs may be made than are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The Image has as many as it may have.
    Image(usize),
    /// Its namespace has as many as it may have.
    Namespace(usize),
    /// The agent has as many as it may have.
    Agent(usize),
}

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Image(cap) => write!(f, "waiting for a place: {cap} Jobs of one Image run at once"),
            Self::Namespace(cap) => write!(f, "waiting for a place: {cap} Jobs of one namespace run at once"),
            Self::Agent(cap) => write!(f, "waiting for a place: {cap} Jobs run at once in all"),
        }
    }
}

impl JobBudget {
    /// Nothing runs yet.
    pub fn new(caps: Caps) -> Self {
        Self { caps, unfinished: Mutex::default() }
    }

    /// Says how many unfinished Jobs an Image has, as just seen. Labels can be forged, so no Image
    /// counts for more than it may have.
    pub fn set(&self, namespace: &str, uid: &str, unfinished: usize) {
        let jobs = unfinished.min(self.caps.per_image);
        let mut map = self.lock();
        if jobs == 0 {
            map.remove(uid);
        } else {
            map.insert(uid.to_owned(), Held { namespace: namespace.to_owned(), jobs });
        }
    }

    /// How many unfinished Jobs an Image has.
    pub fn unfinished(&self, uid: &str) -> usize {
        self.lock().get(uid).map_or(0, |held| held.jobs)
    }

    /// How many Jobs an Image may make now, of those it wants, and why not more.
    pub fn room(&self, namespace: &str, uid: &str, wanted: usize) -> (usize, Option<Full>) {
        Self::room_in(&self.lock(), self.caps, namespace, uid, wanted)
    }

    fn room_in(
        map: &HashMap<String, Held>,
        caps: Caps,
        namespace: &str,
        uid: &str,
        wanted: usize,
    ) -> (usize, Option<Full>) {
        let mut by_namespace: HashMap<&str, usize> = HashMap::new();
        for held in map.values() {
            *by_namespace.entry(&held.namespace).or_default() += held.jobs;
        }
        // Forged Jobs of many Images must not take the places of other namespaces either.
        let in_all: usize = by_namespace.values().map(|jobs| *jobs.min(&caps.per_namespace)).sum();
        let here = by_namespace.get(namespace).copied().unwrap_or_default();
        let own = map.get(uid).map_or(0, |held| held.jobs);
        let (room, full) = [
            (caps.per_image.saturating_sub(own), Full::Image(caps.per_image)),
            (caps.per_namespace.saturating_sub(here), Full::Namespace(caps.per_namespace)),
            (caps.in_all.saturating_sub(in_all), Full::Agent(caps.in_all)),
        ]
        .into_iter()
        .min_by_key(|(room, _)| *room)
        .unwrap_or((0, Full::Agent(caps.in_all)));
        if wanted <= room { (wanted, None) } else { (room, Some(full)) }
    }

    /// Takes up to `wanted` places for an Image; says how many it got, and why not more.
    pub fn take(&self, namespace: &str, uid: &str, wanted: usize) -> (usize, Option<Full>) {
        let mut map = self.lock();
        let (granted, full) = Self::room_in(&map, self.caps, namespace, uid, wanted);
        if granted > 0 {
            let held = map
                .entry(uid.to_owned())
                .or_insert_with(|| Held { namespace: namespace.to_owned(), jobs: 0 });
            held.jobs += granted;
        }
        (granted, full)
    }

    /// Gives back a place whose Job was not made.
    pub fn give_back(&self, uid: &str) {
        let mut map = self.lock();
        if let Some(held) = map.get_mut(uid) {
            held.jobs = held.jobs.saturating_sub(1);
            if held.jobs == 0 {
                map.remove(uid);
            }
        }
    }

    /// Forgets Images that are gone.
    pub fn retain(&self, exists: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| exists(uid));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPS: Caps = Caps { in_all: 7, per_namespace: 5, per_image: 3 };

    #[test]
    fn b20_no_image_no_namespace_and_no_crowd_passes_its_cap() {
        let budget = JobBudget::new(CAPS);
        assert_eq!(budget.take("x", "a", 2), (2, None));
        assert_eq!(budget.take("x", "a", 5), (1, Some(Full::Image(3))));
        assert_eq!(budget.take("x", "b", 3), (2, Some(Full::Namespace(5))));
        assert_eq!(budget.take("y", "c", 3), (2, Some(Full::Agent(7))));
        assert_eq!(budget.room("z", "d", 1), (0, Some(Full::Agent(7))));
        budget.set("x", "a", 0);
        assert_eq!(budget.take("z", "d", 1), (1, None));
        budget.give_back("d");
        assert_eq!(budget.take("z", "e", 3), (3, None));
    }

    #[test]
    fn forged_jobs_of_many_images_take_no_more_places_than_their_namespace_has() {
        let budget = JobBudget::new(CAPS);
        for image in ["a", "b", "c", "d"] {
            budget.set("x", image, 3);
        }
        assert_eq!(budget.take("y", "e", 2), (2, None));
        assert_eq!(budget.take("z", "f", 1), (0, Some(Full::Agent(7))), "x counts for five of them");
        assert_eq!(budget.room("x", "a", 1), (0, Some(Full::Image(3))));
        assert_eq!(budget.room("x", "g", 1), (0, Some(Full::Namespace(5))));
    }

    #[test]
    fn forged_jobs_take_no_more_places_than_an_image_has() {
        let budget = JobBudget::new(CAPS);
        budget.set("x", "a", 1000);
        assert_eq!(budget.unfinished("a"), 3);
        assert_eq!(budget.take("y", "b", 3), (3, None));
    }
}
