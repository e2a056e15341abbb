//! A client for OCI registries: references, manifests, credentials, and the distribution API.
//!
//! Each module uses only those below it:
//!
//! ```text
//! client       Registries, one per process; RepositoryClient: tags, manifests, blobs, referrers
//!   ├ bulk       digests of many tags in one request, from the APIs of three public registries
//!   ├ search     repositories by words, from the same APIs
//!   ├ git        what the refs of a git repository point to
//!   ├ web        documents that are no registry's
//!   ├ auth       the challenge of a registry, its token server, its tokens
//!   └ transport  one request: connection pools, retries, limits of each host, redirects
//! ecr          tokens for Amazon ECR from AWS credentials
//! credentials  Credential, Tls, and the files and Secrets that hold them
//! oci          manifests, indexes, platforms, referrers: read, narrowed, built. Pure
//! reference    hosts, repositories, tags, digests. Pure
//! cache, backoff, text, error, settings, write_gate, request_limits
//! ```
//!
//! Three promises hold throughout. An answer is whole or an error: no failure looks like "there is
//! nothing". A credential goes to the registry and its token server and nowhere else. What a server
//! sends is bounded, checked and never trusted to be what it says.

pub mod cache;
pub mod credentials;
#[cfg(feature = "ecr")]
pub mod ecr;
pub mod git;
pub mod oci;
pub mod reference;

mod auth;
mod backoff;
mod bulk;
mod client;
mod error;
mod request_limits;
mod search;
mod settings;
mod text;
mod transport;
mod web;
mod write_gate;

pub use backoff::backoff;
pub use bulk::BulkDigest;
pub use client::{
    Account, Begun, BlobStream, DOCKER_HUB, ImageDetails, PullReserveReached, RateLimit, Registries,
    RepositoryClient, SharedTags, TagList, Upload,
};
pub use credentials::{
    Access, Allowances, Credential, CredentialHelper, CredentialsError, DockerConfig, EntriesError,
    EntryName, EntryProblem, RegistryEntries, Tls, docker_config,
};
pub use error::{Operation, Reason, RegistryError, Unreachable, is_about_immutable_tag};
pub use oci::{
    BlobDescriptor, Descriptor, EARLIEST_IMAGE_TIME, Manifest, ManifestError, Platform, is_plausible,
};
pub use request_limits::{RequestLimit, RequestLimits};
pub use search::{FoundRepository, SearchError};
pub use settings::{
    BulkApi, BulkKind, LoopbackAddresses, PrivateAddresses, Settings, SettingsError, TokenServers,
    parse_token_servers,
};
pub use text::{is_printable, printable};
pub use transport::{Content, ContentStream, DownloadSlot, Http, RequestCount, holds_certificates};
pub use web::{WebAnswer, WebError, WebRequest};
pub use write_gate::{GateClosed, WriteGate};
