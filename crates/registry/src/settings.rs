//! Limits, times and addresses that a program sets.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::reference::RegistryHost;
use crate::request_limits::RequestLimits;
use crate::write_gate::WriteGate;

/// The variable of [`Settings::max_tags`].
pub(crate) const MAX_TAGS_VARIABLE: &str = "REGISTRY_MAX_TAGS";
/// The variable of [`Settings::max_pages`].
pub(crate) const MAX_TAG_PAGES_VARIABLE: &str = "REGISTRY_MAX_TAG_PAGES";
/// The variable of [`Settings::max_list_bytes`].
pub(crate) const MAX_TAG_LIST_BYTES_VARIABLE: &str = "REGISTRY_MAX_TAG_LIST_BYTES";
/// The variable of [`Settings::max_tag_memory`].
pub(crate) const MAX_TAG_MEMORY_VARIABLE: &str = "REGISTRY_MAX_TAG_MEMORY";
/// The variable of [`Settings::list_timeout`], in seconds.
pub(crate) const LIST_TIMEOUT_VARIABLE: &str = "REGISTRY_LIST_TIMEOUT";
/// The variable of [`Settings::token_servers`].
pub(crate) const TOKEN_SERVERS_VARIABLE: &str = "REGISTRY_TOKEN_SERVERS";

/// The variable of [`Settings::private_addresses`].
pub(crate) const PRIVATE_ADDRESSES_VARIABLE: &str = "REGISTRY_PRIVATE_ADDRESSES";

/// The variable of [`Settings::loopback`] for programs that refuse it otherwise.
pub(crate) const LOOPBACK_VARIABLE: &str = "REGISTRY_LOOPBACK";

/// The hosts of token servers by registry: with a port, or without one for all ports with TLS.
pub type TokenServers = BTreeMap<RegistryHost, Vec<String>>;

/// Limits and times of the client. [`Settings::default`] suits public registries.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Sent as `User-Agent`; operators of registries ask for a name and a version.
    pub user_agent: String,
    /// Concurrent requests to one registry, 1 to 64. A 429 halves what is used of it.
    pub concurrency_per_registry: usize,
    /// Time to connect, TLS included.
    pub connect_timeout: Duration,
    /// Time to the first byte of a response, and between any two parts of it.
    pub read_timeout: Duration,
    /// Time for one request and its complete response.
    pub request_timeout: Duration,
    /// Time for the pages of one tag list behind the first, all together.
    pub list_timeout: Duration,
    /// Time for all requests to a bulk API for one repository.
    pub bulk_timeout: Duration,
    /// Retries of a request after a transient failure.
    pub retries: u32,
    /// The upper bound of the first wait between two attempts; it doubles with each.
    pub first_backoff: Duration,
    /// The longest wait between two attempts.
    pub max_backoff: Duration,
    /// The longest `Retry-After` that is waited for. Where a registry asks for more, the call ends with
    /// [`Reason::RateLimited`](super::Reason::RateLimited), so that the caller can go on with others.
    pub max_retry_after: Duration,
    /// The pulls, of those that a registry counts, that are left to others: while it reports that fewer
    /// remain, no manifest is read there (HEADs go on), and
    /// [`RepositoryClient::reserve_pulls`](super::RepositoryClient::reserve_pulls) fails.
    pub pull_reserve: u64,
    /// How long [`RepositoryClient::shared_tags`](super::RepositoryClient::shared_tags) returns a list
    /// before it is read again; zero caches nothing.
    pub tag_list_ttl: Duration,
    /// Pages of one tag list.
    pub max_pages: usize,
    /// Tags of one repository.
    pub max_tags: usize,
    /// Bytes of one tag list, all pages together.
    pub max_list_bytes: usize,
    /// Bytes of the tags of all lists that the process holds at a time.
    pub max_tag_memory: usize,
    /// Bytes of one manifest (distribution-spec, "Pushing Manifests": registries take at least 4 MiB).
    pub max_manifest_bytes: usize,
    /// Whether to use the proxies of the environment (`HTTPS_PROXY`, `NO_PROXY` and so on).
    pub system_proxy: bool,
    /// Token servers that may receive a registry's credentials, besides those on the registry's own
    /// domain and in the built-in table.
    pub token_servers: TokenServers,
    /// Which hosts may have private addresses.
    pub private_addresses: PrivateAddresses,
    /// Addresses of this process besides loopback, such as those of its pod and its node. Hosts that a registry
    /// names, and no spec, are not reached there.
    pub own_addresses: Vec<IpAddr>,
    /// Those of [`own_addresses`](Self::own_addresses) that no other process has, such as the addresses of its pod. Where no
    /// registry is at loopback ([`LoopbackAddresses::Nowhere`]), none is there either.
    pub pod_addresses: Vec<IpAddr>,
    /// Which registries may be at loopback addresses.
    pub loopback: LoopbackAddresses,
    /// Registries with an API that returns the digests of many tags at once.
    pub bulk_apis: BTreeMap<RegistryHost, BulkApi>,
    /// Addresses of names that are not resolved, as in `/etc/hosts`. The port applies to URLs without one;
    /// 0 means the default port.
    pub addresses: HashMap<String, SocketAddr>,
    /// Whether anything may be changed at registries now.
    pub write_gate: WriteGate,
    /// How many requests at once some registries are sent, beside `concurrency_per_registry`.
    pub request_limits: RequestLimits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            user_agent: concat!("imgop/", env!("CARGO_PKG_VERSION")).to_owned(),
            concurrency_per_registry: 6,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_mins(1),
            list_timeout: Duration::from_mins(5),
            bulk_timeout: Duration::from_secs(20),
            retries: 3,
            first_backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(10),
            max_retry_after: Duration::from_secs(30),
            pull_reserve: 10,
            tag_list_ttl: Duration::ZERO,
            max_pages: 500,
            max_tags: 50_000,
            max_list_bytes: 16 << 20,
            max_tag_memory: 32 << 20,
            max_manifest_bytes: 4 << 20,
            system_proxy: true,
            token_servers: BTreeMap::new(),
            private_addresses: PrivateAddresses::Registries,
            own_addresses: Vec::new(),
            pod_addresses: Vec::new(),
            loopback: LoopbackAddresses::Written,
            bulk_apis: BulkApi::public(),
            addresses: HashMap::new(),
            write_gate: WriteGate::open(),
            request_limits: RequestLimits::none(),
        }
    }
}

