//! Version ranges: `>=2.13 <2.15`, `~2.13`, `^2`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::TagVersion;
use super::matching::{Match, NearMiss, Suffix};
use super::tag_version::compare_digits;
use crate::text::shorten;
use imgop_registry::reference::Tag;

/// Comparators that must all hold, separated by spaces or commas.
///
/// * `>`, `>=`, `<`, `<=`, `=` compare dotted numbers; missing ones are zero, so `2.13` is `2.13.0`.
/// * `~2.13` is `>=2.13 <2.14`, `~2.13.4` is `>=2.13.4 <2.14`, `~2` is `>=2 <3`.
/// * `^2.13` is `>=2.13 <3`, `^0.3` is `>=0.3 <0.4`: the first number that is not zero stays.
/// * A suffix, the same one on every comparator, selects tags that end in it:
///   `>=2.13-alpine <2.15-alpine`. Without one, tags with a suffix are not selected.
/// * Without a `v`, tags with and without one are selected; with a `v`, only those with one.
/// * A bound with several numbers selects only tags with several: `>=3.18` is no `20250108`. A single number
///   of six digits or more is a date or a commit, and selected only where a bound is as long.
///
/// Pre-releases are compared by their numbers: `2.15.0-rc1` is not `<2.15`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Range {
    text: String,
    v_prefix: bool,
    suffix: String,
    bounds: Vec<Bound>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Bound {
    operator: Operator,
    numbers: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operator {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Equal,
}

/// Bytes of a text that an error quotes.
const MAX_SHOWN: usize = 100;

/// Why a text is not a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// Not in the grammar.
    #[error(
        "{0:?} is not a version range; write comparators with dotted numbers, such as >=2.13 <2.15, ~2.13 or ^2"
    )]
    Unreadable(String),
    /// The suffixes differ.
    #[error("the comparators of {0:?} end in different suffixes; give each the same one")]
    Suffixes(String),
    /// Nothing can be in it.
    #[error("no version is in the range {0:?}")]
    Empty(String),
}

impl Range {
    /// Whether a text looks like a range, and not like a tag or a pattern.
    pub fn looks_like(text: &str) -> bool {
        text.contains(['<', '>', '=', '~', '^', ',', ' '])
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Compares a tag with this range.
    pub fn matches(&self, tag: &Tag) -> Match {
        TagVersion::read(tag).map_or(Match::No, |version| self.compare(&version).to_owned())
    }

    /// Compares a tag that was read with this range.
    pub(super) fn compare<'a>(&'a self, version: &TagVersion<'a>) -> Match<&'a str> {
        if !self.bounds.iter().all(|bound| bound.holds(version)) {
            return Match::No;
        }
        let suffix = Suffix { asked: &self.suffix, is_candidate: TagVersion::is_prerelease_of };
        let matched = suffix.compare(version, version.v_prefix || !self.v_prefix);
        match (matched, self.is_other_kind(version)) {
            (Match::Yes | Match::Candidate, Some(near_miss)) => Match::Near(near_miss),
            (matched, _) => matched,
        }
    }

    /// Returns why a tag is of another kind than this range's bounds, though its numbers are in the range.
    fn is_other_kind<'a>(&self, version: &TagVersion<'a>) -> Option<NearMiss<&'a str>> {
        let first = version.parts().next().unwrap_or_default();
        let is_as_long = |bound: &Bound| bound.numbers.first().is_some_and(|n| n.len() >= first.len());
        if version.number_of_parts() == 1 && self.bounds.iter().any(|bound| bound.numbers.len() > 1) {
            Some(NearMiss::OneNumber)
        } else if version.is_date_or_commit() && !self.bounds.iter().any(is_as_long) {
            Some(NearMiss::DateOrCommit)
        } else {
            None
        }
    }
}

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shown = shorten(text, MAX_SHOWN).into_owned();
        let unreadable = || RangeError::Unreadable(shown.clone());
        if text.len() > 128 {
            return Err(unreadable());
        }
        let (mut bounds, mut suffixes, mut v_prefix) = (Vec::new(), Vec::new(), false);
        let mut rest = text.trim_matches(' ');
        while !rest.is_empty() {
            let comparator;
            (comparator, rest) = Comparator::read(rest).ok_or_else(unreadable)?;
            add_bounds(comparator.operator, comparator.numbers, &mut bounds).ok_or_else(unreadable)?;
            v_prefix |= comparator.v_prefix;
            suffixes.push(comparator.suffix);
        }
        let suffix = suffixes.first().copied().ok_or_else(unreadable)?;
        if suffixes.iter().any(|s| *s != suffix) {
            return Err(RangeError::Suffixes(shown));
        }
        let range = Self { text: text.to_owned(), v_prefix, suffix: suffix.to_owned(), bounds };
        if range.is_empty() { Err(RangeError::Empty(shown)) } else { Ok(range) }
    }
}

