//! The registry client against fakes on loopback, request by request.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod blobs;
mod challenges;
mod compressed;
mod connections;
mod created;
mod credentials;
mod details;
#[cfg(feature = "ecr")]
mod ecr_repositories;
mod ecr_tokens;
mod error_messages;
mod faults;
mod ghcr;
mod git;
mod manifests;
mod mounts;
mod other_hosts;
mod pages;
mod proxies;
mod pull_quota;
mod pushes;
mod quay;
mod referrers_api;
mod scopes;
mod search;
mod shared_tag_lists;
mod tag_lists;
mod throttling;
mod timeouts;
mod tls;
mod tokens;
mod web;
