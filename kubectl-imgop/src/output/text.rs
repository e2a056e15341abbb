//! Text from clusters and registries, made safe for a terminal, and counted nouns.

use std::borrow::Cow;

use imgop_core::text::is_invisible;
pub use imgop_core::text::{bytes, shell_word};

/// Shows control characters, and marks that turn or hide text, as escapes such as `\u{1b}`.
///
/// Messages of a cluster or a registry may contain anything, and a terminal acts on some of it: it may
/// retitle the window, hide a line or paste into the shell. Line breaks and tabs stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_dangerous(c) {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Returns the same on one line: line breaks and tabs become spaces.
pub fn one_line(text: &str) -> String {
    let flat: Vec<&str> = text.split(['\n', '\r', '\t']).map(str::trim).filter(|l| !l.is_empty()).collect();
    printable(&flat.join(" ")).into_owned()
}

fn is_dangerous(c: char) -> bool {
    is_invisible(c) && !matches!(c, '\n' | '\t')
}

/// Returns what stands in a cell for which there is nothing, in kubectl's word.
pub fn none() -> String {
    "<none>".to_owned()
}

/// Returns `1 tag`, `2 tags`.
pub fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Returns `1 repository`, `2 repositories`.
pub fn count_repositories(number: usize) -> String {
    if number == 1 { "1 repository".to_owned() } else { format!("{number} repositories") }
}

/// Returns the first of some words, and how many there are besides: `1.2,1.1,+3`. `beyond` are those that are counted
/// and not known.
pub fn first_few(words: &[String], max: usize, beyond: usize) -> String {
    let mut shown: Vec<String> = words.iter().take(max).cloned().collect();
    let others = words.len() - shown.len() + beyond;
    shown.extend((others > 0).then(|| format!("+{others}")));
    shown.join(",")
}

/// Returns the lines of a text that is wrapped to this width. What is to be copied stays whole: words, and commands that
/// stand behind a colon.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for piece in pieces(text) {
        let fits = |line: &&mut String| {
            console::measure_text_width(line) + 1 + console::measure_text_width(piece) <= width
        };
        match lines.last_mut().filter(fits) {
            Some(line) => *line = format!("{line} {piece}"),
            None => lines.push(piece.to_owned()),
        }
    }
    lines
}

/// Returns the width of the longest command of a text, which has no room beside anything else.
pub fn longest_command(text: &str) -> usize {
    let commands = pieces(text).filter(|piece| piece.contains(' '));
    commands.map(console::measure_text_width).max().unwrap_or(0)
}

/// Returns the parts of a text that stay whole.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let begin = text.find(": kubectl ").map_or(text.len(), |colon| colon + 2);
    let (before, rest) = text.split_at(begin);
    let end = rest.find("; ").map_or(rest.len(), |end| end + 1);
    let (command, after) = rest.split_at(end);
    let command = Some(command).filter(|command| !command.is_empty());
    before.split_whitespace().chain(command).chain(after.split_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_are_shown_and_never_sent() {
        assert_eq!(printable("a\u{1b}[31mb\u{9b}2J\u{202e}\r"), "a\\u{1b}[31mb\\u{9b}2J\\u{202e}\\u{d}");
        assert_eq!(printable("tag\tis\nthere é ✔"), "tag\tis\nthere é ✔");
    }

    #[test]
    fn a_message_of_several_lines_fits_into_a_cell() {
        assert_eq!(one_line("a\r\n  b\tc\n\n\u{7}"), "a b c \\u{7}");
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let words = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(first_few(&words, 4, 0), "a,b,c");
        assert_eq!(first_few(&words, 2, 5), "a,b,+6");
        assert_eq!(first_few(&[], 2, 0), "");
    }

    #[test]
    fn one_is_singular() {
        assert_eq!((count(0, "tag"), count(1, "tag")), ("0 tags".to_owned(), "1 tag".to_owned()));
        assert_eq!([1, 2].map(count_repositories), ["1 repository", "2 repositories"]);
    }
}
