//! Time limits: the values of flags such as `--timeout`.

use std::str::FromStr;
use std::time::Duration;

use imgop_core::time::parse_duration;

/// Ten years: sums of times stay far from the end of the clock.
const MAX_LIMIT: Duration = Duration::from_hours(10 * 365 * 24);

/// A time limit: `90s`, `10m`, `1h30m`, or whole seconds without a unit as kubectl takes them.
/// Zero means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimit(Option<Duration>);

impl TimeLimit {
    /// Returns the limit, if there is one.
    pub fn limit(self) -> Option<Duration> {
        self.0
    }
}

impl FromStr for TimeLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let limit = match text.parse::<u64>() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => parse_duration(text).ok(),
        };
        match limit {
            Some(limit) if limit <= MAX_LIMIT => Ok(Self((!limit.is_zero()).then_some(limit))),
            _ => Err("write whole numbers with s, m or h, such as 90s or 10m; 0 means no limit".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_sums_of_units_and_zero_is_none() {
        for (text, seconds) in
            [("30", Some(30)), ("90s", Some(90)), ("1h30m", Some(5400)), ("0", None), ("0s", None)]
        {
            let limit: TimeLimit = text.parse().unwrap();
            assert_eq!(limit.limit().map(|d| d.as_secs()), seconds, "{text}");
        }
        for bad in ["", "s", "-1", "1.5h", "10 m", "5x", "99999999999999999999h", "é"] {
            assert!(bad.parse::<TimeLimit>().is_err(), "{bad}");
        }
    }
}
