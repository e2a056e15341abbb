//! Until when GitHub takes no requests: for each host and each credential, as it counts them.

use std::collections::HashMap;

use imgop_registry::reference::Digest;
use jiff::Timestamp;
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};

/// Limits that are remembered.
const MAX_LIMITS: usize = 1_000;

/// Until when GitHub takes no requests, for all that a process asks of it. It may be lost at any moment.
#[derive(Debug, Default)]
pub struct GithubLimits(Mutex<HashMap<Key, Timestamp>>);

/// A host, and a hash of the token; none without one.
type Key = (String, Option<Digest>);

/// The limits of one credential.
#[derive(Debug, Clone, Copy)]
pub struct GithubLimit<'a> {
    all: &'a GithubLimits,
    token: Option<&'a SecretString>,
}

impl GithubLimits {
    /// Returns the limits of what is asked with this token, or without one: these count for the address of this machine.
    pub fn of<'a>(&'a self, token: Option<&'a SecretString>) -> GithubLimit<'a> {
        GithubLimit { all: self, token }
    }
}

impl GithubLimit<'_> {
    /// Returns until when a host takes no requests, if it takes none now.
    pub fn until(&self, host: &str, now: Timestamp) -> Option<Timestamp> {
        self.all.0.lock().get(&self.key(host)).copied().filter(|until| *until > now)
    }

    /// Notes that a host takes none until then.
    pub(super) fn set(&self, host: &str, until: Timestamp, now: Timestamp) {
        let mut all = self.all.0.lock();
        all.retain(|_, until| *until > now);
        let key = self.key(host);
        if all.len() >= MAX_LIMITS && !all.contains_key(&key) {
            // A token that is renewed again and again is many.
            let first = all.iter().min_by_key(|(_, until)| **until).map(|(key, _)| key.clone());
            first.map(|first| all.remove(&first));
        }
        all.insert(key, until);
    }

    fn key(&self, host: &str) -> Key {
        (host.to_owned(), self.token.map(|token| Digest::of(token.expose_secret().as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_of_a_host_and_a_credential_and_ends() {
        let (limits, token) = (GithubLimits::default(), SecretString::from("one"));
        let other = SecretString::from("two");
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let until: Timestamp = "2026-11-30T13:00:00Z".parse().unwrap();
        limits.of(Some(&token)).set("api.github.com", until, now);
        assert_eq!(limits.of(Some(&token)).until("api.github.com", now), Some(until));
        assert_eq!(limits.of(Some(&token)).until("api.github.com", until), None);
        assert_eq!(limits.of(Some(&token)).until("raw.githubusercontent.com", now), None);
        assert_eq!(limits.of(Some(&other)).until("api.github.com", now), None);
        assert_eq!(limits.of(None).until("api.github.com", now), None);
    }

    #[test]
    fn of_too_many_limits_those_are_forgotten_that_end_first() {
        let (limits, now) = (GithubLimits::default(), "2026-11-30T12:00:00Z".parse::<Timestamp>().unwrap());
        let token = |number: usize| SecretString::from(format!("token {number}"));
        let until =
            |number: usize| now + jiff::SignedDuration::from_secs(60 + i64::try_from(number).unwrap());
        for number in 0..=MAX_LIMITS {
            limits.of(Some(&token(number))).set("api.github.com", until(number), now);
        }
        let known = |number: usize| limits.of(Some(&token(number))).until("api.github.com", now);
        assert_eq!((known(0), known(1), known(MAX_LIMITS)), (None, Some(until(1)), Some(until(MAX_LIMITS))));
        // One that is known is prolonged, and none is forgotten for it.
        limits.of(Some(&token(1))).set("api.github.com", until(5_000), now);
        assert_eq!((known(1), known(2)), (Some(until(5_000)), Some(until(2))));
    }
}
