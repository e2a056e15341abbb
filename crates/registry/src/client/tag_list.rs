//! All tags of a repository in one sorted piece, and the memory that all lists of the process take.

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::reference::Tag;

/// What a tag takes besides its text: its place in the list, and what the allocator adds.
pub(super) const TAG_OVERHEAD: usize = 48;
/// A semaphore counts in these, as it cannot count all bytes that a setting may allow.
const UNIT: usize = 1024;

/// The tags of a repository, sorted by name. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct TagList(Arc<Held>);

#[derive(Debug, Default)]
struct Held {
    tags: Box<[Tag]>,
    /// Given back with the last clone of the list.
    _memory: Option<OwnedSemaphorePermit>,
}

/// The memory for all lists, be they read, cached or used.
#[derive(Debug, Clone)]
pub(super) struct TagMemory {
    units: Arc<Semaphore>,
    max_bytes: usize,
}

/// The part of it that one list has.
#[derive(Debug)]
pub(super) struct TagReservation {
    memory: TagMemory,
    permit: Option<OwnedSemaphorePermit>,
}

impl TagList {
    pub(super) fn new(mut tags: Vec<Tag>, reservation: TagReservation) -> Self {
        tags.sort_unstable();
        Self(Arc::new(Held { tags: tags.into(), _memory: reservation.permit }))
    }

    /// Whether a tag is among them.
    pub fn contains(&self, tag: &Tag) -> bool {
        self.0.tags.binary_search(tag).is_ok()
    }
}

impl Deref for TagList {
    type Target = [Tag];

    fn deref(&self) -> &[Tag] {
        &self.0.tags
    }
}

impl From<Vec<Tag>> for TagList {
    fn from(mut tags: Vec<Tag>) -> Self {
        tags.sort_unstable();
        Self(Arc::new(Held { tags: tags.into(), _memory: None }))
    }
}

impl TagMemory {
    pub(super) fn new(max_bytes: usize) -> Self {
        let units = (max_bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(units)), max_bytes }
    }

    pub(super) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Returns a reservation of nothing.
    pub(super) fn reservation(&self) -> TagReservation {
        TagReservation { memory: self.clone(), permit: None }
    }
}

impl TagReservation {
    /// Reserves this many bytes in all. Returns `false` if they are not free.
    pub(super) fn extend_to(&mut self, bytes: usize) -> bool {
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Ok(more) = u32::try_from(bytes.div_ceil(UNIT).saturating_sub(held)) else { return false };
        let Ok(more) = self.memory.units.clone().try_acquire_many_owned(more) else { return false };
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_gives_its_memory_back_with_its_last_clone() {
        let memory = TagMemory::new(4 * UNIT);
        let mut first = memory.reservation();
        assert!(first.extend_to(UNIT) && first.extend_to(3 * UNIT));
        let list = TagList::new(vec!["b".parse().unwrap(), "a".parse().unwrap()], first);
        let clone = list.clone();
        drop(list);
        assert!(!memory.reservation().extend_to(2 * UNIT));
        assert!(clone.contains(&"a".parse().unwrap()) && !clone.contains(&"c".parse().unwrap()));
        drop(clone);
        assert!(memory.reservation().extend_to(4 * UNIT));
    }
}
