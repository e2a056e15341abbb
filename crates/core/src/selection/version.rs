//! How tags that look like versions are read and ordered.

use std::cmp::Ordering;

use imgop_registry::reference::Tag;

/// A tag read as a version: an optional `v`, dotted numbers, and whatever follows them.
///
/// A view into the tag's text: the tag itself is never rewritten, so no `v` is lost and nothing is
/// padded (what `Latest` of rancher/image-mirror does: seeds.md §3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagVersion<'a> {
    /// Whether the tag begins with `v`.
    pub v_prefix: bool,
    /// `2.13.4` of `v2.13.4-rc1`.
    pub numbers: &'a str,
    /// `-rc1` of `v2.13.4-rc1`; empty for most releases.
    pub suffix: &'a str,
}

impl<'a> TagVersion<'a> {
    /// Reads a tag; none when it does not begin with a number, such as `latest`.
    pub fn read(tag: &'a Tag) -> Option<Self> {
        let text = tag.as_str();
        let (v_prefix, rest) = match text.strip_prefix('v') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mut start, mut end) = (0, 0);
        for part in rest.split('.') {
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
        (end > 0).then(|| Self { v_prefix, numbers: &rest[..end], suffix: &rest[end..] })
    }

    /// The dotted numbers one by one, as text.
    pub fn parts(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.numbers.split('.')
    }

    /// Whether this is a candidate of what has that suffix: what follows the numbers is the suffix with
    /// `-rc1`, `-rc10` or `-rc.1` at either end of it (`-rc1-alpine`, `-alpine-rc1`). The documented
    /// form of image-operator is `-rc` and one or two digits; its code knew one digit only (seed bug B10).
    pub fn is_candidate_of(&self, suffix: &str) -> bool {
        self.candidate().is_some_and(|mark| {
            let (before, after) = (&self.suffix[..mark.start], &self.suffix[mark.end..]);
            suffix.strip_prefix(before) == Some(after)
        })
    }

    /// Whether this is a release candidate of anything.
    pub fn is_candidate(&self) -> bool {
        self.candidate().is_some()
    }

    /// Where the candidate mark stands in the suffix, with the dash before it.
    fn candidate(&self) -> Option<std::ops::Range<usize>> {
        let mut start = self.suffix.find('-')?;
        loop {
            let part = self.suffix[start + 1..].split('-').next().unwrap_or_default();
            let end = start + 1 + part.len();
            if is_candidate(part) {
                return Some(start..end);
            }
            if end == self.suffix.len() {
                return None;
            }
            start = end;
        }
    }

    /// Candidates come before the plain version, other suffixes after it.
    pub(super) fn rank(&self) -> u8 {
        if self.candidate().is_some() { 0 } else { 1 + u8::from(!self.suffix.is_empty()) }
    }
}

fn is_candidate(part: &str) -> bool {
    let Some(number) = part.strip_prefix("rc") else { return false };
    let number = number.strip_prefix('.').unwrap_or(number);
    matches!(number.len(), 1 | 2) && number.bytes().all(|b| b.is_ascii_digit())
}

/// Orders tags as people read versions, oldest first: numbers by value, candidates below their
/// release and by number (`rc2` before `rc10`), other suffixes after the plain version, and names
/// that are no versions (`latest`) first. Total: equal versions are ordered by their text.
/// `Ranked` has the same order for long lists.
pub fn by_version(a: &Tag, b: &Tag) -> Ordering {
    match (TagVersion::read(a), TagVersion::read(b)) {
        (None, None) => a.cmp(b),
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(x), Some(y)) => compare_numbers(x.numbers, y.numbers)
            .then_with(|| x.rank().cmp(&y.rank()))
            .then_with(|| natural(x.suffix, y.suffix))
            .then_with(|| a.cmp(b)),
    }
}

fn compare_numbers(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => match compare_digits(x, y) {
                Ordering::Equal => {}
                other => return other,
            },
        }
    }
}

/// Numbers of any length: no integer type to overflow.
pub(super) fn compare_digits(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Text with the numbers in it compared by value.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    while !a.is_empty() && !b.is_empty() {
        let ((x, x_is_number), (y, y_is_number)) = (first_run(a), first_run(b));
        let order = if x_is_number && y_is_number { compare_digits(x, y) } else { x.cmp(y) };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (&a[x.len()..], &b[y.len()..]);
    }
    a.len().cmp(&b.len())
}

/// The run of digits, or of anything else, that a text begins with. Tags are ASCII.
pub(super) fn first_run(text: &str) -> (&str, bool) {
    let number = text.bytes().next().is_some_and(|b| b.is_ascii_digit());
    let end = text.bytes().position(|b| b.is_ascii_digit() != number).unwrap_or(text.len());
    (&text[..end], number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tag(text: &str) -> Tag {
        text.parse().unwrap()
    }

    #[test]
    fn versions_are_ordered_as_people_read_them() {
        let ordered = [
            "latest",
            "v1.2",
            "1.2.3",
            "1.10.0",
            "2.13.4-rc1",
            "2.13.4-rc2",
            "2.13.4-rc10",
            "2.13.4",
            "v2.13.4",
            "2.13.4-alpine",
            "2.13.10",
            "99999999999999999999999.1",
        ];
        let mut shuffled: Vec<Tag> = ordered.iter().rev().map(|t| tag(t)).collect();
        shuffled.sort_by(by_version);
        assert_eq!(shuffled.iter().map(Tag::as_str).collect::<Vec<_>>(), ordered);
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

    proptest! {
        #[test]
        fn the_order_is_total(a in "v?[0-9a-z.-]{1,12}", b in "v?[0-9a-z.-]{1,12}", c in "v?[0-9a-z.-]{1,12}") {
            let tags: Vec<Tag> = [a, b, c].iter().filter_map(|t| t.parse().ok()).collect();
            for x in &tags {
                for y in &tags {
                    prop_assert_eq!(by_version(x, y), by_version(y, x).reverse());
                    prop_assert_eq!(by_version(x, y) == Ordering::Equal, x == y);
                    for z in &tags {
                        if by_version(x, y).is_le() && by_version(y, z).is_le() {
                            prop_assert!(by_version(x, z).is_le());
                        }
                    }
                }
            }
        }
    }
}
