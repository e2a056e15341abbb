//! Inventories that were read, kept while there is room: Images report every few seconds, and to read files and to parse
//! them each time would cost more than all the rest.

use std::sync::Arc;

use imgop_core::inventory::Inventory;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Kibibytes that are kept of all mirrors, and of one.
const KIB_OF_ALL: usize = 8 << 10;
const KIB_OF_ONE: usize = KIB_OF_ALL / 2;

/// An inventory, with a hash of all that was read for it.
#[derive(Debug, Clone)]
pub(super) struct ReadInventory {
    pub inventory: Arc<Inventory>,
    pub hash: String,
}

/// An inventory that is kept.
#[derive(Debug)]
pub(super) struct KeptInventory {
    pub read: ReadInventory,
    /// The generation of the spec.
    pub generation: Option<i64>,
    /// Given back when it is dropped.
    _room: OwnedSemaphorePermit,
}

/// The room that there is for inventories of all mirrors.
#[derive(Debug)]
pub(super) struct InventoryRoom(Arc<Semaphore>);

impl Default for InventoryRoom {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(KIB_OF_ALL)))
    }
}

impl InventoryRoom {
    /// Keeps an inventory; none where there is no room, and then it is read again when it is needed.
    pub(super) fn keep(&self, read: &ReadInventory, generation: Option<i64>) -> Option<KeptInventory> {
        let kib = read.inventory.approximate_bytes() / 1024 + 1;
        let permits = u32::try_from(kib).ok().filter(|_| kib <= KIB_OF_ONE)?;
        let room = self.0.clone().try_acquire_many_owned(permits).ok()?;
        Some(KeptInventory { read: read.clone(), generation, _room: room })
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::api::{ImageMirrorSpec, MirrorEntry, MirrorTarget};

    use super::*;

    fn read(tags: usize) -> ReadInventory {
        let target = |n| MirrorTarget {
            repository: format!("r.example.com/{n}"),
            default: true,
            ..MirrorTarget::default()
        };
        let entry = |n| MirrorEntry {
            source: format!("quay.io/tools/widget{n}"),
            tags: (0..10).map(|tag| tag.to_string()).collect(),
            ..MirrorEntry::default()
        };
        let spec = ImageMirrorSpec {
            targets: (0..3).map(target).collect(),
            entries: (0..tags / 10).map(entry).collect(),
            ..ImageMirrorSpec::default()
        };
        ReadInventory { inventory: Arc::new(Inventory::read(&spec, &[]).unwrap()), hash: String::new() }
    }

    #[test]
    fn inventories_are_kept_up_to_a_bound_and_room_comes_back() {
        let room = InventoryRoom::default();
        let kept: Vec<_> = (0..100).map_while(|_| room.keep(&read(3_000), None)).collect();
        assert!(kept.len() > 5 && kept.len() < 50, "{}", kept.len());
        assert!(room.keep(&read(3_000), None).is_none());
        drop(kept);
        assert!(room.keep(&read(3_000), None).is_some());
        assert!(room.keep(&read(30_000), None).is_none(), "it would leave too little to others");
    }
}
