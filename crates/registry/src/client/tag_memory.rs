//! The memory that the tag lists of all registries take together, be they read, cached or used.
//!
//! A list grows while memory is free. One for which none is left gives back what it has, waits in turn for more, and
//! is read anew: two lists that each held a part and waited for more would wait for each other. It waits first for
//! the memory of its registry's lists, and with that in hand for the memory of all, so that it keeps only lists of
//! its own registry waiting.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::reference::RegistryHost;

/// A semaphore counts in these, as it cannot count all bytes that a setting may allow.
const UNIT: usize = 1024;
/// One list takes at most this part of all memory.
const LIST_PART: usize = 4;
/// The lists of one registry take at most this part, whoever reads them: one that is slow leaves the rest to others.
const HOST_PART: usize = 2;

/// What a list does where no memory is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum WhenFull {
    /// It waits, for a caller that holds no other list.
    Wait,
    /// It fails: those that each hold a list and wait for another one would wait for each other.
    Fail,
}

/// Whose memory is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Short {
    /// That of the lists of one registry.
    OfHost,
    /// That of all lists.
    OfAll,
}

/// The memory for all lists.
#[derive(Debug)]
pub(super) struct TagMemory {
    all: Arc<Semaphore>,
    units: usize,
    max_list_bytes: usize,
    /// What the lists of each registry may still take. They keep it alive.
    hosts: Mutex<HashMap<RegistryHost, Weak<Semaphore>>>,
}

/// The part of it that one list has.
#[derive(Debug)]
pub(super) struct TagReservation<'a> {
    memory: &'a TagMemory,
    host: Arc<Semaphore>,
    held: Option<HeldMemory>,
}

/// Memory that is given back when this is dropped.
#[derive(Debug)]
pub(super) struct HeldMemory {
    of_host: OwnedSemaphorePermit,
    of_all: OwnedSemaphorePermit,
}

impl TagMemory {
    pub(super) fn new(max_bytes: usize) -> Self {
        let units = (max_bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        let all = Arc::new(Semaphore::new(units));
        Self { all, units, max_list_bytes: max_bytes / LIST_PART, hosts: Mutex::default() }
    }

    /// Returns the most bytes that one list may have.
    pub(super) fn max_list_bytes(&self) -> usize {
        self.max_list_bytes
    }

    /// Returns a reservation of nothing for a list of this registry.
    pub(super) fn reservation(&self, host: &RegistryHost) -> TagReservation<'_> {
        let mut hosts = self.hosts.lock();
        let known = hosts.get(host).and_then(Weak::upgrade);
        let host = known.unwrap_or_else(|| {
            hosts.retain(|_, units| units.strong_count() > 0);
            let units = Arc::new(Semaphore::new((self.units / HOST_PART).max(1)));
            hosts.insert(host.clone(), Arc::downgrade(&units));
            units
        });
        TagReservation { memory: self, host, held: None }
    }
}

impl TagReservation<'_> {
    /// Reserves this many bytes in all.
    ///
    /// # Errors
    /// What is short, if they are not free.
    pub(super) fn extend_to(&mut self, bytes: usize) -> Result<(), Short> {
        let held = self.held.as_ref().map_or(0, HeldMemory::units);
        let more = u32::try_from(bytes.div_ceil(UNIT).saturating_sub(held)).map_err(|_| Short::OfAll)?;
        let of_host = self.host.clone().try_acquire_many_owned(more).map_err(|_| Short::OfHost)?;
        let of_all = self.memory.all.clone().try_acquire_many_owned(more).map_err(|_| Short::OfAll)?;
        match &mut self.held {
            Some(held) => {
                held.of_host.merge(of_host);
                held.of_all.merge(of_all);
            }
            None => self.held = Some(HeldMemory { of_host, of_all }),
        }
        Ok(())
    }

    /// Gives back what is held, and waits in turn for this many bytes, or for what one list may have if that is
    /// less.
    pub(super) async fn wait_for(&mut self, bytes: usize) {
        self.held = None;
        let units = bytes.min(self.memory.max_list_bytes).div_ceil(UNIT);
        let Ok(units) = u32::try_from(units) else { return };
        let Ok(of_host) = self.host.clone().acquire_many_owned(units).await else { return };
        let Ok(of_all) = self.memory.all.clone().acquire_many_owned(units).await else { return };
        self.held = Some(HeldMemory { of_host, of_all });
    }

    /// Returns the memory for as long as a list of this many bytes lives, and gives back the rest.
    pub(super) fn into_held(self, bytes: usize) -> Option<HeldMemory> {
        let mut held = self.held?;
        let spare = held.units().saturating_sub(bytes.div_ceil(UNIT));
        drop((held.of_host.split(spare), held.of_all.split(spare)));
        Some(held)
    }
}

