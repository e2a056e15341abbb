//! Credentials and TLS settings, and the files and Secrets that hold them.

mod allowances;
mod credential;
mod docker_config;
mod fingerprint;
mod glob;
mod registry_entries;
mod secret_data;
mod tls;
mod written;

pub use allowances::Allowances;
pub(crate) use allowances::ConnectionKey;
pub use credential::Credential;
pub(crate) use credential::basic;
pub use docker_config::{CredentialHelper, CredentialsError, DockerConfig};
pub(crate) use fingerprint::Fingerprint;
pub use glob::Glob;
pub use registry_entries::{EntriesError, EntryName, EntryProblem, RegistryEntries};
pub use secret_data::{CA_KEY, DOCKER_CONFIG_KEY, SecretData, SecretDataError, from_secret_data};
pub use tls::Tls;
use tls::TlsKey;
pub use written::docker_config;

/// The credential and the transport security for a registry.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Who authenticates; `None` for anonymous access.
    pub credential: Option<Credential>,
    /// What protects the connection.
    pub tls: Tls,
    /// What is allowed beside the settings of the process.
    pub allowances: Allowances,
}

impl Access {
    /// Returns how the registry is reached, whoever authenticates.
    pub(crate) fn connection(&self) -> ConnectionKey {
        ConnectionKey::new(self.tls.key(), &self.allowances)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let access = Access {
            credential: Some(Credential::Basic { username: "u".into(), password: "hunter2".into() }),
            ..Access::default()
        };
        assert!(!format!("{access:?}").contains("hunter2"));
    }
}
