//! How many bytes the Jobs of each namespace and owner take: whoever may create Jobs in a namespace can create
//! many and large ones that look like the agent's.

use std::collections::HashMap;

use super::Key;

/// Bytes of the whole Jobs of one owner. A thousand tags have a third of it.
const MAX_BYTES_PER_OWNER: usize = 2 * 1024 * 1024;
/// Bytes of the whole Jobs of one namespace.
const MAX_BYTES_PER_NAMESPACE: usize = 8 * 1024 * 1024;
/// Bytes of all Jobs of one namespace, those included that are reduced to what is counted.
const MAX_BYTES_WITH_STUBS: usize = 12 * 1024 * 1024;

/// The bytes of all Jobs.
#[derive(Debug, Default)]
pub struct Bytes {
    of_namespace: HashMap<String, usize>,
    of_owner: HashMap<Key, usize>,
}

/// How much of a Job is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// All that is read of it.
    Whole,
    /// That it exists, for which owner, and how it stands.
    Stub,
}

impl Bytes {
    /// Returns the namespaces that have Jobs.
    pub fn namespaces(&self) -> impl Iterator<Item = &String> {
        self.of_namespace.keys()
    }

    /// Returns whether a Job of an owner fits beside the others.
    pub fn fits(&self, owner: &Key, bytes: usize, size: Size) -> bool {
        let here = self.of_namespace.get(&owner.0).copied().unwrap_or_default();
        match size {
            Size::Whole => here + bytes <= MAX_BYTES_PER_NAMESPACE && self.fits_owner(owner, bytes),
            Size::Stub => here + bytes <= MAX_BYTES_WITH_STUBS,
        }
    }

    /// Returns whether a whole Job of an owner fits beside its others.
    pub fn fits_owner(&self, owner: &Key, bytes: usize) -> bool {
        self.of_owner.get(owner).copied().unwrap_or_default() + bytes <= MAX_BYTES_PER_OWNER
    }

    /// Adds a Job of an owner.
    pub fn add(&mut self, owner: &Key, bytes: usize) {
        *self.of_namespace.entry(owner.0.clone()).or_default() += bytes;
        *self.of_owner.entry(owner.clone()).or_default() += bytes;
    }

    /// Takes off a Job of an owner.
    pub fn subtract(&mut self, owner: &Key, bytes: usize) {
        subtract(&mut self.of_namespace, &owner.0, bytes);
        subtract(&mut self.of_owner, owner, bytes);
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.of_namespace.is_empty() && self.of_owner.is_empty()
    }
}

fn subtract<K: std::hash::Hash + Eq>(sums: &mut HashMap<K, usize>, key: &K, bytes: usize) {
    if let Some(sum) = sums.get_mut(key) {
        *sum = sum.saturating_sub(bytes);
        if *sum == 0 {
            sums.remove(key);
        }
    }
}
