//! Text that others wrote, made short and safe.

use std::borrow::Cow;

const DOTS: &str = "…";

/// Returns at most `max` bytes: all of a text, or its beginning and `…`.
pub fn shorten(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let end = floor_char_boundary(text, max.saturating_sub(DOTS.len()));
    Cow::Owned(format!("{}{DOTS}", &text[..end]))
}

/// Returns the last `max` bytes of a text, less what would be half a character: in the output of a program
/// the error stands at the end.
pub fn last_bytes(text: &str, max: usize) -> &str {
    let mut start = text.len().saturating_sub(max);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

/// Returns a number of bytes for people: `512 B`, `1.5 KiB`, `164.1 MiB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    // Tenths, rounded down, so that no unit ever shows 1024.0.
    let (mut tenths, mut unit) = (u128::from(number) * 10 / 1024, UNITS[0]);
    for larger in &UNITS[1..] {
        if tenths < 10_240 {
            break;
        }
        (tenths, unit) = (tenths / 1024, larger);
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// Returns a word quoted for a shell, if it needs that: whoever pastes a command runs that command and nothing else.
pub fn shell_word(word: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&b);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Whether a terminal acts on a character, or hides it or text around it.
pub fn is_invisible(c: char) -> bool {
    !imgop_registry::is_printable(c)
}

fn floor_char_boundary(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_a_shell_would_read_otherwise_is_quoted() {
        assert_eq!(shell_word("registry.corp:5000/a_b@sha256"), "registry.corp:5000/a_b@sha256");
        let quoted = ["a b", "a;b", "$(a)", "*", "", "~"].map(shell_word);
        assert_eq!(quoted, ["'a b'", "'a;b'", "'$(a)'", "'*'", "''", "'~'"]);
        assert_eq!(shell_word("it's"), r"'it'\''s'");
    }

    #[test]
    fn a_long_text_keeps_its_beginning_and_never_half_a_character() {
        assert_eq!(shorten("tags", 4), "tags");
        assert_eq!(shorten("ta\u{e9}gs", 5), "ta…");
        assert_eq!(shorten("tagtags", 6), "tag…");
        for max in 0..12 {
            assert!(shorten("ééééééééé", max).len() <= max.max(DOTS.len()), "{max}");
        }
    }

    #[test]
    fn bytes_are_shown_in_the_largest_unit() {
        for (number, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (172_071_321, "164.0 MiB"),
            (1 << 30, "1.0 GiB"),
            ((1 << 30) - 1, "1023.9 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(bytes(number), text, "{number}");
        }
    }

    #[test]
    fn the_end_of_a_text_is_never_half_a_character() {
        assert_eq!(
            (last_bytes("error", 9), last_bytes("aéb", 2), last_bytes("aéb", 3)),
            ("error", "b", "éb")
        );
    }

    #[test]
    fn what_turns_or_hides_text_is_invisible() {
        assert!("\u{1b}\u{9b}\u{202e}\u{200b}\u{feff}\n".chars().all(is_invisible));
        assert!("\u{ad}\u{61c}\u{180e}\u{fff9}\u{fffb}\u{e0001}\u{e007f}".chars().all(is_invisible));
        assert!(!"é ✔a".chars().any(is_invisible));
    }
}
