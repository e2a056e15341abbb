//! `$NAME` and `${NAME…}` in words, as Buildah replaces them.

use std::iter::Peekable;
use std::str::Chars;

/// A word with its variables replaced and its quotes removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Expanded {
    pub(super) text: String,
    /// Names without a value that nothing replaces.
    pub(super) unknown: Vec<String>,
}

/// Why a word cannot be replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SubstitutionError {
    #[error("{0} has no end")]
    OpenQuote(char),
    #[error("${{ has no }}")]
    OpenBrace,
    #[error("${{{0}-…}} and ${{{0}+…}} are not known")]
    NoColon(String),
    #[error("${{{0}…}} is not known")]
    Unknown(String),
    #[error("${{{0}}} with a pattern or :?")]
    Pattern(String),
}

impl SubstitutionError {
    /// Returns what to write instead.
    pub(super) fn fix(&self) -> String {
        match self {
            Self::OpenQuote(quote) => format!("end it with {quote}, or put a backslash in front of it"),
            Self::OpenBrace => "end it with }".to_owned(),
            Self::NoColon(name) => format!("write ${{{name}:-text}} or ${{{name}:+text}}"),
            Self::Unknown(name) | Self::Pattern(name) => {
                format!("write ${{{name}}}, ${{{name}:-text}} or ${{{name}:+text}}")
            }
        }
    }
}

/// Replaces the variables of a word by what `value` returns for them. `escape` is in force only where it is a
/// backslash: Buildah knows no other one here.
pub(super) fn expand(
    word: &str,
    value: &dyn Fn(&str) -> Option<String>,
) -> Result<Expanded, SubstitutionError> {
    let mut reader = Reader { rest: word.chars().peekable(), value, unknown: Vec::new(), depth: 0 };
    let text = reader.read(None)?;
    Ok(Expanded { text, unknown: reader.unknown })
}

/// How deep `${a:-${b:-…}}` may go.
const MAX_DEPTH: usize = 16;

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    value: &'a dyn Fn(&str) -> Option<String>,
    unknown: Vec<String>,
    depth: usize,
}