/// One comparator as it is written: `>=v2.13-alpine`.
struct Comparator<'a> {
    operator: &'a str,
    v_prefix: bool,
    numbers: Vec<String>,
    suffix: &'a str,
}

impl<'a> Comparator<'a> {
    /// Reads the comparator that a text begins with. Returns it with what follows its separators; `None` if
    /// it is not in the grammar.
    fn read(text: &'a str) -> Option<(Self, &'a str)> {
        let (operator, behind) = text.split_at(text.find(|c| !"<>=~^".contains(c))?);
        let behind = behind.trim_start_matches(' ');
        let end = behind.find([' ', ',', '<', '>', '=', '~', '^']).unwrap_or(behind.len());
        let (version, rest) = behind.split_at(end);
        let (number, suffix) = version.find('-').map_or((version, ""), |dash| version.split_at(dash));
        let (v_prefix, number) = number.strip_prefix('v').map_or((false, number), |n| (true, n));
        let numbers: Vec<String> = number.split('.').map(str::to_owned).collect();
        let is_readable = numbers.iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
            && suffix != "-"
            && suffix.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        let comparator = Self { operator, v_prefix, numbers, suffix };
        is_readable.then(|| (comparator, rest.trim_start_matches([' ', ','])))
    }
}

impl Range {
    /// Whether a lower bound lies above an upper one.
    fn is_empty(&self) -> bool {
        let lower =
            |b: &&Bound| matches!(b.operator, Operator::Greater | Operator::GreaterOrEqual | Operator::Equal);
        let upper =
            |b: &&Bound| matches!(b.operator, Operator::Less | Operator::LessOrEqual | Operator::Equal);
        self.bounds.iter().filter(lower).any(|low| {
            self.bounds.iter().filter(upper).any(|high| match compare(low.parts(), high.parts()) {
                Ordering::Greater => true,
                Ordering::Equal => low.operator == Operator::Greater || high.operator == Operator::Less,
                Ordering::Less => false,
            })
        })
    }
}

/// Adds what an operator means; none for one that does not exist.
fn add_bounds(operator: &str, numbers: Vec<String>, bounds: &mut Vec<Bound>) -> Option<()> {
    let operator = match operator {
        ">" => Operator::Greater,
        ">=" => Operator::GreaterOrEqual,
        "<" => Operator::Less,
        "<=" => Operator::LessOrEqual,
        "=" | "==" => Operator::Equal,
        "~" | "^" => {
            let kept = match operator {
                "~" => numbers.len().min(2),
                _ => {
                    numbers.iter().position(|n| n.bytes().any(|b| b != b'0')).map_or(numbers.len(), |i| i + 1)
                }
            };
            let next = increment(&numbers[..kept]);
            bounds.push(Bound { operator: Operator::GreaterOrEqual, numbers });
            bounds.push(Bound { operator: Operator::Less, numbers: next });
            return Some(());
        }
        _ => return None,
    };
    bounds.push(Bound { operator, numbers });
    Some(())
}

