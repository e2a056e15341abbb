//! The order of tags: as people read versions.

use std::cmp::Ordering;

use imgop_registry::reference::Tag;

use super::TagVersion;

/// A tag with its place in the order, worked out once: comparing two of these compares bytes.
///
/// Oldest first: names that are no versions (`latest`) by their text before the first number, then versions.
/// Numbers count by value; of the same numbers pre-releases come first, by number (`rc2` before `rc10`),
/// then variants (`-alpine`), the plain version, and what was built from it later (`-1`). A date or the
/// hash of a commit is a name. Spellings of one version (`1.2`, `v1.2`, `1.2.0`) are ordered by how many
/// numbers they have, and then by their text: the order is total.
///
/// The place is written so that the order of bytes is the order of versions, and no place is the
/// beginning of another. Most places are not longer than the 16 bytes that need no allocation.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ranked<'a> {
    head: u128,
    /// What does not fit into the head.
    rest: Box<[u8]>,
    numbers: usize,
    pub(super) tag: &'a Tag,
}

/// Begins the places of names that are no versions; they come first.
const NAME: u8 = 0;
const VERSION: u8 = 1;
/// Ends a list of numbers, a run of letters, or a suffix. Whatever goes on comes after what ends.
const END: u8 = 0;
/// Begins a number in a suffix. Digits stand at one place among the other characters of a tag, so one
/// of them stands for all.
const NUMBER: u8 = b'0';
/// Begins a number that takes two bytes; what is smaller is one byte, and one more than its value.
const TWO_BYTES: u8 = 200;
/// Begins a number that is written as its length and its digits.
const DIGITS: u8 = 201;

/// Compares tags, oldest version first.
pub fn by_version(a: &Tag, b: &Tag) -> Ordering {
    let scratch = &mut Vec::new();
    Ranked::new(a, scratch).cmp(&Ranked::new(b, scratch))
}

/// Sorts tags, newest version first.
pub fn sort_newest_first(tags: &mut Vec<&Tag>) {
    let scratch = &mut Vec::new();
    let mut ranked: Vec<Ranked<'_>> = tags.iter().map(|tag| Ranked::new(tag, scratch)).collect();
    ranked.sort_by(|a, b| b.cmp(a));
    *tags = ranked.into_iter().map(|ranked| ranked.tag).collect();
}

/// The place of a tag while it is written.
struct Place<'a> {
    head: [u8; 16],
    length: usize,
    rest: &'a mut Vec<u8>,
}

impl<'a> Ranked<'a> {
    /// Works out the place. `scratch` is memory to use again from tag to tag; what is in it is lost.
    pub(super) fn new(tag: &'a Tag, scratch: &mut Vec<u8>) -> Self {
        scratch.clear();
        let mut place = Place { head: [0; 16], length: 0, rest: scratch };
        let read = TagVersion::read(tag).filter(|version| !version.is_date_or_commit());
        let version = if let Some(version) = read {
            place.push(VERSION);
            version
        } else {
            let (name, version) = TagVersion::read_name(tag);
            place.push(NAME);
            name.bytes().for_each(|byte| place.push(byte));
            place.push(END);
            version
        };
        let is_zero = |part: &str| part.bytes().all(|digit| digit == b'0');
        // `1.2.0` is `1.2`.
        let (mut zeros, mut numbers) = (0, 0);
        for part in version.parts() {
            numbers += 1;
            if is_zero(part) {
                zeros += 1;
                continue;
            }
            (0..std::mem::take(&mut zeros)).for_each(|_| place.number("0"));
            place.number(part);
        }
        place.push(END);
        place.push(version.rank());
        place.suffix(version.suffix);
        Self { head: u128::from_be_bytes(place.head), rest: place.rest.as_slice().into(), numbers, tag }
    }

    /// Whether this is another spelling of the same version.
    pub(super) fn is_same_version(&self, other: &Self) -> bool {
        self.head == other.head && self.rest == other.rest
    }
}

impl Place<'_> {
    fn push(&mut self, byte: u8) {
        match self.head.get_mut(self.length) {
            Some(place) => *place = byte,
            None => self.rest.push(byte),
        }
        self.length += 1;
    }

    /// As few bytes as the order of values allows. None of the forms begins with [`END`], because a
    /// number comes after an end.
    fn number(&mut self, digits: &str) {
        let digits = digits.trim_start_matches('0');
        let value = if digits.is_empty() { Ok(0) } else { digits.parse::<u16>() };
        match value {
            Ok(value) if value < u16::from(TWO_BYTES) - 1 => self.push(value.to_be_bytes()[1] + 1),
            Ok(value) => {
                self.push(TWO_BYTES);
                value.to_be_bytes().into_iter().for_each(|byte| self.push(byte));
            }
            // Numbers of more digits are greater. A tag has at most 128 characters.
            Err(_) => {
                self.push(DIGITS);
                self.push(u8::try_from(digits.len()).unwrap_or(u8::MAX));
                digits.bytes().for_each(|digit| self.push(digit));
            }
        }
    }

    /// Text with the numbers in it by value.
    fn suffix(&mut self, text: &str) {
        let mut rest = text;
        while !rest.is_empty() {
            let (run, is_number) = first_run(rest);
            if is_number {
                self.push(NUMBER);
                self.number(run);
            } else {
                run.bytes().for_each(|byte| self.push(byte));
                self.push(END);
            }
            rest = &rest[run.len()..];
        }
        self.push(END);
    }
}

