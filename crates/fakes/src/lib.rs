//! Servers that are not real: registries, token servers and clouds that listen on loopback, and an API
//! server that its clients call directly. They answer as a test wants and record what they are asked. Git's own
//! `http-backend` is real; only the server before it is not.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a fake that panics fails its test")]

mod api_server;
pub mod aws;
mod background;
mod boundless_registry;
mod catalog_registry;
mod client;
mod connect_proxy;
mod content_registry;
mod dated_images;
mod distribution;
mod docker_hub;
mod docker_hub_namespaces;
mod ecr_public;
mod faulty_registry;
mod ghcr;
mod git_server;
mod github;
mod graphs;
mod json_client;
mod media_types;
mod quay;
mod quay_tokens;
mod scripted_registry;
mod storing_api_server;
mod storing_registry;
mod tls;
mod token_registry;
mod upload_registry;
mod writable_registry;
mod writes;

pub use api_server::{ApiServer, forbidden, refusal};
pub use aws::FakeAws;
pub use background::Background;
pub use boundless_registry::{BoundlessRegistry, RepeatedByte};
pub use catalog_registry::{Catalog, CatalogRegistry};
pub use client::{basic, client, names, plain, settings};
pub use connect_proxy::ConnectProxy;
pub use content_registry::{Content, ContentRegistry};
pub use dated_images::DatedImages;
pub use distribution::{Tags, distribution, numbered_tags, tags};
pub use docker_hub::DockerHub;
pub use docker_hub_namespaces::FakeHubNamespaces;
pub use ecr_public::{EcrPublic, page as gallery_page};
pub use faulty_registry::FaultyRegistry;
pub use ghcr::Ghcr;
pub use git_server::{GitBehaviour, GitRepository, GitServer, git};
pub use github::{GitHub, PullRequest};
pub use graphs::Graph;
pub use media_types::{IMAGE, INDEX};
pub use quay::Quay;
pub use quay_tokens::QuayTokens;
pub use scripted_registry::{ScriptedRegistry, Seen, json, reply};
pub use storing_api_server::StoringApiServer;
pub use storing_registry::{Asked, Fault, StoringRegistry};
pub use tls::Certificate;
pub use token_registry::TokenRegistry;
pub use upload_registry::UploadRegistry;
pub use writable_registry::WritableRegistry;
pub use writes::{Interruption, Moment, Writes};
