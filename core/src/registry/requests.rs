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

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn noted(limit: &str, remaining: &str) -> Option<RateLimit> {
        let requests = Requests::default();
        let mut headers = HeaderMap::new();
        for (name, text) in [("ratelimit-limit", limit), ("ratelimit-remaining", remaining)] {
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name, value);
            }
        }
        requests.note_limit("r", &headers);
        requests.limits().remove("r")
    }

    #[test]
    fn what_docker_hub_says_is_left_is_noted() {
        assert_eq!(noted("100;w=21600", "76;w=21600"), Some(RateLimit { limit: Some(100), remaining: 76 }));
        assert_eq!(noted("", " 0 "), Some(RateLimit { limit: None, remaining: 0 }));
        for garbage in ["", "-1", "many", ";w=21600", "99999999999999999999"] {
            assert_eq!(noted("100", garbage), None, "{garbage}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_limit_is_read_without_a_panic(limit in ".{0,30}", remaining in "([0-9]{0,25}|.{0,30})") {
            let _ = noted(&limit, &remaining);
        }
    }
}
