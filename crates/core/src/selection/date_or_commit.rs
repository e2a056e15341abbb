//! Tags that are written like numbers and are no versions: dates and hashes of commits.

use super::TagVersion;
use super::tag_version::MIN_HASH_LENGTH;

/// Lengths of dates without separators: year and month, with the day, with hour and minute, with the second.
const DATE_DIGITS: [usize; 4] = [6, 8, 12, 14];

impl TagVersion<'_> {
    /// Whether this is more likely a date (`20250108`, `20250108.1`, `2024-01-31`) or the hash of a commit
    /// (`4817263`, `99f01cd`) than a version.
    pub fn is_date_or_commit(&self) -> bool {
        self.is_date() || self.is_commit()
    }

    /// Whether the first number is more likely a date than one of a version. Dotted dates (`2024.01.31`) are
    /// not told from versions.
    fn is_date(&self) -> bool {
        if self.v_prefix {
            return false;
        }
        let first = self.parts().next().unwrap_or_default();
        if DATE_DIGITS.contains(&first.len()) {
            return is_year(&first[..4]) && is_month(&first[4..6]);
        }
        let month = self.suffix.strip_prefix(['-', '_']).unwrap_or_default();
        let month = month.split(['-', '_']).next().unwrap_or_default();
        first.len() == self.numbers.len() && is_year(first) && is_month(month)
    }

    /// Whether this is more likely the hash of a commit than a version: as many hexadecimal digits as an
    /// abbreviation has at least, and no dot among them.
    pub(super) fn is_commit(&self) -> bool {
        let behind = self.suffix.bytes().take_while(|byte| !b"-._".contains(byte));
        let (mut length, mut is_hexadecimal) = (self.numbers.len(), true);
        for byte in behind {
            length += 1;
            is_hexadecimal &= byte.is_ascii_hexdigit();
        }
        length >= MIN_HASH_LENGTH && is_hexadecimal && !self.v_prefix && self.is_one_number()
    }

    /// Whether there is one number, without a `v`, and no letter directly behind it.
    pub(super) fn is_plain_number(&self) -> bool {
        !self.v_prefix
            && self.is_one_number()
            && self.suffix.bytes().next().is_none_or(|byte| !byte.is_ascii_alphabetic())
    }

    pub(super) fn is_one_number(&self) -> bool {
        !self.numbers.bytes().any(|byte| byte == b'.')
    }
}

fn is_year(text: &str) -> bool {
    text.len() == 4
        && (text.starts_with("19") || text.starts_with("20"))
        && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_month(text: &str) -> bool {
    text.len() == 2 && text.parse::<u8>().is_ok_and(|month| (1..=12).contains(&month))
}

#[cfg(test)]
mod tests {
    use imgop_registry::reference::Tag;

    use super::*;

    fn tag(text: &str) -> Tag {
        text.parse().unwrap()
    }

    #[test]
    fn dates_and_hashes_are_no_versions() {
        let is_none = |text: &str| TagVersion::read(&tag(text)).unwrap().is_date_or_commit();
        for text in ["20250108", "4817263", "2024-01-01", "2024-01-01T00-00-00Z", "202501"] {
            assert!(is_none(text), "{text}");
        }
        for text in ["2024", "22", "2024.01.05", "v20250108", "22-04", "2024-alpine", "1.20250108"] {
            assert!(!is_none(text), "{text}");
        }
    }

    #[test]
    fn a_hash_that_begins_with_a_digit_is_one() {
        let is_none = |text: &str| TagVersion::read(&tag(text)).unwrap().is_date_or_commit();
        for text in [
            "4e1243b",
            "99f01cd",
            "4e1243b-dirty",
            "0123abc_amd64",
            "3b5d5c3712955042212316173ccf37be1e8a8c24",
        ] {
            assert!(is_none(text), "{text}");
        }
        for text in ["4e1243", "v4e1243b", "4.1e1243b", "22alpine3", "4e1243bx", "1.9.7.4460-a39b25852"] {
            assert!(!is_none(text), "{text}");
        }
    }

    #[test]
    fn a_date_has_a_year_and_a_month_and_a_number_of_six_digits_is_no_date_by_itself() {
        let is_none = |text: &str| TagVersion::read(&tag(text)).unwrap().is_date_or_commit();
        for text in ["20250108.1", "2024_01_01", "2024-12", "202401011530", "20240101153059.2", "199912"] {
            assert!(is_none(text), "{text}");
        }
        for text in
            ["100000", "202513", "300101", "2024_13_01", "2024-1", "1234-05", "2021.12.16", "10.20250108"]
        {
            assert!(!is_none(text), "{text}");
        }
    }
}
