//! How often a sync runs.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How often an Image is synced: sums of whole seconds, minutes, hours, days and weeks, such as
/// `5m`, `1h30m` or `1d12h`.
///
/// image-operator discarded what stood behind a `d` or `w` and read `1.5d` as 120 hours; what it
/// could not read it took for 5 minutes, and zero or less made it copy at every pass (seed bug B16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frequency(Duration);

/// Why a text is not a frequency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrequencyError {
    /// Not in the grammar.
    #[error(
        "{0:?} is not a frequency; write whole numbers with s, m, h, d or w, such as 30s, 5m, 1h30m or 1d"
    )]
    Unreadable(String),
    /// Under the minimum, zero included.
    #[error("{0:?} is less than the minimum of 10s")]
    TooShort(String),
    /// More than a century.
    #[error("{0:?} is longer than 5200w")]
    TooLong(String),
}

impl Frequency {
    /// The shortest that is taken: registries are asked no more often than this.
    pub const MINIMUM: Duration = Duration::from_secs(10);
    /// The longest that is taken; more than a century.
    const MAXIMUM: Duration = Duration::from_hours(5200 * 7 * 24);
    /// What the seed uses when none is given, as written.
    pub const DEFAULT_TEXT: &str = "5m";

    /// The time between two syncs.
    pub fn period(self) -> Duration {
        self.0
    }
}

impl FromStr for Frequency {
    type Err = FrequencyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shown = || text.chars().take(40).collect::<String>();
        let total = seconds(text).map_err(|error| match error {
            SecondsError::Unreadable => FrequencyError::Unreadable(shown()),
            SecondsError::TooManyDigits => FrequencyError::TooLong(shown()),
        })?;
        match Duration::from_secs(total) {
            d if d < Self::MINIMUM => Err(FrequencyError::TooShort(shown())),
            d if d > Self::MAXIMUM => Err(FrequencyError::TooLong(shown())),
            d => Ok(Self(d)),
        }
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(self.0.as_secs(), f)
    }
}

/// Why a text is no sum of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecondsError {
    /// Not in the grammar.
    Unreadable,
    /// A number is larger than any time.
    TooManyDigits,
}

/// The seconds that a sum such as `1d12h` means; what is too much to count is `u64::MAX`.
pub(super) fn seconds(text: &str) -> Result<u64, SecondsError> {
    if text.is_empty() {
        return Err(SecondsError::Unreadable);
    }
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number = &rest[..digits];
        let unit = match rest.as_bytes().get(digits) {
            _ if digits == 0 => return Err(SecondsError::Unreadable),
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3600,
            Some(b'd') => 24 * 3600,
            Some(b'w') => 7 * 24 * 3600,
            _ => return Err(SecondsError::Unreadable),
        };
        // Digits alone can only fail to parse by being too many.
        let number: u64 = number.parse().map_err(|_| SecondsError::TooManyDigits)?;
        total = total.saturating_add(number.saturating_mul(unit));
        rest = &rest[digits + 1..];
    }
    Ok(total)
}

/// Writes seconds as [`seconds`] reads them, in the largest units.
pub(super) fn write_seconds(seconds: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut rest = seconds;
    for (unit, name) in [(7 * 24 * 3600, "w"), (24 * 3600, "d"), (3600, "h"), (60, "m"), (1, "s")] {
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

    #[test]
    fn b16_units_add_up_and_nothing_is_discarded() {
        for (text, seconds) in [
            ("30s", 30),
            ("5m", 300),
            ("1h30m", 5400),
            ("1d12h", 129_600),
            ("2w3d", 1_468_800),
            ("1h1d", 90_000),
            ("010s", 10),
        ] {
            assert_eq!(text.parse::<Frequency>().unwrap().period().as_secs(), seconds, "{text}");
        }
    }

    #[test]
    fn b16_what_cannot_be_read_is_refused_and_never_five_minutes() {
        for bad in [
            "",
            "5",
            " 5m",
            "5m ",
            "10 m",
            "1.5d",
            "1week",
            "7days",
            "15minutes",
            "1M",
            "1y",
            "1mo",
            "1H",
            "-5m",
            "+5m",
            "m",
            "5m5",
            "1e3s",
            "５m",
        ] {
            assert!(matches!(bad.parse::<Frequency>(), Err(FrequencyError::Unreadable(_))), "{bad}");
        }
        for short in ["0s", "0d", "9s", "0w0d0h0m5s"] {
            assert!(matches!(short.parse::<Frequency>(), Err(FrequencyError::TooShort(_))), "{short}");
        }
        for long in ["99999999999999999999s", "5201w", "18446744073709551615w1w"] {
            assert!(matches!(long.parse::<Frequency>(), Err(FrequencyError::TooLong(_))), "{long}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in 10u64..1_000_000_000) {
            let frequency = Frequency(Duration::from_secs(seconds));
            prop_assert_eq!(frequency.to_string().parse::<Frequency>(), Ok(frequency));
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in ".{0,60}") {
            let _ = text.parse::<Frequency>();
        }
    }
}
