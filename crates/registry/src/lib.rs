//! Registries: tag lists, digests and manifests over the distribution API.
//!
//! ```text
//! Registries ── one per process: pools, budgets, sessions, counters
//!   └ RepositoryClient ── tags, head, manifest, put_manifest, mount_blob, referrers; bulk: digests of many
//!     │ tags at once
//!       └ session    the challenge that a registry made, its tokens
//!           └ transport  retries within the host's budget and behind its gate
//!               └ exchange   one request, its redirects, its whole answer
//!                   └ http       reqwest with our TLS and our resolver
//! ```
//!
//! Three promises hold throughout. An answer is whole or an error: no failure looks like "there is
//! nothing". A credential goes to the registry and its token server and nowhere else. What a server
//! sends is bounded, checked and never trusted to be what it says.

#[cfg(feature = "ecr")]
pub mod ecr;
pub mod oci;
pub mod reference;

mod access;
mod address;
mod budget;
mod bulk;
mod challenge;
mod client;
mod created;
mod docker_config;
mod error;
mod exchange;
mod gate;
mod hosts;
mod http;
mod link;
mod manifest;
mod mount;
mod platform;
mod pulls;
mod realm;
mod referrers;
mod refusal;
mod registry_entries;
mod registry_glob;
mod requests;
mod retry;
mod room;
mod server_text;
mod session;
mod settings;
mod shared_lists;
mod tag_list;
mod token;
mod token_cache;
mod transport;

pub use access::{Access, Credential, Tls};
pub use bulk::{BulkApi, BulkDigest, BulkKind};
pub use client::{Registries, RepositoryClient};
pub use created::{EARLIEST_IMAGE_TIME, is_plausible};
pub use docker_config::{CredentialHelper, CredentialsError, DockerConfig};
pub use error::{Operation, Reason, RegistryError, Unreachable};
pub use manifest::{Descriptor, Manifest, ManifestError, Platform, PlatformManifest};
pub(crate) use manifest::{MAX_PLATFORMS, OCI_INDEX, plain_platform};
pub use mount::Account;
pub use pulls::{PullReserveReached, RateLimit};
pub use registry_entries::{EntriesError, EntryName, EntryProblem, RegistryEntries};
pub use requests::RequestCount;
pub use server_text::printable;
pub use settings::Settings;
pub use shared_lists::SharedTags;
