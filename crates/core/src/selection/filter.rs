//! What narrows the tags that a version selects: `include`, `exclude`, `latest`.

use std::fmt;
use std::sync::Arc;

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

/// What narrows the tags that a version selects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    include: Vec<Expression>,
    exclude: Vec<Expression>,
    /// Only this many of the newest versions, counted after everything else but `select.minAge`.
    pub latest: Option<usize>,
}

/// Why a text cannot be used as a regular expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It is none.
    #[error("{expression:?} is not a regular expression: {problem}")]
    Unreadable {
        /// As it was written.
        expression: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It takes more memory than there is for all of them.
    #[error(
        "{0:?} is too complex together with the other expressions of select; write it with fewer alternatives and \
         smaller numbers in braces"
    )]
    TooComplex(String),
}

/// Bytes that all expressions of one filter may take compiled.
const MAX_COMPILED: usize = 512 << 10;

impl Filter {
    /// Compiles the expressions. Each must match the whole tag: half a match in a rule that lets
    /// things in is how such rules are passed by.
    pub fn new(include: &[String], exclude: &[String], latest: Option<usize>) -> Result<Self, FilterError> {
        let mut free = MAX_COMPILED;
        let mut compile = |expressions: &[String]| -> Result<Vec<Expression>, FilterError> {
            expressions.iter().map(|text| Expression::compile(text, &mut free)).collect()
        };
        Ok(Self { include: compile(include)?, exclude: compile(exclude)?, latest })
    }

    /// Returns whether one of `include` matches a tag, or there is none.
    pub fn includes(&self, tag: &str) -> bool {
        self.include.is_empty() || self.include.iter().any(|expression| expression.matches(tag))
    }

    /// Returns the expression of `exclude` that keeps a tag out.
    pub fn excluded_by(&self, tag: &str) -> Option<&str> {
        self.exclude.iter().find(|expression| expression.matches(tag)).map(|expression| &*expression.text)
    }
}

/// A regular expression as an automaton with one step a byte. Engines that save memory by working the
/// automaton out while they match take many steps a byte for expressions that are written for that, and the
/// expressions and the tags may be a tenant's.
#[derive(Clone)]
struct Expression {
    text: String,
    automaton: Arc<dense::DFA<Vec<u32>>>,
}

impl Expression {
    /// Compiles an expression within `free` bytes, of which it takes what it needs.
    fn compile(text: &str, free: &mut usize) -> Result<Self, FilterError> {
        // Tags are ASCII, and classes such as \d are small without Unicode; \p{..} cannot be without it.
        let parse = |unicode| syntax::parse_with(text, &syntax::Config::new().unicode(unicode).utf8(false));
        let parsed = parse(false).or_else(|_| parse(true)).map_err(|error| {
            let problem = error.to_string();
            let problem = problem.lines().last().unwrap_or_default().trim();
            FilterError::Unreadable {
                expression: text.to_owned(),
                problem: problem.trim_start_matches("error: ").to_owned(),
            }
        })?;
        let too_complex = || FilterError::TooComplex(text.to_owned());
        let nfa = thompson::Compiler::new()
            .configure(thompson::Config::new().utf8(false).nfa_size_limit(Some(*free)))
            .build_from_hir(&parsed)
            .map_err(|_| too_complex())?;
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            // The longest match is the one that may reach the end of the tag.
            .match_kind(MatchKind::All)
            .dfa_size_limit(Some(*free))
            .determinize_size_limit(Some(MAX_COMPILED));
        let automaton =
            dense::Builder::new().configure(config).build_from_nfa(&nfa).map_err(|_| too_complex())?;
        *free = free.checked_sub(automaton.memory_usage()).ok_or_else(too_complex)?;
        Ok(Self { text: text.to_owned(), automaton: Arc::new(automaton) })
    }

    /// Returns whether the whole tag matches.
    fn matches(&self, tag: &str) -> bool {
        let found = self.automaton.try_search_fwd(&Input::new(tag).anchored(Anchored::Yes));
        found.is_ok_and(|end| end.is_some_and(|end| end.offset() == tag.len()))
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

// Compiled expressions are equal when they were written alike.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> Filter {
        let owned = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        Filter::new(&owned(include), &owned(exclude), None).unwrap()
    }

