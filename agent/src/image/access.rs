//! Credentials and certificates that an Image names: Secrets of its own namespace, read by name.

use std::sync::Arc;

use imgop_core::api::Side;
use imgop_core::api::{CA_KEY, Credentials, Tls as TlsSpec, TlsMode};
use imgop_registry::ecr::EcrError;
use imgop_registry::reference::Repository;
use imgop_registry::{Access, Credential, DockerConfig, Tls};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;

use super::pod::DOCKER_CONFIG_KEY;
use super::secrets::{Freshness, Secrets};

/// How one side is reached, and from which versions of Secrets that is known.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// For the registry client.
    pub access: Access,
    /// Name and version of each Secret that was read.
    pub secrets: Vec<String>,
}

/// The Secrets of one namespace.
#[derive(Clone, Copy)]
pub struct NamespaceSecrets<'a> {
    /// All Secrets.
    pub secrets: &'a Secrets,
    /// The namespace.
    pub namespace: &'a str,
    /// How sure we want to be of them.
    pub freshness: Freshness,
}

/// Why a Secret or the agent's AWS identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// There is none.
    #[error("spec.{field} names Secret {secret:?}, which does not exist in this namespace")]
    Missing {
        /// As in the spec.
        field: String,
        /// Its name.
        secret: String,
    },
    /// It holds something else.
    #[error("spec.{field} names Secret {secret:?}: {problem}")]
    Unusable {
        /// As in the spec.
        field: String,
        /// Its name.
        secret: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The agent may not read it.
    #[error("the agent may not read Secret {secret:?}")]
    Forbidden {
        /// Its name.
        secret: String,
    },
    /// No administrator has lent the agent's AWS identity to this namespace.
    #[error("the agent may not use its AWS identity for Images of this namespace")]
    AwsNotEnabled,
    /// AWS gives no token.
    #[error("{side}: {error}")]
    Aws {
        /// For which side.
        side: Side,
        /// Why.
        error: Box<EcrError>,
    },
    /// The API server did not say what is allowed.
    #[error("cannot ask for the agent's rights: {error}")]
    Rights {
        /// Why.
        error: Box<kube::Error>,
    },
    /// The API server did not answer.
    #[error("cannot read Secret {secret:?}: {error}")]
    Api {
        /// Its name.
        secret: String,
        /// Why.
        error: Box<kube::Error>,
    },
}

/// Reads what one side of an Image names, in no namespace but the Image's own.
pub async fn resolve(
    source: &NamespaceSecrets<'_>,
    side: Side,
    repository: &Repository,
    credentials: Option<&Credentials>,
    tls: &TlsSpec,
) -> Result<Resolved, AccessError> {
    let mut secrets = Vec::new();
    let credential = match credentials {
        None => None,
        Some(named) => {
            let field = format!("{side}.credentials.secretName");
            let secret = read(source, &field, &named.secret_name).await?;
            secrets.push(version(&secret));
            Some(credential(&secret, &field, repository)?)
        }
    };
    let tls = match (tls.mode, &tls.ca_secret_name) {
        (TlsMode::Verify, None) => Tls::default(),
        (TlsMode::Verify, Some(name)) => {
            let field = format!("{side}.tls.caSecretName");
            let secret = read(source, &field, name).await?;
            secrets.push(version(&secret));
            Tls::Verify { extra_ca_pem: Some(value(&secret, &field, CA_KEY)?.to_vec()) }
        }
        (TlsMode::SkipVerify, _) => Tls::SkipVerify,
        (TlsMode::PlainHttp, _) => Tls::PlainHttp,
    };
    Ok(Resolved { access: Access { credential, tls }, secrets })
}

async fn read(source: &NamespaceSecrets<'_>, field: &str, name: &str) -> Result<Arc<Secret>, AccessError> {
    match source.secrets.get(source.namespace, name, source.freshness).await {
        Ok(secret) => Ok(secret),
        Err(kube::Error::Api(status)) if status.is_not_found() => {
            Err(AccessError::Missing { field: field.to_owned(), secret: name.to_owned() })
        }
        Err(kube::Error::Api(status)) if status.is_forbidden() => {
            Err(AccessError::Forbidden { secret: name.to_owned() })
        }
        Err(error) => Err(AccessError::Api { secret: name.to_owned(), error: Box::new(error) }),
    }
}

fn version(secret: &Secret) -> String {
    format!("{}/{}", secret.name_any(), secret.resource_version().unwrap_or_default())
}

fn value<'a>(secret: &'a Secret, field: &str, key: &str) -> Result<&'a [u8], AccessError> {
    match secret.data.as_ref().and_then(|data| data.get(key)) {
        Some(value) => Ok(&value.0),
        None => Err(AccessError::Unusable {
            field: field.to_owned(),
            secret: secret.name_any(),
            problem: format!("it has no key {key}"),
        }),
    }
}

fn credential(secret: &Secret, field: &str, repository: &Repository) -> Result<Credential, AccessError> {
    let unusable = |problem: String| AccessError::Unusable {
        field: field.to_owned(),
        secret: secret.name_any(),
        problem,
    };
    let bytes = value(secret, field, DOCKER_CONFIG_KEY).map_err(|_| {
        unusable(format!(
            "it has no key {DOCKER_CONFIG_KEY}; make it with kubectl create secret docker-registry"
        ))
    })?;
    let config = DockerConfig::parse(bytes).map_err(|error| unusable(error.to_string()))?;
    config
        .credential(repository.host(), repository.path())
        .ok_or_else(|| unusable(format!("it holds no credential for {}", repository.host())))
}
