//! What narrows the tags that a version selects: `include`, `exclude`, `latest`.

use regex::Regex;

/// What narrows the tags that a version selects.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    include: Vec<Regex>,
    exclude: Vec<Regex>,
    /// Only this many of the newest versions, counted after everything else but `select.minAge`.
    pub latest: Option<usize>,
}

/// Why a text is not a regular expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{expression:?} is not a regular expression: {problem}")]
pub struct FilterError {
    /// As it was written.
    expression: String,
    /// What is wrong with it.
    problem: String,
}

/// The largest compiled expression, in bytes; a hostile one would take any amount.
const MAX_COMPILED: usize = 1 << 20;

impl Filter {
    /// Compiles the expressions. Each must match the whole tag: half a match in a rule that lets
    /// things in is how such rules are passed by.
    pub fn new(include: &[String], exclude: &[String], latest: Option<usize>) -> Result<Self, FilterError> {
        let compile = |expressions: &[String]| -> Result<Vec<Regex>, FilterError> {
            expressions.iter().map(|e| whole(e)).collect()
        };
        Ok(Self { include: compile(include)?, exclude: compile(exclude)?, latest })
    }

    /// Returns whether one of `include` matches a tag, or there is none.
    pub fn includes(&self, tag: &str) -> bool {
        self.include.is_empty() || self.include.iter().any(|e| e.is_match(tag))
    }

    /// Returns the expression of `exclude` that keeps a tag out.
    pub fn excluded_by(&self, tag: &str) -> Option<&str> {
        self.exclude.iter().find(|e| e.is_match(tag)).map(|e| inner(e.as_str()))
    }
}

// Compiled expressions are equal when they were written alike.
impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        let texts = |all: &[Regex]| all.iter().map(|e| e.as_str().to_owned()).collect::<Vec<_>>();
        self.latest == other.latest
            && texts(&self.include) == texts(&other.include)
            && texts(&self.exclude) == texts(&other.exclude)
    }
}

impl Eq for Filter {}

fn whole(expression: &str) -> Result<Regex, FilterError> {
    let compile = |text: &str| regex::RegexBuilder::new(text).size_limit(MAX_COMPILED).build();
    // By itself first: `a)|(b` would become an expression by what is put around it.
    compile(expression).and_then(|_| compile(&format!("^(?:{expression})$"))).map_err(|error| {
        let problem = error.to_string();
        let problem = problem.lines().last().unwrap_or_default().trim();
        FilterError {
            expression: expression.to_owned(),
            problem: problem.trim_start_matches("error: ").to_owned(),
        }
    })
}

fn inner(whole: &str) -> &str {
    whole.strip_prefix("^(?:").and_then(|e| e.strip_suffix(")$")).unwrap_or(whole)
}

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
    fn b8_a_bad_expression_is_an_error_that_quotes_it() {
        for bad in ["(", "*", "[", "a)|(b", "x{1000000}{1000}"] {
            let error = Filter::new(&[bad.to_owned()], &[], None).unwrap_err().to_string();
            assert!(error.contains(&format!("{bad:?}")) && error.lines().count() == 1, "{error}");
        }
    }
}
