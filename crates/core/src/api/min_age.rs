//! How long a tag must have shown the same content.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::frequency::{SecondsError, seconds, write_seconds};

/// How long a tag must have shown the same content before it is taken, written as a
/// [`Frequency`](super::Frequency) is: `72h`, `3d`.
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
    const MINIMUM: u64 = 60;
    const MAXIMUM: u64 = 365 * 24 * 3600;

    /// The time that must have passed.
    pub fn period(self) -> Duration {
        self.0
    }
}

impl FromStr for MinAge {
    type Err = MinAgeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shown = || text.chars().take(40).collect::<String>();
        match seconds(text) {
            Err(SecondsError::Unreadable) => Err(MinAgeError::Unreadable(shown())),
            Ok(total) if total < Self::MINIMUM => Err(MinAgeError::TooShort(shown())),
            Ok(total) if total <= Self::MAXIMUM => Ok(Self(Duration::from_secs(total))),
            Ok(_) | Err(SecondsError::TooManyDigits) => Err(MinAgeError::TooLong(shown())),
        }
    }
}

impl fmt::Display for MinAge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(self.0.as_secs(), f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        fn any_text_is_read_or_refused_without_a_panic(text in "([0-9]{1,22}[smhdwx ]?|[ -~é])*") {
            if let Ok(age) = text.parse::<MinAge>() {
                prop_assert_eq!(age.to_string().parse::<MinAge>().unwrap(), age);
            }
        }
    }
}
