//! Where an image goes to: `repository/prefix/path`.

use std::borrow::Cow;

use imgop_registry::reference::{ReferenceError, Repository};
use regex::{Regex, RegexBuilder};

use super::usage::ImageUser;
use crate::api::PathRule;
use crate::registry_prefix::RegistryPrefix;

/// Bytes of a compiled expression, which tenants write.
const MAX_PROGRAM: usize = 256 << 10;
/// What stands for architectures that are not known, and stands in no path by chance.
const SOME_ARCH: &str = "0arch0";

/// What stands between the repository of a destination and the path of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefix(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Token(Token),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Namespace,
    PodName,
    ContainerName,
    Arch,
    Registry,
}

/// Why a text is no prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// A word behind a dollar sign that stands for nothing.
    #[error(
        "${0} stands for nothing; there are $namespace, $podname, $container_name, $arch and $registry, and what follows \
         one of them must begin with a slash, a dot or a dash"
    )]
    UnknownToken(String),
    /// It could not be part of a path.
    #[error(
        "it could not be part of a path; write lower-case letters, digits, dots, dashes and slashes around the words"
    )]
    Text,
}

/// How the paths of images change.
#[derive(Debug, Clone, Default)]
pub struct PathMap(Vec<Rule>);

#[derive(Debug, Clone)]
enum Rule {
    /// A path, and what is below it.
    Path {
        from: String,
        to: String,
    },
    Regex {
        from: Regex,
        to: String,
    },
}

/// Why an image has no place at the destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// What came out is no repository.
    #[error("it would go to {0:?}: {1}; change destination.pathMap or destination.prefix")]
    Illegal(String, ReferenceError),
    /// The prefix has $arch, and the index of the image has not been read.
    #[error("its platforms are not known yet, and destination.prefix has $arch")]
    UnknownArchitectures,
}

impl Prefix {
    /// Reads `destination.prefix`.
    ///
    /// # Errors
    /// Where a word stands for nothing, or where the rest cannot be part of a path.
    pub fn parse(text: &str) -> Result<Self, PrefixError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            push_text(&mut parts, before)?;
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let length = after.find(|c| !is_word(c)).unwrap_or(after.len());
            let (word, behind) = after.split_at(length);
            parts.push(Part::Token(match word {
                "namespace" => Token::Namespace,
                "podname" => Token::PodName,
                "container_name" => Token::ContainerName,
                "arch" => Token::Arch,
                "registry" => Token::Registry,
                other => return Err(PrefixError::UnknownToken(other.to_owned())),
            }));
            rest = behind;
        }
        push_text(&mut parts, rest)?;
        Ok(Self(parts))
    }

    /// Whether the architectures of images are part of their paths.
    pub fn needs_architectures(&self) -> bool {
        self.has(Token::Arch)
    }

    /// Whether the registry that an image comes from is part of its path.
    pub fn has_registry(&self) -> bool {
        self.has(Token::Registry)
    }

    fn has(&self, token: Token) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Token(own) if *own == token))
    }

    /// Returns the prefix of an image for one of its users.
    fn fill(
        &self,
        source: &Repository,
        user: &ImageUser,
        architectures: Option<&str>,
    ) -> Result<String, PathError> {
        let mut filled = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Token(Token::Namespace) => filled.push_str(&user.namespace),
                Part::Token(Token::PodName) => filled.push_str(&user.name),
                Part::Token(Token::ContainerName) => filled.push_str(&user.container),
                Part::Token(Token::Registry) => filled.push_str(&clean(source.host().as_str())),
                Part::Token(Token::Arch) => {
                    filled.push_str(architectures.ok_or(PathError::UnknownArchitectures)?);
                }
            }
        }
        Ok(filled)
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) -> Result<(), PrefixError> {
    let is_plain =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-' | '/');
    if !text.chars().all(is_plain) {
        return Err(PrefixError::Text);
    }
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
    Ok(())
}

/// Returns a host as it can be part of a path: the colon of a port becomes a dash, and what an IPv6 address has besides
/// goes.
fn clean(host: &str) -> String {
    let one = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let cleaned: String = host.chars().map(one).collect();
    let parts = cleaned.split('-').filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-")
}

