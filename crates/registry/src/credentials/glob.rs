//! The patterns of registry entries: `quay.io`, `*.corp.example`, `quay.io/team`.
//!
//! As Go's `path.Match` reads them. The crate globset does not: it takes `{a,b}`, `[!a]` and `[-]`.

use regex::Regex;

use super::docker_config::{is_below, split_key};
use crate::reference::RegistryHost;

/// Which registries and repositories an entry is for.
#[derive(Debug, Clone)]
pub(crate) enum RegistryGlob {
    /// One registry, or what is below a path there.
    Exact(RegistryHost, String),
    /// Wildcards, as Go's `path.Match` has them: `*`, `?` and `[…]` stand for anything but a slash.
    Wildcard {
        host: Regex,
        /// One for each part of the path, from its beginning.
        path: Vec<Regex>,
        /// Bytes of the pattern.
        length: usize,
    },
}

impl RegistryGlob {
    /// Parses a pattern. Returns `None` if it is neither a registry nor a pattern for registries.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bare = text.trim().trim_start_matches("https://").trim_start_matches("http://");
        let bare = bare.trim_end_matches('/');
        if !bare.contains(['*', '?', '[', '\\']) || bare.starts_with('[') && is_address(bare) {
            return split_key(bare).map(|(host, path)| Self::Exact(host, path));
        }
        let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
        let parts = path.split('/').filter(|_| !path.is_empty());
        let path = parts.map(glob).collect::<Option<Vec<Regex>>>()?;
        Some(Self::Wildcard { host: glob(&host.to_ascii_lowercase())?, path, length: bare.len() })
    }

    /// Whether there is no wildcard in it.
    pub(crate) fn is_exact(&self) -> bool {
        matches!(self, Self::Exact(..))
    }

    /// Returns how specific it is, in bytes. All names of Docker Hub are equally so.
    pub(crate) fn length(&self) -> usize {
        match self {
            Self::Exact(host, path) if path.is_empty() => host.as_str().len(),
            Self::Exact(host, path) => host.as_str().len() + 1 + path.len(),
            Self::Wildcard { length, .. } => *length,
        }
    }

    /// Whether it is for this repository.
    pub(crate) fn matches(&self, host: &RegistryHost, path: &str) -> bool {
        match self {
            Self::Exact(own, prefix) => own == host && is_below(path, prefix),
            Self::Wildcard { host: own, path: parts, .. } => {
                let mut given = path.split('/');
                own.is_match(host.as_str())
                    && parts.iter().all(|part| given.next().is_some_and(|given| part.is_match(given)))
            }
        }
    }
}

/// A text of which some characters may be any, as Go's `path.Match` reads it: `*`, `?` and `[…]` stand for anything but a
/// slash.
#[derive(Debug, Clone)]
pub struct Glob(Regex);

impl Glob {
    /// Reads a pattern. Returns `None` if it is empty, or has a class that is none.
    pub fn parse(pattern: &str) -> Option<Self> {
        glob(pattern).map(Self)
    }

    /// Whether all of a text fits.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// `[::1]:5000` has brackets and is no pattern.
fn is_address(text: &str) -> bool {
    split_key(text).is_some()
}

/// Translates a pattern, whose slashes stand for themselves. Regular expressions of this crate take linear time, which a
/// backtracking matcher does not.
fn glob(pattern: &str) -> Option<Regex> {
    let mut expression = String::from(r"\A(?s:");
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' => expression.push_str("[^/]*"),
            '?' => expression.push_str("[^/]"),
            '[' => class(&mut rest, &mut expression)?,
            '\\' => expression.push_str(&literal(rest.next()?)),
            c => expression.push_str(&literal(c)),
        }
    }
    expression.push_str(r")\z");
    if pattern.is_empty() { None } else { Regex::new(&expression).ok() }
}

