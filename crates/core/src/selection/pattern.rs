//! Tag patterns: `2.x.0`, `v2.13.x`, `2.13.x-alpine`.

use std::fmt;
use std::str::FromStr;

use super::TagVersion;
use super::matching::{Match, NearMiss, Suffix};
use crate::text::shorten;
use imgop_registry::reference::Tag;

/// A tag pattern of image-operator: dotted parts that are numbers or `x`, an
/// optional `v` before them, an optional literal suffix behind them.
///
/// * `x` (or `X`, `*`) is any number; every other part, and every dot, is literal.
/// * The number of parts is part of the pattern: `2.x` selects `2.13` and not `2.13.0`.
/// * Without a `v` it matches tags with and without one; with a `v`, only those with one.
/// * The whole tag must match, so `2.13.x` does not select `2.13.0-alpine`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: String,
    v_prefix: bool,
    parts: Vec<Part>,
    suffix: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Number(String),
    Any,
}

/// Bytes of a text that an error quotes.
const MAX_SHOWN: usize = 100;

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is not in the grammar.
    #[error(
        "{0:?} is not a tag pattern; write dotted numbers with x for any number, such as 2.13.x, v2.x.0 or \
         2.13.x-alpine"
    )]
    Unreadable(String),
    /// It has an x where that stands for nothing.
    #[error(
        "{0:?} has an x that stands for no number: only the dotted numbers at the beginning may have one, as in \
         2.13.x-alpine; write the suffix in full, or * and source.select.include"
    )]
    MisplacedX(String),
}

impl Pattern {
    /// Whether a text looks like a pattern, and not like an exact tag: one of its dotted parts, up to the
    /// first dash, is a wildcard. So does a text with an x in the place of a number behind those, which is
    /// then refused: it would else be an exact tag that the source does not have.
    pub fn looks_like(text: &str) -> bool {
        if text.contains('*') || has_misplaced_x(text) {
            return true;
        }
        let core = text.split('-').next().unwrap_or(text);
        let core = core.strip_prefix('v').unwrap_or(core);
        core.contains('.') && core.split('.').any(is_wildcard) || is_wildcard(core)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns a regular expression that matches what it selects as a whole.
    pub fn expression(&self) -> String {
        let part = |part: &Part| match part {
            Part::Number(number) => number.clone(),
            Part::Any => "[0-9]+".to_owned(),
        };
        let numbers = self.parts.iter().map(part).collect::<Vec<_>>().join("\\.");
        let v = if self.v_prefix { "[vV]" } else { "[vV]?" };
        format!("{v}{numbers}{}", self.suffix.replace('.', "\\."))
    }

    /// Returns whether a tag may be selected by both.
    pub fn may_overlap(&self, other: &Self) -> bool {
        let meets = |(one, other): (&Part, &Part)| one == other || *one == Part::Any || *other == Part::Any;
        self.suffix == other.suffix
            && self.parts.len() == other.parts.len()
            && self.parts.iter().zip(&other.parts).all(meets)
    }

    /// Compares a tag with this pattern.
    pub fn matches(&self, tag: &Tag) -> Match {
        TagVersion::read(tag).map_or(Match::No, |version| self.compare(&version).to_owned())
    }

    /// Compares a tag that was read with this pattern.
    pub(super) fn compare<'a>(&'a self, version: &TagVersion<'a>) -> Match<&'a str> {
        let common = self.parts.iter().zip(version.parts()).all(|(want, have)| match want {
            Part::Any => true,
            Part::Number(number) => number == have,
        });
        if !common {
            return Match::No;
        }
        let parts = version.number_of_parts();
        if parts != self.parts.len() {
            // Only a plain shorter or longer number is near; `2.13.4.5-foo` is something else.
            return if version.suffix == self.suffix && self.v_is_met(version) {
                Match::Near(NearMiss::Parts { tag: parts, pattern: self.parts.len() })
            } else {
                Match::No
            };
        }
        let suffix = Suffix { asked: &self.suffix, is_candidate: TagVersion::is_candidate_of };
        suffix.compare(version, self.v_is_met(version))
    }

    fn v_is_met(&self, version: &TagVersion<'_>) -> bool {
        version.v_prefix || !self.v_prefix
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shown = || shorten(text, MAX_SHOWN).into_owned();
        let error = || PatternError::Unreadable(shown());
        let (core, suffix) = text.find('-').map_or((text, ""), |dash| text.split_at(dash));
        let (v_prefix, core) = core.strip_prefix('v').map_or((false, core), |rest| (true, rest));
        if has_misplaced_x(suffix) || has_misplaced_x(core) && core.contains('_') {
            return Err(PatternError::MisplacedX(shown()));
        }
        let parts = core.split('.').map(Part::read).collect::<Option<Vec<_>>>().ok_or_else(error)?;
        let plain_suffix =
            suffix.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if text.len() > 128 || !plain_suffix || suffix == "-" || !parts.contains(&Part::Any) {
            return Err(error());
        }
        Ok(Self { text: text.to_owned(), v_prefix, parts, suffix: suffix.to_owned() })
    }
}

impl Part {
    fn read(text: &str) -> Option<Self> {
        if is_wildcard(text) {
            Some(Self::Any)
        } else if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            Some(Self::Number(text.to_owned()))
        } else {
            None
        }
    }
}