impl PathMap {
    /// Reads `destination.pathMap`.
    ///
    /// # Errors
    /// The place of the rule whose expression cannot be used, and why.
    pub fn parse(rules: &[PathRule]) -> Result<Self, (usize, String)> {
        let rules = rules.iter().enumerate().map(|(i, rule)| {
            let PathRule { from, to, regex } = rule;
            if !regex {
                let trimmed = |text: &str| text.trim_matches('/').to_owned();
                return Ok(Rule::Path { from: trimmed(from), to: trimmed(to) });
            }
            let compiled =
                RegexBuilder::new(from).size_limit(MAX_PROGRAM).dfa_size_limit(MAX_PROGRAM).build();
            let compiled = compiled.map_err(|error| {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
                (i, format!("{from:?} is no regular expression: {reason}"))
            })?;
            Ok(Rule::Regex { from: compiled, to: to.clone() })
        });
        Ok(Self(rules.collect::<Result<_, _>>()?))
    }

    /// Returns what becomes of a path: what the first rule says that fits it.
    pub fn apply<'a>(&self, path: &'a str) -> Cow<'a, str> {
        let changed = self.0.iter().find_map(|rule| match rule {
            Rule::Path { from, to } => {
                let rest = path.strip_prefix(from.as_str())?;
                // Where the rule ends, a part of the path does.
                let rest = if rest.is_empty() { rest } else { rest.strip_prefix('/')? };
                Some(joined(&[to, rest]))
            }
            Rule::Regex { from, to } => {
                from.is_match(path).then(|| from.replace_all(path, to.as_str()).into_owned())
            }
        });
        changed.map_or(Cow::Borrowed(path), Cow::Owned)
    }
}

/// Two maps are equal when they were written alike.
impl PartialEq for PathMap {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|pair| match pair {
                (Rule::Path { from, to }, Rule::Path { from: other_from, to: other_to }) => {
                    from == other_from && to == other_to
                }
                (Rule::Regex { from, to }, Rule::Regex { from: other_from, to: other_to }) => {
                    from.as_str() == other_from.as_str() && to == other_to
                }
                _ => false,
            })
    }
}

impl Eq for PathMap {}

/// Returns the repository of an image at the destination, for one of its users.
///
/// # Errors
/// Where that is no repository, or where its architectures would have to be known.
pub(super) fn destination(
    (root, prefix, map): (&RegistryPrefix, &Prefix, &PathMap),
    source: &Repository,
    user: &ImageUser,
    architectures: Option<&str>,
) -> Result<Repository, PathError> {
    let prefix = prefix.fill(source, user, architectures)?;
    let path = joined(&[&prefix, &map.apply(source.path())]);
    root.below(&path).map_err(|error| PathError::Illegal(format!("{root}/{path}"), error))
}

/// Returns whether a repository is that of an image for one of its users, whatever the architectures of the image are.
pub(super) fn may_be_of_some_architectures(
    rules: (&RegistryPrefix, &Prefix, &PathMap),
    source: &Repository,
    user: &ImageUser,
    place: &Repository,
) -> bool {
    let architectures = || {
        let (place, pattern) = (place.to_string(), destination(rules, source, user, Some(SOME_ARCH)).ok()?);
        let pattern = pattern.to_string();
        let before = pattern.find(SOME_ARCH)?;
        let count = pattern.matches(SOME_ARCH).count();
        let others = pattern.len() - count * SOME_ARCH.len();
        let length = place.len().checked_sub(others)?.checked_div(count)?;
        Some(place.get(before..before + length)?.to_owned())
    };
    let is_its_place = |architectures: &String| {
        !architectures.contains('/')
            && destination(rules, source, user, Some(architectures)).is_ok_and(|of| of == *place)
    };
    architectures().as_ref().is_some_and(is_its_place)
}

/// Returns parts of a path with one slash between them; a token that is empty leaves none.
fn joined(parts: &[&str]) -> String {
    let parts = parts.iter().flat_map(|part| part.split('/')).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("/")
}
