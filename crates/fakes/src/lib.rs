//! Registries that are not real: they listen on loopback, say what a test wants and remember what
//! they were asked.
#![allow(missing_docs)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a fake that panics fails its test"
)]

pub mod aws;
mod client;
mod connect_proxy;
mod content_registry;
mod distribution;
mod docker_hub;
mod ecr_public;
mod faulty_registry;
mod ghcr;
mod quay;
mod scripted_registry;
mod tls;
mod token_registry;

pub use aws::FakeAws;
pub use client::{basic, client, names, plain, settings};
pub use connect_proxy::ConnectProxy;
pub use content_registry::{Content, ContentRegistry, INDEX};
pub use distribution::{Tags, distribution, tags};
pub use docker_hub::DockerHub;
pub use ecr_public::{EcrPublic, page as gallery_page};
pub use faulty_registry::FaultyRegistry;
pub use ghcr::Ghcr;
pub use quay::Quay;
pub use scripted_registry::{ScriptedRegistry, Seen, json, reply};
pub use token_registry::TokenRegistry;
