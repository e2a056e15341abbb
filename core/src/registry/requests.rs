//! What was asked of whom, counted for metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

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

#[derive(Debug, Default)]
pub(super) struct Requests {
    counts: Mutex<BTreeMap<(String, Option<u16>), u64>>,
}

impl Requests {
    pub(super) fn count(&self, host: &str, status: Option<u16>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((host.to_owned(), status)).or_default() += 1;
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
}
