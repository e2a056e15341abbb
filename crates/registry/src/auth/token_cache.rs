//! Each token is fetched once and used by all callers until it nears its end.

use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};

use super::scope::Scopes;
use super::token::Token;
use crate::cache::{Bounded, SingleFlight};
use crate::credentials::Fingerprint;
use crate::error::Failure;

/// Tokens of one registry. A token has up to 16 KiB, and there is one for each repository.
const MAX_TOKENS: usize = 512;

/// The scopes, and for whom.
pub(super) type TokenKey = (Scopes, Option<Fingerprint>);

/// The tokens of one registry. Where there are too many, those go that expire first.
#[derive(Debug)]
pub(super) struct TokenCache {
    tokens: Mutex<Bounded<TokenKey, SecretString>>,
    fetches: SingleFlight<TokenKey, Result<Fetched, Failure>>,
}

/// A token, and whether it was fetched for this very call.
#[derive(Debug, Clone)]
pub(super) struct Fetched {
    pub(super) token: SecretString,
    pub(super) is_new: bool,
}

impl Default for TokenCache {
    fn default() -> Self {
        Self { tokens: Mutex::new(Bounded::new(MAX_TOKENS)), fetches: SingleFlight::default() }
    }
}

impl TokenCache {
    /// Returns the token of this key; `fetch` runs at most once at a time. A `refused` token, which the
    /// registry did not take, is not returned again.
    pub(super) async fn get<F>(
        &self,
        key: &TokenKey,
        refused: Option<&SecretString>,
        fetch: impl FnOnce() -> F,
    ) -> Result<Fetched, Failure>
    where
        F: Future<Output = Result<Token, Failure>>,
    {
        if let Some(token) = self.cached(key, refused) {
            return Ok(Fetched { token, is_new: false });
        }
        let fetch = || async {
            // Another caller may have fetched it since.
            if let Some(token) = self.cached(key, refused) {
                return Ok(Fetched { token, is_new: false });
            }
            let fetched = fetch().await?;
            let token = fetched.secret().clone();
            self.tokens.lock().insert(key.clone(), token.clone(), fetched.use_for());
            Ok(Fetched { token, is_new: true })
        };
        let (fetched, is_own) = self.fetches.run(key, fetch).await;
        fetched.map(|fetched| Fetched { is_new: fetched.is_new && is_own, ..fetched })
    }

    fn cached(&self, key: &TokenKey, refused: Option<&SecretString>) -> Option<SecretString> {
        let is_refused = |token: &&SecretString| {
            refused.is_some_and(|refused| refused.expose_secret() == token.expose_secret())
        };
        self.tokens.lock().get(key).filter(|token| !is_refused(token)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::super::scope::{Actions, Scope};
    use super::*;
    use crate::error::Reason;

    fn key(scope: &str) -> TokenKey {
        (Scope::new(scope, Actions::Pull).into(), None)
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
        // A later caller tries again.
        assert!(cache.get(&key, None, fetch).await.is_err());
        assert_eq!(fetches.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn of_too_many_tokens_those_go_that_expire_first() {
        let cache = TokenCache::default();
        let minutes = |minutes| async move || Ok(Token::for_tests(Duration::from_mins(minutes)));
        let long =
            async |n: usize| cache.get(&key(&format!("long-{n}")), None, minutes(60)).await.unwrap().is_new;
        for n in 0..MAX_TOKENS / 2 {
            assert!(long(n).await);
        }
        for n in 0..4 * MAX_TOKENS {
            cache.get(&key(&n.to_string()), None, minutes(5)).await.unwrap();
        }
        assert!(cache.tokens.lock().len() <= MAX_TOKENS);
        for n in 0..MAX_TOKENS / 2 {
            assert!(!long(n).await, "{n}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_fetched_again_once_it_is_refused_or_old() {
        let cache = TokenCache::default();
        let fetch = async || Ok(Token::for_tests(Duration::from_mins(1)));
        let first = cache.get(&key("a"), None, fetch).await.unwrap();
        assert!(first.is_new && !cache.get(&key("a"), None, fetch).await.unwrap().is_new);
        assert!(cache.get(&key("a"), Some(&first.token), fetch).await.unwrap().is_new);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(cache.get(&key("a"), None, fetch).await.unwrap().is_new);
    }
}
