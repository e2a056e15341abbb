//! The values of a build's secrets, which a RUN may print: what is logged or reported has `***` in their place.
//!
//! The container that does it has the memory that the Dockerfile needs and little more, and values may have sixteen
//! megabytes together: what finds them takes little more than their size, where an automaton takes many times of it.

use std::fs;
use std::ops::Range;

use imgop_core::build::BuildFailure;
use imgop_core::build::step::StepInput;

use crate::{Failed, Places};

/// What stands in the place of a value.
const REPLACEMENT: &[u8] = b"***";
/// Bytes of the shortest text that is replaced: shorter ones stand everywhere.
const SHORTEST: usize = 6;
/// Bytes of the longest text that is looked for as a whole. As many may be held back of a stream.
const LONGEST: usize = 256;
/// Bits of the filter for each line: of what is no beginning of a line as many pass.
const BITS_PER_LINE: usize = 16;

/// The lines of the secrets' values.
#[derive(Debug, Default)]
pub struct SecretValues {
    /// The values, one behind the other.
    values: Vec<u8>,
    /// Where each line of them is, sorted by what it says. None is longer than [`LONGEST`].
    lines: Vec<Place>,
    /// A bit for each hash that the first bytes of a line have. As many bits as a power of two; none without lines.
    beginnings: Vec<u64>,
}

/// Where a line is in the values: thousands are in a megabyte.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: u32,
    length: u16,
}

/// A stream of output in which values are replaced.
#[derive(Debug, Default)]
pub struct ReplacedStream {
    /// The beginning of what may become a value.
    held: Vec<u8>,
}

impl SecretValues {
    /// Reads the mounted secrets of a build.
    pub fn read(input: &StepInput, places: &Places) -> Result<Self, Failed> {
        let mut values = Vec::new();
        for id in &input.secrets {
            let path = places.secret(id);
            let value = fs::read(&path).map_err(|error| Failed::at("read", &path, &error))?;
            values.extend_from_slice(&value);
            values.push(b'\n');
        }
        Self::of(values)
    }

    /// Returns what is to be replaced where these are the lines of the values.
    pub fn of(values: Vec<u8>) -> Result<Self, Failed> {
        let too_large = |_| Failed::new(BuildFailure::SecretUnusable, "the values of secrets are too large");
        let (mut lines, mut start) = (Vec::new(), 0);
        for line in values.split(|byte| matches!(byte, b'\n' | b'\r')) {
            let text = line.trim_ascii_start();
            let at = start + line.len() - text.len();
            let length = text.trim_ascii_end().len();
            start += line.len() + 1;
            if length < SHORTEST {
                continue;
            }
            // Pieces of about the same length: none of them is too short to be looked for.
            let piece = length.div_ceil(length.div_ceil(LONGEST));
            for offset in (0..length).step_by(piece) {
                let start = u32::try_from(at + offset).map_err(too_large)?;
                let length = u16::try_from(piece.min(length - offset)).map_err(too_large)?;
                lines.push(Place { start, length });
            }
        }
        lines.sort_unstable_by(|a, b| a.of(&values).cmp(b.of(&values)));
        lines.dedup_by(|a, b| a.of(&values) == b.of(&values));
        let bits = (lines.len() * BITS_PER_LINE).next_power_of_two().max(64);
        let mut beginnings = if lines.is_empty() { Vec::new() } else { vec![0_u64; bits / 64] };
        for line in &lines {
            if let Some((word, bit)) = bit(line.of(&values), beginnings.len())
                && let Some(word) = beginnings.get_mut(word)
            {
                *word |= bit;
            }
        }
        Ok(Self { values, lines, beginnings })
    }

    /// Returns a text with the values replaced.
    pub fn replaced(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.replaced_bytes(text.as_bytes())).into_owned()
    }

    fn replaced_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let (mut replaced, mut at) = (Vec::with_capacity(bytes.len()), 0);
        while let Some(found) = self.find(bytes, at) {
            replaced.extend_from_slice(bytes.get(at..found.start).unwrap_or_default());
            replaced.extend_from_slice(REPLACEMENT);
            at = found.end;
        }
        replaced.extend_from_slice(bytes.get(at..).unwrap_or_default());
        replaced
    }

    /// Returns the first line at this place or behind it, of several that begin there the longest.
    fn find(&self, bytes: &[u8], from: usize) -> Option<Range<usize>> {
        if self.lines.is_empty() {
            return None;
        }
        (from..bytes.len()).find_map(|start| {
            let length = self.longest_at(bytes.get(start..)?)?;
            Some(start..start + length)
        })
    }

    /// Returns the length of the longest line with which a text begins.
    fn longest_at(&self, text: &[u8]) -> Option<usize> {
        let (word, bit) = bit(text, self.beginnings.len())?;
        if self.beginnings.get(word)? & bit == 0 {
            return None;
        }
        let mut text = text.get(..LONGEST.min(text.len()))?;
        loop {
            // Lines with which it begins are not above it, and the longest of them is the last.
            let below = self.lines.partition_point(|line| line.of(&self.values) <= text);
            let line = self.lines.get(below.checked_sub(1)?)?.of(&self.values);
            let same = line.iter().zip(text).take_while(|(a, b)| a == b).count();
            if same == line.len() {
                return Some(same);
            }
            // No line with which it begins has more of it than that.
            text = text.get(..same).filter(|text| text.len() >= SHORTEST)?;
        }
    }

    /// Returns where something begins, at this place or behind it, that may go on to be a value.
    fn may_begin(&self, bytes: &[u8], from: usize) -> usize {
        let first = bytes.len().saturating_sub(LONGEST).max(from);
        let is_beginning = |start: &usize| {
            let end = bytes.get(*start..).unwrap_or_default();
            let next = self.lines.partition_point(|line| line.of(&self.values) <= end);
            self.lines.get(next).is_some_and(|line| line.of(&self.values).starts_with(end))
        };
        (first..bytes.len()).find(is_beginning).unwrap_or(bytes.len())
    }
}

