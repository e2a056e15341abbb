//! Clients of the fakes, as tests need them: no waiting, no proxies of the machine.

use std::time::Duration;

use imgop_registry::reference::{Repository, Tag};
use imgop_registry::{Access, Credential, Registries, RepositoryClient, Settings, Tls};

/// The usual settings without the waiting, and without the proxies of whoever runs the tests.
pub fn settings() -> Settings {
    Settings {
        first_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(2),
        system_proxy: false,
        ..Settings::default()
    }
}

/// Returns a client without credentials.
pub fn client(repository: &Repository) -> RepositoryClient {
    Registries::new(settings()).repository(repository, &Access::default())
}

/// Returns the tags as text.
pub fn names(tags: &[Tag]) -> Vec<&str> {
    tags.iter().map(Tag::as_str).collect()
}

/// Returns access with a password.
pub fn basic(username: &str, password: &str) -> Access {
    let credential = Credential::Basic { username: username.to_owned(), password: password.into() };
    Access { credential: Some(credential), ..Access::default() }
}

/// Returns the same access without TLS.
pub fn plain(access: Access) -> Access {
    Access { tls: Tls::PlainHttp, ..access }
}
