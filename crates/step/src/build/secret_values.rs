//! The values of a build's secrets, which a RUN may print: what is logged or reported has `***` in their place.

use std::fs;

use aho_corasick::{AhoCorasick, MatchKind};
use imgop_core::build::BuildFailure;
use imgop_core::build::step::StepInput;

use crate::{Failed, Places};

/// What stands in the place of a value.
const REPLACEMENT: &[u8] = b"***";
/// Bytes of the shortest text that is replaced: shorter ones stand everywhere.
const SHORTEST: usize = 6;
/// Bytes of the longest text that is looked for as a whole. As many may be held back of a stream.
const LONGEST: usize = 256;

/// The lines of the secrets' values.
#[derive(Debug, Default)]
pub struct SecretValues {
    /// Sorted, none of them longer than [`LONGEST`].
    lines: Vec<Vec<u8>>,
    /// Finds them; none where there are none.
    finder: Option<AhoCorasick>,
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
        let read = |id: &String| {
            let path = places.secret(id);
            fs::read(&path).map_err(|error| Failed::at("read", &path, &error))
        };
        let values = input.secrets.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Self::of(&values)
    }

    /// Returns what is to be replaced where these are the values.
    pub fn of(values: &[Vec<u8>]) -> Result<Self, Failed> {
        let lines = values.iter().flat_map(|value| value.split(|byte| matches!(byte, b'\n' | b'\r')));
        let lines = lines.map(<[u8]>::trim_ascii).filter(|line| line.len() >= SHORTEST);
        let pieces = lines.flat_map(|line| line.chunks(line.len().div_ceil(line.len().div_ceil(LONGEST))));
        let mut lines: Vec<Vec<u8>> = pieces.map(<[u8]>::to_vec).collect();
        lines.sort_unstable();
        lines.dedup();
        if lines.is_empty() {
            return Ok(Self::default());
        }
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&lines);
        let finder = finder.map_err(|error| {
            Failed::new(BuildFailure::SecretUnusable, format!("the values of secrets are too large: {error}"))
        })?;
        Ok(Self { lines, finder: Some(finder) })
    }

    /// Returns a text with the values replaced.
    pub fn replaced(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.replaced_bytes(text.as_bytes())).into_owned()
    }

    fn replaced_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let Some(finder) = &self.finder else { return bytes.to_vec() };
        let mut replaced = Vec::with_capacity(bytes.len());
        finder.replace_all_with_bytes(bytes, &mut replaced, |_, _, replaced| {
            replaced.extend_from_slice(REPLACEMENT);
            true
        });
        replaced
    }

    /// Returns where something begins, at this place or behind it, that may go on to be a value.
    fn may_begin(&self, bytes: &[u8], from: usize) -> usize {
        let first = bytes.len().saturating_sub(LONGEST).max(from);
        let is_beginning = |start: &usize| {
            let end = bytes.get(*start..).unwrap_or_default();
            let next = self.lines.get(self.lines.partition_point(|line| line.as_slice() <= end));
            next.is_some_and(|line| line.starts_with(end))
        };
        (first..bytes.len()).find(is_beginning).unwrap_or(bytes.len())
    }
}

impl ReplacedStream {
    /// Returns what is to be passed on of these bytes and of those that were held back.
    pub fn pass(&mut self, bytes: &[u8], secrets: &SecretValues) -> Vec<u8> {
        let Some(finder) = &secrets.finder else { return bytes.to_vec() };
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        let (mut passed, mut at) = (Vec::with_capacity(all.len()), 0);
        let mut end = secrets.may_begin(&all, at);
        for found in finder.find_iter(&all) {
            if found.start() >= end {
                break;
            }
            passed.extend_from_slice(all.get(at..found.start()).unwrap_or_default());
            passed.extend_from_slice(REPLACEMENT);
            at = found.end();
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
        SecretValues::of(&values.iter().map(|value| value.as_bytes().to_vec()).collect::<Vec<_>>()).unwrap()
    }

    fn passed(text: &[u8], size: usize, secrets: &SecretValues) -> String {
        let mut stream = ReplacedStream::default();
        let mut passed: Vec<u8> = text.chunks(size).flat_map(|chunk| stream.pass(chunk, secrets)).collect();
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
        assert_eq!(stream.pass(b"Password: ", &secrets), b"Password: ");
        assert_eq!(stream.pass(b"hunter2", &secrets), b"", "it may be the longer one");
        assert_eq!(stream.pass(b"-and-less\n", &secrets), b"***-and-less\n");
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
