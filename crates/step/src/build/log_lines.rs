//! The output of a build, line by line, in a few kilobytes whatever it prints.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;

use imgop_registry::{is_printable, printable};
use memchr::{memchr, memchr2};

/// Bytes of a line that are read; the rest of it is passed on and forgotten.
const MAX_LINE: usize = 4 << 10;

/// Cuts a stream into lines. A carriage return ends one too: progress bars write over their own line.
#[derive(Debug, Default)]
pub struct LineCutter(Vec<u8>);

impl LineCutter {
    /// Takes bytes in, and hands each line that ended to `line`, without its end.
    pub fn take(&mut self, mut bytes: &[u8], mut line: impl FnMut(&str)) {
        while let Some(end) = memchr2(b'\n', b'\r', bytes) {
            let (part, rest) =
                (bytes.get(..end).unwrap_or_default(), bytes.get(end + 1..).unwrap_or_default());
            if self.0.is_empty() {
                // Most lines come in one piece: none of them is copied.
                hand(part.get(..MAX_LINE).unwrap_or(part), &mut line);
            } else {
                self.add(part);
                self.end(&mut line);
            }
            bytes = rest;
        }
        self.add(bytes);
    }

    fn add(&mut self, part: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.0.len());
        self.0.extend_from_slice(part.get(..room).unwrap_or(part));
    }

    /// Hands what has no end to `line`.
    pub fn end(&mut self, line: impl FnMut(&str)) {
        hand(&self.0, line);
        self.0.clear();
    }
}

fn hand(bytes: &[u8], mut line: impl FnMut(&str)) {
    match std::str::from_utf8(bytes) {
        Ok("") => {}
        Ok(text) => line(text),
        Err(_) => line(&String::from_utf8_lossy(bytes)),
    }
}

/// Leaves out of a stream the lines that begin with a text. Other lines are passed on as soon as they differ from it.
#[derive(Debug)]
pub struct LineFilter {
    start: &'static str,
    state: Reading,
}

#[derive(Debug, Clone, Copy)]
enum Reading {
    /// This many bytes of a line are the same as those of the text, and are held back.
    Held(usize),
    /// A line that is passed on.
    Passed,
    /// A line that is left out.
    LeftOut,
}

impl LineFilter {
    /// Returns a filter for lines that begin with this text, at the beginning of a stream.
    pub fn new(start: &'static str) -> Self {
        Self { start, state: Reading::Held(0) }
    }

    /// Returns what is to be passed on of these bytes and of those that were held back. Most often that is all of them,
    /// and none is copied.
    pub fn pass<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        // What is passed on and was copied, and what follows it.
        let (mut copied, mut run, mut at) = (Vec::new(), 0..0, 0);
        let part = |of: Range<usize>| bytes.get(of).unwrap_or_default();
        while at < bytes.len() {
            let end = memchr(b'\n', part(at..bytes.len())).map_or(bytes.len(), |end| at + end + 1);
            let line = part(at..end);
            if let Reading::Held(held) = self.state {
                let expected = self.start.as_bytes().get(held..).unwrap_or_default();
                let same = line.iter().zip(expected).take_while(|(a, b)| a == b).count();
                if same == expected.len() {
                    self.state = Reading::LeftOut;
                } else if same == line.len() {
                    self.state = Reading::Held(held + same);
                } else {
                    // Something is held back at the beginning of these bytes alone.
                    copied.extend_from_slice(self.start.as_bytes().get(..held).unwrap_or_default());
                    self.state = Reading::Passed;
                }
            }
            if matches!(self.state, Reading::Passed) {
                if run.end != at {
                    copied.extend_from_slice(part(run));
                    run = at..at;
                }
                run.end = end;
            }
            if line.ends_with(b"\n") {
                self.state = Reading::Held(0);
            }
            at = end;
        }
        if copied.is_empty() {
            return Cow::Borrowed(part(run));
        }
        copied.extend_from_slice(part(run));
        Cow::Owned(copied)
    }

    /// Returns what was held back, at the end of the stream.
    pub fn rest(&mut self) -> Vec<u8> {
        let Reading::Held(held) = self.state else { return Vec::new() };
        self.state = Reading::Held(0);
        self.start.as_bytes().get(..held).unwrap_or_default().to_vec()
    }
}

/// The last lines of a build. They are made printable where they are asked for: of a build that prints much, few are.
#[derive(Debug)]
pub struct LastLines {
    lines: VecDeque<String>,
    most: usize,
    /// How many of them the step printed that runs.
    of_step: usize,
}

impl LastLines {
    /// Returns room for this many lines.
    pub fn new(most: usize) -> Self {
        Self { lines: VecDeque::with_capacity(most), most, of_step: 0 }
    }

