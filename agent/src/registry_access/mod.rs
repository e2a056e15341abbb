//! With which credentials and over which transport the repositories of an object are reached: Secrets of its own
//! namespace, the agent's AWS identity where it is lent; and the Secrets that its Jobs mount.

pub(crate) mod aws;
pub mod files;

use imgop_core::api::{CA_KEY, DOCKER_CONFIG_KEY, EndpointRef, Side, Tls as TlsSpec, TlsMode};
use imgop_registry::ecr::{EcrError, EcrTokens};
use imgop_registry::reference::Repository;
use imgop_registry::{Access, Credential, Tls};

use crate::cluster::Freshness;
use crate::cluster::api_error::{ApiCause, ApiError};
use crate::cluster::owner::Owner;
use crate::cluster::rights::Rights;
use crate::cluster::secrets::{SecretContent, Secrets};

/// How an endpoint is reached, and from which versions of Secrets that is known.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// For the registry client.
    pub access: Access,
    /// Name and version of each Secret that was read, and the time of an AWS token.
    pub versions: Vec<String>,
}

/// What credentials are resolved with.
pub struct RegistryAccess<'a> {
    /// Secrets.
    pub secrets: &'a Secrets,
    /// Rights.
    pub rights: &'a Rights,
    /// Tokens of ECR, from the agent's own AWS identity.
    pub ecr: &'a EcrTokens,
}

/// Why an endpoint cannot be reached as its spec says.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// There is no such Secret.
    #[error("spec.{field} names Secret {secret:?}, which does not exist in this namespace")]
    Missing {
        /// As in the spec.
        field: String,
        /// Its name.
        secret: String,
    },
    /// The Secret holds something else.
    #[error("spec.{field} names Secret {secret:?}: {problem}")]
    Unusable {
        /// As in the spec.
        field: String,
        /// Its name.
        secret: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The agent may not read the Secret.
    #[error("the agent may not read Secret {secret:?}")]
    Forbidden {
        /// Its name.
        secret: String,
    },
    /// No administrator has lent the agent's AWS identity to this namespace.
    #[error("the agent may not use its AWS identity in this namespace")]
    AwsNotEnabled,
    /// AWS gives no token.
    #[error("{side}: {error}")]
    Aws {
        /// For which side.
        side: Side,
        /// Why.
        error: Box<EcrError>,
    },
    /// The API server did not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// Why the Secrets that Jobs mount are not there.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JobSecretError {
    /// AWS gives no token.
    #[error("{0}")]
    Aws(String),
    /// A Secret of this name exists that has another owner.
    #[error("a Secret named {0:?} exists and is not this object's; delete it")]
    Taken(String),
    /// The agent may not write Secrets here; how to grant it.
    #[error("the agent may not create the Secrets of Jobs in this namespace; {0}")]
    MissingRight(String),
    /// The API server did not do it.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl RegistryAccess<'_> {
    /// Reads what one side of an object names, in no namespace but the object's own.
    pub async fn resolve(
        &self,
        namespace: &str,
        side: Side,
        repository: &Repository,
        endpoint: EndpointRef<'_>,
        freshness: Freshness,
    ) -> Result<Resolved, AccessError> {
        let mut versions = Vec::new();
        let mut access = Access { credential: None, tls: Tls::default() };
        if let Some(named) = endpoint.credentials {
            let source = Source { namespace, field: format!("{side}.credentials.secretName"), freshness };
            let content = self.read(&source, &named.secret_name).await?;
            versions.push(content.version.clone());
            access.credential =
                Some(credential(&content, repository).map_err(source.unusable(&named.secret_name))?);
        }
        access.tls = match (endpoint.tls, &endpoint.tls.ca_secret_name) {
            (TlsSpec { mode: TlsMode::Verify, .. }, Some(name)) => {
                let source = Source { namespace, field: format!("{side}.tls.caSecretName"), freshness };
                let content = self.read(&source, name).await?;
                versions.push(content.version.clone());
                let ca = content.ca.clone().ok_or_else(|| format!("it has no key {CA_KEY}"));
                Tls::Verify { extra_ca_pem: Some(ca.map_err(source.unusable(name))?) }
            }
            (TlsSpec { mode: TlsMode::Verify, .. }, None) => Tls::default(),
            (TlsSpec { mode: TlsMode::SkipVerify, .. }, _) => Tls::SkipVerify,
            (TlsSpec { mode: TlsMode::PlainHttp, .. }, _) => Tls::PlainHttp,
        };
        let mut resolved = Resolved { access, versions };
        if endpoint.use_aws_irsa {
            aws::add_credential(self, namespace, side, repository.host(), freshness, &mut resolved).await?;
        }
        Ok(resolved)
    }

    /// Writes the Secret that an owner's Jobs mount for one side, unless it holds a token that is young enough.
    /// Only right before a Job is created: an object with nothing to do has no Secret.
    pub async fn ensure_job_secret(
        &self,
        owner: &Owner,
        side: Side,
        repository: &Repository,
        endpoint: EndpointRef<'_>,
    ) -> Result<(), JobSecretError> {
        if endpoint.use_aws_irsa {
            aws::ensure_job_secret(self, owner, side, repository.host()).await?;
        }
        Ok(())
    }

    async fn read(
        &self,
        source: &Source<'_>,
        name: &str,
    ) -> Result<std::sync::Arc<SecretContent>, AccessError> {
        let content = self.secrets.get(source.namespace, name, source.freshness).await;
        content.map_err(|error| match error.cause {
            ApiCause::NotFound => {
                AccessError::Missing { field: source.field.clone(), secret: name.to_owned() }
            }
            ApiCause::MissingRight(_) | ApiCause::Forbidden(_) => {
                AccessError::Forbidden { secret: name.to_owned() }
            }
            _ => AccessError::Api(error),
        })
    }
}

/// From where a Secret is read, and for which field.
struct Source<'a> {
    namespace: &'a str,
    field: String,
    freshness: Freshness,
}

impl Source<'_> {
    fn unusable(&self, secret: &str) -> impl FnOnce(String) -> AccessError {
        let (field, secret) = (self.field.clone(), secret.to_owned());
        move |problem| AccessError::Unusable { field, secret, problem }
    }
}

/// Returns the credential for a repository, or what is wrong with the Secret.
fn credential(content: &SecretContent, repository: &Repository) -> Result<Credential, String> {
    let config = content.docker_config.as_ref().ok_or_else(|| {
        format!("it has no key {DOCKER_CONFIG_KEY}; make it with kubectl create secret docker-registry")
    })?;
    let config = config.as_ref().map_err(Clone::clone)?;
    config
        .credential(repository.host(), repository.path())
        .ok_or_else(|| format!("it holds no credential for {}", repository.host()))
}

#[cfg(test)]
mod tests;
