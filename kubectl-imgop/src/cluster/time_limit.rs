//! Time limits: the values of flags such as `--timeout`.

use std::str::FromStr;
use std::time::Duration;

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
        let seconds = match text.parse::<u64>() {
            Ok(seconds) => Some(seconds),
            Err(_) => sum_of_units(text),
        };
        match seconds {
            // Ten years: sums of times stay far from the end of the clock.
            Some(seconds) if seconds <= 315_360_000 => {
                Ok(Self((seconds > 0).then_some(Duration::from_secs(seconds))))
            }
            _ => Err("write whole numbers with s, m or h, such as 90s or 10m; 0 means no limit".to_owned()),
        }
    }
}

fn sum_of_units(text: &str) -> Option<u64> {
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let unit = match rest.as_bytes().get(digits)? {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            _ => return None,
        };
        let number: u64 = rest[..digits].parse().ok()?;
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    (!text.is_empty()).then_some(total)
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
