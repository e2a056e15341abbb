//! Version ranges: `>=2.13 <2.15`, `~2.13`, `^2`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::TagVersion;
use super::pattern::{Match, NearMiss, Suffix};
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
        let Some(version) = TagVersion::read(tag) else { return Match::No };
        let numbers: Vec<&str> = version.parts().collect();
        if !self.bounds.iter().all(|bound| bound.holds(&numbers)) {
            return Match::No;
        }
        let suffix = Suffix { asked: &self.suffix, is_candidate: TagVersion::is_prerelease_of };
        let matched = suffix.matches(&version, version.v_prefix || !self.v_prefix);
        match (matched, self.one_number(&version, &numbers)) {
            (Match::Yes | Match::Candidate, Some(near_miss)) => Match::Near(near_miss),
            (matched, _) => matched,
        }
    }

    /// Returns why the single number of a tag is none of this range's.
    fn one_number(&self, version: &TagVersion<'_>, numbers: &[&str]) -> Option<NearMiss> {
        let [number] = numbers else { return None };
        let is_as_long = |bound: &Bound| bound.numbers.first().is_some_and(|n| n.len() >= number.len());
        if self.bounds.iter().any(|bound| bound.numbers.len() > 1) {
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
            let operator_end = rest.find(|c| !"<>=~^".contains(c)).ok_or_else(unreadable)?;
            let (operator, behind) = rest.split_at(operator_end);
            let behind = behind.trim_start_matches(' ');
            let end = behind.find([' ', ',', '<', '>', '=', '~', '^']).unwrap_or(behind.len());
            let (version, next) = behind.split_at(end);
            let (number, suffix) = version.find('-').map_or((version, ""), |dash| version.split_at(dash));
            let (has_v, number) = number.strip_prefix('v').map_or((false, number), |n| (true, n));
            let numbers: Vec<String> = number.split('.').map(str::to_owned).collect();
            let readable = numbers.iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
                && suffix != "-"
                && suffix.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
            if !readable {
                return Err(unreadable());
            }
            add_bounds(operator, numbers, &mut bounds).ok_or_else(unreadable)?;
            v_prefix |= has_v;
            suffixes.push(suffix);
            rest = next.trim_start_matches([' ', ',']);
        }
        let suffix = suffixes.first().copied().ok_or_else(unreadable)?;
        if suffixes.iter().any(|s| *s != suffix) {
            return Err(RangeError::Suffixes(shown));
        }
        let range = Self { text: text.to_owned(), v_prefix, suffix: suffix.to_owned(), bounds };
        if range.is_empty() { Err(RangeError::Empty(shown)) } else { Ok(range) }
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
            self.bounds.iter().filter(upper).any(|high| match compare(&low.numbers, &high.numbers) {
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
    fn holds(&self, numbers: &[&str]) -> bool {
        let order = compare(numbers, &self.numbers);
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
fn compare(a: &[impl AsRef<str>], b: &[impl AsRef<str>]) -> Ordering {
    (0..a.len().max(b.len()))
        .map(|i| {
            let (x, y) = (a.get(i).map_or("0", AsRef::as_ref), b.get(i).map_or("0", AsRef::as_ref));
            compare_digits(x, y)
        })
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
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