impl Reader<'_> {
    /// Reads up to this character, which is taken, or to the end.
    fn read(&mut self, end: Option<char>) -> Result<String, SubstitutionError> {
        let mut text = String::new();
        while let Some(c) = self.rest.next() {
            match c {
                c if Some(c) == end => return Ok(text),
                '\'' => self.single_quoted(&mut text)?,
                '"' => self.double_quoted(&mut text)?,
                '$' => text.push_str(&self.variable()?),
                '\\' => text.extend(self.rest.next()),
                c => text.push(c),
            }
        }
        if end.is_some() { Err(SubstitutionError::OpenBrace) } else { Ok(text) }
    }

    fn single_quoted(&mut self, text: &mut String) -> Result<(), SubstitutionError> {
        loop {
            match self.rest.next().ok_or(SubstitutionError::OpenQuote('\''))? {
                '\'' => return Ok(()),
                c => text.push(c),
            }
        }
    }

    fn double_quoted(&mut self, text: &mut String) -> Result<(), SubstitutionError> {
        loop {
            match self.rest.next().ok_or(SubstitutionError::OpenQuote('"'))? {
                '"' => return Ok(()),
                '$' => text.push_str(&self.variable()?),
                '\\' => match self.rest.next_if(|c| matches!(c, '"' | '$' | '\\')) {
                    Some(c) => text.push(c),
                    None => text.push('\\'),
                },
                c => text.push(c),
            }
        }
    }

    /// Reads what stands behind `$`.
    fn variable(&mut self) -> Result<String, SubstitutionError> {
        if self.rest.next_if_eq(&'{').is_none() {
            let name = self.name();
            return Ok(if name.is_empty() { "$".to_owned() } else { self.get(&name) });
        }
        let name = self.name();
        match self.rest.next() {
            Some('}') if name.is_empty() => Ok(String::new()),
            Some('}') => Ok(self.get(&name)),
            Some(':') => self.modified(&name),
            Some('#' | '%' | '/') => Err(SubstitutionError::Pattern(name)),
            Some('-' | '+') => Err(SubstitutionError::NoColon(name)),
            Some(_) => Err(SubstitutionError::Unknown(name)),
            None => Err(SubstitutionError::OpenBrace),
        }
    }

    /// Reads what stands behind `${NAME:`.
    fn modified(&mut self, name: &str) -> Result<String, SubstitutionError> {
        let modifier = self.rest.next();
        if !matches!(modifier, Some('-' | '+')) {
            return Err(match modifier {
                Some('?') => SubstitutionError::Pattern(name.to_owned()),
                _ => SubstitutionError::Unknown(name.to_owned()),
            });
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SubstitutionError::Unknown(name.to_owned()));
        }
        let before = self.unknown.len();
        let text = self.read(Some('}'))?;
        self.depth -= 1;
        let value = (self.value)(name).filter(|value| !value.is_empty());
        let is_used = value.is_some() == (modifier == Some('+'));
        if !is_used {
            self.unknown.truncate(before);
        }
        Ok(if is_used { text } else { value.unwrap_or_default() })
    }

    /// Reads letters, digits and underscores; a digit that stands first stands alone.
    fn name(&mut self) -> String {
        let mut name = String::new();
        if let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
            name.push(digit);
            return name;
        }
        while let Some(c) = self.rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
            name.push(c);
        }
        name
    }

    fn get(&mut self, name: &str) -> String {
        (self.value)(name).unwrap_or_else(|| {
            self.unknown.push(name.to_owned());
            String::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> Option<String> {
        match name {
            "A" => Some("a".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_replaced_as_buildah_does() {
        for (word, text, unknown) in [
            ("$A/${A}x$Ax", "a/ax", vec!["Ax"]),
            ("${A:-d} ${NO:-d} ${EMPTY:-d}", "a d d", vec![]),
            ("${A:+d} ${NO:+d} ${EMPTY:+d}", "d  ", vec![]),
            ("${NO:-${A}}", "a", vec![]),
            ("${NO:-$OTHER}", "", vec!["OTHER"]),
            ("${A:-$OTHER}", "a", vec![]),
            ("\"$A b\"'$A'\\$A", "a b$A$A", vec![]),
            ("\"\\\"\\$\\\\\\n\"", "\"$\\\\n", vec![]),
            ("$ $$A $5 ${}", "$ $a  ", vec!["5"]),
            ("a\\", "a", vec![]),
        ] {
            let expanded = expand(word, &value).unwrap();
            assert_eq!(
                (expanded.text.as_str(), expanded.unknown),
                (text, unknown.into_iter().map(String::from).collect()),
                "{word}"
            );
        }
    }

    #[test]
    fn what_buildah_does_not_know_is_named() {
        for (word, error) in [
            ("\"a", SubstitutionError::OpenQuote('"')),
            ("'a", SubstitutionError::OpenQuote('\'')),
            ("${A", SubstitutionError::OpenBrace),
            ("${A:-x", SubstitutionError::OpenBrace),
            ("${A-x}", SubstitutionError::NoColon("A".into())),
            ("${A:?x}", SubstitutionError::Pattern("A".into())),
            ("${A#x}", SubstitutionError::Pattern("A".into())),
            ("${A:x}", SubstitutionError::Unknown("A".into())),
            ("${A b}", SubstitutionError::Unknown("A".into())),
        ] {
            assert_eq!(expand(word, &value), Err(error), "{word}");
        }
        assert!(expand(&"${A:-".repeat(10_000), &value).is_err(), "as deep as one likes");
    }

    proptest::proptest! {
        #[test]
        fn any_word_is_replaced_or_refused_without_a_panic(word in "[-+:?#%/$\\{\\}\"'\\\\AB1_ \u{e9}]{0,40}") {
            let _ = expand(&word, &value);
        }

        #[test]
        fn a_word_without_marks_stays_as_it_is(word in "[a-zA-Z0-9/:@._= -]{0,40}") {
            proptest::prop_assert_eq!(expand(&word, &value).unwrap().text, word);
        }
    }
}
