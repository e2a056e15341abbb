//! Limits and times of registry access.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use super::BulkApi;
use crate::reference::RegistryHost;

/// How patient and how greedy the client is. [`Settings::default`] suits public registries.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Sent as `User-Agent`; operators of registries ask for a name and a version.
    pub user_agent: String,
    /// Requests that may be under way at one registry, 1 to 64. A 429 halves what is used of it.
    pub concurrency_per_registry: usize,
    /// Until a connection stands, TLS included.
    pub connect_timeout: Duration,
    /// Until the first byte of an answer, and between any two pieces of it.
    pub read_timeout: Duration,
    /// One request and its whole answer.
    pub request_timeout: Duration,
    /// The pages of one tag list behind the first, all together.
    pub list_timeout: Duration,
    /// All questions to a bulk API for one repository.
    pub bulk_timeout: Duration,
    /// How often a request is sent again after a failure that may pass.
    pub retries: u32,
    /// The upper bound of the first pause between two attempts; it doubles with each.
    pub first_backoff: Duration,
    /// No pause of our own is longer.
    pub max_backoff: Duration,
    /// The longest `Retry-After` that is waited for. When a registry wants more, the call ends with
    /// [`Reason::RateLimited`](super::Reason::RateLimited), so that the caller can do something else.
    pub max_retry_after: Duration,
    /// How many of the pulls that a registry counts are left to others: while it says that fewer remain,
    /// no manifest is read there (HEADs go on), and
    /// [`RepositoryClient::reserve_pulls`](super::RepositoryClient::reserve_pulls) says no.
    pub pull_reserve: u64,
    /// How long one tag list answers all who ask for it through
    /// [`RepositoryClient::shared_tags`](super::RepositoryClient::shared_tags); zero shares nothing.
    pub tag_list_ttl: Duration,
    /// Pages of one tag list.
    pub max_pages: usize,
    /// Tags of one repository.
    pub max_tags: usize,
    /// Bytes of one tag list, all pages together.
    pub max_list_bytes: usize,
    /// Bytes of one manifest (distribution-spec, "Pushing Manifests": registries take at least 4 MiB).
    pub max_manifest_bytes: usize,
    /// Whether the proxies of the environment are used (`HTTPS_PROXY`, `NO_PROXY` and so on).
    pub system_proxy: bool,
    /// Hosts that may receive a registry's credentials as its token server, besides the registry's
    /// own domain and the built-in table.
    pub token_servers: BTreeMap<RegistryHost, Vec<String>>,
    /// Registries with an API that tells the digests of many tags at once.
    pub bulk_apis: BTreeMap<RegistryHost, BulkApi>,
    /// Names that are not looked up in DNS, as in `/etc/hosts`. The port counts where an address has
    /// none of its own; 0 means the usual one.
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
