//! When a sync runs, and how long a tag must have shown the same content before it is copied.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::text::shorten;
use crate::time::{DurationError, parse_duration, write_duration};

/// Bytes of a text that an error quotes.
const MAX_SHOWN: usize = 40;

/// How often an Image is synced: sums of whole seconds, minutes, hours, days and weeks, such as
/// `5m`, `1h30m` or `1d12h`.
///
/// image-operator discarded what stood behind a `d` or `w` and read `1.5d` as 120 hours; what it
/// could not read it took for 5 minutes, and zero or less made it copy at every pass.
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
    /// What image-operator uses when none is given, as written.
    pub const DEFAULT_TEXT: &str = "5m";

    /// Returns what a spec holds that gives none.
    pub(super) fn default_text() -> String {
        Self::DEFAULT_TEXT.to_owned()
    }

    /// The time between two syncs.
    pub fn period(self) -> Duration {
        self.0
    }
}

impl FromStr for Frequency {
    type Err = FrequencyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shown = || shorten(text, MAX_SHOWN).into_owned();
        match parse_duration(text) {
            Err(DurationError::Unreadable) => Err(FrequencyError::Unreadable(shown())),
            Ok(period) if period < Self::MINIMUM => Err(FrequencyError::TooShort(shown())),
            Ok(period) if period <= Self::MAXIMUM => Ok(Self(period)),
            Ok(_) | Err(DurationError::TooLong) => Err(FrequencyError::TooLong(shown())),
        }
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_duration(self.0, f)
    }
}

/// The fields of a spec that say when it is looked at again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecurrenceRef<'a> {
    /// `frequency`: its default where a schedule is given.
    pub frequency: &'a str,
    /// `schedule`
    pub schedule: Option<&'a str>,
    /// `timeZone`
    pub time_zone: Option<&'a str>,
}

/// As people say it: `every 5m`, `at 0 3 * * * (Europe/Berlin)`.
impl fmt::Display for RecurrenceRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.schedule {
            Some(schedule) => write!(f, "at {schedule} ({})", self.time_zone.unwrap_or(UTC)),
            None => write!(f, "every {}", self.frequency),
        }
    }
}

/// The time zone of a schedule that names none.
pub const UTC: &str = "UTC";

/// How long a tag must have shown the same content before it is taken, written as a
/// [`Frequency`] is: `72h`, `3d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MinAge(Duration);

/// Why a text is not a minimum age.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MinAgeError {
    /// Not in the grammar.
    #[error("{0:?} is no minimum age; write whole numbers with s, m, h, d or w, such as 72h or 3d")]
    Unreadable(String),
    /// Under the minimum, zero included.
    #[error("{0:?} is less than 1m, the shortest minimum age; leave it out to take tags at once")]
    TooShort(String),
    /// More than a year.
    #[error("{0:?} is longer than 365d, the longest minimum age")]
    TooLong(String),
}

impl MinAge {
    const MINIMUM: Duration = Duration::from_mins(1);
    const MAXIMUM: Duration = Duration::from_hours(365 * 24);

    /// The time that must have passed.
    pub fn period(self) -> Duration {
        self.0
    }
}

impl FromStr for MinAge {
    type Err = MinAgeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shown = || shorten(text, MAX_SHOWN).into_owned();
        match parse_duration(text) {
            Err(DurationError::Unreadable) => Err(MinAgeError::Unreadable(shown())),
            Ok(age) if age < Self::MINIMUM => Err(MinAgeError::TooShort(shown())),
            Ok(age) if age <= Self::MAXIMUM => Ok(Self(age)),
            Ok(_) | Err(DurationError::TooLong) => Err(MinAgeError::TooLong(shown())),
        }
    }
}

impl fmt::Display for MinAge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_duration(self.0, f)
    }
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
        fn a_frequency_that_is_written_is_read_back(seconds in 10u64..1_000_000_000) {
            let frequency = Frequency(Duration::from_secs(seconds));
            prop_assert_eq!(frequency.to_string().parse::<Frequency>(), Ok(frequency));
        }

        #[test]
        fn any_text_is_a_frequency_or_refused_without_a_panic(text in ".{0,60}") {
            let _ = text.parse::<Frequency>();
        }
    }

    #[test]
    fn from_a_minute_to_a_year() {
        for (text, seconds) in [
            ("1m", 60),
            ("60s", 60),
            ("72h", 259_200),
            ("3d", 259_200),
            ("1d12h", 129_600),
            ("365d", 31_536_000),
        ] {
            assert_eq!(text.parse::<MinAge>().unwrap().period().as_secs(), seconds, "{text}");
        }
        for bad in ["", " ", "3", "3 d", "3D", "-3d", "1.5d", "d", "3d!", "３d"] {
            assert!(matches!(bad.parse::<MinAge>(), Err(MinAgeError::Unreadable(_))), "{bad}");
        }
        for short in ["0s", "59s", "0d"] {
            assert!(matches!(short.parse::<MinAge>(), Err(MinAgeError::TooShort(_))), "{short}");
        }
        for long in ["366d", "53w", "8761h", "99999999999999999999999s", "18446744073709551615w"] {
            assert!(matches!(long.parse::<MinAge>(), Err(MinAgeError::TooLong(_))), "{long}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_minimum_age_or_refused_without_a_panic(text in "([0-9]{1,22}[smhdwx ]?|[ -~é])*") {
            if let Ok(age) = text.parse::<MinAge>() {
                prop_assert_eq!(age.to_string().parse::<MinAge>().unwrap(), age);
            }
        }
    }
}
