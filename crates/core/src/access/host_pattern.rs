//! Hosts of registries, some of them behind a star.

use std::fmt;
use std::str::FromStr;

use imgop_registry::reference::{ReferenceError, RegistryHost};

/// A host, or all hosts whose names end alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostPattern {
    /// This one.
    Exact(RegistryHost),
    /// Those with one or more labels before these, at this port.
    Within {
        /// The end of the name, with its dot.
        suffix: String,
        /// The port.
        port: u16,
    },
}

/// How well a pattern fits a host; what fits better is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HostMatch {
    /// By a wildcard; the length of what follows it.
    Within(usize),
    /// Written in full.
    Exact,
}

impl HostPattern {
    /// Returns how well it fits the registry with these names.
    pub(crate) fn fit(&self, names: &[RegistryHost]) -> Option<HostMatch> {
        names.iter().filter_map(|name| self.fit_one(name)).max()
    }

    /// Returns whether it fits the same registries as another one, equally well. `names_of` returns all names of a
    /// registry.
    pub(super) fn is_same(
        &self,
        other: &Self,
        names_of: impl Fn(&RegistryHost) -> Vec<RegistryHost>,
    ) -> bool {
        match (self, other) {
            (Self::Exact(host), Self::Exact(other)) => {
                names_of(host).iter().any(|name| name.is_same_place(other))
            }
            _ => self == other,
        }
    }

    fn fit_one(&self, host: &RegistryHost) -> Option<HostMatch> {
        match self {
            Self::Exact(exact) => exact.is_same_place(host).then_some(HostMatch::Exact),
            // Docker Hub is docker.io, and *.docker.io are other hosts.
            Self::Within { .. } if host.is_docker_hub() => None,
            Self::Within { suffix, port } => {
                let (name, its_port) = host.place()?;
                let fits = its_port == *port && name.ends_with(suffix) && name.len() > suffix.len();
                fits.then_some(HostMatch::Within(suffix.len()))
            }
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => write!(f, "{host}"),
            Self::Within { suffix, port: 443 } => write!(f, "*{suffix}"),
            Self::Within { suffix, port } => write!(f, "*{suffix}:{port}"),
        }
    }
}

impl FromStr for HostPattern {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(rest) = text.strip_prefix("*.") else { return text.parse().map(Self::Exact) };
        // With a label in the place of the star it is a host.
        let one: RegistryHost = format!("x.{rest}")
            .parse()
            .map_err(|_| ReferenceError::Host(text.chars().take(100).collect()))?;
        let not_a_host = || ReferenceError::Host(text.chars().take(100).collect());
        let (name, port) = one.place().ok_or_else(not_a_host)?;
        let suffix =
            name.strip_prefix('x').filter(|suffix| suffix.starts_with('.')).ok_or_else(not_a_host)?;
        Ok(Self::Within { suffix: suffix.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(pattern: &str, host: &str) -> Option<HostMatch> {
        let pattern: HostPattern = pattern.parse().unwrap();
        pattern.fit(&[host.parse().unwrap()])
    }

    #[test]
    fn a_star_stands_for_one_or_more_labels_at_one_port() {
        for (pattern, host) in [
            ("*.example.com", "r.example.com"),
            ("*.example.com", "a.r.Example.com:443"),
            ("*.Example.com:5000", "r.example.com:05000"),
            ("*.docker.io", "mirror.docker.io"),
            ("*.corp", "r.corp"),
        ] {
            assert!(matches!(fit(pattern, host), Some(HostMatch::Within(_))), "{pattern} {host}");
        }
        for (pattern, host) in [
            ("*.example.com", "example.com"),
            ("*.example.com", "r.example.com:5000"),
            ("*.example.com", "rexample.com"),
            ("*.example.com", "not-the-example.com"),
            ("*.example.com", "r.example.com.evil.test"),
            ("*.example.com:5000", "r.example.com"),
            ("*.docker.io", "docker.io"),
            ("*.docker.io", "registry-1.docker.io"),
            ("r.example.com", "r.example.com:5000"),
            ("r.example.com", "x.r.example.com"),
        ] {
            assert_eq!(fit(pattern, host), None, "{pattern} {host}");
        }
        assert_eq!(fit("r.example.com", "R.example.com:443"), Some(HostMatch::Exact));
        assert!(fit("*.r.example.com", "x.r.example.com") > fit("*.example.com", "x.r.example.com"));
        assert!(fit("x.r.example.com", "x.r.example.com") > fit("*.r.example.com", "x.r.example.com"));
    }

    #[test]
    fn a_star_is_a_whole_label_at_the_beginning() {
        for bad in [
            "*",
            "*.",
            "a*.example.com",
            "*a.example.com",
            "r.*.example.com",
            "*.*.com",
            "*/x",
            "",
            "http://a.b",
        ] {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad}");
        }
    }
}
