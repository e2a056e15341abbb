//! The order of tags: as people read versions.

use std::cmp::Ordering;

use imgop_registry::reference::Tag;

use super::TagVersion;
use super::tag_version::without_zeros;

/// A tag that was read once: what versions are compared with, and what the order is worked out from.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadTag<'a> {
    pub(super) tag: &'a Tag,
    /// None for a name, such as `latest`.
    pub(super) version: Option<TagVersion<'a>>,
}

impl<'a> ReadTag<'a> {
    pub(super) fn new(tag: &'a Tag) -> Self {
        Self { tag, version: TagVersion::read(tag) }
    }
}

/// What single numbers are among the tags of one repository.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum SingleNumbers {
    /// Those that look like dates or commits are names: other tags are the versions.
    #[default]
    MayBeNames,
    /// The versions, such as the numbers of builds: no tag has dotted numbers. Of any length they count by
    /// value.
    AreVersions,
}

impl SingleNumbers {
    pub(super) fn of<'t>(tags: impl IntoIterator<Item = &'t Tag>) -> Self {
        let is_dotted = |tag| TagVersion::read(tag).is_some_and(|version| !version.is_one_number());
        if tags.into_iter().any(is_dotted) { Self::MayBeNames } else { Self::AreVersions }
    }

    /// Whether a version counts as a name instead.
    fn is_name(self, version: &TagVersion<'_>) -> bool {
        let is_version = self == Self::AreVersions && version.is_plain_number();
        !is_version && version.is_date_or_commit()
    }
}

/// A tag with its place in the order, worked out once: comparing two of these compares bytes.
///
/// Oldest first: names that are no versions (`latest`) by their text before the first number, then versions.
/// Numbers count by value; of the same numbers pre-releases come first, by number (`rc2` before `rc10`),
/// then variants (`-alpine`), the plain version, and what was built from it later (`-1`). A date or the
/// hash of a commit is a name. Spellings of one version (`1.2`, `v1.2`, `1.2.0`) are ordered by how many
/// numbers they have, and then by their text: the order is total.
///
/// The place is written so that the order of bytes is the order of versions, and no place is the
/// beginning of another. Most places fit into the head, which needs no allocation.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ranked<'a> {
    /// The place up to [`HEAD`] bytes, and behind it how many numbers there are; no number if the place is
    /// longer.
    head: [u64; 3],
    /// What does not fit into the head, and how many numbers there are.
    rest: Option<Box<Rest>>,
    pub(super) tag: &'a Tag,
}

/// A slice that is reached by a thin pointer: it is there for few tags, and all are moved while they are
/// sorted.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rest(Box<[u8]>);

/// Bytes of a place in the head of a [`Ranked`].
const HEAD: usize = 23;

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
    let (numbers, scratch) = (SingleNumbers::default(), &mut Vec::new());
    let mut ranked = |tag| Ranked::new(&ReadTag::new(tag), numbers, scratch);
    let a = ranked(a);
    a.cmp(&ranked(b))
}

/// Sorts the tags of a repository, newest version first.
pub fn sort_newest_first(tags: &mut Vec<&Tag>) {
    let (numbers, scratch) = (SingleNumbers::of(tags.iter().copied()), &mut Vec::new());
    let ranked = tags.iter().map(|tag| Ranked::new(&ReadTag::new(tag), numbers, scratch));
    let mut ranked: Vec<Ranked<'_>> = ranked.collect();
    ranked.sort_by(|a, b| b.cmp(a));
    *tags = ranked.into_iter().map(|ranked| ranked.tag).collect();
}

/// The place of a tag while it is written.
struct Place<'a>(&'a mut Vec<u8>);

impl<'a> Ranked<'a> {
    /// Works out the place. `scratch` is memory to use again from tag to tag; what is in it is lost.
    pub(super) fn new(read: &ReadTag<'a>, numbers: SingleNumbers, scratch: &mut Vec<u8>) -> Self {
        scratch.clear();
        let mut place = Place(scratch);
        let version = if let Some(version) = read.version.filter(|version| !numbers.is_name(version)) {
            place.0.push(VERSION);
            version
        } else {
            let (name, version) = TagVersion::read_name(read.tag);
            place.0.push(NAME);
            place.0.extend_from_slice(name.as_bytes());
            place.0.push(END);
            version
        };
        let parts = place.numbers(&version);
        place.0.push(END);
        place.0.push(version.rank());
        place.suffix(version.suffix);
        // A tag has at most 128 characters.
        Self::at(scratch, u8::try_from(parts).unwrap_or(u8::MAX), read.tag)
    }

    fn at(place: &[u8], parts: u8, tag: &'a Tag) -> Self {
        let mut head = [0; HEAD + 1];
        let rest = match place.split_at_checked(HEAD) {
            Some((begin, rest)) if !rest.is_empty() => {
                head[..HEAD].copy_from_slice(begin);
                Some(Box::new(Rest(rest.iter().copied().chain([parts]).collect())))
            }
            _ => {
                head[..place.len()].copy_from_slice(place);
                head[HEAD] = parts;
                None
            }
        };
        let (words, _) = head.as_chunks();
        let word = |n: usize| words.get(n).map_or(0, |word: &[u8; 8]| u64::from_be_bytes(*word));
        Self { head: [word(0), word(1), word(2)], rest, tag }
    }

