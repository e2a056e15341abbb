//! Limits, times and addresses that a program sets.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use crate::reference::RegistryHost;

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
    /// Bytes of one manifest (distribution-spec, "Pushing Manifests": registries take at least 4 MiB).
    pub max_manifest_bytes: usize,
    /// Whether to use the proxies of the environment (`HTTPS_PROXY`, `NO_PROXY` and so on).
    pub system_proxy: bool,
    /// Token servers that may receive a registry's credentials, besides those on the registry's own
    /// domain and in the built-in table.
    pub token_servers: BTreeMap<RegistryHost, Vec<String>>,
    /// Registries with an API that returns the digests of many tags at once.
    pub bulk_apis: BTreeMap<RegistryHost, BulkApi>,
    /// Addresses of names that are not resolved, as in `/etc/hosts`. The port applies to URLs without one;
    /// 0 means the default port.
    pub addresses: HashMap<String, SocketAddr>,
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
            max_pages: 200,
            max_tags: 50_000,
            max_list_bytes: 16 << 20,
            max_manifest_bytes: 4 << 20,
            system_proxy: true,
            token_servers: BTreeMap::new(),
            bulk_apis: BulkApi::public(),
            addresses: HashMap::new(),
        }
    }
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