    #[test]
    fn the_whole_tag_must_match() {
        let filter = filter(&["v?2\\.13\\..*", "latest"], &[".*-debug", "a|b"]);
        assert!(filter.includes("v2.13.1") && filter.includes("latest"));
        assert!(!filter.includes("12.13.1") && !filter.includes("latest-2"));
        assert_eq!(filter.excluded_by("2.13.1-debug"), Some(".*-debug"));
        assert_eq!(filter.excluded_by("b"), Some("a|b"));
        assert_eq!(filter.excluded_by("ab"), None);
    }

    #[test]
    fn nothing_given_lets_everything_in() {
        let filter = Filter::default();
        assert!(filter.includes("x") && filter.excluded_by("x").is_none());
    }

    proptest! {
        #[test]
        fn any_expression_is_compiled_or_refused_in_one_line_without_a_panic(
            expression in prop_oneof![".{0,60}", r"([a-z0-9.*+?|()\[\]{}^$\\-]|\\d|\\p\{L\}|\(\?[imsx-]{1,3}|\{9{1,6}\}){0,40}"],
            tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}",
        ) {
            match Filter::new(std::slice::from_ref(&expression), std::slice::from_ref(&expression), None) {
                // Both match the whole tag or neither does; matching takes time linear in the tag.
                Ok(filter) => {
                    prop_assert_eq!(filter.includes(&tag), filter.excluded_by(&tag).is_some());
                }
                Err(error) => prop_assert_eq!(error.to_string().lines().count(), 1),
            }
        }
    }

    #[test]
    fn an_expression_that_would_take_many_steps_a_byte_is_refused() {
        let refused =
            |include: &[String]| matches!(Filter::new(include, &[], None), Err(FilterError::TooComplex(_)));
        assert!(refused(&[".*[a-m].{100}[n-z]".to_owned()]));
        assert!(refused(&[r"(.*\w{40}){20}".to_owned()]));
        // Each alone is small enough.
        let large: Vec<String> = (0..16).map(|n| format!(".*a.{{10}}{n}")).collect();
        assert!(!refused(&large[..1]) && refused(&large));
        let error = Filter::new(&[], &["(a{1000}){1000}".to_owned()], None).unwrap_err().to_string();
        assert!(error.starts_with(r#""(a{1000}){1000}" is too complex"#), "{error}");
    }

    #[test]
    fn expressions_that_people_write_are_taken_many_at_once() {
        let words: Vec<String> = (0..40).map(|n| format!("word{n}")).collect();
        let longest: String = format!(".*-({}).*", words.join("|")).chars().take(250).collect();
        let longest = format!("{})", longest.trim_end_matches(['|', ')', '.', '*']));
        let mut all: Vec<String> = [
            r"v?\d+\.\d+\.\d+(-rc\.?\d{1,2})?",
            r"(?i).*-(alpine|slim|debian|bookworm|bullseye|windowsservercore)(-.*)?",
            r"[a-f0-9]{40}",
            r"RELEASE\.\d{4}-\d{2}-\d{2}T.*Z",
            r".*\bnightly\b.*",
            r"[\p{L}\d]+",
        ]
        .map(str::to_owned)
        .to_vec();
        all.resize(15, r"2\.1[0-9]\..*".to_owned());
        all.push(longest);
        let filter = Filter::new(&all, &all, None).unwrap();
        for tag in ["v2.13.1-rc.10", "3-Alpine-2", "1-word7", "x-nightly-1", "2.13.0"] {
            assert!(filter.includes(tag) && filter.excluded_by(tag).is_some(), "{tag}");
        }
        assert!(!filter.includes("2.9.1-"));
    }

    #[test]
    fn b8_a_bad_expression_is_an_error_that_quotes_it() {
        for bad in ["(", "*", "[", "a)|(b", "x{1000000}{1000}"] {
            let error = Filter::new(&[bad.to_owned()], &[], None).unwrap_err().to_string();
            assert!(error.contains(&format!("{bad:?}")) && error.lines().count() == 1, "{error}");
        }
    }
}
