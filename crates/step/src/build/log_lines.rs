//! The output of a build, line by line, in a few kilobytes whatever it prints.

use std::collections::VecDeque;

use imgop_registry::printable;

/// Bytes of a line that are read; the rest of it is passed on and forgotten.
const MAX_LINE: usize = 4 << 10;

/// Cuts a stream into lines. A carriage return ends one too: progress bars write over their own line.
#[derive(Debug, Default)]
pub struct LineCutter(Vec<u8>);

impl LineCutter {
    /// Takes bytes in, and hands each line that ended to `line`, without its end.
    pub fn take(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        for part in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let ends = part.ends_with(b"\n") || part.ends_with(b"\r");
            let part = if ends { part.split_last().map_or(part, |(_, rest)| rest) } else { part };
            let room = MAX_LINE.saturating_sub(self.0.len());
            self.0.extend_from_slice(part.get(..room.min(part.len())).unwrap_or_default());
            if ends {
                self.end(&mut line);
            }
        }
    }

    /// Hands what has no end to `line`.
    pub fn end(&mut self, mut line: impl FnMut(&str)) {
        if !self.0.is_empty() {
            line(&String::from_utf8_lossy(&self.0));
            self.0.clear();
        }
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

    /// Returns what is to be passed on of these bytes and of those that were held back.
    pub fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut passed = Vec::with_capacity(bytes.len());
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if let Reading::Held(held) = self.state {
                let expected = self.start.as_bytes().get(held..).unwrap_or_default();
                let same = line.iter().zip(expected).take_while(|(a, b)| a == b).count();
                if same == expected.len() {
                    self.state = Reading::LeftOut;
                } else if same == line.len() {
                    self.state = Reading::Held(held + same);
                } else {
                    passed.extend_from_slice(self.start.as_bytes().get(..held).unwrap_or_default());
                    self.state = Reading::Passed;
                }
            }
            if matches!(self.state, Reading::Passed) {
                passed.extend_from_slice(line);
            }
            if line.ends_with(b"\n") {
                self.state = Reading::Held(0);
            }
        }
        passed
    }

    /// Returns what was held back, at the end of the stream.
    pub fn rest(&mut self) -> Vec<u8> {
        let Reading::Held(held) = self.state else { return Vec::new() };
        self.state = Reading::Held(0);
        self.start.as_bytes().get(..held).unwrap_or_default().to_vec()
    }
}

/// The last lines of a build, printable.
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
        let line = printable(line);
        if line.is_empty() {
            return;
        }
        if self.lines.len() == self.most {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
        self.of_step = self.most.min(self.of_step + 1);
    }

    /// A step begins: what was printed before is of others.
    pub fn begin_step(&mut self) {
        self.of_step = 0;
    }

    /// Returns the lines, newest last.
    pub fn to_vec(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }

    /// Returns those of the step that runs, newest last.
    pub fn of_step(&self) -> impl Iterator<Item = &String> {
        self.lines.iter().skip(self.lines.len() - self.of_step)
    }

    /// Whether one of them has this text, in capitals or not.
    pub fn say(&self, text: &str) -> bool {
        self.lines.iter().any(|line| line.to_lowercase().contains(text))
    }
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
            let mut passed: Vec<u8> = text.as_bytes().chunks(size).flat_map(|chunk| filter.pass(chunk)).collect();
            passed.extend(filter.rest());
            let expected: String = text.split_inclusive('\n').filter(|line| !line.starts_with("noise:")).collect();
            proptest::prop_assert_eq!(String::from_utf8(passed).unwrap(), expected);
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
