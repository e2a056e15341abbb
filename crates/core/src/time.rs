//! Durations as people write them, growing pauses, and arithmetic on times that cannot overflow.

use std::fmt;
use std::time::Duration;

use imgop_registry::reference::Digest;
use jiff::Timestamp;

pub use imgop_registry::backoff;

/// Returns a duration below `width` that is always the same for one key, so that objects that were made
/// together drift apart.
pub fn jitter(key: &str, width: Duration) -> Duration {
    let hash = Digest::of(key.as_bytes());
    let fraction = u64::from_str_radix(&hash.hex()[..6], 16).unwrap_or_default();
    let millis = u64::try_from(width.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis.saturating_mul(fraction) >> 24)
}

/// Returns `time` plus `wait`, or the last representable time.
pub fn saturating_add(time: Timestamp, wait: Duration) -> Timestamp {
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// Returns the time left until `end`; zero if it has passed.
pub fn remaining(end: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(end.duration_since(now)).unwrap_or_default()
}

/// Returns a time that was read from a status, but none that is further ahead than `max`: a clock that was
/// ahead, or whoever may write the status, could else silence an object for years.
pub fn clamp_ahead(time: Timestamp, now: Timestamp, max: Duration) -> Timestamp {
    time.min(saturating_add(now, max))
}

/// Why a text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It is not in the grammar.
    #[error("write whole numbers with s, m, h, d or w, such as 30s, 5m, 1h30m or 1d")]
    Unreadable,
    /// A number has more digits than any time.
    #[error("it is longer than any time")]
    TooLong,
}

/// Seconds, minutes, hours, days and weeks, with the seconds of each.
const UNITS: [(u64, char); 5] = [(7 * 24 * 3600, 'w'), (24 * 3600, 'd'), (3600, 'h'), (60, 'm'), (1, 's')];

/// Parses a sum of whole seconds, minutes, hours, days and weeks, such as `90s`, `1h30m` or `1d12h`.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Unreadable);
    }
    let (mut total, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        let unit = behind.chars().next().filter(|_| digits > 0);
        let unit = unit.and_then(|unit| UNITS.iter().find(|(_, name)| *name == unit));
        let Some((seconds, _)) = unit else { return Err(DurationError::Unreadable) };
        // Digits alone can only fail to parse by being too many.
        let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
        total = total.saturating_add(number.saturating_mul(*seconds));
        rest = &behind[1..];
    }
    Ok(Duration::from_secs(total))
}

/// Writes whole seconds as [`parse_duration`] reads them, in the largest units.
pub fn write_duration(duration: Duration, f: &mut impl fmt::Write) -> fmt::Result {
    let mut rest = duration.as_secs();
    for (unit, name) in UNITS {
        if rest >= unit {
            write!(f, "{}{name}", rest / unit)?;
            rest %= unit;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_jitter_of_one_key_is_always_the_same_and_keys_are_spread_over_the_width() {
        let width = Duration::from_mins(1);
        let all: Vec<Duration> = (0..100).map(|n| jitter(&format!("uid-{n}"), width)).collect();
        assert!(all.iter().all(|wait| *wait < width));
        let halves = all.iter().filter(|wait| **wait < width / 2).count();
        assert!((30..70).contains(&halves), "{halves}");
        assert_eq!(jitter("uid-1", width), all[1]);
    }

    #[test]
    fn times_at_the_end_of_the_clock_are_no_panic() {
        assert_eq!(saturating_add(Timestamp::MAX, Duration::from_secs(1)), Timestamp::MAX);
        assert_eq!(saturating_add(now(), Duration::MAX), Timestamp::MAX);
        assert_eq!(remaining(Timestamp::MIN, Timestamp::MAX), Duration::ZERO);
        assert_eq!(remaining(now() + Duration::from_secs(5), now()), Duration::from_secs(5));
    }

    #[test]
    fn a_time_far_ahead_is_clamped_and_a_past_one_stays() {
        let (hour, day) = (Duration::from_hours(1), Duration::from_hours(24));
        assert_eq!(clamp_ahead(now() + day, now(), hour), now() + hour);
        assert_eq!(clamp_ahead(Timestamp::MAX, now(), hour), now() + hour);
        assert_eq!(clamp_ahead(now() - day, now(), hour), now() - day);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in 1u64..1_000_000_000_000) {
            let (duration, mut text) = (Duration::from_secs(seconds), String::new());
            write_duration(duration, &mut text).unwrap();
            prop_assert_eq!(parse_duration(&text), Ok(duration));
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "([0-9]{1,22}[smhdwx ]?|[ -~é])*") {
            let _ = parse_duration(&text);
        }
    }
}
