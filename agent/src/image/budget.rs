//! How many Jobs run at once: of one Image, and in all (seed bug B20: thousands at once).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::schedule;

/// How long a namespace counts as one that waits: a few looks.
const WAITS: Duration = Duration::from_secs(20);

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
    places: Mutex<Places>,
}

/// Who holds places, and who waits for some.
#[derive(Debug, Default)]
struct Places {
    held: HashMap<String, Held>,
    /// Namespaces that wait for others, and when they asked last.
    waiting: HashMap<String, Timestamp>,
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
    /// Other namespaces wait that have fewer.
    Share,
}

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Image(cap) => write!(f, "waiting for a place: {cap} Jobs of one Image run at once"),
            Self::Namespace(cap) => write!(f, "waiting for a place: {cap} Jobs of one namespace run at once"),
            Self::Agent(cap) => write!(f, "waiting for a place: {cap} Jobs run at once in all"),
            Self::Share => {
                write!(f, "waiting for a place: the next one is for a namespace that has fewer Jobs")
            }
        }
    }
}

impl JobBudget {
    /// Nothing runs yet.
    pub fn new(caps: Caps) -> Self {
        Self { caps, places: Mutex::default() }
    }

    /// Says how many unfinished Jobs an Image has, as just seen. Labels can be forged, so no Image
    /// counts for more than it may have.
    pub fn set(&self, namespace: &str, uid: &str, unfinished: usize) {
        let jobs = unfinished.min(self.caps.per_image);
        let held = &mut self.lock().held;
        if jobs == 0 {
            held.remove(uid);
        } else {
            held.insert(uid.to_owned(), Held { namespace: namespace.to_owned(), jobs });
        }
    }

    /// How many unfinished Jobs an Image has.
    pub fn unfinished(&self, uid: &str) -> usize {
        self.lock().held.get(uid).map_or(0, |held| held.jobs)
    }

    /// How many Jobs an Image may make now, of those it wants, and why not more.
    pub fn room(&self, namespace: &str, uid: &str, wanted: usize, now: Timestamp) -> (usize, Option<Full>) {
        self.lock().room(self.caps, namespace, uid, wanted, now)
    }

    /// Takes up to `wanted` places for an Image; says how many it got, and why not more.
    pub fn take(&self, namespace: &str, uid: &str, wanted: usize, now: Timestamp) -> (usize, Option<Full>) {
        let mut places = self.lock();
        let (granted, full) = places.room(self.caps, namespace, uid, wanted, now);
        places.waiting.retain(|_, asked| schedule::later(*asked, WAITS) > now);
        if matches!(full, Some(Full::Agent(_) | Full::Share)) {
            places.waiting.insert(namespace.to_owned(), now);
        } else {
            places.waiting.remove(namespace);
        }
        if granted > 0 {
            let new = || Held { namespace: namespace.to_owned(), jobs: 0 };
            places.held.entry(uid.to_owned()).or_insert_with(new).jobs += granted;
        }
        (granted, full)
    }

    /// Gives back a place whose Job was not made. A namespace that can make none waits for no place.
    pub fn give_back(&self, namespace: &str, uid: &str) {
        let Places { held, waiting } = &mut *self.lock();
        waiting.remove(namespace);
        if let Some(of_image) = held.get_mut(uid) {
            of_image.jobs = of_image.jobs.saturating_sub(1);
            if of_image.jobs == 0 {
                held.remove(uid);
            }
        }
    }