/// The run of digits, or of anything else, that a text begins with. Tags are ASCII.
fn first_run(text: &str) -> (&str, bool) {
    let number = text.bytes().next().is_some_and(|b| b.is_ascii_digit());
    let end = text.bytes().position(|b| b.is_ascii_digit() != number).unwrap_or(text.len());
    (&text[..end], number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(tags: &[&str]) -> Vec<String> {
        let tags: Vec<Tag> = tags.iter().rev().map(|tag| tag.parse().unwrap()).collect();
        let mut tags: Vec<&Tag> = tags.iter().collect();
        sort_newest_first(&mut tags);
        tags.iter().rev().map(ToString::to_string).collect()
    }

    #[test]
    fn versions_are_ordered_as_people_read_them() {
        let ordered = [
            "latest",
            "v1.2",
            "1.2.3",
            "1.10.0",
            "2.13.4-rc1",
            "2.13.4-rc2",
            "2.13.4-rc10",
            "2.13.4-alpine",
            "2.13.4",
            "v2.13.4",
            "2.13.10",
            "99999999999999999999999.1",
        ];
        assert_eq!(sorted(&ordered), ordered);
    }

    #[test]
    fn r8_numbers_in_names_count_by_value() {
        for ordered in [
            ["release-1.8.0", "release-1.9.0", "release-1.10.0"],
            ["main-9", "main-99", "main-100"],
            ["controller-v1.9.0", "controller-v1.11.2", "controller-v1.11.3"],
            ["release-9", "release-11-beta.1", "release-11"],
            ["RELEASE.2024-01-01T00-00-00Z", "RELEASE.2024-01-02T00-00-00Z", "RELEASE.2024-10-01T00-00-00Z"],
            ["1.9.7.4460-a39b25852", "1.28.0.5999-97678ded3", "1.28.0.6000-0d2a8b123"],
        ] {
            assert_eq!(sorted(&ordered), ordered);
        }
    }

    #[test]
    fn r8_pre_releases_and_variants_are_below_their_release_and_later_builds_above_it() {
        for ordered in [
            ["1.3.0", "1.3.1-beta1", "1.3.1-beta2", "1.3.1"],
            ["2.0.0-alpha.2", "2.0.0-beta.1", "2.0.0-rc.1", "2.0.0"],
            ["23.0.0", "24.0.0-alpine", "24.0.0-slim", "24.0.0"],
            ["v0.0.1-rc1", "v0.0.1", "v0.0.1-1-gabc1234", "v0.0.1-2-g0123abc"],
            ["3.12.0-1", "3.12.0-2", "3.12.0-10", "3.12.1"],
        ] {
            assert_eq!(sorted(&ordered), ordered);
        }
    }

    #[test]
    fn r8_dates_and_hashes_are_below_versions() {
        for ordered in [
            ["4817263", "20250108", "1.2.3"],
            ["2024-01-01", "2024-01-02", "1.0"],
            ["20240101", "20240102", "3.18"],
        ] {
            assert_eq!(sorted(&ordered), ordered);
        }
    }

    #[test]
    fn spellings_of_one_version_are_one_and_their_order_is_always_the_same() {
        let ordered = ["1.20-alpine", "1.20", "v1.20", "1.20.0", "v1.20.0", "1.20-1"];
        assert_eq!(sorted(&ordered), ordered);
        let is_same = |a: &str, b: &str| {
            let (a, b, scratch) = (a.parse().unwrap(), b.parse().unwrap(), &mut Vec::new());
            Ranked::new(&a, scratch).is_same_version(&Ranked::new(&b, scratch))
        };
        assert!(is_same("v1.2.3", "1.2.3") && is_same("1.20", "v1.20.0") && is_same("1.02", "1.2.0"));
        assert!(!is_same("1.2.3", "1.2.3-alpine") && !is_same("1.2", "1.2.1") && !is_same("a-1", "b-1"));
    }

    proptest! {
        #[test]
        fn the_order_is_total(
            texts in prop::collection::vec(
                prop_oneof![
                    "v?[0-9]{1,3}(\\.[0-9]{1,3}){0,3}(-(rc\\.?[0-9]{1,3}|alpine[0-9.]{0,5}|[a-zA-Z0-9_.-]{1,8})){0,2}",
                    "v?[0-9a-cA-C._-]{1,20}",
                    "0{0,20}[0-9]{1,40}\\.[0-9]{1,60}",
                    "[a-z]{0,3}-?[0-9]{1,3}(\\.0){0,2}",
                ],
                3,
            ),
        ) {
            let tags: Vec<Tag> = texts.iter().filter_map(|t| t.parse().ok()).collect();
            for x in &tags {
                for y in &tags {
                    prop_assert_eq!(by_version(x, y), by_version(y, x).reverse());
                    prop_assert_eq!(by_version(x, y) == Ordering::Equal, x == y);
                    for z in &tags {
                        if by_version(x, y).is_le() && by_version(y, z).is_le() {
                            prop_assert!(by_version(x, z).is_le());
                        }
                    }
                }
            }
        }

        #[test]
        fn numbers_of_any_size_count_by_value(
            // Around the values where numbers are written otherwise.
            a in prop_oneof![0_u64..300, 65_530_u64..65_540, 0_u64..u64::MAX],
            b in prop_oneof![0_u64..300, 65_530_u64..65_540, 0_u64..u64::MAX],
        ) {
            for (before, behind) in [("1.", ""), ("v2.", "-alpine"), ("main-", ""), ("1.0-rc", ""), ("1.0-", "")] {
                let tag = |n: u64| -> Tag { format!("{before}{n}{behind}").parse().unwrap() };
                prop_assert_eq!(by_version(&tag(a), &tag(b)), a.cmp(&b), "{}{}", before, behind);
            }
        }
    }
}