/// Whether an x stands where a number might, behind a digit and a dot, and is not a part of the dotted numbers.
fn has_misplaced_x(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_alone = |at: usize| bytes.get(at).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    let found = |(at, window): (usize, &[u8])| {
        window[0].is_ascii_digit()
            && window[1] == b'.'
            && matches!(window[2], b'x' | b'X')
            && is_alone(at + 3)
    };
    bytes.windows(3).enumerate().any(found)
}

fn is_wildcard(part: &str) -> bool {
    matches!(part, "x" | "X" | "*")
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    fn matching(text: &str, tags: &[&str]) -> Vec<String> {
        let pattern = pattern(text);
        tags.iter()
            .filter(|t| pattern.matches(&t.parse().unwrap()) == Match::Yes)
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn the_documented_patterns_select_what_they_say() {
        let tags = [
            "2.0.0",
            "2.1.0",
            "2.1.3",
            "3.1.0",
            "3.1.12",
            "3.2.0",
            "4.0.0",
            "4.12.7",
            "v2.13.0",
            "v2.13.10",
            "2.13.1",
            "2.13",
            "3.7.0",
            "latest",
            "2.13.4-alpine",
        ];
        assert_eq!(matching("2.x.0", &tags), ["2.0.0", "2.1.0", "v2.13.0"]);
        assert_eq!(matching("3.1.x", &tags), ["3.1.0", "3.1.12"]);
        assert_eq!(matching("4.x.x", &tags), ["4.0.0", "4.12.7"]);
        assert_eq!(matching("v2.13.x", &tags), ["v2.13.0", "v2.13.10"]);
        assert_eq!(matching("2.13.x", &tags), ["v2.13.0", "v2.13.10", "2.13.1"]);
        assert_eq!(matching("2.x", &tags), ["2.13"]);
        assert_eq!(matching("3.x.0", &tags), ["3.1.0", "3.2.0", "3.7.0"]);
        assert_eq!(matching("2.13.x-alpine", &tags), ["2.13.4-alpine"]);
        assert_eq!(matching("x.x.x", &["1.2.3", "1.2", "v1.2.3"]), ["1.2.3", "v1.2.3"]);
    }

    #[test]
    fn dots_are_literal_and_the_whole_tag_counts() {
        assert!(
            matching("2.13.x", &["2113.0", "2a13b0", "2-13-0", "12.13.0", "2.13.0.1", "vv2.13.0"]).is_empty()
        );
        assert!(matching("3.x", &["3020", "3-20"]).is_empty());
    }

    #[test]
    fn b10_candidates_with_two_digits_are_seen() {
        for tag in ["2.13.0-rc1", "v2.13.0-rc10", "2.13.0-rc.2"] {
            assert_eq!(pattern("2.13.x").matches(&tag.parse().unwrap()), Match::Candidate, "{tag}");
        }
        assert_eq!(pattern("2.13.x-alpine").matches(&"2.13.0-rc1-alpine".parse().unwrap()), Match::Candidate);
        assert_eq!(
            pattern("2.13.x").matches(&"2.13.0-rc1-alpine".parse().unwrap()),
            Match::Near(NearMiss::Suffix("-rc1-alpine".into()))
        );
    }

    #[test]
    fn near_misses_know_why() {
        let why = |p: &str, t: &str| match pattern(p).matches(&t.parse().unwrap()) {
            Match::Near(near) => near.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(why("2.13.x", "2.13.0-alpine"), "it ends in \"-alpine\", which is not asked for");
        assert_eq!(why("2.13.x-alpine", "2.13.0"), "it does not end in \"-alpine\"");
        assert_eq!(why("v2.13.x", "2.13.0"), "it has no leading v, which is asked for");
        assert_eq!(why("2.13.x", "2.13"), "it has 2 numbers, the pattern has 3");
        assert_eq!(why("2.13.x", "2.14.0"), "No");
        assert_eq!(why("2.13.x", "latest"), "No");
    }

    #[test]
    fn b8_unreadable_patterns_are_refused_and_never_a_panic() {
        for bad in [
            "",
            "(",
            "*",
            "2.**",
            "2.x.",
            ".x",
            "2.x-",
            "2.x-$(id)",
            "2.1[23].x",
            "2.13.0",
            "latest",
            "x.y",
            "v.x",
        ] {
            let result = bad.parse::<Pattern>();
            assert_eq!(result.is_ok(), bad == "*", "{bad}");
        }
    }

    #[test]
    fn an_x_behind_the_dotted_numbers_is_refused_and_never_an_exact_tag() {
        for text in ["22-alpine3.x", "1.x_foo", "2.13.x-alpine3.x", "v1.2.X_1", "3-debian12.x-slim"] {
            assert!(Pattern::looks_like(text), "{text}");
            assert!(matches!(text.parse::<Pattern>(), Err(PatternError::MisplacedX(_))), "{text}");
        }
        assert!("2.13.x-x86".parse::<Pattern>().is_ok() && !Pattern::looks_like("22-alpine3.xfce"));
    }

    #[test]
    fn exact_tags_do_not_look_like_patterns() {
        for exact in [
            "latest",
            "v2.13.1",
            "3.20",
            "RELEASE.2024-01-01T00-00-00Z",
            "linux-x",
            "1.2.3-x86",
            "1.2-beta.x",
        ] {
            assert!(!Pattern::looks_like(exact), "{exact}");
        }
        for pattern in ["2.x", "v2.13.x", "x.x", "2.13.x-alpine", "2.*", "2.x.y", "X.1", "x"] {
            assert!(Pattern::looks_like(pattern), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn a_number_in_the_place_of_each_x_matches(
            parts in proptest::collection::vec(proptest::option::of(0u32..200), 1..4),
            fill in 0u32..1000,
            v in proptest::bool::ANY,
        ) {
            prop_assume!(parts.iter().any(Option::is_none));
            let write = |hole: &str| {
                let joined: Vec<String> =
                    parts.iter().map(|p| p.map_or_else(|| hole.to_owned(), |n| n.to_string())).collect();
                format!("{}{}", if v { "v" } else { "" }, joined.join("."))
            };
            let pattern: Pattern = write("x").parse().unwrap();
            let tag: Tag = write(&fill.to_string()).parse().unwrap();
            prop_assert_eq!(pattern.matches(&tag), Match::Yes);
            let candidate: Tag = format!("{tag}-rc12").parse().unwrap();
            prop_assert_eq!(pattern.matches(&candidate), Match::Candidate);
        }

        #[test]
        fn its_expression_matches_what_it_selects_and_two_that_share_a_tag_overlap(
            one in "v?(x|1|2)(\\.(x|1|2)){1,2}(-a\\.b)?",
            other in "v?(x|1|2)(\\.(x|1|2)){1,2}(-a\\.b)?",
            tag in "[vV]?[12](\\.[12]){0,3}(-a[.x]b)?",
        ) {
            let (Ok(one), Ok(other)) = (one.parse::<Pattern>(), other.parse::<Pattern>()) else { return Ok(()) };
            let name: Tag = tag.parse().unwrap();
            let filter = super::super::Filter::new(&[one.expression()], &[], None).unwrap();
            let is_selected = one.matches(&name) == Match::Yes;
            prop_assert_eq!(filter.includes(&tag), is_selected);
            if is_selected && other.matches(&name) == Match::Yes {
                prop_assert!(one.may_overlap(&other) && other.may_overlap(&one));
            }
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in ".{0,40}", tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,30}") {
            if let Ok(pattern) = text.parse::<Pattern>() {
                pattern.matches(&tag.parse().unwrap());
            }
            Pattern::looks_like(&text);
        }
    }
}
