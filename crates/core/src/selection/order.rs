//! Tags in the order of versions, when there are many of them.

use super::TagVersion;
use imgop_registry::reference::Tag;

/// A tag with its place among versions, worked out once: comparing two of these compares bytes, where
/// [`by_version`](super::by_version) reads both texts again. The order is the same.
///
/// The place is written so that the order of bytes is the order of versions, and no place is the
/// beginning of another. Most places are not longer than the 16 bytes that need no allocation.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ranked<'a> {
    head: u128,
    /// What does not fit into the head.
    rest: Box<[u8]>,
    /// Equal versions (`1.2` and `v1.2`) are ordered by their text.
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
        match TagVersion::read(tag) {
            None => place.push(NAME),
            Some(version) => {
                place.push(VERSION);
                version.parts().for_each(|part| place.number(part));
                place.push(END);
                place.push(version.rank());
                place.suffix(version.suffix);
            }
        }
        Self { head: u128::from_be_bytes(place.head), rest: place.rest.as_slice().into(), tag }
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
            let (run, is_number) = super::version::first_run(rest);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::selection::by_version;

    proptest! {
        #[test]
        fn ranked_tags_are_in_the_order_of_versions(
            texts in prop::collection::vec(
                prop_oneof![
                    "v?[0-9]{1,3}(\\.[0-9]{1,3}){0,3}(-(rc\\.?[0-9]{1,3}|alpine[0-9.]{0,5}|[a-zA-Z0-9_.-]{1,8})){0,2}",
                    "v?[0-9a-cA-C._-]{1,20}",
                    "0{0,20}[0-9]{1,40}\\.[0-9]{1,60}",
                    // Around the values where numbers are written otherwise.
                    "1\\.(0|19[89]|20[01]|25[56]|999|6553[4567])(-rc6553[56]|\\.6553[56])?",
                ],
                0..20,
            ),
        ) {
            let tags: Vec<Tag> = texts.iter().filter_map(|text| text.parse().ok()).collect();
            let mut scratch = Vec::new();
            let ranked: Vec<Ranked<'_>> = tags.iter().map(|tag| Ranked::new(tag, &mut scratch)).collect();
            for (a, x) in tags.iter().zip(&ranked) {
                for (b, y) in tags.iter().zip(&ranked) {
                    prop_assert_eq!(x.cmp(y), by_version(a, b), "{} and {}", a, b);
                }
            }
        }
    }
}
