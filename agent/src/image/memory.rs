//! What the agent remembers between two looks at an Image. All of it can be lost: a restart works
//! it out again from the status, the Jobs and the registries.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use imgop_core::plan::{Copy, Observed, Outcome};
use jiff::Timestamp;

/// What is remembered of one Image.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    /// When it is due by itself.
    pub next_look: Option<Timestamp>,
    /// What both registries said, while a sync is under way.
    pub observed: Option<Observed>,
    /// What became of copies after their Jobs, where that is another thing than the Jobs say.
    pub outcomes: HashMap<Copy, Outcome>,
    /// How many times in a row something was not there or did not answer.
    pub look_agains: u32,
    /// A refusal that only another Secret, spec or request ends.
    pub blocked: Option<Blocked>,
    /// How many times in a row the API server failed us.
    pub api_failures: u32,
}

/// Why a registry is left alone for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The versions of the Secrets that were refused.
    pub secrets: Vec<String>,
    /// When it is tried again with the same Secrets.
    pub until: Timestamp,
}

/// What is remembered of every Image, by UID.
#[derive(Debug, Default)]
pub struct Memory(Mutex<HashMap<String, Remembered>>);

impl Memory {
    /// Takes what is known of an Image, to be put back. One Image is never handled twice at once.
    pub fn take(&self, uid: &str) -> Remembered {
        self.lock().remove(uid).unwrap_or_default()
    }

    /// Puts it back.
    pub fn put(&self, uid: &str, remembered: Remembered) {
        self.lock().insert(uid.to_owned(), remembered);
    }

    /// Forgets Images that are gone.
    pub fn retain(&self, exists: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| exists(uid));
    }

    // A panic elsewhere leaves the map whole: each of the calls above is one operation on it.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Remembered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