/// Translates a class behind its bracket: `[a-z]`, `[^0-9]`. An empty one is invalid in Go's grammar.
fn class(rest: &mut std::str::Chars<'_>, expression: &mut String) -> Option<()> {
    expression.push('[');
    let mut next = rest.next()?;
    if next == '^' {
        expression.push_str("^/");
        next = rest.next()?;
    }
    let mut is_empty = true;
    while next != ']' || is_empty {
        if next == ']' {
            return None;
        }
        let low = member(next, rest)?;
        expression.push_str(&literal(low));
        next = rest.next()?;
        if next == '-' {
            let first = rest.next()?;
            let high = member(first, rest)?;
            if high < low {
                return None;
            }
            expression.push('-');
            expression.push_str(&literal(high));
            next = rest.next()?;
        }
        is_empty = false;
    }
    expression.push(']');
    Some(())
}

/// Reads one character of a class, which a backslash may stand before.
fn member(c: char, rest: &mut std::str::Chars<'_>) -> Option<char> {
    match c {
        '\\' => rest.next(),
        '-' => None,
        c => Some(c),
    }
}

/// Returns a character that stands for itself, within a class as well.
fn literal(c: char) -> String {
    format!(r"\x{{{:x}}}", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, host: &str, path: &str) -> bool {
        RegistryGlob::parse(pattern).unwrap().matches(&host.parse().unwrap(), path)
    }

    #[test]
    fn wildcards_stand_for_anything_but_a_slash() {
        for (pattern, host, path, expected) in [
            ("*.corp.example", "a.corp.example", "x", true),
            ("*.corp.example", "a.b.corp.example", "x", true),
            ("*.corp.example", "corp.example", "x", false),
            ("*.corp.example", "a.corp.example:5000", "x", false),
            ("*.corp.example:*", "a.corp.example:5000", "x", true),
            ("*.docker.io", "docker.io", "library/nginx", false),
            ("docker.io", "index.docker.io", "library/nginx", true),
            ("*", "quay.io", "team/app", true),
            ("quay.??", "quay.io", "x", true),
            ("r[0-9].example", "r7.example", "x", true),
            ("r[^0-9].example", "r7.example", "x", false),
            ("R?.Example", "r7.example", "x", true),
            ("*.example/team", "r.example", "team/app", true),
            ("*.example/team", "r.example", "team", true),
            ("*.example/team", "r.example", "teams/app", false),
            ("quay.io/*/app", "quay.io", "team/app/deep", true),
            ("quay.io/*/app", "quay.io", "team/other/app", false),
            ("quay.io/team", "quay.io", "team/app", true),
            ("quay.io/team", "quay.io", "teams/app", false),
            ("https://quay.io/v2/", "quay.io", "teams/app", true),
            ("[::1]:5000", "[::1]:5000", "x", true),
        ] {
            assert_eq!(matches(pattern, host, path), expected, "{pattern} {host}/{path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in [
            "",
            "a b",
            "quay.io:99999",
            "r[0-9",
            "r[]",
            "r[z-a].io",
            "r[-].io",
            r"quay.io\",
            "*//x",
            "r[a/b]",
        ] {
            assert!(RegistryGlob::parse(bad).is_none(), "{bad:?}");
        }
    }

    /// `path.Match` as Go's documentation defines it, the slow way.
    fn reference_match(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=text.len()).any(|skip| reference_match(rest, &text[skip..])),
            (['?', rest @ ..], [_, text @ ..]) => reference_match(rest, text),
            ([c, rest @ ..], [t, text @ ..]) if c == t => reference_match(rest, text),
            _ => false,
        }
    }

    proptest::proptest! {
        #[test]
        fn stars_and_question_marks_match_what_gos_definition_says(
            pattern in "[ab.*?]{1,8}", text in "[ab.]{0,8}"
        ) {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            proptest::prop_assert_eq!(glob(&pattern).unwrap().is_match(&text), reference_match(&p, &t));
        }

        #[test]
        fn any_pattern_is_read_without_a_panic(pattern in r"[a-c/:.*?\[\]^\\ -]{0,12}") {
            if let Some(read) = RegistryGlob::parse(&pattern) {
                let _ = read.matches(&RegistryHost::docker_hub(), "a/b");
            }
        }
    }
}
