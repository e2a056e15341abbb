//! Jobs whose creation is not answered yet: the watch may show their beginning and their end before the answer is
//! there, which then speaks of a Job that is gone.

use std::collections::{HashMap, HashSet};

use super::{Key, Store};

/// The UIDs of the Jobs of each name that were gone before their creation was answered.
#[derive(Default)]
pub struct Unanswered(HashMap<Key, HashSet<String>>);

impl Unanswered {
    /// Notes that a Job is gone.
    pub fn note_gone(&mut self, key: &Key, uid: Option<&String>) {
        if let (Some(gone), Some(uid)) = (self.0.get_mut(key), uid) {
            gone.insert(uid.clone());
        }
    }

    /// Returns whether an answer speaks of a Job that is gone.
    pub fn is_gone(&self, key: &Key, uid: Option<&String>) -> bool {
        self.0.get(key).zip(uid).is_some_and(|(gone, uid)| gone.contains(uid))
    }
}

/// A Job whose creation is not answered yet, until this is dropped.
pub struct Awaited<'a> {
    store: &'a Store,
    key: Key,
}

impl Store {
    /// Notes that a Job is about to be created or looked for.
    pub fn await_answer(&self, namespace: &str, name: &str) -> Awaited<'_> {
        let key = (namespace.to_owned(), name.to_owned());
        self.content.lock().unanswered.0.insert(key.clone(), HashSet::new());
        Awaited { store: self, key }
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.store.content.lock().unanswered.0.remove(&self.key);
    }
}
