//! Sums of bytes by something, such as a namespace. What has none takes no memory.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// The sums.
#[derive(Debug, Clone)]
pub struct ByteSums<K>(HashMap<K, usize>);

impl<K> Default for ByteSums<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq> ByteSums<K> {
    /// Returns the sum of this key.
    pub fn of<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        self.0.get(key).copied().unwrap_or_default()
    }

    /// Adds to the sum of a key.
    pub fn add<Q: Hash + Eq + ToOwned<Owned = K> + ?Sized>(&mut self, key: &Q, bytes: usize)
    where
        K: Borrow<Q>,
    {
        if let Some(sum) = self.0.get_mut(key) {
            *sum = sum.saturating_add(bytes);
        } else if bytes > 0 {
            self.0.insert(key.to_owned(), bytes);
        }
    }

    /// Takes off the sum of a key.
    pub fn subtract<Q: Hash + Eq + ?Sized>(&mut self, key: &Q, bytes: usize)
    where
        K: Borrow<Q>,
    {
        if let Some(sum) = self.0.get_mut(key) {
            *sum = sum.saturating_sub(bytes);
            if *sum == 0 {
                self.0.remove(key);
            }
        }
    }

    /// Returns all sums, each with its key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, usize)> {
        self.0.iter().map(|(key, bytes)| (key, *bytes))
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
