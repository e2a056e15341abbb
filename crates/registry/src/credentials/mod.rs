//! Credentials and TLS settings, and the files and Secrets that hold them.

mod credential;
mod docker_config;
mod fingerprint;
mod glob;
mod registry_entries;
mod secret_data;
mod tls;

pub use credential::Credential;
pub(crate) use credential::basic;
pub use docker_config::{CredentialHelper, CredentialsError, DockerConfig};
pub(crate) use fingerprint::Fingerprint;
pub use registry_entries::{EntriesError, EntryName, EntryProblem, RegistryEntries};
pub use secret_data::{CA_KEY, DOCKER_CONFIG_KEY, SecretData, SecretDataError, from_secret_data};
pub use tls::Tls;
pub(crate) use tls::TlsKey;

/// The credential and the transport security for a registry.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Who authenticates; `None` for anonymous access.
    pub credential: Option<Credential>,
    /// What protects the connection.
    pub tls: Tls,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let access = Access {
            credential: Some(Credential::Basic { username: "u".into(), password: "hunter2".into() }),
            tls: Tls::default(),
        };
        assert!(!format!("{access:?}").contains("hunter2"));
    }
}