impl Place {
    fn of(self, values: &[u8]) -> &[u8] {
        let start = usize::try_from(self.start).unwrap_or(usize::MAX);
        values.get(start..start.saturating_add(self.length.into())).unwrap_or_default()
    }
}

/// Returns the word and the bit of a filter of this many words for the first bytes of a text; none if it has fewer
/// than the shortest line.
fn bit(text: &[u8], words: usize) -> Option<(usize, u64)> {
    let mut first = [0; 8];
    first.get_mut(..SHORTEST)?.copy_from_slice(text.get(..SHORTEST)?);
    // Fibonacci hashing: the high bits depend on all of the bytes.
    let hash = u64::from_le_bytes(first).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let hash = usize::try_from(hash).ok()?;
    Some(((hash / 64) & words.checked_sub(1)?, 1 << (hash % 64)))
}

impl ReplacedStream {
    /// Returns what is to be passed on of these bytes and of those that were held back.
    pub fn pass(&mut self, bytes: Vec<u8>, secrets: &SecretValues) -> Vec<u8> {
        if secrets.lines.is_empty() {
            return bytes;
        }
        let mut all = std::mem::take(&mut self.held);
        all.extend(bytes);
        let (mut passed, mut at) = (Vec::with_capacity(all.len()), 0);
        let mut end = secrets.may_begin(&all, at);
        while let Some(found) = secrets.find(&all, at).filter(|found| found.start < end) {
            passed.extend_from_slice(all.get(at..found.start).unwrap_or_default());
            passed.extend_from_slice(REPLACEMENT);
            at = found.end;
            if at > end {
                end = secrets.may_begin(&all, at);
            }
        }
        passed.extend_from_slice(all.get(at..end).unwrap_or_default());
        self.held = all.split_off(end);
        passed
    }

    /// Returns what was held back, at the end of the stream.
    pub fn rest(&mut self, secrets: &SecretValues) -> Vec<u8> {
        secrets.replaced_bytes(&std::mem::take(&mut self.held))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secrets(values: &[&str]) -> SecretValues {
        SecretValues::of(values.join("\n").into_bytes()).unwrap()
    }

    fn passed(text: &[u8], size: usize, secrets: &SecretValues) -> String {
        let mut stream = ReplacedStream::default();
        let mut passed: Vec<u8> =
            text.chunks(size).flat_map(|chunk| stream.pass(chunk.to_vec(), secrets)).collect();
        passed.extend(stream.rest(secrets));
        String::from_utf8(passed).unwrap()
    }

    #[test]
    fn values_are_replaced_line_by_line_and_short_ones_are_not() {
        let secrets = secrets(&["hunter2-hunter2\n", "user: me\r\n  password: long-one\r\n}\n", "true"]);
        for (text, expected) in [
            ("+ curl -H hunter2-hunter2", "+ curl -H ***"),
            ("user: me, password: long-one", "***, ***"),
            ("true }", "true }"),
            ("hunter2", "hunter2"),
        ] {
            assert_eq!(secrets.replaced(text), expected);
        }
        assert_eq!(SecretValues::default().replaced("a"), "a");
    }

    #[test]
    fn what_cannot_be_a_value_is_passed_on_at_once() {
        let (secrets, mut stream) = (secrets(&["hunter2", "hunter2-and-more"]), ReplacedStream::default());
        assert_eq!(stream.pass(b"Password: ".to_vec(), &secrets), b"Password: ");
        assert_eq!(stream.pass(b"hunter2".to_vec(), &secrets), b"", "it may be the longer one");
        assert_eq!(stream.pass(b"-and-less\n".to_vec(), &secrets), b"***-and-less\n");
    }

    #[test]
    fn a_value_of_a_megabyte_is_replaced_too() {
        let value = "0123456789abcdef".repeat(1 << 16);
        let passed = passed(format!("<{value}>").as_bytes(), 4 << 10, &secrets(&[&value]));
        assert!(
            passed.starts_with("<***") && passed.ends_with("***>") && !passed.contains("0123"),
            "{}",
            passed.len()
        );
    }

    #[test]
    fn values_of_megabytes_take_about_their_size_and_are_found_in_time() {
        let line = |n: u32| format!("{:07x}\n", n.wrapping_mul(2_654_435_761));
        let values: String = (0..1 << 20).map(line).collect();
        let bytes = values.len();
        let secrets = SecretValues::of(values.into_bytes()).unwrap();
        let taken = secrets.values.len()
            + secrets.lines.len() * size_of::<Place>()
            + secrets.beginnings.len() * size_of::<u64>();
        assert!(taken < 4 * bytes, "{taken} for {bytes}");
        assert_eq!(secrets.replaced(&format!("x {}", line(7))), "x ***\n");
    }

    proptest! {
        #[test]
        fn a_stream_has_no_value_in_it_however_its_bytes_come(
            values in proptest::collection::vec("[ab]{6,9}", 0..4), text in "[ab\n]{0,60}", size in 1usize..9,
        ) {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let secrets = secrets(&values);
            let passed = passed(text.as_bytes(), size, &secrets);
            prop_assert!(values.iter().all(|value| !passed.contains(value)), "{passed}");
            prop_assert_eq!(passed, secrets.replaced(&text));
        }
    }
}
