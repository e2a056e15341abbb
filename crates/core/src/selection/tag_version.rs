//! How tags that look like versions are read.

use std::cmp::Ordering;
use std::ops::Range;

use imgop_registry::reference::Tag;

/// A tag read as a version: an optional `v`, dotted numbers, and whatever follows them.
///
/// A view into the tag's text: the tag itself is never rewritten, so no `v` is lost and nothing is
/// padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagVersion<'a> {
    /// Whether the tag begins with `v`.
    pub v_prefix: bool,
    /// `2.13.4` of `v2.13.4-rc1`.
    pub numbers: &'a str,
    /// `-rc1` of `v2.13.4-rc1`; empty for most releases.
    pub suffix: &'a str,
}

/// The words that mark a pre-release, in lower case.
const PRE_RELEASES: [&str; 9] =
    ["alpha", "beta", "canary", "dev", "nightly", "pre", "preview", "rc", "snapshot"];
/// Digits of a single number that is more likely a date or the hash of a commit than a version.
const MIN_DATE_DIGITS: usize = 6;
/// Letters and digits of the shortest abbreviation of a commit's hash.
const MIN_HASH_LENGTH: usize = 7;

impl<'a> TagVersion<'a> {
    /// Reads a tag; `None` if it does not begin with a number, such as `latest`.
    pub fn read(tag: &'a Tag) -> Option<Self> {
        let text = tag.as_str();
        let (v_prefix, rest) = match text.strip_prefix('v') {
            Some(rest) => (true, rest),
            None => (false, text),
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
        self.numbers.split('.').filter(|part| !part.is_empty())
    }

    /// Whether this is more likely a date (`20250108`, `2024-01-31`) or the hash of a commit (`4817263`) than
    /// a version.
    pub fn is_date_or_commit(&self) -> bool {
        let is_one_number = !self.numbers.contains('.');
        let month = self.suffix.strip_prefix('-').and_then(|rest| rest.split('-').next()).unwrap_or_default();
        let is_month = month.len() == 2 && month.bytes().all(|b| b.is_ascii_digit());
        is_one_number
            && !self.v_prefix
            && (self.numbers.len() >= MIN_DATE_DIGITS || self.numbers.len() == 4 && is_month)
    }

    /// Whether this is a release candidate of what has that suffix: what follows the numbers is the suffix
    /// and, before or within or behind it, `rc` with one or two digits, in any case and with any separators
    /// (`-rc1`, `-RC.1`, `rc-1`). image-operator documents `-rc` and one or two digits; its code knew one
    /// digit only (seed bug B10).
    pub fn is_candidate_of(&self, suffix: &str) -> bool {
        let rc = self.mark(|word| word.eq_ignore_ascii_case("rc"), 1);
        rc.is_some_and(|mark| {
            let digits = self.suffix[mark.clone()].bytes().filter(u8::is_ascii_digit).count();
            (1..=2).contains(&digits) && self.is_without(&mark, suffix)
        })
    }

    /// Whether this is a pre-release of what has that suffix: like [`Self::is_candidate_of`] with any of the
    /// words that mark pre-releases, with any numbers or none.
    pub fn is_prerelease_of(&self, suffix: &str) -> bool {
        self.prerelease().is_some_and(|mark| self.is_without(&mark, suffix))
    }

    /// Whether this is a pre-release of anything.
    pub fn is_prerelease(&self) -> bool {
        self.prerelease().is_some()
    }

    fn prerelease(&self) -> Option<Range<usize>> {
        let is_mark = |word: &str| PRE_RELEASES.iter().any(|mark| word.eq_ignore_ascii_case(mark));
        self.mark(is_mark, usize::MAX)
    }

    fn is_without(&self, mark: &Range<usize>, suffix: &str) -> bool {
        suffix.strip_prefix(&self.suffix[..mark.start]) == Some(&self.suffix[mark.end..])
    }

    /// Returns where in the suffix such a word stands, with the separator before it and at most `max_numbers` numbers
    /// behind it.
    fn mark(&self, is_mark: impl Fn(&str) -> bool, max_numbers: usize) -> Option<Range<usize>> {
        let bytes = self.suffix.as_bytes();
        let run = |start: usize, is_in: fn(&u8) -> bool| {
            start + bytes[start..].iter().take_while(|byte| is_in(byte)).count()
        };
        let is_separator = |at: usize| bytes.get(at).is_some_and(|byte| b"-._".contains(byte));
        let mut start = 0;
        while start < bytes.len() {
            let mut end = run(start, u8::is_ascii_alphabetic);
            if end == start {
                start += 1;
                continue;
            }
            if !is_mark(&self.suffix[start..end]) {
                start = end;
                continue;
            }
            for _ in 0..max_numbers {
                let digits = end + usize::from(is_separator(end));
                let behind = run(digits.min(bytes.len()), u8::is_ascii_digit);
                if behind <= digits {
                    break;
                }
                end = behind;
            }
            return Some(start - usize::from(start > 0 && is_separator(start - 1))..end);
        }
        None
    }

    /// Orders versions of the same numbers: pre-releases, variants (`-alpine`), the plain version, and what
    /// was built from it later (`-1`, `-1-gabc1234` as git describes a commit).
    pub(super) fn rank(&self) -> u8 {
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
    let (mut start, mut end) = (0, 0);
    for part in text.split('.') {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            break;
        }
        end = start + digits;
        if digits < part.len() {
            break;
        }
        start += part.len() + 1;
    }
    text.split_at(end)
}

fn is_hash(word: &str) -> bool {
    word.len() >= MIN_HASH_LENGTH
        && word.bytes().all(|b| b.is_ascii_hexdigit())
        && word.bytes().any(|b| b.is_ascii_digit())
}

/// Compares numbers of any length: there is no integer type to overflow.
pub(super) fn compare_digits(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(text: &str) -> Tag {
        text.parse().unwrap()
    }

    #[test]
    fn b10_candidates_have_one_or_two_digits() {
        let is_of = |text: &str, suffix: &str| {
            let tag = tag(text);
            TagVersion::read(&tag).unwrap().is_candidate_of(suffix)
        };
        for (candidate, suffix) in [
            ("2.13.0-rc1", ""),
            ("2.13.0-rc10", ""),
            ("2.13.0-rc.1", ""),
            ("2.13.0-rc1-alpine", "-alpine"),
            ("2.13.0-alpine-rc10", "-alpine"),
            ("2.13.0-alpine-rc10-slim", "-alpine-slim"),
        ] {
            assert!(is_of(candidate, suffix), "{candidate}");
            assert!(!is_of(candidate, "-debian") && !is_of(candidate, "-rc1"), "{candidate}");
            assert_eq!(is_of(candidate, ""), suffix.is_empty(), "{candidate}");
        }
        for release in ["2.13.0", "2.13.0-rc", "2.13.0-rc100", "2.13.0-beta1", "2.13.0-src1"] {
            assert!(!is_of(release, ""), "{release}");
        }
    }

    #[test]
    fn r8_a_candidate_is_one_in_every_spelling() {
        for text in ["2.13.0-RC1", "2.13.0rc1", "2.13.0-rc-1", "2.13.0.rc1", "2.13.0_Rc_12"] {
            let tag = tag(text);
            let version = TagVersion::read(&tag).unwrap();
            assert!(version.is_candidate_of("") && version.is_prerelease_of(""), "{text}");
        }
    }

    #[test]
    fn r8_pre_releases_are_known_by_their_words_in_any_case_and_with_any_separator() {
        for text in [
            "2.0.0-beta.1",
            "2.0.0-alpha",
            "2.0.0beta2",
            "2.0.0-SNAPSHOT",
            "2.0.0-rc",
            "2.0.0-rc100",
            "2.0.0.dev1",
            "2.0.0_Preview_3",
            "2.0.0-pre.1.2",
            "2.0.0-nightly.20250101",
            "2.0.0-canary",
        ] {
            assert!(TagVersion::read(&tag(text)).unwrap().is_prerelease_of(""), "{text}");
        }
        for text in ["2.0.0", "2.0.0-alpine", "2.0.0-1", "2.0.0-1-g1abc234", "2.0.0-src1", "2.0.0-devel"] {
            assert!(!TagVersion::read(&tag(text)).unwrap().is_prerelease(), "{text}");
        }
        assert!(TagVersion::read(&tag("2.0.0-alpine-beta1")).unwrap().is_prerelease_of("-alpine"));
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

    #[test]
    fn dates_and_hashes_are_no_versions() {
        let is_none = |text: &str| TagVersion::read(&tag(text)).unwrap().is_date_or_commit();
        for text in ["20250108", "4817263", "2024-01-01", "2024-01-01T00-00-00Z", "202501"] {
            assert!(is_none(text), "{text}");
        }
        for text in ["2024", "22", "2024.01.05", "v20250108", "22-04", "2024-alpine", "1.20250108"] {
            assert!(!is_none(text), "{text}");
        }
    }
}
