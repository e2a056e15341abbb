//! What was asked of whom, counted for metrics; and what Docker Hub says is left.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use reqwest::header::HeaderMap;

/// How often a host answered in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestCount {
    /// The host, with its port if it is not the usual one.
    pub host: String,
    /// The status code, or nothing if there was no answer.
    pub status: Option<u16>,
    /// How often.
    pub count: u64,
}

/// What a registry last said of its limit on pulls (Docker documentation, "Pull usage and limits").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Pulls within the window, if it was said.
    pub limit: Option<u64>,
    /// How many of them are left.
    pub remaining: u64,
}

#[derive(Debug, Default)]
pub(super) struct Requests {
    counts: Mutex<BTreeMap<(String, Option<u16>), u64>>,
    limits: Mutex<BTreeMap<String, RateLimit>>,
}

impl Requests {
    pub(super) fn count(&self, host: &str, status: Option<u16>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((host.to_owned(), status)).or_default() += 1;
    }

    pub(super) fn note_limit(&self, host: &str, headers: &HeaderMap) {
        // `76;w=21600`: the number, then the window in seconds.
        let number = |name| headers.get(name)?.to_str().ok()?.split(';').next()?.trim().parse().ok();
        if let Some(remaining) = number("ratelimit-remaining") {
            let limit = RateLimit { limit: number("ratelimit-limit"), remaining };
            self.limits.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned(), limit);
        }
    }

    pub(super) fn counts(&self) -> Vec<RequestCount> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |((host, status), count): (&(String, Option<u16>), &u64)| RequestCount {
            host: host.clone(),
            status: *status,
            count: *count,
        };
        counts.iter().map(count).collect()
    }

    pub(super) fn limits(&self) -> BTreeMap<String, RateLimit> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
