//! How image-operator read a frequency.

use std::time::Duration;

use jiff::SignedDuration;

/// What image-operator took where it could not read one.
const FALLBACK: Duration = Duration::from_mins(5);

/// Returns the period that image-operator made of a text: the first whole number of days or else of weeks, and nothing of
/// what stands beside it; else what Go reads as a duration; else five minutes. Nothing or less fired at every pass.
pub(super) fn period(text: &str) -> Duration {
    for (unit, hours) in [('d', 24), ('w', 168)] {
        if let Some(number) = number_before(text, unit) {
            return Duration::from_secs(number.saturating_mul(hours * 3600));
        }
    }
    let is_go = !text.contains(char::is_whitespace) && text.ends_with(|c: char| c.is_ascii_lowercase());
    match text.parse::<SignedDuration>() {
        Ok(period) if is_go => Duration::try_from(period).unwrap_or_default(),
        _ => FALLBACK,
    }
}

/// Returns the first whole number that stands before a letter.
fn number_before(text: &str, unit: char) -> Option<u64> {
    text.match_indices(unit).find_map(|(at, _)| {
        let before = text.get(..at)?;
        let digits = before.len() - before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        before.get(at - digits..)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frequency_is_read_as_image_operator_read_it() {
        let hours = Duration::from_hours;
        for (text, expected) in [
            ("5m", Duration::from_mins(5)),
            ("1h30m", Duration::from_mins(90)),
            ("1.5h", Duration::from_mins(90)),
            ("300ms", Duration::from_millis(300)),
            ("1d12h", hours(24)),
            ("2w3d", hours(72)),
            ("1.5d", hours(120)),
            ("1week", hours(168)),
            ("15 minutes", FALLBACK),
            ("5", FALLBACK),
            ("", FALLBACK),
            ("-5m", Duration::ZERO),
            ("0s", Duration::ZERO),
        ] {
            assert_eq!(period(text), expected, "{text}");
        }
    }
}
