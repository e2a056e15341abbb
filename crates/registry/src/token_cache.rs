//! Each token is fetched once and used by everybody until it gets old.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use super::access::Fingerprint;
use super::error::Failure;
use super::token::Token;

/// Below this many entries nobody looks for old ones.
const SWEEP_FROM: usize = 256;
/// Tokens of one registry. A token has up to 16 KiB, and there is one for each repository.
const MOST_SLOTS: usize = 512;

/// The scope, and for whom.
pub(super) type TokenKey = (String, Option<Fingerprint>);

/// The tokens of one registry.
#[derive(Debug, Default)]
pub(super) struct TokenCache {
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    by_key: HashMap<TokenKey, Arc<Slot>>,
    sweep_at: usize,
}

#[derive(Debug, Default)]
struct Slot {
    /// Counts failed fetches, so that those who waited for one do not repeat it one after another.
    failures: AtomicU64,
    flight: AsyncMutex<Flight>,
}

#[derive(Debug, Default)]
struct Flight {
    token: Option<Token>,
    failure: Option<Failure>,
}

/// A token, and whether it was fetched for this very call.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) token: SecretString,
    pub(super) is_new: bool,
}

impl TokenCache {
    /// The token of this key; `fetch` runs at most once at a time. A `refused` token, which the
    /// registry did not take, is not handed out again.
    pub(super) async fn get<F>(
        &self,
        key: &TokenKey,
        refused: Option<&SecretString>,
        fetch: impl FnOnce() -> F,
    ) -> Result<Fetched, Failure>
    where
        F: Future<Output = Result<Token, Failure>>,
    {
        let slot = self.slot(key);
        let failures = slot.failures.load(Ordering::Acquire);
        let mut flight = slot.flight.lock().await;
        if let Some(token) =
            flight.token.as_ref().filter(|token| token.is_fresh() && !is_same(token, refused))
        {
            return Ok(Fetched { token: token.secret().clone(), is_new: false });
        }
        if slot.failures.load(Ordering::Acquire) != failures
            && let Some(failure) = &flight.failure
        {
            return Err(failure.clone());
        }
        match fetch().await {
            Ok(token) => {
                let fetched = Fetched { token: token.secret().clone(), is_new: true };
                *flight = Flight { token: Some(token), failure: None };
                Ok(fetched)
            }
            Err(failure) => {
                *flight = Flight { token: None, failure: Some(failure.clone()) };
                slot.failures.fetch_add(1, Ordering::Release);
                Err(failure)
            }
        }
    }

    fn slot(&self, key: &TokenKey) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.by_key.get(key) {
            return slot.clone();
        }
        if slots.by_key.len() >= slots.sweep_at.max(SWEEP_FROM) {
            slots.by_key.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.is_useful());
            slots.sweep_at = slots.by_key.len() * 2;
        }
        if slots.by_key.len() >= MOST_SLOTS {
            slots.drop_some();
        }
        slots.by_key.entry(key.clone()).or_default().clone()
    }
}

impl Slots {
    /// Makes place by dropping a quarter of them: those that nobody waits for and that run out first.
    fn drop_some(&mut self) {
        let idle = self.by_key.iter().filter(|(_, slot)| Arc::strong_count(slot) == 1);
        let mut idle: Vec<(Option<Instant>, TokenKey)> =
            idle.map(|(key, slot)| (slot.renew_at(), key.clone())).collect();
        // Those without a token come first.
        idle.sort_unstable_by_key(|(renew_at, _)| *renew_at);
        for (_, key) in idle.into_iter().take(MOST_SLOTS / 4) {
            self.by_key.remove(&key);
        }
    }
}

impl Slot {
    fn renew_at(&self) -> Option<Instant> {
        self.flight.try_lock().ok()?.token.as_ref().map(Token::renew_at)
    }

    fn is_useful(&self) -> bool {
        self.flight.try_lock().map_or(true, |flight| flight.token.as_ref().is_some_and(Token::is_fresh))
    }
}

fn is_same(token: &Token, refused: Option<&SecretString>) -> bool {
    refused.is_some_and(|refused| refused.expose_secret() == token.secret().expose_secret())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::error::Reason;

    fn key(scope: &str) -> TokenKey {
        (scope.to_owned(), None)
    }

    #[tokio::test]
    async fn those_who_waited_for_a_failed_fetch_do_not_repeat_it() {
        let (cache, fetches) = (TokenCache::default(), Cell::new(0));
        // The first fetch ends only after all others queue behind it.
        let gate = Semaphore::new(0);
        let fetch = async || {
            fetches.set(fetches.get() + 1);
            let _ = gate.acquire().await;
            Err(Failure::new(Reason::Unauthorized, "no"))
        };
        let key = key("a");
        let calls = join_all((0..20).map(|_| cache.get(&key, None, fetch)));
        let (outcomes, ()) = tokio::join!(calls, async { gate.close() });
        assert!(outcomes.iter().all(Result::is_err));
        assert_eq!(fetches.get(), 1);
        // Who comes later tries again.
        assert!(cache.get(&key, None, fetch).await.is_err());
        assert_eq!(fetches.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn of_too_many_tokens_those_go_that_run_out_first() {
        let cache = TokenCache::default();
        let minutes = |minutes| async move || Ok(Token::for_tests(std::time::Duration::from_mins(minutes)));
        let long =
            async |n: usize| cache.get(&key(&format!("long-{n}")), None, minutes(60)).await.unwrap().is_new;
        for n in 0..MOST_SLOTS / 2 {
            assert!(long(n).await);
        }
        for n in 0..4 * MOST_SLOTS {
            cache.get(&key(&n.to_string()), None, minutes(5)).await.unwrap();
        }
        assert!(cache.slots.lock().unwrap().by_key.len() <= MOST_SLOTS);
        for n in 0..MOST_SLOTS / 2 {
            assert!(!long(n).await, "{n}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_that_ran_out_are_forgotten() {
        let cache = TokenCache::default();
        for round in 0..4 {
            for i in 0..SWEEP_FROM {
                let fetch = async || Ok(Token::for_tests(std::time::Duration::from_mins(1)));
                cache.get(&key(&format!("{round}-{i}")), None, fetch).await.unwrap();
            }
            tokio::time::advance(std::time::Duration::from_mins(2)).await;
        }
        let kept = cache.slots.lock().unwrap().by_key.len();
        assert!(kept <= 2 * SWEEP_FROM, "{kept}");
    }
}