    /// Adds a line, unless there is nothing to see in it.
    pub fn push(&mut self, line: &str) {
        if !is_visible(line) {
            return;
        }
        let oldest = if self.lines.len() == self.most { self.lines.pop_front() } else { None };
        let mut kept = oldest.unwrap_or_default();
        kept.clear();
        kept.push_str(line);
        self.lines.push_back(kept);
        self.of_step = self.most.min(self.of_step + 1);
    }

    /// A step begins: what was printed before is of others.
    pub fn begin_step(&mut self) {
        self.of_step = 0;
    }

    /// Returns the lines, newest last.
    pub fn to_vec(&self) -> Vec<String> {
        self.printable().collect()
    }

    /// Returns those of the step that runs, newest last.
    pub fn of_step(&self) -> impl Iterator<Item = String> {
        self.printable().skip(self.lines.len() - self.of_step)
    }

    /// Whether one of them has this text, in capitals or not.
    pub fn say(&self, text: &str) -> bool {
        self.printable().any(|line| line.to_lowercase().contains(text))
    }

    fn printable(&self) -> impl Iterator<Item = String> {
        self.lines.iter().map(|line| printable(line))
    }
}

/// Whether there is something to see in a line: whether anything of it is printable.
fn is_visible(line: &str) -> bool {
    line.chars().any(|c| !c.is_whitespace() && is_printable(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let (mut cutter, mut lines) = (LineCutter::default(), Vec::new());
        for chunk in chunks {
            cutter.take(chunk, |line| lines.push(line.to_owned()));
        }
        cutter.end(|line| lines.push(line.to_owned()));
        lines
    }

    #[test]
    fn lines_are_whole_however_the_bytes_come() {
        assert_eq!(lines(&[b"on", b"e\ntw", b"o\r\nthree"]), ["one", "two", "three"]);
        assert_eq!(lines(&[b"10%\r", b"20%\r\n\n"]), ["10%", "20%"]);
    }

    proptest::proptest! {
        #[test]
        fn lines_are_the_same_whatever_the_pieces(text in "[ab\r\n]{0,40}", size in 1usize..9) {
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let expected: Vec<&str> = text.split(['\n', '\r']).filter(|line| !line.is_empty()).collect();
            proptest::prop_assert_eq!(lines(&chunks), expected);
        }
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_memory_than_others() {
        let long = vec![b'x'; 1 << 20];
        let cut = lines(&[&long, &long, b"\nnext\n"]);
        assert_eq!((cut[0].len(), cut[1].as_str()), (MAX_LINE, "next"));
    }

    proptest::proptest! {
        #[test]
        fn only_lines_with_that_beginning_are_left_out(
            lines in proptest::collection::vec("(noise:|nois|no|x|)[a-z:]{0,4}", 0..8), size in 1usize..9, ends: bool,
        ) {
            let mut text = lines.join("\n");
            text.push_str(if ends { "\n" } else { "" });
            let mut filter = LineFilter::new("noise:");
            let chunks = text.as_bytes().chunks(size);
            let mut passed: Vec<u8> = chunks.flat_map(|chunk| filter.pass(chunk).into_owned()).collect();
            passed.extend(filter.rest());
            let expected: String = text.split_inclusive('\n').filter(|line| !line.starts_with("noise:")).collect();
            proptest::prop_assert_eq!(String::from_utf8(passed).unwrap(), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn a_line_is_kept_if_anything_of_it_is_printable(line in "\\PC{0,3}|[ \t\u{7}\u{202e}\u{feff}a:/?@]{0,9}") {
            let mut last = LastLines::new(1);
            last.push(&line);
            proptest::prop_assert_eq!(last.to_vec().concat(), printable(&line));
            proptest::prop_assert_eq!(last.to_vec().is_empty(), printable(&line).is_empty());
        }
    }

    #[test]
    fn the_last_lines_are_printable_and_few() {
        let mut last = LastLines::new(3);
        for line in ["a", "\u{1b}[31mred\u{1b}[0m", "", "\0\0", "b\u{202e}c", "No Space left"] {
            last.push(line);
        }
        assert_eq!(last.to_vec(), ["[31mred [0m", "bc", "No Space left"]);
        assert!(last.say("no space left") && !last.say("a b"));
        last.begin_step();
        assert_eq!((last.of_step().count(), last.to_vec().len()), (0, 3));
        for line in ["d", "", "e", "f", "g"] {
            last.push(line);
        }
        assert_eq!(last.of_step().collect::<Vec<_>>(), ["e", "f", "g"]);
    }
}