    /// Forgets Images that are gone.
    pub fn retain(&self, exists: impl Fn(&str) -> bool) {
        self.lock().held.retain(|uid, _| exists(uid));
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn room(
        &self,
        caps: Caps,
        namespace: &str,
        uid: &str,
        wanted: usize,
        now: Timestamp,
    ) -> (usize, Option<Full>) {
        let mut by_namespace: HashMap<&str, usize> = HashMap::new();
        for held in self.held.values() {
            *by_namespace.entry(&held.namespace).or_default() += held.jobs;
        }
        // Forged Jobs of many Images must not take the places of other namespaces either.
        let in_all: usize = by_namespace.values().map(|jobs| *jobs.min(&caps.per_namespace)).sum();
        let held_by = |namespace: &str| by_namespace.get(namespace).copied().unwrap_or_default();
        let (here, own) = (held_by(namespace), self.held.get(uid).map_or(0, |held| held.jobs));
        // While others wait who have less, the next place is theirs.
        let fewest = self.waiting(namespace, now).map(held_by).min();
        let fair = fewest.map_or(usize::MAX, |fewest| (fewest + 1).saturating_sub(here));
        let (room, full) = [
            (caps.per_image.saturating_sub(own), Full::Image(caps.per_image)),
            (caps.per_namespace.saturating_sub(here), Full::Namespace(caps.per_namespace)),
            (caps.in_all.saturating_sub(in_all), Full::Agent(caps.in_all)),
            (fair, Full::Share),
        ]
        .into_iter()
        .min_by_key(|(room, _)| *room)
        .unwrap_or((0, Full::Agent(caps.in_all)));
        if wanted <= room { (wanted, None) } else { (room, Some(full)) }
    }

    /// The other namespaces that wait.
    fn waiting(&self, namespace: &str, now: Timestamp) -> impl Iterator<Item = &str> {
        let others = self.waiting.iter().filter(move |(other, _)| *other != namespace);
        let still = others.filter(move |(_, asked)| schedule::later(**asked, WAITS) > now);
        still.map(|(other, _)| other.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::tests::fixtures::now;

    const CAPS: Caps = Caps { in_all: 7, per_namespace: 5, per_image: 3 };

    #[test]
    fn b20_no_image_no_namespace_and_no_crowd_passes_its_cap() {
        let budget = JobBudget::new(CAPS);
        assert_eq!(budget.take("x", "a", 2, now()), (2, None));
        assert_eq!(budget.take("x", "a", 5, now()), (1, Some(Full::Image(3))));
        assert_eq!(budget.take("x", "b", 3, now()), (2, Some(Full::Namespace(5))));
        assert_eq!(budget.take("y", "c", 3, now()), (2, Some(Full::Agent(7))));
        assert_eq!(budget.room("z", "d", 1, now()), (0, Some(Full::Agent(7))));
        budget.set("x", "a", 0);
        assert_eq!(budget.take("z", "d", 1, now()), (1, None));
        budget.give_back("z", "d");
        assert_eq!(budget.take("z", "e", 3, now()), (3, None));
    }

    #[test]
    fn forged_jobs_of_many_images_take_no_more_places_than_their_namespace_has() {
        let budget = JobBudget::new(CAPS);
        for image in ["a", "b", "c", "d"] {
            budget.set("x", image, 3);
        }
        assert_eq!(budget.take("y", "e", 2, now()), (2, None));
        assert_eq!(budget.take("z", "f", 1, now()), (0, Some(Full::Agent(7))), "x counts for five of them");
        assert_eq!(budget.room("x", "a", 1, now()), (0, Some(Full::Image(3))));
        assert_eq!(budget.room("x", "g", 1, now()), (0, Some(Full::Namespace(5))));
    }

    #[test]
    fn forged_jobs_take_no_more_places_than_an_image_has() {
        let budget = JobBudget::new(CAPS);
        budget.set("x", "a", 1000);
        assert_eq!(budget.unfinished("a"), 3);
        assert_eq!(budget.take("y", "b", 3, now()), (3, None));
    }

    #[test]
    fn a_place_that_becomes_free_goes_to_the_namespace_that_has_least() {
        let budget = JobBudget::new(CAPS);
        assert_eq!(budget.take("x", "a", 3, now()), (3, None));
        assert_eq!(budget.take("y", "b", 3, now()), (3, None));
        assert_eq!(budget.take("z", "c", 3, now()), (1, Some(Full::Agent(7))));
        budget.set("x", "a", 2);
        assert_eq!(budget.take("y", "d", 2, now()), (0, Some(Full::Share)), "z waits and has less");
        assert_eq!(budget.take("x", "a", 1, now()), (0, Some(Full::Share)));
        assert_eq!(budget.take("z", "c", 2, now()), (1, Some(Full::Agent(7))));
        // Both have two and wait: either may have the next one.
        budget.set("y", "b", 2);
        assert_eq!(budget.room("x", "a", 1, now()), (1, None));
        assert_eq!(budget.room("z", "c", 1, now()), (1, None));
        let later = now() + WAITS;
        budget.set("x", "a", 0);
        assert_eq!(budget.take("y", "d", 3, later), (3, None), "nobody has asked for a while");

        // Who has a place and cannot use it does not keep others from theirs.
        let budget = JobBudget::new(Caps { in_all: 1, ..CAPS });
        assert_eq!(budget.take("quota", "q", 2, now()), (1, Some(Full::Agent(1))));
        budget.give_back("quota", "q");
        assert_eq!(budget.take("x", "a", 1, now()), (1, None));
    }
}