/// Which hosts may have private addresses (RFC 1918, RFC 6598, RFC 4193).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrivateAddresses {
    /// Registries, the hosts of their domains, and token servers that are listed for them.
    Registries,
    /// Besides, hosts that a registry names for tokens and blobs.
    Everywhere,
    /// None.
    Nowhere,
}

/// Which registries may be at the loopback addresses of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopbackAddresses {
    /// None, but for those for which an administrator lists such addresses: others than who runs this process name
    /// registries, and what listens here is not for them.
    Nowhere,
    /// Those that are written as `localhost` or with such an address.
    Written,
    /// Besides, those whose names have such an address, as on the machine of a user.
    Named,
}

/// An API that returns the digests of many tags at once, and its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkApi {
    /// Its protocol.
    pub kind: BulkKind,
    /// Its address, up to and with the slash before its own paths.
    pub base: String,
}

/// The protocol of a [`BulkApi`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkKind {
    /// Docker Hub's list of tags (Docker documentation, "Docker Hub API", list repository tags).
    DockerHub,
    /// Quay's list of tags (`listRepoTags`); any Quay has it.
    Quay,
    /// `describeImageTags` of the Amazon ECR Public Gallery.
    EcrPublic,
}

/// A variable of the environment that is not one of these settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A limit.
    #[error("{0} is not a number from 1 on")]
    Limit(&'static str),
    /// Private addresses.
    #[error("{PRIVATE_ADDRESSES_VARIABLE} is neither registries nor everywhere nor nowhere")]
    PrivateAddresses,
    /// Token servers.
    #[error("{TOKEN_SERVERS_VARIABLE} is not a list such as registry.example.com=auth.example.org,…")]
    TokenServers,
}

impl Settings {
    /// Sets what the environment of an agent or a plugin sets: the limits of tag lists, token servers on
    /// foreign domains, and who may have private addresses. `env` returns the values of variables.
    pub fn with_environment(mut self, env: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let number = |variable: &'static str| {
            let number = set(variable).map(|value| value.trim().parse().ok().filter(|number| *number > 0));
            number.map(|number: Option<u32>| number.ok_or(SettingsError::Limit(variable))).transpose()
        };
        for (variable, limit) in [
            (MAX_TAGS_VARIABLE, &mut self.max_tags),
            (MAX_TAG_PAGES_VARIABLE, &mut self.max_pages),
            (MAX_TAG_LIST_BYTES_VARIABLE, &mut self.max_list_bytes),
            (MAX_TAG_MEMORY_VARIABLE, &mut self.max_tag_memory),
        ] {
            if let Some(number) = number(variable)? {
                *limit = usize::try_from(number).unwrap_or(usize::MAX);
            }
        }
        if let Some(seconds) = number(LIST_TIMEOUT_VARIABLE)? {
            self.list_timeout = Duration::from_secs(seconds.into());
        }
        if let Some(value) = set(TOKEN_SERVERS_VARIABLE) {
            self.token_servers = parse_token_servers(&value)?;
        }
        if let Some(value) = set(PRIVATE_ADDRESSES_VARIABLE) {
            self.private_addresses = value.parse()?;
        }
        Ok(self)
    }
}

