//! Who waits for a place, and who is next.

use std::sync::Arc;

use imgop_core::time::saturating_add;
use jiff::Timestamp;

use super::by_uid::ByUid;
use super::{Caps, Namespace, State, Turn};
use crate::cluster::owner::Owner;

impl State {
    /// Queues an owner, with the number that it had or at the end.
    pub(super) fn enqueue(&mut self, owner: &Owner, number: Option<u64>) {
        let turn = Turn { was_missed: false, number: number.unwrap_or(self.next) };
        self.next += 1;
        let owner = Arc::new(owner.clone());
        self.waiting.insert(ByUid(owner.clone()), turn);
        self.namespaces.entry(owner.namespace.clone()).or_default().queue.insert(turn, owner);
    }

    /// Takes an owner out of the queue. Returns the turn that it had.
    pub(super) fn dequeue(&mut self, uid: &str) -> Option<Turn> {
        let (ByUid(owner), turn) = self.waiting.remove_entry(uid)?;
        if let Some(of) = self.namespaces.get_mut(&owner.namespace) {
            of.queue.remove(&turn);
            of.woken.remove(&turn);
        }
        self.drop_empty(&owner.namespace);
        Some(turn)
    }

    /// Gives an owner that was woken its time anew.
    pub(super) fn renew(&mut self, uid: &str, now: Timestamp) {
        let now = self.now.max(now);
        let Some((ByUid(owner), turn)) = self.waiting.get_key_value(uid) else { return };
        let of = self.namespaces.get_mut(&owner.namespace);
        if let Some((_, active)) = of.and_then(|of| of.woken.get_mut(turn)) {
            *active = now;
        }
    }

    /// Notes the time, and moves owners to the end of their queues that were woken and did not come.
    pub(super) fn advance(&mut self, caps: Caps, now: Timestamp) {
        self.now = self.now.max(now);
        let now = self.now;
        for of in self.namespaces.values_mut() {
            let late =
                of.woken.extract_if(.., |_, (_, active)| saturating_add(*active, caps.wake_timeout) <= now);
            for (_, (owner, _)) in late {
                let turn = Turn { was_missed: true, number: self.next };
                self.next += 1;
                if let Some(own) = self.waiting.get_mut(owner.uid.as_str()) {
                    *own = turn;
                }
                of.queue.insert(turn, owner);
            }
        }
    }

    /// Returns the owners that are next, one for each free place, to be woken.
    pub(super) fn call_next(&mut self, caps: Caps) -> Vec<Arc<Owner>> {
        let mut called = Vec::new();
        while !self.waiting.is_empty() && self.held(caps) + self.woken() < caps.in_all {
            let Some((owner, turn)) = self.next(caps) else { break };
            if let Some(of) = self.namespaces.get_mut(&owner.namespace) {
                of.queue.remove(&turn);
                of.woken.insert(turn, (owner.clone(), self.now));
            }
            called.push(owner);
        }
        called
    }

    /// Returns the owner that is next. Namespaces with fewer places come first, then earlier turns; owners that
    /// did not come when they were woken come after all others.
    fn next(&self, caps: Caps) -> Option<(Arc<Owner>, Turn)> {
        let is_kind_full = caps.of_kind.is_some_and(|cap| self.free_of_kind(cap) == 0);
        let candidate = |(namespace, of): (&String, &Namespace)| {
            let is_full_here = is_kind_full || caps.of_kind.is_some_and(|cap| of.free_of_kind(cap) == 0);
            let may_have_one = |owner: &Owner| {
                let is_over = caps.of_kind.is_some_and(|cap| is_full_here && (cap.is_of)(owner));
                !is_over && self.places(caps, namespace, &owner.uid) < caps.per_owner
            };
            let (turn, owner) = of.queue.iter().find(|(_, owner)| may_have_one(owner))?;
            Some(((turn.was_missed, of.held + of.woken.len(), turn.number), owner.clone(), *turn))
        };
        self.namespaces
            .iter()
            .filter(|(_, of)| of.held + of.woken.len() < caps.per_namespace)
            .filter_map(candidate)
            .min_by_key(|(rank, ..)| *rank)
            .map(|(_, owner, turn)| (owner, turn))
    }
}
