//! How many bytes the Jobs of each namespace and owner take: whoever may create Jobs in a namespace can create
//! many and large ones that look like the agent's.

use super::Key;
use crate::byte_sums::ByteSums;

/// Bytes of the whole Jobs of one owner. A thousand tags have a third of it.
const MAX_BYTES_PER_OWNER: usize = 2 * 1024 * 1024;
/// Bytes of the whole Jobs of one namespace.
const MAX_BYTES_PER_NAMESPACE: usize = 8 * 1024 * 1024;
/// Bytes of all Jobs of one namespace, those included that are reduced to what is counted.
const MAX_BYTES_WITH_STUBS: usize = 12 * 1024 * 1024;

/// The bytes of all Jobs.
#[derive(Debug, Default)]
pub struct Bytes {
    of_namespace: ByteSums<String>,
    of_owner: ByteSums<Key>,
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
    /// Returns whether a Job of an owner fits beside the others.
    pub fn fits(&self, owner: &Key, bytes: usize, size: Size) -> bool {
        let here = self.of_namespace.of(&owner.0);
        match size {
            Size::Whole => here + bytes <= MAX_BYTES_PER_NAMESPACE && self.fits_owner(owner, bytes),
            Size::Stub => here + bytes <= MAX_BYTES_WITH_STUBS,
        }
    }

    /// Returns whether a whole Job of an owner fits beside its others.
    pub fn fits_owner(&self, owner: &Key, bytes: usize) -> bool {
        self.of_owner.of(owner) + bytes <= MAX_BYTES_PER_OWNER
    }

    /// Adds a Job of an owner.
    pub fn add(&mut self, owner: &Key, bytes: usize) {
        self.of_namespace.add(&owner.0, bytes);
        self.of_owner.add(owner, bytes);
    }

    /// Takes off a Job of an owner.
    pub fn subtract(&mut self, owner: &Key, bytes: usize) {
        self.of_namespace.subtract(&owner.0, bytes);
        self.of_owner.subtract(owner, bytes);
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.of_namespace.is_empty() && self.of_owner.is_empty()
    }
}
