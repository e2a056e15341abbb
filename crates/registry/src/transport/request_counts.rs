//! Requests by host and status, counted for metrics.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// How often a host responded with one status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestCount {
    /// The host, with its port if it is not the usual one; `other` for those beyond the first thousands.
    pub host: String,
    /// The status code; `None` if there was no response.
    pub status: Option<u16>,
    /// How often.
    pub count: u64,
}

/// Hosts and statuses that are counted apart. Whoever may create an Image names hosts, and a host may
/// send any status.
const MAX_COUNTS: usize = 4096;
/// The host that all others are counted under.
const OTHER: &str = "other";

#[derive(Debug, Default)]
pub(super) struct RequestCounts {
    counts: Mutex<BTreeMap<(String, Option<u16>), u64>>,
}

impl RequestCounts {
    pub(super) fn count(&self, host: &str, status: Option<u16>) {
        let mut counts = self.counts.lock();
        let key = (host.to_owned(), status);
        let is_new = counts.len() >= MAX_COUNTS && !counts.contains_key(&key);
        // A status has three digits, so that these have an end, too.
        let key = if is_new { (OTHER.to_owned(), status) } else { key };
        *counts.entry(key).or_default() += 1;
    }

    pub(super) fn counts(&self) -> Vec<RequestCount> {
        let counts = self.counts.lock();
        let count = |((host, status), count): (&(String, Option<u16>), &u64)| RequestCount {
            host: host.clone(),
            status: *status,
            count: *count,
        };
        counts.iter().map(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ever_new_hosts_and_statuses_are_counted_together() {
        let requests = RequestCounts::default();
        for n in 0..2 * MAX_COUNTS {
            requests.count(&format!("r{n}.example.com"), Some(200));
        }
        requests.count("r0.example.com", Some(200));
        requests.count("r0.example.com", None);
        let counts = requests.counts();
        assert_eq!(counts.len(), MAX_COUNTS + 2);
        let of = |host: &str, status| {
            counts.iter().find(|c| c.host == host && c.status == status).map(|c| c.count)
        };
        assert_eq!(of("r0.example.com", Some(200)), Some(2), "a known host is counted on");
        assert_eq!(of(OTHER, Some(200)), Some(MAX_COUNTS as u64));
        assert_eq!(of(OTHER, None), Some(1));
    }
}
