//! Time limits: the values of flags such as `--timeout`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Ten years: sums of times stay far from the end of the clock.
const MAX_LIMIT: Duration = Duration::from_hours(10 * 365 * 24);

/// What is accepted, in words.
const SYNTAX: &str = "write numbers with ms, s, m or h, such as 90s, 1.5h or 10m";

/// A time limit: `90s`, `1.5h`, `1h30m`, or seconds without a unit, as kubectl takes them. Zero and less mean no
/// limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeLimit(Option<Duration>);

impl TimeLimit {
    /// Returns the limit, if there is one.
    pub fn limit(self) -> Option<Duration> {
        self.0
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("0"),
            Some(limit) if limit.subsec_nanos() == 0 => write!(f, "{}s", limit.as_secs()),
            Some(limit) => write!(f, "{}ms", limit.as_millis().max(1)),
        }
    }
}

impl FromStr for TimeLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (is_negative, limit) = parse(text).ok_or_else(|| format!("{SYNTAX}; 0 means no limit"))?;
        Ok(Self((!is_negative && !limit.is_zero()).then_some(limit)))
    }
}

/// How long something is waited for, with zero and less as `kubectl wait` has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitLimit {
    /// It is checked once: `0`.
    Once,
    /// It is waited for; less than zero means no limit.
    Within(TimeLimit),
}

impl FromStr for WaitLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let syntax = || format!("{SYNTAX}; 0 checks once, and -1s means no limit");
        let (is_negative, limit) = parse(text).ok_or_else(syntax)?;
        Ok(match (is_negative, limit) {
            (_, Duration::ZERO) => Self::Once,
            (true, _) => Self::Within(TimeLimit(None)),
            (false, limit) => Self::Within(TimeLimit(Some(limit))),
        })
    }
}

/// Reads a duration as Go writes it, or seconds without a unit; returns whether it is negative, and its size.
fn parse(text: &str) -> Option<(bool, Duration)> {
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if let Ok(seconds) = rest.parse::<u64>() {
        return within_limit(Duration::from_secs(seconds)).map(|size| (is_negative, size));
    }
    let mut size = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = seconds_of(&rest[..letters])?;
        rest = &rest[letters..];
        size = size.checked_add(Duration::try_from_secs_f64(number * unit).ok()?)?;
    }
    text.ends_with(|c: char| c.is_alphabetic())
        .then_some(size)
        .and_then(within_limit)
        .map(|size| (is_negative, size))
}

fn within_limit(size: Duration) -> Option<Duration> {
    (size <= MAX_LIMIT).then_some(size)
}

/// Returns the length of a unit in seconds. Go has none longer than an hour; the frequencies of specs do.
fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_sums_of_units_and_zero_is_none() {
        for (text, millis) in [
            ("30", Some(30_000)),
            ("90s", Some(90_000)),
            ("1h30m", Some(5_400_000)),
            ("1.5h", Some(5_400_000)),
            ("500ms", Some(500)),
            ("2d", Some(172_800_000)),
            ("0", None),
            ("0s", None),
            ("-1s", None),
        ] {
            let limit: TimeLimit = text.parse().unwrap();
            assert_eq!(limit.limit().map(|d| d.as_millis()), millis, "{text}");
        }
        for bad in
            ["", "-", "s", "--1s", ".s", "1.5", "1.2.3h", "10 m", "5x", "99999999999999999999h", "é", "1é"]
        {
            assert!(bad.parse::<TimeLimit>().is_err(), "{bad}");
            assert!(bad.parse::<WaitLimit>().is_err(), "{bad}");
        }
    }

    #[test]
    fn zero_checks_once_and_less_waits_without_a_limit_as_in_kubectl_wait() {
        let limit = |text: &str| text.parse::<WaitLimit>().unwrap();
        assert_eq!([limit("0"), limit("0s"), limit("-0s")], [WaitLimit::Once; 3]);
        assert_eq!([limit("-1"), limit("-1s")], [WaitLimit::Within(TimeLimit(None)); 2]);
        assert_eq!(limit("90s"), WaitLimit::Within(TimeLimit(Some(Duration::from_secs(90)))));
    }
}
