//! A regular expression that is searched for in tags.

use std::str::FromStr;

use regex::{Regex, RegexBuilder};

/// Bytes of a compiled expression, which tenants write.
const MAX_PROGRAM: usize = 256 << 10;

/// A regular expression, found anywhere in a tag unless it says otherwise.
#[derive(Debug, Clone)]
pub struct TagRegex(Regex);

impl TagRegex {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it is found in a tag.
    pub fn is_in(&self, tag: &str) -> bool {
        self.0.is_match(tag)
    }

    /// Returns what the first group holds where it is found, or what was found if there is no group. A group that took no
    /// part holds nothing.
    pub fn captured<'t>(&self, tag: &'t str) -> Option<&'t str> {
        let captures = self.0.captures(tag)?;
        if self.0.captures_len() > 1 {
            return Some(captures.get(1).map_or("", |group| group.as_str()));
        }
        captures.get(0).map(|found| found.as_str())
    }
}

impl FromStr for TagRegex {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let regex = RegexBuilder::new(text).size_limit(MAX_PROGRAM).dfa_size_limit(MAX_PROGRAM).build();
        regex.map(Self).map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("{text:?} is no regular expression: {reason}")
        })
    }
}

impl PartialEq for TagRegex {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for TagRegex {}
