//! The lines with which the log of the agent's own program says how far it is: it writes them, and the plugin finds them.

use crate::text::bytes;

/// Returns the beginning of a line: `3 of 10 images copied; 1.2 GiB read, 1.1 GiB sent`.
pub fn copied_so_far(done: usize, all: &str, read: u64, sent: u64) -> String {
    format!("{done} of {all} copied; {} read, {} sent", bytes(read), bytes(sent))
}

/// Returns whether a line of a log begins so.
pub fn says_how_far(line: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    line.split_once(" of ").is_some_and(|(done, rest)| is_number(done) && rest.contains(" copied; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_says_how_far_it_is_is_told_from_those_of_tags() {
        let line = copied_so_far(3, "10 images", 5 << 20, 1 << 10);
        assert_eq!(line, "3 of 10 images copied; 5.0 MiB read, 1.0 KiB sent");
        assert!(says_how_far(&line) && says_how_far(&format!("{line}; 1 failed")));
        for other in ["1.0: copied", "1: failed: 2 of 3 copied; no", "copies 10 images from a to b", ""] {
            assert!(!says_how_far(other), "{other}");
        }
    }
}
