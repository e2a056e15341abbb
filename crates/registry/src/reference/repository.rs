//! Repositories: a registry and a path in it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ReferenceError, RegistryHost, split_version};

/// The longest repository name that registries take, host included (docker's reference grammar).
const MAX_LENGTH: usize = 255;

/// A repository: `quay.io/argoproj/argocd`, or `docker.io/library/nginx` for `nginx`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Repository {
    host: RegistryHost,
    path: String,
}

impl Repository {
    /// Returns the registry.
    pub fn host(&self) -> &RegistryHost {
        &self.host
    }

    /// Returns the path in the registry, as its API takes it: `library/nginx`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether both are one repository, however its registry is written.
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.path == other.path && self.host.is_same_place(&other.host)
    }

    /// Whether a name says at which registry it is; one that does not is Docker Hub's, or below what is usual where it stands.
    pub fn names_registry(name: &str) -> bool {
        name.split_once('/').is_some_and(|(first, _)| RegistryHost::looks_like_host(first))
    }

    /// Returns the last part of the path: `argocd` of `quay.io/argoproj/argocd`.
    pub fn base_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(ReferenceError::Scheme(shown(text), format!("{}://", shown(scheme))));
        }
        let (name, version) = split_version(text);
        if version.is_some() {
            return Err(ReferenceError::NotBare(shown(text), shown(name)));
        }
        if text.len() > MAX_LENGTH {
            return Err(ReferenceError::TooLong(text.len()));
        }
        let (host, path) = match text.split_once('/') {
            Some((first, rest)) if Self::names_registry(text) => (first.parse()?, rest),
            _ => (RegistryHost::docker_hub(), text),
        };
        if !path.split('/').all(is_path_part) {
            return Err(ReferenceError::Path(shown(path)));
        }
        let path = if host.is_docker_hub() && !path.contains('/') {
            format!("library/{path}")
        } else {
            path.to_owned()
        };
        Ok(Self { host, path })
    }
}

impl TryFrom<String> for Repository {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Repository> for String {
    fn from(repository: Repository) -> Self {
        repository.to_string()
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` (distribution-spec, "Pulling manifests").
fn is_path_part(part: &str) -> bool {
    let bytes = part.as_bytes();
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if !bytes.first().is_some_and(alphanumeric) || !bytes.last().is_some_and(alphanumeric) {
        return false;
    }
    part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .filter(|separator| !separator.is_empty())
        .all(|separator| matches!(separator, "." | "_" | "__") || separator.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_docker_hubs() {
        for (text, full) in [
            ("nginx", "docker.io/library/nginx"),
            ("library/nginx", "docker.io/library/nginx"),
            ("rancher/rancher", "docker.io/rancher/rancher"),
            ("index.docker.io/nginx", "docker.io/library/nginx"),
            ("quay.io/nginx", "quay.io/nginx"),
            ("localhost/x", "localhost/x"),
            ("registry.corp:5000/a/b/c/d", "registry.corp:5000/a/b/c/d"),
            ("a--b/c__d/e.f_g", "docker.io/a--b/c__d/e.f_g"),
        ] {
            assert_eq!(text.parse::<Repository>().unwrap().to_string(), full);
        }
    }

    #[test]
    fn each_mistake_says_what_to_write_instead() {
        let message = |text: &str| text.parse::<Repository>().unwrap_err().to_string();
        insta::assert_snapshot!(message(""), @"it is empty; give a repository such as quay.io/argoproj/argocd");
        insta::assert_snapshot!(message("docker://quay.io/a/b"), @r#""docker://quay.io/a/b" starts with a scheme; leave "docker://" out"#);
        insta::assert_snapshot!(message("quay.io/a/b:1.0"), @r#""quay.io/a/b:1.0" names a tag or digest; give "quay.io/a/b" as the name and the rest as the version"#);
        assert!(message("quay.io/A/b").contains("lower-case"));
        assert!(message("quay.io/a//b").contains("not a repository path"));
        assert!(message("a b.io/x").contains("not a registry host"));
    }

    #[test]
    fn b5_shell_text_and_options_are_no_repositories() {
        for bad in
            ["$(id)", "a;id", "a b", "--all", "a/-b", "a/b`id`", "a/b\nc", "quay.io/a/b --dest-creds=x"]
        {
            assert!(bad.parse::<Repository>().is_err(), "{bad}");
        }
    }
}
