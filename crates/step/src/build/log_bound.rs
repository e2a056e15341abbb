//! How much of what a build prints goes into its container's log. A node keeps the last 10 MiB of a log (the kubelet's
//! containerLogMaxSize), so that without a bound the beginning is lost, and what is not kept is written for nothing.

use std::collections::VecDeque;

/// Bytes that the container runtime puts before each line: its time, its stream and a mark.
const BYTES_PER_LINE: usize = 45;
/// Bytes of the end of a step that are shown in any case.
const TAIL_BYTES: usize = 64 << 10;
/// Bytes that each step may print, however much those before it have printed.
const BYTES_PER_STEP: usize = 128 << 10;

/// The bound of one of the outputs.
#[derive(Debug)]
pub struct LogBound {
    /// Bytes that may still be passed on.
    left: usize,
    is_full: bool,
    /// Whether what was passed on ends with a line.
    ends_line: bool,
    /// The end of what is left out.
    tail: VecDeque<u8>,
    left_out: usize,
}

impl LogBound {
    /// Returns a bound of this many bytes, those included that the runtime adds.
    pub fn new(bytes: usize) -> Self {
        Self { left: bytes, is_full: false, ends_line: true, tail: VecDeque::new(), left_out: 0 }
    }

    /// Returns what of this output is passed on.
    pub fn pass<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let mut end = 0;
        if !self.is_full {
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                let size = line.len() + BYTES_PER_LINE;
                if size > self.left {
                    self.is_full = true;
                    break;
                }
                self.left -= size;
                end += line.len();
            }
        }
        let (passed, rest) = bytes.split_at(end);
        if let Some(last) = passed.last() {
            self.ends_line = *last == b'\n';
        }
        self.left_out += rest.len();
        self.tail.extend(rest.get(rest.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default());
        self.tail.drain(..self.tail.len().saturating_sub(TAIL_BYTES));
        passed
    }

    /// A step begins. Returns what is passed on of the one before it: its end, and how much is not shown.
    pub fn begin_step(&mut self) -> Vec<u8> {
        let rest = self.rest();
        self.left = self.left.max(BYTES_PER_STEP);
        self.is_full = false;
        rest
    }

    /// Returns what is passed on at the end.
    pub fn rest(&mut self) -> Vec<u8> {
        let tail = Vec::from(std::mem::take(&mut self.tail));
        let left_out = std::mem::take(&mut self.left_out);
        if tail.len() == left_out {
            return tail;
        }
        // The first line of the tail has lost its beginning.
        let begin = tail.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let shown = tail.get(begin..).unwrap_or_default();
        let hidden = (left_out - shown.len()).div_ceil(1 << 10);
        let break_ = if self.ends_line { "" } else { "\n" };
        let note = format!(
            "{break_}… {hidden} KiB of this output are not shown; BUILD_LOG_BYTES of the agent says how much is\n"
        );
        self.ends_line = shown.last().is_none_or(|last| *last == b'\n');
        [note.as_bytes(), shown].concat()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &[u8] = b"0123456789\n";

    fn passed(bound: &mut LogBound, lines: usize) -> usize {
        (0..lines).map(|_| bound.pass(LINE).len()).sum()
    }

    #[test]
    fn what_fits_is_passed_on_as_it_is() {
        let mut bound = LogBound::new(10 * (LINE.len() + BYTES_PER_LINE));
        assert_eq!(passed(&mut bound, 10), 10 * LINE.len());
        assert_eq!((bound.begin_step(), bound.rest()), (Vec::new(), Vec::new()));
    }

    #[test]
    fn of_much_output_the_beginning_and_the_end_are_shown_with_how_much_is_not() {
        let mut bound = LogBound::new(1000);
        let lines = 100_000;
        let shown = passed(&mut bound, lines);
        assert!(shown > 0 && shown < 1000, "{shown}");
        assert!(bound.pass(b"the last line\n").is_empty());
        let rest = String::from_utf8(bound.rest()).unwrap();
        assert!(rest.len() <= TAIL_BYTES + 200 && rest.ends_with("\nthe last line\n"), "{}", rest.len());
        let note = rest.lines().next().unwrap();
        assert!(note.starts_with("… 1") && note.contains("KiB of this output are not shown"), "{note}");
        assert!(rest.lines().skip(1).take(5).all(|line| line == "0123456789"), "whole lines");
    }

    #[test]
    fn the_next_step_is_shown_again() {
        let mut bound = LogBound::new(1000);
        passed(&mut bound, 1000);
        assert!(!bound.begin_step().is_empty());
        assert_eq!(bound.pass(b"STEP 2/2: RUN true\n"), b"STEP 2/2: RUN true\n");
        let lines = BYTES_PER_STEP / LINE.len();
        assert!(passed(&mut bound, lines) < lines * LINE.len(), "with a bound of its own");
    }

    #[test]
    fn a_line_without_an_end_is_ended_before_the_note() {
        let mut bound = LogBound::new(100);
        assert_eq!(bound.pass(b"half"), b"half");
        bound.pass(&vec![b'x'; 2 * TAIL_BYTES]);
        assert!(bound.rest().starts_with("\n… ".as_bytes()));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_that_fits_and_nothing_comes_twice(
            pieces in proptest::collection::vec("[a-c\n]{0,40}", 0..30), bytes in 0_usize..2000,
        ) {
            let mut bound = LogBound::new(bytes);
            let mut shown: Vec<u8> = pieces.iter().flat_map(|piece| bound.pass(piece.as_bytes()).to_vec()).collect();
            shown.extend(bound.rest());
            // All of it is less than a tail.
            prop_assert_eq!(shown, pieces.concat().into_bytes());
        }
    }
}
