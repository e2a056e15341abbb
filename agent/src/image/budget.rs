//! How many Jobs run at once: of one Image, and in all (seed bug B20: thousands at once).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts unfinished Jobs by the UID of their Image.
#[derive(Debug)]
pub struct JobBudget {
    in_all: usize,
    per_image: usize,
    unfinished: Mutex<HashMap<String, usize>>,
}

/// Why fewer Jobs may be made than are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The Image has as many as it may have.
    Image(usize),
    /// The agent has as many as it may have.
    Agent(usize),
}

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Image(cap) => write!(f, "waiting for a place: {cap} Jobs of one Image run at once"),
            Self::Agent(cap) => write!(f, "waiting for a place: {cap} Jobs run at once in all"),
        }
    }
}

impl JobBudget {
    /// A budget; `unfinished` is what runs already.
    pub fn new(in_all: usize, per_image: usize, unfinished: HashMap<String, usize>) -> Self {
        Self { in_all, per_image, unfinished: Mutex::new(unfinished) }
    }

    /// Says how many unfinished Jobs an Image has, as just seen.
    pub fn set(&self, uid: &str, unfinished: usize) {
        let mut map = self.lock();
        if unfinished == 0 {
            map.remove(uid);
        } else {
            map.insert(uid.to_owned(), unfinished);
        }
    }

    /// How many unfinished Jobs an Image has.
    pub fn unfinished(&self, uid: &str) -> usize {
        self.lock().get(uid).copied().unwrap_or_default()
    }

    /// Takes up to `wanted` places for an Image; says how many it got, and why not more.
    pub fn take(&self, uid: &str, wanted: usize) -> (usize, Option<Full>) {
        let mut map = self.lock();
        let total: usize = map.values().sum();
        let own = map.get(uid).copied().unwrap_or_default();
        let (for_image, for_agent) = (self.per_image.saturating_sub(own), self.in_all.saturating_sub(total));
        let granted = wanted.min(for_image).min(for_agent);
        if granted > 0 {
            map.insert(uid.to_owned(), own + granted);
        }
        let full = if granted == wanted {
            None
        } else if for_image <= for_agent {
            Some(Full::Image(self.per_image))
        } else {
            Some(Full::Agent(self.in_all))
        };
        (granted, full)
    }

    /// Gives back a place whose Job was not made.
    pub fn give_back(&self, uid: &str) {
        let own = self.unfinished(uid);
        self.set(uid, own.saturating_sub(1));
    }

    /// Forgets Images that are gone.
    pub fn retain(&self, exists: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| exists(uid));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b20_no_image_and_no_crowd_of_images_passes_its_cap() {
        let budget = JobBudget::new(7, 3, HashMap::new());
        assert_eq!(budget.take("a", 2), (2, None));
        assert_eq!(budget.take("a", 5), (1, Some(Full::Image(3))));
        assert_eq!(budget.take("b", 3), (3, None));
        assert_eq!(budget.take("c", 3), (1, Some(Full::Agent(7))));
        assert_eq!(budget.take("d", 1), (0, Some(Full::Agent(7))));
        budget.set("a", 0);
        assert_eq!(budget.take("d", 1), (1, None));
        budget.give_back("d");
        assert_eq!(budget.take("e", 3), (3, None));
    }
}