/// `2.14` for `2.13`: the last number plus one, of any length.
fn increment(numbers: &[String]) -> Vec<String> {
    let mut next = numbers.to_vec();
    if let Some(last) = next.last_mut() {
        let mut digits: Vec<u8> = last.bytes().rev().collect();
        let mut carry = true;
        for digit in &mut digits {
            if carry {
                carry = *digit == b'9';
                *digit = if carry { b'0' } else { *digit + 1 };
            }
        }
        if carry {
            digits.push(b'1');
        }
        *last = digits.iter().rev().map(|d| char::from(*d)).collect();
    }
    next
}

impl Bound {
    fn parts(&self) -> impl Iterator<Item = &str> {
        self.numbers.iter().map(String::as_str)
    }

    fn holds(&self, version: &TagVersion<'_>) -> bool {
        let order = compare(version.parts(), self.parts());
        match self.operator {
            Operator::Greater => order.is_gt(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Equal => order.is_eq(),
        }
    }
}

/// Compares dotted numbers; those that one side lacks are zero.
fn compare<'n>(mut a: impl Iterator<Item = &'n str>, mut b: impl Iterator<Item = &'n str>) -> Ordering {
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => compare_digits(a.unwrap_or("0"), b.unwrap_or("0")),
        };
        if order.is_ne() {
            return order;
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matching(range: &str, tags: &[&str]) -> Vec<String> {
        let range: Range = range.parse().unwrap();
        tags.iter()
            .filter(|tag| range.matches(&tag.parse().unwrap()) == Match::Yes)
            .map(ToString::to_string)
            .collect()
    }

    const TAGS: [&str; 14] = [
        "0.3.0",
        "0.3.9",
        "0.4.0",
        "1.9.9",
        "2.12.9",
        "2.13",
        "2.13.0",
        "v2.13.4",
        "2.14.7",
        "2.15.0",
        "3.0.0",
        "2.14.0-rc1",
        "2.14.0-alpine",
        "latest",
    ];

    #[test]
    fn every_comparator_must_hold() {
        let middle = ["2.13", "2.13.0", "v2.13.4", "2.14.7"];
        for same in [">=2.13 <2.15", ">=2.13, <2.15", ">=2.13,<2.15", ">=2.13<2.15", ">= 2.13 < 2.15.0"] {
            assert_eq!(matching(same, &TAGS), middle, "{same}");
        }
        assert_eq!(matching(">2.13.0 <=2.14.7", &TAGS), ["v2.13.4", "2.14.7"]);
        assert_eq!(matching("=2.13", &TAGS), ["2.13", "2.13.0"]);
        assert_eq!(matching(">=v2.13 <v3", &TAGS), ["v2.13.4"]);
    }

    #[test]
    fn tilde_and_caret_mean_what_they_do_elsewhere() {
        assert_eq!(matching("~2.13", &TAGS), ["2.13", "2.13.0", "v2.13.4"]);
        assert_eq!(matching("~2.13.1", &TAGS), ["v2.13.4"]);
        assert_eq!(matching("~2", &TAGS), ["2.12.9", "2.13", "2.13.0", "v2.13.4", "2.14.7", "2.15.0"]);
        assert_eq!(matching("^2.14", &TAGS), ["2.14.7", "2.15.0"]);
        assert_eq!(matching("^0.3", &TAGS), ["0.3.0", "0.3.9"]);
        assert_eq!(matching("^0.3.1", &TAGS), ["0.3.9"]);
        assert_eq!(matching("~1.9.9", &["1.9.9", "1.9.10", "1.10.0"]), ["1.9.9", "1.9.10"]);
        assert_eq!(matching("~1.99", &["1.99.1", "1.100.0"]), ["1.99.1"]);
    }

    #[test]
    fn candidates_and_suffixes_are_near() {
        let range: Range = ">=2.13 <2.15".parse().unwrap();
        assert_eq!(range.matches(&"2.14.0-rc1".parse().unwrap()), Match::Candidate);
        assert_eq!(range.matches(&"2.15.0-rc1".parse().unwrap()), Match::No);
        assert_eq!(
            range.matches(&"2.14.0-alpine".parse().unwrap()),
            Match::Near(NearMiss::Suffix("-alpine".into()))
        );
        assert_eq!(matching(">=2.13-alpine <2.15-alpine", &TAGS), ["2.14.0-alpine"]);
    }

    #[test]
    fn b8_what_cannot_be_read_or_met_is_refused() {
        for bad in [
            "",
            ">",
            ">=",
            "2.13",
            ">=x",
            ">=2.x",
            "=>2",
            "~>2",
            ">=2..1",
            ">=-1",
            ">=2-",
            "> = 2",
            "2.13 <3",
            ">=2 ||<1",
            ">=2 $(id)",
        ] {
            assert!(matches!(bad.parse::<Range>(), Err(RangeError::Unreadable(_))), "{bad}");
        }
        assert!(matches!(">=2-alpine <3".parse::<Range>(), Err(RangeError::Suffixes(_))));
        for empty in [">=3 <2", ">2 <2", ">=2.0 <2", "=1 =2"] {
            assert!(matches!(empty.parse::<Range>(), Err(RangeError::Empty(_))), "{empty}");
        }
    }

    #[test]
    fn r8_a_bound_with_several_numbers_selects_no_single_one() {
        let tags = ["3.18", "3.18.4", "20250108", "4", "edge"];
        assert_eq!(matching(">=3.18", &tags), ["3.18", "3.18.4"]);
        assert_eq!(matching(">=3", &tags), ["3.18", "3.18.4", "4"]);
        let why = |range: &str, tag: &str| range.parse::<Range>().unwrap().matches(&tag.parse().unwrap());
        assert_eq!(why(">=3.18", "20250108"), Match::Near(NearMiss::OneNumber));
        assert_eq!(why(">=3", "20250108"), Match::Near(NearMiss::DateOrCommit));
        assert_eq!(why(">=3.18", "20250108.1"), Match::Near(NearMiss::DateOrCommit));
        assert_eq!(
            matching(">=1", &["99998", "99999", "100000", "V2.0"]),
            ["99998", "99999", "100000", "V2.0"]
        );
        assert_eq!(
            matching(">=20250101", &["20250108.1", "20250108.2", "3.18"]),
            ["20250108.1", "20250108.2"]
        );
    }

    #[test]
    fn r8_a_date_or_a_commit_is_selected_only_by_a_bound_as_long() {
        assert_eq!(matching(">=1", &["1.2.3", "1.2.4", "4567543"]), ["1.2.3", "1.2.4"]);
        assert_eq!(matching(">=20240101", &["1.2.3", "20240101", "20250108"]), ["20240101", "20250108"]);
    }

    #[test]
    fn r8_pre_releases_of_any_kind_are_let_in_by_the_switch_only() {
        let range: Range = ">=2.0".parse().unwrap();
        for tag in ["2.0.0-beta.1", "2.0.0-RC1", "2.0.0rc1", "2.0.0-SNAPSHOT", "2.0.0-rc-1", "2.0.0-rc"] {
            assert_eq!(range.matches(&tag.parse().unwrap()), Match::Candidate, "{tag}");
        }
        let slim = range.matches(&"2.0.0-slim".parse().unwrap());
        assert_eq!(slim, Match::Near(NearMiss::Suffix("-slim".into())));
    }

    proptest! {
        #[test]
        fn ranges_of_full_versions_agree_with_the_semver_crate(
            a in (0u64..4, 0u64..4, 0u64..4), low in (0u64..4, 0u64..4, 0u64..4), operator in "(>|>=|<|<=|=|~|\\^)",
        ) {
            let write = |v: (u64, u64, u64)| format!("{}.{}.{}", v.0, v.1, v.2);
            let text = format!("{operator}{}", write(low));
            let ours = text.parse::<Range>().unwrap().matches(&write(a).parse().unwrap()) == Match::Yes;
            let theirs = semver::VersionReq::parse(&text).unwrap().matches(&write(a).parse().unwrap());
            prop_assert_eq!(ours, theirs, "{} in {}", write(a), text);
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "[<>=~^ ,v0-9.x-]{0,30}", tag in "v?[0-9.]{1,10}[a-z-]{0,5}") {
            if let (Ok(range), Ok(tag)) = (text.parse::<Range>(), tag.parse::<Tag>()) {
                range.matches(&tag);
            }
        }
    }
}
