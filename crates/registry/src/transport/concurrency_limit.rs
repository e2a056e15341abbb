//! How many requests one host receives at a time.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most concurrent requests to a host, whatever the settings say.
pub(super) const MAX_CONCURRENT_REQUESTS: u32 = 64;
/// The requests that a host receives at once before anything is known of it.
const FIRST_REQUESTS: usize = 6;
/// Full rounds of successes before a limit is tried again that was too high.
const ROUNDS_BEFORE_TOO_MANY: usize = 100;

/// The concurrency limit of one host, for the whole process. Waiting requests are served in order.
///
/// It begins with a few requests, and each full round of successes raises it by one, up to the configured number. What
/// succeeds while slots are free shows nothing of more requests, and does not count (RFC 7661, for TCP). A 429
/// takes back the last raise if that has not proved itself yet, and otherwise halves the limit (additive increase,
/// multiplicative decrease, as in TCP). What was too much for the host is remembered, and tried again only after many
/// rounds, so that a host with a fixed limit refuses few requests.
#[derive(Debug)]
pub(super) struct ConcurrencyLimit {
    slots: Arc<Semaphore>,
    max: usize,
    state: Mutex<State>,
    /// Whose turn it is to read a large response.
    large_responses: Semaphore,
}

#[derive(Debug)]
struct State {
    limit: usize,
    /// Slots to remove as soon as they are given back.
    surplus: usize,
    /// The limit at which the host last answered 429, where that is remembered.
    too_many: Option<usize>,
    /// Whether the limit was raised and no full round has gone well since.
    is_unproven: bool,
    /// Successes since the limit last changed, while no slot was free.
    successes: usize,
    /// Counts the halvings, so that one burst of 429s halves once.
    round: usize,
}

/// The right to send one request and to read its response.
#[derive(Debug)]
pub(super) struct Permit {
    limit: Arc<ConcurrencyLimit>,
    slot: Option<OwnedSemaphorePermit>,
    /// Where the registry that the host belongs to is limited too.
    of_registry: Mutex<Option<OwnedSemaphorePermit>>,
    round: usize,
}

impl ConcurrencyLimit {
    pub(super) fn new(max: usize) -> Self {
        let max = max.clamp(1, MAX_CONCURRENT_REQUESTS as usize);
        let first = max.min(FIRST_REQUESTS);
        let state =
            State { limit: first, surplus: 0, too_many: None, is_unproven: false, successes: 0, round: 0 };
        Self {
            slots: Arc::new(Semaphore::new(first)),
            max,
            state: Mutex::new(state),
            large_responses: Semaphore::new(1),
        }
    }

    pub(super) async fn permit(self: &Arc<Self>) -> Permit {
        // The semaphore is never closed, so there is always a slot.
        let slot = self.slots.clone().acquire_owned().await.ok();
        let round = self.state.lock().round;
        Permit { limit: self.clone(), slot, of_registry: Mutex::new(None), round }
    }
}

impl Permit {
    /// Returns the same with a slot of the registry, which is given back with it.
    pub(super) fn with(self, of_registry: Option<OwnedSemaphorePermit>) -> Self {
        *self.of_registry.lock() = of_registry;
        self
    }

    /// Gives back the slot of the registry alone.
    pub(super) fn leave_registry(&self) {
        self.of_registry.lock().take();
    }

    /// Records that the host accepted the request.
    pub(super) fn succeeded(&self) {
        if self.limit.slots.available_permits() > 0 {
            return;
        }
        let mut state = self.limit.state.lock();
        state.successes += 1;
        let is_next_known = state.too_many == Some(state.limit + 1);
        let rounds = if is_next_known { ROUNDS_BEFORE_TOO_MANY } else { 1 };
        state.is_unproven &= state.successes < state.limit;
        if state.limit < self.limit.max && state.successes >= state.limit * rounds {
            state.successes = 0;
            state.limit += 1;
            state.is_unproven = true;
            if state.too_many.is_some_and(|too_many| too_many < state.limit) {
                state.too_many = None;
            }
            if state.surplus > 0 {
                state.surplus -= 1;
            } else {
                self.limit.slots.add_permits(1);
            }
        }
    }

    /// Returns the semaphore that large responses of this host pass one at a time.
    pub(super) fn large_responses(&self) -> &Semaphore {
        &self.limit.large_responses
    }

