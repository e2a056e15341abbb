//! What a host is to the registry whose requests lead there.
//!
//! A spec names a registry. Token servers, redirects and pages are named by that registry, whoever runs
//! it, and could lead this process to a service that only it can reach.

use url::{Host, Url};

use crate::credentials::{Access, Allowances, ConnectionKey, Tls};
use crate::text::authority;

/// Suffixes under which names have different owners: two names share one only where one more label is
/// equal. Not complete, and need not be: a registry only names the receiver of its own credentials.
const SHARED_SUFFIXES: [&str; 12] = [
    "amazonaws.com",
    "azurecr.io",
    "co.in",
    "co.jp",
    "co.kr",
    "co.uk",
    "com.au",
    "com.br",
    "com.cn",
    "com.tr",
    "github.io",
    "gitlab.io",
];

/// The label of all names of services in a cluster, whatever its domain is; the namespace precedes it.
const CLUSTER_LABEL: &str = "svc";

/// Azure's registries and the hosts of their blobs: `name.azurecr.io`, `name.region.data.azurecr.io` (Azure
/// documentation, "Dedicated data endpoints").
const AZURE: (&str, &str) = (".azurecr.io", ".data.azurecr.io");

/// Top-level names that no public host has.
const PRIVATE_NAMES: [&str; 9] =
    ["arpa", "corp", "home", "internal", "intranet", "lan", "local", "localhost", "private"];

/// What a host is to a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    /// The registry itself, on this machine. No proxy leads there.
    Loopback,
    /// The registry itself, a host of its domain, or one that an administrator has listed for it.
    Own,
    /// Any other host, which a registry names and no spec.
    Foreign,
}

/// How one registry and the hosts that it names are connected to.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    base: Url,
    pub(super) tls: Tls,
    pub(super) key: ConnectionKey,
    pub(super) allowances: Allowances,
    /// Hosts that count as its own, with a port or for all ports with TLS.
    listed: Vec<String>,
}

impl Channel {
    pub(super) fn new(base: Url, access: &Access, mut listed: Vec<String>) -> Self {
        let Access { tls, allowances, .. } = access;
        listed.extend(allowances.token_servers().iter().cloned());
        Self { base, tls: tls.clone(), key: access.connection(), allowances: allowances.clone(), listed }
    }

    /// Returns the address of the registry.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// Returns what the host of this URL is to the registry: its own on the same port, on its host or domain
    /// behind TLS, or where it is listed. A host on this machine is so only where the registry is here as well,
    /// and on the same port or listed: other ports here are of other programs.
    pub(crate) fn reach(&self, url: &Url) -> Reach {
        let (Some(host), Some(own)) = (url.host(), self.base.host()) else { return Reach::Foreign };
        let is_here = is_loopback(&host);
        let is_same_host = host == own || is_here && is_loopback(&own);
        let is_same_port = url.port_or_known_default() == self.base.port_or_known_default();
        let is_tls = url.scheme() == "https";
        let is_own = is_same_host && is_same_port
            || self.lists(url)
            || is_tls && (host == own && !is_here || is_same_domain(&host, &own));
        match (is_own, is_here) {
            (true, true) if is_loopback(&own) => Reach::Loopback,
            (true, false) => Reach::Own,
            _ => Reach::Foreign,
        }
    }

    /// Returns which addresses the host of this URL may have: those of a foreign one where no spec names the registry.
    pub(super) fn reach_of_addresses(&self, url: &Url) -> Reach {
        if self.allowances.is_foreign() { Reach::Foreign } else { self.reach(url) }
    }

    /// Whether the host of this URL is listed. An entry without a port is for all ports with TLS.
    fn lists(&self, url: &Url) -> bool {
        let is_at_any_port =
            |listed: &String| url.scheme() == "https" && url.host_str() == Some(listed.as_str());
        self.listed.iter().any(|listed| *listed == authority(url) || is_at_any_port(listed))
    }
}

/// Whether this may be the name of a public host, and not of one in a cluster or a home network.
pub(crate) fn is_public_name(name: &str) -> bool {
    let mut labels = name.trim_end_matches('.').rsplit('.').peekable();
    let is_private = labels.peek().is_some_and(|last| PRIVATE_NAMES.contains(last));
    !is_private && labels.all(|label| label != CLUSTER_LABEL) && name.trim_end_matches('.').contains('.')
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(v4) => v4.is_loopback(),
        Host::Ipv6(v6) => v6.is_loopback(),
    }
}

fn is_same_domain(one: &Host<&str>, other: &Host<&str>) -> bool {
    let (Host::Domain(one), Host::Domain(other)) = (one, other) else { return false };
    registrable_domain(one).is_some_and(|domain| registrable_domain(other) == Some(domain))
        || is_azure_data_host(one, other)
}

