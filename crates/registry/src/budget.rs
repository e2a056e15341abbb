//! How many requests one registry host gets at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// No host gets more requests at a time, whatever the settings say.
pub(super) const MOST_REQUESTS: u32 = 64;

/// The share of one host, used by the whole process. Waiting requests are served in order.
///
/// A 429 halves the number of requests under way; each full round of successes adds one again, up
/// to the configured number (additive increase, multiplicative decrease, as in TCP).
#[derive(Debug)]
pub(super) struct Budget {
    slots: Arc<Semaphore>,
    most: usize,
    state: Mutex<State>,
    /// Whose turn it is to read a large answer.
    large: Semaphore,
}

#[derive(Debug)]
struct State {
    limit: usize,
    /// Slots that are to vanish as soon as they are given back.
    debt: usize,
    /// Successes since the limit last changed.
    successes: usize,
    /// Counts the halvings, so that one burst of 429s halves once.
    round: usize,
}

/// The right to send one request and to read its answer.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    budget: &'a Budget,
    slot: Option<OwnedSemaphorePermit>,
    round: usize,
}

impl Budget {
    pub(super) fn new(most: usize) -> Self {
        let most = most.clamp(1, MOST_REQUESTS as usize);
        let state = State { limit: most, debt: 0, successes: 0, round: 0 };
        Self {
            slots: Arc::new(Semaphore::new(most)),
            most,
            state: Mutex::new(state),
            large: Semaphore::new(1),
        }
    }

    pub(super) async fn permit(&self) -> Permit<'_> {
        // The semaphore is never closed, so there is always a slot.
        let slot = self.slots.clone().acquire_owned().await.ok();
        let round = self.state().round;
        Permit { budget: self, slot, round }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The host took the request.
    pub(super) fn succeeded(&self) {
        let mut state = self.budget.state();
        state.successes += 1;
        if state.limit < self.budget.most && state.successes >= state.limit {
            state.successes = 0;
            state.limit += 1;
            if state.debt > 0 {
                state.debt -= 1;
            } else {
                self.budget.slots.add_permits(1);
            }
        }
    }

    /// Where those wait that have large answers of this host.
    pub(super) fn large(&self) -> &Semaphore {
        &self.budget.large
    }

    /// The host answered 429.
    pub(super) fn throttled(&self) {
        let mut state = self.budget.state();
        if state.round != self.round {
            return;
        }
        state.round += 1;
        state.successes = 0;
        let lower = (state.limit / 2).max(1);
        let surplus = state.limit - lower;
        state.limit = lower;
        state.debt += surplus - self.budget.slots.forget_permits(surplus);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.budget.state();
        if let Some(slot) = self.slot.take().filter(|_| state.debt > 0) {
            state.debt -= 1;
            slot.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(budget: &Budget) -> usize {
        budget.slots.available_permits()
    }

    #[tokio::test]
    async fn a_burst_of_429s_halves_once_and_never_below_one() {
        let budget = Budget::new(8);
        let permits = [budget.permit().await, budget.permit().await, budget.permit().await];
        permits.iter().for_each(Permit::throttled);
        drop(permits);
        assert_eq!(free(&budget), 4);
        for _ in 0..9 {
            budget.permit().await.throttled();
        }
        assert_eq!(free(&budget), 1);
    }

    #[tokio::test]
    async fn slots_in_use_vanish_when_they_are_given_back() {
        let budget = Budget::new(4);
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(budget.permit().await);
        }
        held[0].throttled();
        assert_eq!(free(&budget), 0);
        held.truncate(2);
        assert_eq!(free(&budget), 0);
        held.clear();
        assert_eq!(free(&budget), 2);
    }

    #[tokio::test]
    async fn successes_bring_the_full_number_back_and_no_more() {
        let budget = Budget::new(4);
        budget.permit().await.throttled();
        for _ in 0..100 {
            budget.permit().await.succeeded();
        }
        assert_eq!(free(&budget), 4);
    }
}