    /// Records a 429. Several in one round lower the limit once.
    pub(super) fn throttled(&self) {
        let mut state = self.limit.state.lock();
        if state.round != self.round {
            return;
        }
        state.round += 1;
        state.successes = 0;
        state.too_many = Some(state.limit.max(2));
        let lower = if state.is_unproven { state.limit - 1 } else { (state.limit / 2).max(1) };
        state.is_unproven = false;
        let removed = state.limit - lower;
        state.limit = lower;
        state.surplus += removed - self.limit.slots.forget_permits(removed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.limit.state.lock();
        if let Some(slot) = self.slot.take().filter(|_| state.surplus > 0) {
            state.surplus -= 1;
            slot.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that has been raised to its full number.
    async fn of(max: usize) -> Arc<ConcurrencyLimit> {
        let limit = Arc::new(ConcurrencyLimit::new(max));
        let _ = rounds(&limit, max, max).await;
        limit
    }

    fn free(limit: &ConcurrencyLimit) -> usize {
        limit.slots.available_permits()
    }

    #[tokio::test]
    async fn a_host_that_nothing_is_known_of_receives_few_requests_at_once_and_soon_all() {
        let limit = Arc::new(ConcurrencyLimit::new(16));
        assert_eq!(free(&limit), FIRST_REQUESTS);
        let _ = rounds(&limit, 64, 10).await;
        assert_eq!(free(&limit), 16);
    }

    #[tokio::test]
    async fn a_burst_of_429s_halves_once_and_never_below_one() {
        let limit = of(8).await;
        let permits = [limit.permit().await, limit.permit().await, limit.permit().await];
        permits.iter().for_each(Permit::throttled);
        drop(permits);
        assert_eq!(free(&limit), 4);
        for _ in 0..9 {
            limit.permit().await.throttled();
        }
        assert_eq!(free(&limit), 1);
    }

    #[tokio::test]
    async fn slots_in_use_vanish_when_they_are_given_back() {
        let limit = of(4).await;
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(limit.permit().await);
        }
        held[0].throttled();
        assert_eq!(free(&limit), 0);
        held.truncate(2);
        assert_eq!(free(&limit), 0);
        held.clear();
        assert_eq!(free(&limit), 2);
    }

    #[tokio::test]
    async fn successes_bring_the_full_number_back_and_no_more() {
        let limit = of(4).await;
        limit.permit().await.throttled();
        let _ = rounds(&limit, 4, 1_000).await;
        assert_eq!(free(&limit), 4);
    }

    #[tokio::test]
    async fn requests_one_after_the_other_do_not_show_that_more_at_once_are_accepted() {
        let limit = Arc::new(ConcurrencyLimit::new(16));
        for _ in 0..1_000 {
            limit.permit().await.succeeded();
        }
        assert_eq!(free(&limit), FIRST_REQUESTS);
    }

    /// Sends as many requests at once as there are slots, round after round, to a host that takes `at_once` of them;
    /// returns how many it accepted and how many it refused.
    async fn rounds(limit: &Arc<ConcurrencyLimit>, at_once: usize, rounds: usize) -> (usize, usize) {
        let (mut accepted, mut refused) = (0, 0);
        for _ in 0..rounds {
            let mut permits = Vec::new();
            for _ in 0..free(limit) {
                permits.push(limit.permit().await);
            }
            accepted += permits.len().min(at_once);
            refused += permits.len().saturating_sub(at_once);
            permits.iter().take(at_once).for_each(Permit::succeeded);
            permits.iter().skip(at_once).for_each(Permit::throttled);
        }
        (accepted, refused)
    }

    #[tokio::test]
    async fn a_host_that_takes_a_fixed_number_at_once_refuses_few_and_is_kept_busy() {
        let (accepted, refused) = rounds(&Arc::new(ConcurrencyLimit::new(16)), 4, 300).await;
        assert!(refused * 100 < accepted, "{refused} refused, {accepted} accepted");
        assert!(accepted * 10 > 300 * 4 * 9, "{accepted} of {} that it would have taken", 300 * 4);
    }

    #[tokio::test]
    async fn what_was_too_much_once_is_tried_again_after_long() {
        let limit = of(6).await;
        let _ = rounds(&limit, 4, 300).await;
        assert_eq!(rounds(&limit, 64, 300).await.1, 0);
        assert_eq!(free(&limit), 6);
    }
}
