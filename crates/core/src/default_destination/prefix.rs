//! Where the default destinations of namespaces begin.

use std::fmt;
use std::str::FromStr;

use imgop_registry::reference::{ReferenceError, RegistryHost, Repository};

/// What stands for the name of a namespace.
const NAMESPACE: &str = "{namespace}";
/// A path that every registry takes.
const ANY_PATH: &str = "a/b";

/// A registry, with or without the beginning of a path, in which `{namespace}` stands for the name of a namespace:
/// `registry.example.com/mirror/{namespace}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationPrefix {
    /// Without a slash at its end.
    text: String,
    host: RegistryHost,
}

/// Why a text is no prefix of destinations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// It would be Docker Hub's by omission.
    #[error("{0:?} names no registry; give one, with or without a path, such as registry.example.com/mirror")]
    NoRegistry(String),
    /// It cannot be the beginning of a repository.
    #[error("{0}; give a registry, with or without a path, such as registry.example.com/mirror")]
    Reference(#[from] ReferenceError),
}

impl DestinationPrefix {
    /// Returns the registry.
    pub fn host(&self) -> &RegistryHost {
        &self.host
    }

    /// Returns the prefix of a namespace, without a slash at its end.
    pub fn of(&self, namespace: &str) -> String {
        self.text.replace(NAMESPACE, namespace)
    }

    /// Returns the repository with this path below the prefix of a namespace.
    ///
    /// # Errors
    /// If it is longer than registries take.
    pub fn repository(&self, namespace: &str, path: &str) -> Result<Repository, ReferenceError> {
        format!("{}/{path}", self.of(namespace)).parse()
    }
}

impl FromStr for DestinationPrefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.strip_suffix('/').unwrap_or(text);
        let first = format!("{}/{ANY_PATH}", bare.replace(NAMESPACE, "n"));
        let (host, _) = bare.split_once('/').unwrap_or((bare, ""));
        if host.contains(NAMESPACE) || !Repository::names_registry(&first) {
            return Err(PrefixError::NoRegistry(text.chars().take(100).collect()));
        }
        let repository: Repository = first.parse()?;
        Ok(Self { text: bare.to_owned(), host: repository.host().clone() })
    }
}

impl fmt::Display for DestinationPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn repository(prefix: &str, namespace: &str, path: &str) -> String {
        prefix.parse::<DestinationPrefix>().unwrap().repository(namespace, path).unwrap().to_string()
    }

    #[test]
    fn what_stands_below_a_prefix_has_its_own_path_there() {
        for (prefix, expected) in [
            ("r.example.com", "r.example.com/a/b"),
            ("r.example.com/", "r.example.com/a/b"),
            ("r.example.com:5000/mirror/", "r.example.com:5000/mirror/a/b"),
            ("r.example.com/{namespace}", "r.example.com/team-a/a/b"),
            ("r.example.com/x-{namespace}/y", "r.example.com/x-team-a/y/a/b"),
            ("localhost/m", "localhost/m/a/b"),
            ("docker.io/corp", "docker.io/corp/a/b"),
        ] {
            assert_eq!(repository(prefix, "team-a", "a/b"), expected, "{prefix}");
        }
    }

    #[test]
    fn each_text_that_is_no_prefix_is_refused_with_what_to_write() {
        let error = |text: &str| text.parse::<DestinationPrefix>().unwrap_err().to_string();
        for text in ["", "mirror", "mirror/{namespace}", "{namespace}.example.com", "corp/", "/a"] {
            assert!(error(text).contains("names no registry"), "{text}: {}", error(text));
        }
        for text in ["https://r.example.com", "r.example.com/A", "r.example.com//", "r.example.com/{ns}"] {
            assert!(text.parse::<DestinationPrefix>().is_err(), "{text}");
        }
        insta::assert_snapshot!(error("mirror"), @r#""mirror" names no registry; give one, with or without a path, such as registry.example.com/mirror"#);
    }

    proptest! {
        #[test]
        fn a_namespace_and_a_path_change_neither_the_registry_nor_what_comes_before_them(
            namespace in "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", path in "[a-z0-9]{1,9}(/[a-z0-9]{1,9}){0,3}"
        ) {
            let made = repository("r.example.com/m/{namespace}", &namespace, &path);
            prop_assert_eq!(made, format!("r.example.com/m/{namespace}/{path}"));
        }
    }
}
