//! When a request is retried, and after how long.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::backoff::backoff;
use crate::settings::Settings;

/// A `Retry-After` above this counts as this.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Whether the same request may succeed a moment later.
pub(super) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// Returns the pause that `Retry-After` asks for: seconds or an HTTP date (RFC 9110, 10.2.3), at most an
/// hour. Invalid values, such as negative ones, count as absent.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    }
    let until = http_date(text)?;
    // The host's own clock, where it sends it: this one may differ by minutes.
    let now = headers
        .get(DATE)
        .and_then(|date| date.to_str().ok())
        .and_then(http_date)
        .unwrap_or_else(Timestamp::now);
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default().min(MAX_RETRY_AFTER))
}

fn http_date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()
}

/// Returns the wait before the next attempt: exponential with full jitter, so that clients which failed
/// together do not come back together.
pub(super) fn full_jitter(settings: &Settings, attempt: u32) -> Duration {
    let bound = backoff(settings.first_backoff, settings.max_backoff, attempt);
    bound.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(retry_after: &str, date: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Ok(value) = retry_after.parse() {
            headers.insert(RETRY_AFTER, value);
        }
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        headers
    }

    #[test]
    fn seconds_and_dates_are_understood_and_nonsense_is_not() {
        let seconds = |text: &str, date| retry_after(&headers(text, date)).map(|d| d.as_secs());
        assert_eq!(seconds("7", None), Some(7));
        assert_eq!(seconds("1000000000", None), Some(3600));
        assert_eq!(seconds("99999999999999999999999999", None), Some(3600));
        let now = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(10));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:07 GMT", now), Some(0));
        assert_eq!(seconds("Sun, 06 Nov 2094 08:49:07 GMT", now), Some(3600));
        for nonsense in ["-5", "soon", "", "1.5", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(seconds(nonsense, now), None, "{nonsense}");
        }
    }

    #[test]
    fn waits_stay_below_their_bound() {
        let settings = Settings::default();
        for attempt in 0..40 {
            assert!(full_jitter(&settings, attempt) <= settings.max_backoff);
        }
        assert!(full_jitter(&settings, 0) <= settings.first_backoff);
    }

    proptest::proptest! {
        #[test]
        fn any_retry_after_is_read_without_a_panic(text in ".{0,60}") {
            let _ = retry_after(&headers(&text, None));
        }
    }
}
