//! Names that many pods have in common, each kept once.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// Values that many others share, each kept once for as long as one of them has it.
#[derive(Debug)]
pub(super) struct Interner<T: ?Sized + Eq + Hash> {
    all: HashSet<Arc<T>>,
    /// With how many values it is looked for those that are of no use any more.
    sweep_at: usize,
}

/// With how many values it is first looked for those that are of no use any more.
const FIRST_SWEEP: usize = 1024;

impl<T: ?Sized + Eq + Hash> Default for Interner<T> {
    fn default() -> Self {
        Self { all: HashSet::new(), sweep_at: FIRST_SWEEP }
    }
}

impl<T: ?Sized + Eq + Hash> Interner<T> {
    /// Drops the values that are of no use any more.
    pub fn sweep(&mut self) {
        self.all.retain(|value| Arc::strong_count(value) > 1);
        self.all.shrink_to_fit();
        self.sweep_at = (self.all.len() * 2).max(FIRST_SWEEP);
    }

    /// Drops this value if nothing else has it.
    pub fn release(&mut self, value: Arc<T>) {
        // It is here, and in the set.
        if Arc::strong_count(&value) <= 2 {
            self.all.remove(&*value);
        }
        drop(value);
    }

    /// Returns how many values there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns the one value that is equal to this one.
    pub fn intern<B>(&mut self, value: B) -> Arc<T>
    where
        B: Borrow<T> + Into<Arc<T>>,
    {
        let key = Borrow::<T>::borrow(&value);
        if let Some(known) = self.all.get(key) {
            return known.clone();
        }
        if self.all.len() >= self.sweep_at {
            self.sweep();
        }
        let value: Arc<T> = value.into();
        self.all.insert(value.clone());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_and_those_that_are_of_no_use_go() {
        let mut names = Interner::<str>::default();
        let first = names.intern("quay.io/acme/app:1");
        assert!(Arc::ptr_eq(&first, &names.intern("quay.io/acme/app:1")));
        for n in 0..10 * FIRST_SWEEP {
            names.intern(n.to_string());
        }
        assert!(names.all.len() <= 2 * FIRST_SWEEP, "{}", names.all.len());
        assert!(Arc::ptr_eq(&first, &names.intern("quay.io/acme/app:1")));
    }
}
