//! How tags that look like versions are read.

use std::cmp::Ordering;

use imgop_registry::reference::Tag;

/// A tag read as a version: an optional `v`, dotted numbers, and whatever follows them.
///
/// A view into the tag's text: the tag itself is never rewritten, so no `v` is lost and nothing is
/// padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagVersion<'a> {
    /// Whether the tag begins with `v` or `V`.
    pub v_prefix: bool,
    /// `2.13.4` of `v2.13.4-rc1`.
    pub numbers: &'a str,
    /// `-rc1` of `v2.13.4-rc1`; empty for most releases.
    pub suffix: &'a str,
}

impl<'a> TagVersion<'a> {
    /// Reads a tag; `None` if it does not begin with a number, such as `latest`.
    pub fn read(tag: &'a Tag) -> Option<Self> {
        let text = tag.as_str();
        let (v_prefix, rest) = match text.as_bytes().first() {
            Some(b'v' | b'V') => (true, &text[1..]),
            _ => (false, text),
        };
        let (numbers, suffix) = split_numbers(rest);
        (!numbers.is_empty()).then_some(Self { v_prefix, numbers, suffix })
    }

    /// Reads a name whose version stands behind other text, such as `controller-v1.9.0`. Returns that text,
    /// which is the whole name where there is no number, and the version.
    pub(super) fn read_name(tag: &'a Tag) -> (&'a str, Self) {
        let text = tag.as_str();
        let start = text.bytes().position(|b| b.is_ascii_digit()).unwrap_or(text.len());
        let (numbers, suffix) = split_numbers(&text[start..]);
        (&text[..start], Self { v_prefix: false, numbers, suffix })
    }

    /// The dotted numbers one by one, as text.
    pub fn parts(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut rest = self.numbers;
        std::iter::from_fn(move || {
            let end = rest.bytes().position(|byte| byte == b'.').unwrap_or(rest.len());
            let part = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            (!part.is_empty()).then_some(part)
        })
    }

    /// Returns how many dotted numbers there are.
    pub fn number_of_parts(&self) -> usize {
        match self.numbers {
            "" => 0,
            numbers => 1 + numbers.bytes().filter(|byte| *byte == b'.').count(),
        }
    }

    /// Orders versions of the same numbers: pre-releases, variants (`-alpine`), the plain version, and what
    /// was built from it later (`-1`, `-1-gabc1234` as git describes a commit).
    pub(super) fn rank(&self) -> u8 {
        if self.suffix.is_empty() {
            return 2;
        }
        if self.is_prerelease() {
            return 0;
        }
        let word = self.suffix.trim_start_matches(['-', '.', '_']);
        let word = word.split(['-', '.', '_']).next().unwrap_or_default();
        if word.is_empty() {
            2
        } else if word.starts_with(|c: char| c.is_ascii_digit()) || is_hash(word) {
            3
        } else {
            1
        }
    }
}

/// Splits the dotted numbers from what follows them.
fn split_numbers(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let (mut start, mut end) = (0, 0);
    loop {
        let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            break;
        }
        end = start + digits;
        if bytes.get(end) != Some(&b'.') {
            break;
        }
        start = end + 1;
    }
    text.split_at(end)
}

/// Letters and digits of the shortest abbreviation of a commit's hash.
pub(super) const MIN_HASH_LENGTH: usize = 7;

/// Whether this is the hash of a commit, or an abbreviation of one that cannot be a word.
fn is_hash(word: &str) -> bool {
    word.len() >= MIN_HASH_LENGTH
        && word.bytes().all(|b| b.is_ascii_hexdigit())
        && word.bytes().any(|b| b.is_ascii_digit())
}

/// Compares numbers of any length: there is no integer type to overflow.
pub(super) fn compare_digits(a: &str, b: &str) -> Ordering {
    let (a, b) = (without_zeros(a), without_zeros(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Returns a number without the zeros that it begins with: nothing of `0`.
pub(super) fn without_zeros(digits: &str) -> &str {
    let zeros = digits.bytes().take_while(|digit| *digit == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(text: &str) -> Tag {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_end_where_a_suffix_begins() {
        let read = |text: &str| {
            let tag = tag(text);
            TagVersion::read(&tag).map(|v| (v.v_prefix, v.numbers.to_owned(), v.suffix.to_owned()))
        };
        assert_eq!(read("v2.13.4-rc1"), Some((true, "2.13.4".into(), "-rc1".into())));
        assert_eq!(read("3.20"), Some((false, "3.20".into(), String::new())));
        assert_eq!(read("22-alpine3.20"), Some((false, "22".into(), "-alpine3.20".into())));
        assert_eq!(read("2a13b0"), Some((false, "2".into(), "a13b0".into())));
        assert_eq!(read("1.2.x"), Some((false, "1.2".into(), ".x".into())));
        assert_eq!(read("latest"), None);
        assert_eq!(read("v"), None);
    }
}