impl FromStr for PrivateAddresses {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "registries" => Ok(Self::Registries),
            "everywhere" => Ok(Self::Everywhere),
            "nowhere" => Ok(Self::Nowhere),
            _ => Err(SettingsError::PrivateAddresses),
        }
    }
}

/// Parses the token servers of registries: `registry.example.com=auth.example.org,…`.
pub fn parse_token_servers(text: &str) -> Result<TokenServers, SettingsError> {
    let mut token_servers = TokenServers::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let parts = pair.split_once('=').filter(|(_, server)| !server.trim().is_empty());
        let (registry, server) = parts.ok_or(SettingsError::TokenServers)?;
        let registry = registry.trim().parse().map_err(|_| SettingsError::TokenServers)?;
        token_servers.entry(registry).or_default().push(server.trim().to_ascii_lowercase());
    }
    Ok(token_servers)
}

impl BulkApi {
    /// Returns those of the public registries that have one.
    pub fn public() -> BTreeMap<RegistryHost, Self> {
        [
            ("docker.io", BulkKind::DockerHub, "https://hub.docker.com/"),
            ("quay.io", BulkKind::Quay, "https://quay.io/"),
            ("public.ecr.aws", BulkKind::EcrPublic, "https://api.us-east-1.gallery.ecr.aws/"),
        ]
        .into_iter()
        .filter_map(|(host, kind, base)| Some((host.parse().ok()?, Self { kind, base: base.to_owned() })))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let env = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Settings::default().with_environment(env)
    }

    #[test]
    fn limits_and_token_servers_come_from_the_environment() {
        let settings = read(&[
            ("REGISTRY_MAX_TAGS", "100000"),
            ("REGISTRY_MAX_TAG_PAGES", "2000"),
            ("REGISTRY_MAX_TAG_LIST_BYTES", "50000000"),
            ("REGISTRY_PRIVATE_ADDRESSES", "nowhere"),
            ("REGISTRY_LIST_TIMEOUT", "600"),
            (
                "REGISTRY_TOKEN_SERVERS",
                "r.vendor.test=Auth.other.example, r.vendor.test=b.example,docker.io=c",
            ),
        ])
        .unwrap();
        let limits = (settings.max_tags, settings.max_pages, settings.max_list_bytes);
        assert_eq!(limits, (100_000, 2_000, 50_000_000));
        assert_eq!(settings.private_addresses, PrivateAddresses::Nowhere);
        assert_eq!(settings.list_timeout, Duration::from_mins(10));
        let of = |registry: &str| settings.token_servers[&registry.parse().unwrap()].join(" ");
        assert_eq!(
            (of("r.vendor.test"), of("docker.io")),
            ("auth.other.example b.example".into(), "c".into())
        );
        let usual = read(&[("REGISTRY_MAX_TAGS", "")]).unwrap();
        assert_eq!((usual.max_tags, usual.token_servers.len()), (50_000, 0));
    }

    #[test]
    fn a_value_that_is_no_setting_is_an_error_that_names_the_variable() {
        for (name, value) in [
            ("REGISTRY_MAX_TAGS", "many"),
            ("REGISTRY_MAX_TAG_PAGES", "0"),
            ("REGISTRY_LIST_TIMEOUT", "5m"),
            ("REGISTRY_MAX_TAG_LIST_BYTES", "-1"),
            ("REGISTRY_PRIVATE_ADDRESSES", "10.0.0.0/8"),
            ("REGISTRY_TOKEN_SERVERS", "auth.other.example"),
            ("REGISTRY_TOKEN_SERVERS", "a b=c"),
            ("REGISTRY_TOKEN_SERVERS", "r.example="),
        ] {
            assert!(read(&[(name, value)]).unwrap_err().to_string().contains(name), "{name} {value}");
        }
    }
}
