//! The access that the Secrets of an endpoint give.

use super::{Access, Credential, CredentialsError, DockerConfig, Tls};
use crate::reference::{RegistryHost, Repository};

/// The key of a Secret of type `kubernetes.io/dockerconfigjson`.
pub const DOCKER_CONFIG_KEY: &str = ".dockerconfigjson";
/// The key of a Secret with the certificates of a CA (cert-manager and `kubectl create secret tls` use it).
pub const CA_KEY: &str = "ca.crt";

/// The values of one Secret by key, whatever type holds them.
type Values<'a> = &'a (dyn Fn(&str) -> Option<&'a [u8]> + Sync);

/// The Secrets that an endpoint names, as they were read.
#[derive(Clone, Copy, Default)]
pub struct SecretData<'a> {
    /// The Secret with credentials; `None` where the endpoint names none.
    pub credentials: Option<Values<'a>>,
    /// The Secret with the certificates of a CA; `None` where the endpoint names none.
    pub ca: Option<Values<'a>>,
}

/// Why the data of a Secret gives no access. No value of the Secret is quoted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretDataError {
    /// The Secret with credentials is of another type.
    #[error("it has no key {DOCKER_CONFIG_KEY}; make it with kubectl create secret docker-registry")]
    NoDockerConfig,
    /// The docker configuration cannot be used.
    #[error(transparent)]
    DockerConfig(#[from] CredentialsError),
    /// The docker configuration is for other registries.
    #[error("it holds no credential for {0}")]
    NoCredential(RegistryHost),
    /// The Secret with the certificates of a CA has none.
    #[error("it has no key {CA_KEY}")]
    NoCa,
}

impl SecretDataError {
    /// Whether the Secret with the CA is the cause, and not the one with credentials.
    pub fn concerns_ca(&self) -> bool {
        matches!(self, Self::NoCa)
    }
}

/// Returns the access that the Secrets give to a repository. `mode` is what the spec says of TLS; a CA
/// counts where certificates are verified, and is not read elsewhere.
pub fn from_secret_data(
    secrets: SecretData<'_>,
    repository: &Repository,
    mode: Tls,
) -> Result<Access, SecretDataError> {
    let credential = secrets.credentials.map(|values| credential(values, repository)).transpose()?;
    let tls = match (mode, secrets.ca) {
        (Tls::Verify { .. } | Tls::VerifyEverywhere, Some(values)) => {
            let pem = values(CA_KEY).ok_or(SecretDataError::NoCa)?;
            Tls::Verify { extra_ca_pem: Some(pem.to_vec()) }
        }
        (mode, _) => mode,
    };
    Ok(Access { credential, tls, ..Access::default() })
}

fn credential(values: Values<'_>, repository: &Repository) -> Result<Credential, SecretDataError> {
    let bytes = values(DOCKER_CONFIG_KEY).ok_or(SecretDataError::NoDockerConfig)?;
    let config = DockerConfig::parse(bytes)?;
    let found = config.credential(repository.host(), repository.path());
    found.ok_or_else(|| SecretDataError::NoCredential(repository.host().clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &[u8] = br#"{"auths":{"quay.io":{"auth":"dTpodW50ZXIy"}}}"#;
    const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";

    fn quay() -> Repository {
        "quay.io/a/b".parse().unwrap()
    }

    #[test]
    fn credentials_and_ca_come_from_the_secrets_that_are_named() {
        let config = |key: &str| (key == DOCKER_CONFIG_KEY).then_some(CONFIG);
        let ca = |key: &str| (key == CA_KEY).then_some(PEM);
        let both = SecretData { credentials: Some(&config), ca: Some(&ca) };
        let access = from_secret_data(both, &quay(), Tls::default()).unwrap();
        assert!(matches!(access.credential, Some(Credential::Basic { username, .. }) if username == "u"));
        assert_eq!(access.tls, Tls::Verify { extra_ca_pem: Some(PEM.to_vec()) });
        let none = from_secret_data(SecretData::default(), &quay(), Tls::PlainHttp).unwrap();
        assert!(none.credential.is_none() && none.tls == Tls::PlainHttp);
    }

    #[test]
    fn a_ca_is_not_read_where_nothing_is_verified() {
        let empty = |_: &str| None;
        let secrets = SecretData { ca: Some(&empty), ..SecretData::default() };
        for mode in [Tls::SkipVerify, Tls::PlainHttp] {
            assert_eq!(from_secret_data(secrets, &quay(), mode.clone()).unwrap().tls, mode);
        }
        let error = from_secret_data(secrets, &quay(), Tls::default()).unwrap_err();
        assert!(error.concerns_ca(), "{error}");
    }

    #[test]
    fn each_unusable_secret_has_its_own_message_and_quotes_no_value() {
        let message = |config: Option<&'static [u8]>, host: &str| {
            let values = move |key: &str| config.filter(|_| key == DOCKER_CONFIG_KEY);
            let secrets = SecretData { credentials: Some(&values), ..SecretData::default() };
            let repository = format!("{host}/a/b").parse().unwrap();
            let error = from_secret_data(secrets, &repository, Tls::default()).unwrap_err();
            assert!(!error.concerns_ca() && !format!("{error:?}{error}").contains("hunter2"), "{error:?}");
            error.to_string()
        };
        insta::assert_snapshot!(message(None, "quay.io"), @"it has no key .dockerconfigjson; make it with kubectl create secret docker-registry");
        insta::assert_snapshot!(message(Some(b"hunter2"), "quay.io"), @"it is not a docker configuration: invalid JSON at line 1, column 1");
        insta::assert_snapshot!(message(Some(CONFIG), "ghcr.io"), @"it holds no credential for ghcr.io");
    }
}