    /// Whether this is another spelling of the same version.
    pub(super) fn is_same_version(&self, other: &Self) -> bool {
        let head = |ranked: &Self| [ranked.head[0], ranked.head[1], ranked.head[2] >> 8];
        let rest = |ranked: &'_ Self| {
            let rest = ranked.rest.as_deref()?;
            Some(rest.0.split_last()?.1.to_owned())
        };
        head(self) == head(other) && rest(self) == rest(other)
    }
}

impl Place<'_> {
    /// Writes the dotted numbers, without zeros at the end: `1.2.0` is `1.2`. Returns how many there are.
    fn numbers(&mut self, version: &TagVersion<'_>) -> usize {
        let (mut zeros, mut parts) = (0, 0);
        for part in version.parts() {
            parts += 1;
            let digits = without_zeros(part);
            if digits.is_empty() {
                zeros += 1;
                continue;
            }
            (0..std::mem::take(&mut zeros)).for_each(|_| self.number(""));
            self.number(digits);
        }
        parts
    }

    /// As few bytes as the order of values allows. None of the forms begins with [`END`], because a
    /// number comes after an end. `digits` is without leading zeros.
    fn number(&mut self, digits: &str) {
        let value = digits.bytes().try_fold(0_u16, |value, digit| {
            value.checked_mul(10)?.checked_add(u16::from(digit.wrapping_sub(b'0')))
        });
        match value.map(u16::to_be_bytes) {
            Some([0, small]) if small < TWO_BYTES - 1 => self.0.push(small + 1),
            Some(bytes) => {
                self.0.push(TWO_BYTES);
                self.0.extend_from_slice(&bytes);
            }
            // Numbers of more digits are greater. A tag has at most 128 characters.
            None => {
                self.0.push(DIGITS);
                self.0.push(u8::try_from(digits.len()).unwrap_or(u8::MAX));
                self.0.extend_from_slice(digits.as_bytes());
            }
        }
    }

    /// Text with the numbers in it by value.
    fn suffix(&mut self, text: &str) {
        let mut rest = text;
        while !rest.is_empty() {
            let (run, is_number) = first_run(rest);
            if is_number {
                self.0.push(NUMBER);
                self.number(without_zeros(run));
            } else {
                self.0.extend_from_slice(run.as_bytes());
                self.0.push(END);
            }
            rest = &rest[run.len()..];
        }
        self.0.push(END);
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
    fn numbers_in_names_count_by_value() {
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
    fn pre_releases_and_variants_are_below_their_release_and_later_builds_above_it() {
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
    fn dates_and_hashes_are_below_versions() {
        for ordered in [
            ["4817263", "20250108", "1.2.3"],
            ["2024-01-01", "2024-01-02", "1.0"],
            ["20240101", "20240102", "3.18"],
        ] {
            assert_eq!(sorted(&ordered), ordered);
        }
    }

    #[test]
    fn numbers_of_builds_count_by_value_whatever_their_length_where_no_tag_has_dotted_numbers() {
        for ordered in [
            ["99998", "99999", "100000"],
            ["999999", "1000000", "4817263"],
            ["202412", "202413", "202501"],
            ["4e1243b", "99f01cd", "1"],
            ["20250108.1", "20250108.2", "3.18"],
            ["2024_01_01", "1.2", "V1.3"],
        ] {
            assert_eq!(sorted(&ordered), ordered);
        }
    }

    #[test]
    fn a_place_that_is_longer_than_the_head_is_compared_to_its_end() {
        for ordered in [
            ["a-component-with-a-long-name-1.9.0", "a-component-with-a-long-name-1.10.0", "1"],
            ["2024.01.05-alpine3.19-with-more-1", "2024.01.05-alpine3.19-with-more-2", "2024.01.05"],
            ["1.2-a-long-suffix-of-a-version", "1.2.0-a-long-suffix-of-a-version", "1.2"],
        ] {
            assert_eq!(sorted(&ordered), ordered);
        }
    }

    #[test]
    fn spellings_of_one_version_are_one_and_their_order_is_always_the_same() {
        let ordered = ["1.20-alpine", "1.20", "v1.20", "1.20.0", "v1.20.0", "1.20-1"];
        assert_eq!(sorted(&ordered), ordered);
        let is_same = |a: &str, b: &str| {
            let (a, b) = (a.parse().unwrap(), b.parse().unwrap());
            let ranked = |tag| Ranked::new(&ReadTag::new(tag), SingleNumbers::default(), &mut Vec::new());
            ranked(&a).is_same_version(&ranked(&b))
        };
        assert!(is_same("v1.2.3", "1.2.3") && is_same("1.20", "v1.20.0") && is_same("1.02", "1.2.0"));
        assert!(is_same("1.2-a-long-suffix-of-a-version", "v1.2.0-a-long-suffix-of-a-version"));
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