impl HeldMemory {
    fn units(&self) -> usize {
        self.of_all.num_permits()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn host(name: &str) -> RegistryHost {
        name.parse().unwrap()
    }

    /// Memory for 16 units, of which a list may have 4 and a registry 8.
    fn memory() -> TagMemory {
        TagMemory::new(16 * UNIT)
    }

    /// Reservations of four units each, for lists of one registry.
    fn held<'a>(memory: &'a TagMemory, name: &str, lists: usize) -> Vec<TagReservation<'a>> {
        let reserved = |_| {
            let mut reservation = memory.reservation(&host(name));
            assert!(reservation.extend_to(2 * UNIT).is_ok() && reservation.extend_to(4 * UNIT).is_ok());
            reservation
        };
        (0..lists).map(reserved).collect()
    }

    #[test]
    fn the_lists_of_one_registry_leave_half_of_the_memory_to_others() {
        let memory = memory();
        let (first, second) = (host("a.example"), host("b.example"));
        let of_first = held(&memory, "a.example", 2);
        assert_eq!(memory.reservation(&first).extend_to(1), Err(Short::OfHost), "it has its half");
        let of_second = held(&memory, "b.example", 2);
        assert_eq!(
            memory.reservation(&host("c.example")).extend_to(1),
            Err(Short::OfAll),
            "and so has another one"
        );
        drop(of_first);
        assert_eq!(memory.reservation(&second).extend_to(1), Err(Short::OfHost));
        assert_eq!(memory.reservation(&first).extend_to(4 * UNIT), Ok(()));
        drop(of_second);
        drop(memory.reservation(&second));
        assert_eq!(memory.hosts.lock().len(), 1, "registries without lists are forgotten");
    }

    #[test]
    fn those_who_wait_for_the_memory_of_all_hold_none_of_it_and_get_it_in_turn_before_those_who_come_later() {
        let memory = memory();
        let (mut first, mut others) = (held(&memory, "a.example", 2), held(&memory, "b.example", 2));
        let mut large = memory.reservation(&host("c.example"));
        let mut small = memory.reservation(&host("d.example"));
        let mut large_waits = Box::pin(large.wait_for(4 * UNIT));
        let mut small_waits = Box::pin(small.wait_for(UNIT));
        assert!(large_waits.as_mut().now_or_never().is_none());
        assert!(small_waits.as_mut().now_or_never().is_none());
        // One that wants more than is free gives back what it has.
        let mut growing = first.remove(0);
        let mut grows = Box::pin(growing.wait_for(4 * UNIT));
        assert!(grows.as_mut().now_or_never().is_none());
        assert!(large_waits.as_mut().now_or_never().is_some(), "it is the first in the queue");
        assert!(small_waits.as_mut().now_or_never().is_none() && grows.as_mut().now_or_never().is_none());
        assert!(memory.reservation(&host("e.example")).extend_to(1).is_err(), "none overtakes them");
        drop(others.remove(0));
        assert!(small_waits.as_mut().now_or_never().is_some());
        drop(large_waits);
        drop(large);
        assert!(grows.as_mut().now_or_never().is_some());
    }

    #[test]
    fn a_wait_for_a_registrys_own_memory_keeps_no_other_one_waiting() {
        let memory = memory();
        let _full = held(&memory, "a.example", 2);
        let mut more = memory.reservation(&host("a.example"));
        let mut waits = Box::pin(more.wait_for(4 * UNIT));
        assert!(waits.as_mut().now_or_never().is_none());
        held(&memory, "b.example", 2);
    }

    #[test]
    fn a_list_waits_for_no_more_than_it_may_have_and_keeps_what_it_needs() {
        let memory = memory();
        let mut list = memory.reservation(&host("a.example"));
        assert!(list.wait_for(9 * UNIT).now_or_never().is_some());
        assert_eq!(memory.all.available_permits(), 12);
        let kept = list.into_held(UNIT + 1).unwrap();
        assert_eq!((kept.units(), memory.all.available_permits()), (2, 14));
    }
}
