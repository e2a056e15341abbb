//! A registry, with or without the beginning of a path: which repositories lie there.

use std::fmt;
use std::str::FromStr;

use imgop_registry::reference::{ReferenceError, RegistryHost, Repository};

use crate::access::{AccessPolicy, HostMatch, HostPattern};

/// A registry, with or without the beginning of a path. It ends where a part of a path does: `quay.io/acme` holds
/// `quay.io/acme/app`, and not `quay.io/acmes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryPrefix {
    host: HostPattern,
    /// Other names of the host, as administrators have said.
    aliases: Vec<RegistryHost>,
    /// Without slashes at its ends.
    path: String,
}

/// How well a prefix fits a repository; what fits better is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrefixFit {
    host: HostMatch,
    path: usize,
}

impl RegistryPrefix {
    /// Returns all of a registry.
    pub fn of_registry(host: RegistryHost) -> Self {
        Self { host: HostPattern::Exact(host), aliases: Vec::new(), path: String::new() }
    }

    /// Returns the same place, known by all names that administrators have given its registry.
    #[must_use]
    pub fn known_by(self, policy: &AccessPolicy) -> Self {
        let aliases = match &self.host {
            HostPattern::Exact(host) => policy.names_of(host).into_iter().skip(1).collect(),
            // Which registries are behind a star is not known.
            HostPattern::Within { .. } => Vec::new(),
        };
        Self { aliases, ..self }
    }

    /// Returns how well it fits a repository; nothing where the repository does not lie there.
    pub fn fit(&self, repository: &Repository) -> Option<PrefixFit> {
        self.rest(repository)?;
        let host = self.fit_host(repository.host())?;
        Some(PrefixFit { host, path: self.path.len() })
    }

    /// Another name of the host is the host.
    fn fit_host(&self, host: &RegistryHost) -> Option<HostMatch> {
        let is_alias = || self.aliases.iter().any(|alias| alias.is_same_place(host));
        self.host.fit(std::slice::from_ref(host)).or_else(|| is_alias().then_some(HostMatch::Exact))
    }

    /// Whether it is in this registry.
    pub fn has_host(&self, host: &RegistryHost) -> bool {
        self.fit_host(host).is_some()
    }

    /// Whether a repository lies there.
    pub fn holds(&self, repository: &Repository) -> bool {
        self.fit(repository).is_some()
    }

    /// Returns the path of a repository below it; nothing where it does not lie there.
    pub fn rest<'a>(&self, repository: &'a Repository) -> Option<&'a str> {
        self.fit_host(repository.host())?;
        if self.path.is_empty() {
            return Some(repository.path());
        }
        let rest = repository.path().strip_prefix(&self.path)?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }

    /// Returns a repository that lies there under another name of its registry under this one's; nothing of one that is
    /// named so already, or lies elsewhere.
    pub fn under_own_name(&self, repository: &Repository) -> Option<Repository> {
        if self.host.fit(std::slice::from_ref(repository.host())).is_some() {
            return None;
        }
        self.below(self.rest(repository)?).ok()
    }

    /// Returns the repository with this path below it.
    ///
    /// # Errors
    /// Where that is no repository.
    pub fn below(&self, path: &str) -> Result<Repository, ReferenceError> {
        let parts = [self.path.as_str(), path].into_iter().filter(|part| !part.is_empty());
        let path = parts.collect::<Vec<_>>().join("/");
        format!("{}/{path}", self.host).parse()
    }
}

impl fmt::Display for RegistryPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host)?;
        if self.path.is_empty() { Ok(()) } else { write!(f, "/{}", self.path) }
    }
}

impl FromStr for RegistryPrefix {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        // A word alone is the beginning of a path at Docker Hub.
        if !Repository::names_registry(&format!("{host}/name")) {
            return Err(ReferenceError::Host(host.chars().take(100).collect()));
        }
        let (host, path) = (host.parse::<HostPattern>()?, path.trim_end_matches('/'));
        if !path.is_empty() {
            // A path in front of a name is one that a name can have.
            format!("localhost/{path}").parse::<Repository>()?;
        }
        Ok(Self { host, aliases: Vec::new(), path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::tests::aliased;

    fn prefix(text: &str) -> RegistryPrefix {
        text.parse().unwrap()
    }

    fn repository(text: &str) -> Repository {
        text.parse().unwrap()
    }

    #[test]
    fn a_prefix_ends_where_a_part_of_a_path_does() {
        for (text, name, rest) in [
            ("quay.io", "quay.io/acme/app", Some("acme/app")),
            ("quay.io/acme", "quay.io/acme/app", Some("app")),
            ("quay.io/acme/", "quay.io/acme/app", Some("app")),
            ("quay.io/acme", "quay.io/acme", Some("")),
            ("quay.io/acme", "quay.io/acmes/app", None),
            ("quay.io", "quay.io:5000/acme/app", None),
            ("quay.io:443", "quay.io/acme/app", Some("acme/app")),
            ("registry-1.docker.io/library", "nginx", Some("nginx")),
            ("*.corp.example", "a.corp.example/x", Some("x")),
            ("*.corp.example/team", "a.b.corp.example/team/x", Some("x")),
            ("*.corp.example", "corp.example/x", None),
            ("*.docker.io", "nginx", None),
        ] {
            assert_eq!(prefix(text).rest(&repository(name)), rest, "{text} {name}");
        }
    }

    #[test]
    fn a_registry_is_known_by_the_names_that_administrators_gave_it_and_what_is_behind_a_star_is_not() {
        let policy = aliased("r.corp:5000", &["mirror.corp"]);
        let known = prefix("r.corp:5000/mirror").known_by(&policy);
        let alias = repository("mirror.corp/mirror/app");
        assert!(known.holds(&alias) && known.has_host(alias.host()));
        assert_eq!(known.fit(&alias), known.fit(&repository("r.corp:5000/mirror/app")));
        assert_eq!(known.under_own_name(&alias), Some(repository("r.corp:5000/mirror/app")));
        assert_eq!(known.under_own_name(&repository("r.corp:5000/mirror/app")), None);
        assert_eq!(known.under_own_name(&repository("mirror.corp/mirrors/app")), None);
        assert!(!prefix("r.corp:5000/mirror").holds(&alias));
        assert!(!prefix("*.corp:5000").known_by(&policy).holds(&alias));
    }

    #[test]
    fn a_registry_in_full_fits_better_than_a_star_and_a_longer_path_better_than_a_shorter() {
        let place = repository("a.corp.example/team/x/y");
        let fit = |text: &str| prefix(text).fit(&place).unwrap();
        let sorted =
            ["*.example", "*.corp.example", "*.corp.example/team", "a.corp.example", "a.corp.example/team"];
        assert!(sorted.windows(2).all(|pair| fit(pair[0]) < fit(pair[1])));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_is_written_back(text in ".{0,60}|([*][.])?[a-z.:0-9]{1,12}(/[a-z]{1,4}){0,3}/?") {
            if let Ok(read) = text.parse::<RegistryPrefix>() {
                proptest::prop_assert_eq!(read.to_string().parse::<RegistryPrefix>(), Ok(read));
            }
        }
    }

    #[test]
    fn what_is_no_registry_is_refused() {
        for bad in
            ["", "a b", "team", "team/app", "quay.io/A", "quay.io//a", "https://quay.io", "quay.io/a:1"]
        {
            assert!(bad.parse::<RegistryPrefix>().is_err(), "{bad}");
        }
    }
}
