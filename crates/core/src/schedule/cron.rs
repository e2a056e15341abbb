//! Schedules in cron's five fields, in a time zone: how they are read, and which times they mean. Pure.
//!
//! A local time that the clock skips is the first moment after the gap, and one that the clock shows twice is the first of
//! both: each comes once. Only a schedule for every hour also has the second of both, or it would be silent for an hour.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::time_zone::{TimeZoneError, time_zone};
use crate::text::shorten;

/// Bytes of a text that an error quotes.
const MAX_SHOWN: usize = 40;
/// Schedules that have a name, without the sign in front of it.
const NAMED: [(&str, &str); 7] = [
    ("hourly", "0 * * * *"),
    ("daily", "0 0 * * *"),
    ("midnight", "0 0 * * *"),
    ("weekly", "0 0 * * 0"),
    ("monthly", "0 0 1 * *"),
    ("yearly", "0 0 1 1 *"),
    ("annually", "0 0 1 1 *"),
];
/// The days of the longest form of each month.
const DAYS_OF_MONTHS: [u16; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// The year 4000: after it no time is sought.
const LATEST: Timestamp = Timestamp::constant(64_060_588_800, 0);

/// One of the five fields.
struct Field {
    name: &'static str,
    min: u8,
    max: u8,
    /// The last number that a step without an end counts to.
    end: u8,
    /// Words for numbers, from the lowest.
    words: &'static [&'static str],
    /// What it takes, for people.
    takes: &'static str,
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", min: 0, max: 59, end: 59, words: &[], takes: "from 0 to 59" },
    Field { name: "hour", min: 0, max: 23, end: 23, words: &[], takes: "from 0 to 23" },
    Field { name: "day of the month", min: 1, max: 31, end: 31, words: &[], takes: "from 1 to 31" },
    Field {
        name: "month",
        min: 1,
        max: 12,
        end: 12,
        words: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
        takes: "from 1 to 12, or JAN to DEC",
    },
    Field {
        name: "day of the week",
        min: 0,
        max: 7,
        // Sunday is the first day, though 7 means it too.
        end: 6,
        words: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"],
        takes: "from 0 to 7 (0 and 7 are Sunday), or SUN to SAT",
    },
];

/// Why a text is not a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// It has not five fields, and is no name.
    #[error(
        "{0:?} is not a schedule; write five fields (minute, hour, day of the month, month, day of the week), such as \
         0 3 * * * or */15 8-18 * * MON-FRI, or one of @hourly, @daily, @weekly, @monthly and @yearly"
    )]
    Unreadable(String),
    /// It is a period.
    #[error(
        "{0:?} is a period and no schedule; leave schedule out and write it as frequency, such as 30s, 5m or 1h30m"
    )]
    Period(String),
    /// It holds a time zone.
    #[error("{0:?} holds a time zone; write it as timeZone, and schedule without it")]
    HoldsTimeZone(String),
    /// A part of a field is not what that field takes.
    #[error(
        "{part:?} is no {field}; write * or numbers {takes}, ranges of them such as 1-5, lists such as 1,3 and steps such \
         as */2"
    )]
    Part {
        /// The part.
        part: String,
        /// The field.
        field: &'static str,
        /// What it takes.
        takes: &'static str,
    },
    /// A range ends before it begins.
    #[error("{part:?} ends before it begins; write the {field} as two ranges with a comma between them")]
    Backwards {
        /// The range.
        part: String,
        /// The field.
        field: &'static str,
    },
    /// No calendar has its days.
    #[error("{0:?} never comes: no month that it names has such a day; name another day of the month")]
    Never(String),
}

/// The times that a schedule means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronSchedule {
    cron: Cron,
    zone: TimeZone,
    /// Whether it is for every hour of its days.
    is_for_every_hour: bool,
}

