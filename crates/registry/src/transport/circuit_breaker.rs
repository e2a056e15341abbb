//! When a host receives no requests: while it is paused for an account, or while its breaker is open.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::backoff::backoff;
use crate::cache::Bounded;
use crate::credentials::Fingerprint;
use crate::error::Failure;

/// Requests in a row that failed with all their retries, until the breaker opens.
const FAILURES_UNTIL_OPEN: u32 = 5;
/// Between two requests to a host whose breaker is open, at first; it doubles each time.
const FIRST_PROBE_INTERVAL: Duration = Duration::from_secs(10);
const MAX_PROBE_INTERVAL: Duration = Duration::from_mins(5);
/// Pauses of one host that are remembered; a host asks again for one that is not.
const MAX_PAUSES: usize = 4096;

/// The circuit breaker of one host, for the whole process.
///
/// Ten thousand resources of a registry that is down would otherwise each wait for their own
/// timeouts, and keep the agent from serving those of other registries.
#[derive(Debug)]
pub(super) struct CircuitBreaker(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Whom the host has asked for a pause. Rate limits are per account or address.
    pauses: Bounded<Option<Fingerprint>, ()>,
    failures: u32,
    has_answered: bool,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    until: Instant,
    failure: Failure,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self(Mutex::new(State {
            pauses: Bounded::new(MAX_PAUSES),
            failures: 0,
            has_answered: false,
            open: None,
        }))
    }
}

impl CircuitBreaker {
    /// Returns how long the host wants no requests from this account.
    pub(super) fn paused_for(&self, who: Option<Fingerprint>) -> Option<Duration> {
        self.0.lock().pauses.expires_in(&who)
    }

    /// Sends nothing for this account for a while. A shorter pause does not end a longer one.
    pub(super) fn pause(&self, who: Option<Fingerprint>, pause: Duration) {
        let mut state = self.0.lock();
        let left = state.pauses.expires_in(&who).unwrap_or_default();
        state.pauses.insert(who, (), pause.max(left));
    }

    /// Whether the host receives no requests now, from any account or from one.
    pub(super) fn is_rejecting(&self) -> bool {
        let state = self.0.lock();
        state.open.as_ref().is_some_and(|open| Instant::now() < open.until)
            || state.pauses.iter().next().is_some()
    }

    /// Returns the failure to report while the breaker is open.
    pub(super) fn open_error(&self) -> Option<Failure> {
        self.0.lock().open.as_ref().and_then(Open::error)
    }

    /// Lets a request through. An open breaker lets one through after each interval, as a probe.
    pub(super) fn try_acquire(&self) -> Result<(), Failure> {
        let mut state = self.0.lock();
        let failures = state.failures;
        if let Some(open) = &mut state.open {
            if let Some(failure) = open.error() {
                return Err(failure);
            }
            open.until = Instant::now() + probe_interval(failures);
            state.failures += 1;
        }
        Ok(())
    }

    /// Closes the breaker: the host responded, be it with a refusal.
    pub(super) fn record_success(&self) {
        let mut state = self.0.lock();
        state.failures = 0;
        state.has_answered = true;
        state.open = None;
    }

    /// Returns whether the host answered the last request that has ended.
    pub(super) fn is_answering(&self) -> bool {
        let state = self.0.lock();
        state.has_answered && state.failures == 0
    }

    /// Counts a request that failed with all its retries.
    pub(super) fn record_failure(&self, failure: &Failure) {
        let mut state = self.0.lock();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES_UNTIL_OPEN && state.open.is_none() {
            let until = Instant::now() + probe_interval(state.failures);
            state.open = Some(Open { until, failure: failure.clone() });
        }
    }
}

impl Open {
    /// Returns `None` once a probe is due.
    fn error(&self) -> Option<Failure> {
        let left = self.until.saturating_duration_since(Instant::now());
        // Without a countdown: the text is written into a status, once for each new wording.
        let detail = format!("{}; it fails repeatedly, so requests to it are suspended", self.failure.detail);
        (!left.is_zero()).then(|| Failure { detail, ..self.failure.clone() })
    }
}

fn probe_interval(failures: u32) -> Duration {
    backoff(FIRST_PROBE_INTERVAL, MAX_PROBE_INTERVAL, failures.saturating_sub(FAILURES_UNTIL_OPEN))
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_by_itself_and_a_shorter_one_does_not_end_it() {
        let breaker = CircuitBreaker::default();
        breaker.pause(None, Duration::from_mins(1));
        breaker.pause(None, Duration::from_secs(5));
        advance(Duration::from_secs(20)).await;
        assert_eq!(breaker.paused_for(None), Some(Duration::from_secs(40)));
        advance(Duration::from_secs(40)).await;
        assert_eq!(breaker.paused_for(None), None);
        assert!(!breaker.is_rejecting());
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_is_down_is_probed_once_an_interval_until_it_responds() {
        let breaker = CircuitBreaker::default();
        let failure = Failure::protocol("down");
        for _ in 0..FAILURES_UNTIL_OPEN {
            assert!(breaker.try_acquire().is_ok());
            breaker.record_failure(&failure);
        }
        assert_eq!(
            breaker.open_error().unwrap().detail,
            "down; it fails repeatedly, so requests to it are suspended"
        );
        for interval in [10, 10, 20, 40, 80, 160, 300, 300] {
            advance(Duration::from_secs(interval - 1)).await;
            assert!(breaker.open_error().is_some(), "{interval}");
            advance(Duration::from_secs(1)).await;
            assert!(breaker.try_acquire().is_ok(), "{interval}");
            assert!(breaker.try_acquire().is_err(), "only one probe");
        }
        breaker.record_success();
        assert!(breaker.try_acquire().is_ok() && breaker.try_acquire().is_ok());
    }
}