/// Whether the first name is of a host with the blobs of the second, a registry of Azure's.
fn is_azure_data_host(name: &str, registry: &str) -> bool {
    let at = name.strip_suffix(AZURE.1).and_then(|labels| labels.split_once('.'));
    at.is_some_and(|(of, region)| registry.strip_suffix(AZURE.0) == Some(of) && !region.contains('.'))
}

/// Whether a name is this domain or below it.
pub(crate) fn is_under(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Returns the part of a name that has one owner: in a cluster its namespace, else its last two labels, or
/// one more than a shared suffix.
fn registrable_domain(name: &str) -> Option<&str> {
    let labels: Vec<&str> = name.split('.').collect();
    let in_cluster = labels.iter().rposition(|label| *label == CLUSTER_LABEL);
    let suffix = SHARED_SUFFIXES.iter().find(|suffix| is_under(name, suffix));
    let count = match (in_cluster, suffix) {
        (Some(at), _) => labels.len() - at + 1,
        (None, Some(suffix)) => suffix.split('.').count() + 1,
        (None, None) => 2,
    };
    let skipped = labels.len().checked_sub(count)?;
    let start: usize = labels[..skipped].iter().map(|label| label.len() + 1).sum();
    name.get(start..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(base: &str, url: &str) -> Reach {
        let listed =
            ["127.0.0.1:5001", "sso.example.org", "ports.example.org:8443"].map(str::to_owned).into();
        Channel::new(base.parse().unwrap(), &Access::default(), listed).reach(&url.parse().unwrap())
    }

    #[test]
    fn a_host_is_the_registrys_own_on_its_port_on_its_domain_behind_tls_or_where_it_is_listed() {
        use Reach::{Foreign, Loopback, Own};
        for (base, url, expected) in [
            ("https://r.example.com", "https://r.example.com/token", Own),
            ("http://r.example.com:5000", "http://r.example.com:5000/token", Own),
            ("http://r.example.com:5000", "http://r.example.com:10250/token", Foreign),
            ("http://r.example.com:5000", "https://r.example.com/token", Own),
            ("http://r.example.com", "http://auth.example.com/token", Foreign),
            ("http://10.0.0.1:5000", "http://10.0.0.1:5000/token", Own),
            ("http://10.0.0.1:5000", "http://10.0.0.1:5001/token", Foreign),
            ("https://10.0.0.1:5000", "https://10.0.0.1:5001/token", Own),
            ("https://10.0.0.1:5000", "https://10.0.0.2:5000/token", Foreign),
            ("https://registry:5000", "https://registry:5001/token", Own),
            ("https://registry:5000", "https://auth:5001/token", Foreign),
            ("http://127.0.0.1:5000", "https://127.0.0.1:8443/token", Foreign),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000/token", Loopback),
            ("http://localhost:5000", "http://127.0.0.1:5000/token", Loopback),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", Loopback),
            ("http://127.0.0.1:5000", "http://127.0.0.1:8080/token", Foreign),
            ("https://r.example.com", "http://127.0.0.1:5001/token", Foreign),
            ("https://r.example.com", "https://sso.example.org/token", Own),
            ("https://r.example.com", "https://sso.example.org:8443/token", Own),
            ("http://r.example.com", "http://sso.example.org:8080/token", Foreign),
            ("https://r.example.com", "https://ports.example.org:8443/token", Own),
            ("https://r.example.com", "https://ports.example.org/token", Foreign),
        ] {
            assert_eq!(reach(base, url), expected, "{base} {url}");
        }
    }

    #[test]
    fn the_blobs_of_a_registry_of_azure_are_its_own_and_those_of_another_are_not() {
        let data = |base: &str| reach(base, "https://myreg.westeurope.data.azurecr.io/blob");
        assert_eq!(data("https://myreg.azurecr.io"), Reach::Own);
        for other in
            ["https://other.azurecr.io", "https://westeurope.azurecr.io", "https://myreg.example.com"]
        {
            assert_eq!(data(other), Reach::Foreign, "{other}");
        }
    }

    #[test]
    fn in_a_cluster_each_namespace_has_its_own_names_whatever_the_clusters_domain_is() {
        for suffix in ["svc", "svc.cluster.local", "svc.corp.example"] {
            let at = |name: &str| format!("https://{name}.{suffix}/");
            assert_eq!(reach(&at("registry.a"), &at("auth.a")), Reach::Own, "{suffix}");
            assert_eq!(reach(&at("registry.a"), &at("vault.b")), Reach::Foreign, "{suffix}");
        }
    }

    #[test]
    fn names_of_clusters_and_houses_are_not_public() {
        for name in [
            "vault",
            "vault.prod.svc",
            "vault.prod.svc.",
            "a.b.svc.corp.example",
            "x.internal",
            "nas.lan",
            "x.home.arpa",
            "x.localhost",
            "db.corp",
        ] {
            assert!(!is_public_name(name), "{name}");
        }
        assert!(is_public_name("auth.docker.io") && is_public_name("quay.io."));
    }
}
