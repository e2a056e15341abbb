//! Repositories of a registry, by name or by prefix.

use std::fmt;
use std::str::FromStr;

use imgop_registry::reference::{ReferenceError, Repository};

/// One repository, or all within a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RepositoryPrefix {
    /// All within this path, which ends in a slash or is empty.
    Within(String),
    /// The one with this path.
    Exact(String),
    /// Those of a text that cannot be read: it may be any.
    Unknown,
}

/// How well it fits a repository; what fits better is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RepositoryMatch {
    /// By a prefix; its length.
    Within(usize),
    /// By its name.
    Exact,
    /// It may fit best.
    Unknown,
}

impl RepositoryPrefix {
    /// Returns how well it fits a path in a registry. Official images of Docker Hub are in `library/` there, and
    /// are written without.
    pub(super) fn fit(&self, path: &str, is_docker_hub: bool) -> Option<RepositoryMatch> {
        match self {
            Self::Within(prefix) => path.starts_with(prefix).then_some(RepositoryMatch::Within(prefix.len())),
            Self::Exact(exact) => {
                let official = path.strip_prefix("library/").filter(|_| is_docker_hub);
                let is_this = exact == path || official == Some(exact);
                is_this.then_some(RepositoryMatch::Exact)
            }
            Self::Unknown => Some(RepositoryMatch::Unknown),
        }
    }
}

impl RepositoryMatch {
    /// Returns the part of a path that it fits.
    pub(super) fn part_of(self, path: &str) -> &str {
        match self {
            Self::Within(length) => path.get(..length).unwrap_or(path),
            Self::Exact => path,
            Self::Unknown => "",
        }
    }
}

impl fmt::Display for RepositoryPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Within(path) | Self::Exact(path) => f.write_str(path),
            Self::Unknown => Ok(()),
        }
    }
}

impl FromStr for RepositoryPrefix {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "/" {
            return Ok(Self::Within(String::new()));
        }
        let bare = text.strip_suffix('/').unwrap_or(text);
        let not_a_path = || ReferenceError::Path(text.chars().take(100).collect());
        // The parts have one grammar at every registry.
        let parsed: Repository = format!("registry.test/{bare}").parse().map_err(|_| not_a_path())?;
        if parsed.path() != bare {
            return Err(not_a_path());
        }
        Ok(if bare == text { Self::Exact(text.to_owned()) } else { Self::Within(text.to_owned()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(prefix: &str, path: &str) -> Option<RepositoryMatch> {
        prefix.parse::<RepositoryPrefix>().unwrap().fit(path, false)
    }

    #[test]
    fn a_prefix_ends_at_a_slash_and_a_name_is_one_repository() {
        assert_eq!(fit("/", "a/b"), Some(RepositoryMatch::Within(0)));
        assert_eq!(fit("team-a/", "team-a/x/y"), Some(RepositoryMatch::Within(7)));
        assert_eq!(fit("team-a/app", "team-a/app"), Some(RepositoryMatch::Exact));
        for (prefix, path) in [
            ("team-a/", "team-a"),
            ("team-a/", "team-ab/x"),
            ("team-a/app", "team-a/app2"),
            ("team-a/app", "team-a/app/x"),
        ] {
            assert_eq!(fit(prefix, path), None, "{prefix} {path}");
        }
        assert!(fit("a/b/", "a/b/c") > fit("a/", "a/b/c") && fit("a/b/c", "a/b/c") > fit("a/b/", "a/b/c"));
        let official: RepositoryPrefix = "nginx".parse().unwrap();
        assert_eq!(official.fit("library/nginx", true), Some(RepositoryMatch::Exact));
        assert_eq!(official.fit("library/nginx", false), None);
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for bad in ["", "//", "/a", "a//", "A/", "a b", "a/../b", "a:1", "a@b", "*", "a/*", "https://a/"] {
            assert!(bad.parse::<RepositoryPrefix>().is_err(), "{bad}");
        }
    }
}
