//! Until when a host gets no requests: because it asked for a pause, or because it fails all the time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::access::Fingerprint;
use super::error::Failure;

/// Requests in a row that failed with all their retries, until the host counts as ill.
const FAILURES_UNTIL_ILL: u32 = 5;
/// Between two requests to an ill host, at first; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// From this many pauses of one host on, those that are over are forgotten.
const SWEEP_FROM: usize = 256;
/// Pauses of one host that are remembered. Whose is not is asked for again, by the host itself.
const MOST_PAUSES: usize = 4096;

/// The gate of one host, for the whole process.
///
/// Ten thousand resources of a registry that is down would otherwise each wait for their own
/// timeouts, and keep the agent from serving those of other registries.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Until when whom the host wants no requests from. Limits are per account or address.
    closed: HashMap<Option<Fingerprint>, Instant>,
    failures: u32,
    ill: Option<Ill>,
}

#[derive(Debug)]
struct Ill {
    until: Instant,
    failure: Failure,
}

impl Gate {
    /// How long the host wants no requests from this identity.
    pub(super) fn closed_for(&self, who: Option<Fingerprint>) -> Option<Duration> {
        let mut state = self.state();
        let left = state.closed.get(&who)?.saturating_duration_since(Instant::now());
        if left.is_zero() {
            state.closed.remove(&who);
            return None;
        }
        Some(left)
    }

    /// Sends nothing for this identity for a while.
    pub(super) fn close(&self, who: Option<Fingerprint>, wait: Duration) {
        let until = Instant::now() + wait;
        let mut state = self.state();
        if let Some(closed) = state.closed.get_mut(&who) {
            *closed = until.max(*closed);
            return;
        }
        if state.closed.len() >= SWEEP_FROM {
            state.closed.retain(|_, until| Instant::now() < *until);
        }
        if state.closed.len() < MOST_PAUSES {
            state.closed.insert(who, until);
        }
    }

    /// Whether it gets no requests now, from anybody or from some.
    pub(super) fn is_pausing(&self) -> bool {
        let state = self.state();
        let now = Instant::now();
        state.ill.as_ref().is_some_and(|ill| now < ill.until)
            || state.closed.values().any(|until| now < *until)
    }

    /// Why an ill host is not asked now.
    pub(super) fn illness(&self) -> Option<Failure> {
        self.state().ill.as_ref().and_then(Ill::failure)
    }

    /// Lets a request through. An ill host gets one after each pause, to see whether it is well.
    pub(super) fn admit(&self) -> Result<(), Failure> {
        let mut state = self.state();
        let failures = state.failures;
        if let Some(ill) = &mut state.ill {
            if let Some(failure) = ill.failure() {
                return Err(failure);
            }
            ill.until = Instant::now() + pause(failures);
            state.failures += 1;
        }
        Ok(())
    }

    /// The host answered, be it with a refusal.
    pub(super) fn answered(&self) {
        let mut state = self.state();
        state.failures = 0;
        state.ill = None;
    }

    /// The host failed, also when asked again.
    pub(super) fn failed(&self, failure: &Failure) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES_UNTIL_ILL && state.ill.is_none() {
            let until = Instant::now() + pause(state.failures);
            state.ill = Some(Ill { until, failure: failure.clone() });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ill {
    /// Nothing once the pause is over.
    fn failure(&self) -> Option<Failure> {
        let left = self.until.saturating_duration_since(Instant::now());
        // No countdown: see `refusal`.
        let detail = format!("{}; it fails all the time and is not asked for a while", self.failure.detail);
        (!left.is_zero()).then(|| Failure { detail, ..self.failure.clone() })
    }
}

fn pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(FAILURES_UNTIL_ILL).min(10);
    FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_closed_host_opens_again_by_itself() {
        let gate = Gate::default();
        gate.close(None, Duration::from_mins(1));
        gate.close(None, Duration::from_secs(5));
        advance(Duration::from_secs(20)).await;
        assert_eq!(gate.closed_for(None), Some(Duration::from_secs(40)));
        advance(Duration::from_secs(40)).await;
        assert_eq!(gate.closed_for(None), None);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_that_are_over_are_forgotten() {
        let gate = Gate::default();
        for n in 0..4 * SWEEP_FROM {
            let who = super::super::Credential::RegistryToken(n.to_string().into()).fingerprint();
            gate.close(Some(who), Duration::from_secs(1));
            advance(Duration::from_secs(1)).await;
        }
        assert!(gate.state().closed.len() <= SWEEP_FROM);
        assert!(!gate.is_pausing());
    }

    #[tokio::test(start_paused = true)]
    async fn an_ill_host_is_tried_once_a_pause_until_it_answers() {
        let gate = Gate::default();
        let failure = Failure::protocol("down");
        for _ in 0..FAILURES_UNTIL_ILL {
            assert!(gate.admit().is_ok());
            gate.failed(&failure);
        }
        assert_eq!(
            gate.illness().unwrap().detail,
            "down; it fails all the time and is not asked for a while"
        );
        for pause in [10, 10, 20, 40, 80, 160, 300, 300] {
            advance(Duration::from_secs(pause - 1)).await;
            assert!(gate.illness().is_some(), "{pause}");
            advance(Duration::from_secs(1)).await;
            assert!(gate.admit().is_ok(), "{pause}");
            assert!(gate.admit().is_err(), "only one tries");
        }
        gate.answered();
        assert!(gate.admit().is_ok() && gate.admit().is_ok());
    }
}