impl CronSchedule {
    /// Parses a schedule, and takes its times for those of UTC.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let shown = || shorten(text, MAX_SHOWN).into_owned();
        let fields = fields(text)?;
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(&fields).map_err(|_| CronError::Unreadable(shown()))?;
        let (days, months) = (cron.pattern.days.values(), cron.pattern.months.values());
        let has_first = |month: &u16| {
            let length = DAYS_OF_MONTHS.get(usize::from(month.saturating_sub(1)));
            days.iter().min() <= length
        };
        // With a day of the week too, either of both is enough.
        if cron.pattern.is_dow_wildcard() && !months.iter().any(has_first) {
            return Err(CronError::Never(shown()));
        }
        let is_for_every_hour = cron.pattern.hours.values().len() == 24;
        Ok(Self { cron, zone: TimeZone::UTC, is_for_every_hour })
    }

    /// Takes the times for those of this time zone of the IANA database.
    pub fn in_zone(self, name: &str) -> Result<Self, TimeZoneError> {
        Ok(Self { zone: time_zone(name)?, ..self })
    }

    /// Returns the first time that is after this one.
    pub fn next(&self, after: Timestamp) -> Timestamp {
        // A status may hold any time. The calendar would be searched from the first year on, or to its end.
        if after > LATEST {
            return Timestamp::MAX;
        }
        let after = after.max(Timestamp::UNIX_EPOCH);
        let by_local_time = self.next_by_local_time(after);
        let shown_twice = if self.is_for_every_hour { self.next_of_every_hour(after) } else { None };
        by_local_time.into_iter().chain(shown_twice).min().unwrap_or(Timestamp::MAX)
    }

    /// Returns the last time that is not after this one; none if there was none for years.
    pub fn last(&self, until: Timestamp) -> Option<Timestamp> {
        if !(Timestamp::UNIX_EPOCH..=LATEST).contains(&until) {
            return None;
        }
        let local = self.zone.to_datetime(until);
        let before = self.cron.find_previous_occurrence(&local, true).ok()?;
        let mut last = Some(self.moment(before)).filter(|last| *last <= until)?;
        // Around a change of the clock there may be more.
        loop {
            match self.next(last) {
                next if next <= until => last = next,
                _ => return Some(last),
            }
        }
    }

    fn next_by_local_time(&self, after: Timestamp) -> Option<Timestamp> {
        let mut local = self.zone.to_datetime(after);
        loop {
            local = self.cron.find_next_occurrence(&local, false).ok()?;
            let moment = self.moment(local);
            // What the clock shows the second time is over.
            if moment > after {
                return Some(moment);
            }
        }
    }

    fn next_of_every_hour(&self, after: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&after.to_zoned(self.zone.clone()), false).ok()?;
        Some(next.timestamp()).filter(|next| *next > after)
    }

    /// Returns when a local time is.
    fn moment(&self, local: DateTime) -> Timestamp {
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        let is_skipped = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
        let moment = if is_skipped {
            let before = ambiguous.earlier().ok();
            before.and_then(|before| self.zone.following(before).next()).map(|change| change.timestamp())
        } else {
            ambiguous.earlier().ok()
        };
        moment.unwrap_or(Timestamp::MAX)
    }
}

/// Returns the five fields of a schedule, each of numbers alone.
fn fields(text: &str) -> Result<String, CronError> {
    let shown = || shorten(text, MAX_SHOWN).into_owned();
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    let trimmed = text.trim_matches(is_space);
    if let Some(name) = trimmed.strip_prefix('@') {
        let named = NAMED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        return match named {
            Some((_, fields)) => Ok((*fields).to_owned()),
            None if name.starts_with("every") => Err(CronError::Period(shown())),
            None => Err(CronError::Unreadable(shown())),
        };
    }
    let parts: Vec<&str> = trimmed.split(is_space).filter(|part| !part.is_empty()).collect();
    if parts.first().is_some_and(|part| part.starts_with("TZ=") || part.starts_with("CRON_TZ=")) {
        return Err(CronError::HoldsTimeZone(shown()));
    }
    if trimmed.parse::<crate::api::Frequency>().is_ok() {
        return Err(CronError::Period(shown()));
    }
    if parts.len() != FIELDS.len() {
        return Err(CronError::Unreadable(shown()));
    }
    let read: Result<Vec<String>, CronError> =
        FIELDS.iter().zip(parts).map(|(field, part)| field.read(part)).collect();
    Ok(read?.join(" "))
}

impl Field {
    /// Returns a field, of numbers alone.
    fn read(&self, text: &str) -> Result<String, CronError> {
        let parts = text.split(',').map(|part| self.read_part(part)).collect::<Result<Vec<_>, _>>()?;
        // As in a CronJob, a star in a list stands for all: the other field of days then decides alone.
        Ok(if parts.iter().any(|part| part == "*") { "*".to_owned() } else { parts.join(",") })
    }

    fn read_part(&self, part: &str) -> Result<String, CronError> {
        let shown = || shorten(part, MAX_SHOWN).into_owned();
        let refused = || CronError::Part { part: shown(), field: self.name, takes: self.takes };
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(number(step, 1, self.max).ok_or_else(refused)?)),
            None => (part, None),
        };
        // As in a CronJob, a step of one is none.
        let step = step.filter(|step| range != "*" || *step > 1);
        let text = if range == "*" {
            range.to_owned()
        } else if let Some((from, to)) = range.split_once('-') {
            let from = self.value(from, false).ok_or_else(refused)?;
            let to = self.value(to, true).ok_or_else(refused)?;
            if to < from {
                return Err(CronError::Backwards { part: shown(), field: self.name });
            }
            format!("{from}-{to}")
        } else {
            let value = self.value(range, false).ok_or_else(refused)?;
            // As in a CronJob: from there to the end.
            match step {
                Some(_) if value < self.end => format!("{value}-{}", self.end),
                _ => return Ok(value.to_string()),
            }
        };
        Ok(step.map_or(text.clone(), |step| format!("{text}/{step}")))
    }

    /// Returns the number that a text is or means. Of two that a word means, an end is the later one.
    fn value(&self, text: &str, is_end: bool) -> Option<u8> {
        let mut numbers = (self.min..).zip(self.words);
        let is_word = |(_, word): &(u8, &&str)| word.eq_ignore_ascii_case(text);
        let of_word = if is_end { numbers.filter(is_word).last() } else { numbers.find(is_word) };
        of_word.map(|(number, _)| number).or_else(|| number(text, self.min, self.max))
    }
}

/// Returns a number of one or two digits in these bounds.
fn number(text: &str, min: u8, max: u8) -> Option<u8> {
    let is_number = matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_number && (min..=max).contains(number))
}

#[cfg(test)]
mod tests;
