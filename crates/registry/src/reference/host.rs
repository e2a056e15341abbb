//! Registry hosts.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use super::ReferenceError;

/// Names of Docker Hub; they all stand for the same registry and the same credential.
const DOCKER_HUB_ALIASES: [&str; 4] =
    ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];

/// A registry: host with an optional port, lower case, `docker.io` for every name of Docker Hub.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RegistryHost(String);

impl RegistryHost {
    /// Returns Docker Hub, the registry of names without a host.
    pub fn docker_hub() -> Self {
        Self("docker.io".to_owned())
    }

    /// Returns the host as written in references: `quay.io`, `localhost:5000`, `docker.io`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the host of the distribution API; for Docker Hub that is another one.
    pub fn api_host(&self) -> &str {
        if self.is_docker_hub() { "registry-1.docker.io" } else { &self.0 }
    }

    /// Whether this is Docker Hub.
    pub fn is_docker_hub(&self) -> bool {
        self.0 == "docker.io"
    }

    /// Whether the host is this machine: `localhost`, 127.0.0.0/8 or `[::1]`. Plain HTTP is then
    /// the rule, as Docker and Skopeo have it.
    pub fn is_loopback(&self) -> bool {
        let name = self.name();
        name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Returns the host without its port and without the brackets of an IPv6 address.
    pub fn name(&self) -> &str {
        if let Some(rest) = self.0.strip_prefix('[') {
            return rest.split_once(']').map_or(rest, |(name, _)| name);
        }
        self.0.split_once(':').map_or(self.0.as_str(), |(name, _)| name)
    }

    /// Whether both are one registry, however they are written: `quay.io` and `quay.io:443` are. The
    /// spelling is kept, as credentials are looked up by it.
    pub fn is_same_place(&self, other: &Self) -> bool {
        self == other || self.place().is_some_and(|place| Some(place) == other.place())
    }

    /// Returns the name or address of its API, as URLs have it, and the port: where it is, however it is written.
    pub fn place(&self) -> Option<(String, u16)> {
        let scheme = if self.is_loopback() { "http" } else { "https" };
        let url: Url = format!("{scheme}://{}/", self.api_host()).parse().ok()?;
        Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
    }

    /// Whether the first part of a name is a host and not a path: it has a dot or a port, or it is
    /// `localhost` (the rule of Docker's references).
    pub(super) fn looks_like_host(part: &str) -> bool {
        part.contains(['.', ':', '[']) || part == "localhost"
    }
}

impl FromStr for RegistryHost {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        if !is_host_and_port(&lower) {
            return Err(ReferenceError::Host(text.chars().take(100).collect()));
        }
        let known_port = lower.strip_suffix(":443").unwrap_or(&lower);
        if DOCKER_HUB_ALIASES.contains(&known_port) {
            return Ok(Self::docker_hub());
        }
        Ok(Self(lower))
    }
}

impl TryFrom<String> for RegistryHost {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RegistryHost> for String {
    fn from(host: RegistryHost) -> Self {
        host.0
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_host_and_port(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(address, port)| {
            address.parse::<Ipv6Addr>().is_ok()
                && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        });
    }
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    name.len() <= 253 && name.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 63
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|p| p > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_docker_hub_is_docker_io() {
        for name in ["docker.io", "index.docker.io", "registry-1.docker.io", "Docker.IO", "docker.io:443"] {
            let host: RegistryHost = name.parse().unwrap();
            assert_eq!(host, RegistryHost::docker_hub());
            assert_eq!(host.api_host(), "registry-1.docker.io");
        }
    }

    #[test]
    fn loopback_is_known_with_and_without_a_port() {
        for name in ["localhost", "localhost:5000", "127.0.0.1:5000", "[::1]:5000", "127.8.9.1"] {
            assert!(name.parse::<RegistryHost>().unwrap().is_loopback(), "{name}");
        }
        for name in ["10.0.0.1:5000", "localhost.example.com", "quay.io"] {
            assert!(!name.parse::<RegistryHost>().unwrap().is_loopback(), "{name}");
        }
    }

    #[test]
    fn one_registry_may_be_written_in_several_ways() {
        let same = |a: &str, b: &str| {
            a.parse::<RegistryHost>().unwrap().is_same_place(&b.parse::<RegistryHost>().unwrap())
        };
        for (a, b) in [
            ("r.example.com", "r.example.com:443"),
            ("r.example.com:443", "R.example.com:0443"),
            ("r.example.com:5000", "r.example.com:05000"),
            ("docker.io", "registry-1.docker.io:443"),
            ("localhost", "localhost:80"),
            ("[fd00::1]:5000", "[fd00:0:0::0001]:5000"),
        ] {
            assert!(same(a, b) && same(b, a), "{a} {b}");
        }
        for (a, b) in [
            ("r.example.com", "r.example.com:5000"),
            ("r.example.com", "r.example.org"),
            ("localhost", "localhost:443"),
            ("localhost", "127.0.0.1"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn things_that_are_no_hosts_are_refused() {
        for bad in
            ["", "a b", "-x.io", "x-.io", "host:", "host:0", "host:70000", "host:+1", "[::1", "a..b", "$(id)"]
        {
            assert!(bad.parse::<RegistryHost>().is_err(), "{bad}");
        }
    }
}
