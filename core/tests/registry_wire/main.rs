//! The registry client against fakes on loopback, request by request.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed")]

#[path = "../fakes/mod.rs"]
mod fakes;

mod ages;
mod bulk;
mod bulk_refusals;
mod connections;
mod credentials;
mod docker_hub;
#[cfg(feature = "ecr")]
mod ecr_tokens;
mod faults;
mod ghcr;
mod manifests;
mod mounts;
mod observing;
mod other_hosts;
mod pages;
mod patience;
mod platforms;
mod proxies;
mod pulls;
mod referrers;
mod shared_lists;
mod tag_lists;
mod throttling;
mod tls;
mod tokens;
mod told;
mod two_sides;

use std::time::Duration;

use imgop_core::reference::Repository;
use imgop_core::registry::{Access, Credential, Registries, RepositoryClient, Settings, Tls};
use imgop_core::tags::Tag;

/// The usual settings without the waiting, and without the proxies of whoever runs the tests.
fn settings() -> Settings {
    Settings {
        first_backoff: Duration::from_millis(1),
        longest_backoff: Duration::from_millis(2),
        system_proxy: false,
        ..Settings::default()
    }
}

fn client(repository: &Repository) -> RepositoryClient {
    Registries::new(settings()).repository(repository, &Access::default())
}

fn names(tags: &[Tag]) -> Vec<&str> {
    tags.iter().map(Tag::as_str).collect()
}

fn basic(username: &str, password: &str) -> Access {
    let credential = Credential::Basic { username: username.to_owned(), password: password.into() };
    Access { credential: Some(credential), ..Access::default() }
}

fn plain(access: Access) -> Access {
    Access { tls: Tls::PlainHttp, ..access }
}
