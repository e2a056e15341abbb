//! With which credentials and over which transport the repositories of an object are reached: Secrets of its own
//! namespace, the agent's AWS identity where it is lent; and the Secrets that its Jobs mount.

pub mod advice;
pub(crate) mod aws;
pub mod default_destinations;
pub mod docker_config;
pub mod files;

use std::sync::Arc;

use imgop_core::api::conditions::reasons;
use imgop_core::api::{EndpointRef, TlsMode};
use imgop_core::readiness::Readiness;
use imgop_registry::credentials::{CA_KEY, DOCKER_CONFIG_KEY, SecretData, SecretDataError, from_secret_data};
use imgop_registry::ecr::{EcrError, EcrTokens};
use imgop_registry::reference::Repository;
use imgop_registry::{Access, Tls};

use crate::cluster::Freshness;
use crate::cluster::api_error::{ApiCause, ApiError};
use crate::cluster::owner::Owner;
use crate::cluster::rights::Rights;
use crate::cluster::secrets::{MAX_VALUE_BYTES, SecretContent, Secrets, is_name};

/// How an endpoint is reached, and from which versions of Secrets that is known.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// For the registry client.
    pub access: Access,
    /// What it was made from.
    pub versions: Versions,
}

/// What credentials were made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions {
    /// Name and version of each Secret that was read.
    pub secrets: Vec<String>,
    /// The times of AWS tokens, each with its field. A new one is no correction of anything.
    pub tokens: Vec<String>,
}

impl Versions {
    /// Returns all of them.
    pub fn all(&self) -> Vec<String> {
        [self.secrets.as_slice(), &self.tokens].concat()
    }

    /// Adds those of another endpoint.
    pub fn extend(&mut self, others: Self) {
        self.secrets.extend(others.secrets);
        self.tokens.extend(others.tokens);
    }
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
    #[error("{field}: {error}")]
    Aws {
        /// For which field.
        field: String,
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

impl JobSecretError {
    /// Returns what is reported of it; nothing where the namespace is being deleted.
    ///
    /// # Errors
    /// What only the API server can help: it is tried again.
    pub fn readiness(self) -> Result<Option<Readiness>, ApiError> {
        let message = self.to_string();
        let reason = match self {
            Self::Api(error) => match error.cause {
                ApiCause::NamespaceTerminating => return Ok(None),
                ApiCause::Forbidden(_) | ApiCause::Invalid(_) => reasons::JOB_REFUSED,
                _ => return Err(error),
            },
            Self::MissingRight(_) => reasons::NAMESPACE_NOT_ENABLED,
            Self::Aws(_) => reasons::REGISTRY_UNAUTHORIZED,
            Self::Taken(_) => reasons::NAME_CONFLICT,
        };
        Ok(Some(Readiness::stalled(reason, message)))
    }
}

impl RegistryAccess<'_> {
    /// Reads what an endpoint of an object names, in no namespace but the object's own. `field` is where the spec has
    /// the endpoint: `source`, `registries[2]`.
    pub async fn resolve(
        &self,
        namespace: &str,
        field: &str,
        repository: &Repository,
        endpoint: EndpointRef<'_>,
        freshness: Freshness,
    ) -> Result<Resolved, AccessError> {
        let fields = [format!("{field}.credentials.secretName"), format!("{field}.tls.caSecretName")];
        let verifies = endpoint.tls.mode == TlsMode::Verify;
        let names = [
            endpoint.credentials.map(|named| named.secret_name.as_str()),
            endpoint.tls.ca_secret_name.as_deref().filter(|_| verifies),
        ];
        let mut read = [None, None];
        for (which, key) in [DOCKER_CONFIG_KEY, CA_KEY].into_iter().enumerate() {
            let (Some(name), named_by) = (names[which], &fields[which]) else { continue };
            let content = self.read(namespace, named_by, name, freshness).await?;
            if let Some(bytes) = content.too_long(key) {
                let problem = format!(
                    "its key {key} has {bytes} bytes; at most {MAX_VALUE_BYTES} are read, so name a \
                             Secret with what this registry needs alone"
                );
                let (field, secret) = (named_by.clone(), name.to_owned());
                return Err(AccessError::Unusable { field, secret, problem });
            }
            read[which] = Some(content);
        }
        let mode = match endpoint.tls.mode {
            TlsMode::Verify => Tls::default(),
            TlsMode::SkipVerify => Tls::SkipVerify,
            TlsMode::PlainHttp => Tls::PlainHttp,
        };
        let access = access(&read, repository, mode).map_err(|error| {
            let which = usize::from(error.concerns_ca());
            let secret = names[which].unwrap_or_default().to_owned();
            AccessError::Unusable { field: fields[which].clone(), secret, problem: error.to_string() }
        })?;
        let secrets = read.iter().flatten().map(|content| content.version.clone()).collect();
        let mut resolved = Resolved { access, versions: Versions { secrets, tokens: Vec::new() } };
        if endpoint.use_aws_irsa {
            aws::add_credential(self, namespace, field, repository.host(), freshness, &mut resolved).await?;
        }
        Ok(resolved)
    }

    /// Writes the Secret that an owner's Jobs mount for an endpoint, unless it holds a token that is young enough.
    /// Only right before a Job is created: an object with nothing to do has no Secret.
    pub async fn ensure_job_secret(
        &self,
        owner: &Owner,
        field: &str,
        repository: &Repository,
        endpoint: EndpointRef<'_>,
    ) -> Result<(), JobSecretError> {
        if endpoint.use_aws_irsa {
            aws::ensure_job_secret(self, owner, field, repository.host()).await?;
        }
        Ok(())
    }

    async fn read(
        &self,
        namespace: &str,
        field: &str,
        name: &str,
        freshness: Freshness,
    ) -> Result<Arc<SecretContent>, AccessError> {
        if !is_name(name) {
            let problem = "no Secret can have this name: lower-case letters, digits, - and . only".to_owned();
            let (field, secret) = (field.to_owned(), name.to_owned());
            return Err(AccessError::Unusable { field, secret, problem });
        }
        self.secrets.get(namespace, name, freshness).await.map_err(|error| match error.cause {
            ApiCause::NotFound => AccessError::Missing { field: field.to_owned(), secret: name.to_owned() },
            ApiCause::MissingRight(_) | ApiCause::Forbidden(_) => {
                AccessError::Forbidden { secret: name.to_owned() }
            }
            _ => AccessError::Api(error),
        })
    }
}

/// Returns what the Secrets with credentials and with certificates give.
fn access(
    [credentials, ca]: &[Option<Arc<SecretContent>>; 2],
    repository: &Repository,
    mode: Tls,
) -> Result<Access, SecretDataError> {
    let of_credentials = |key: &str| credentials.as_ref().and_then(|content| content.value(key));
    let of_ca = |key: &str| ca.as_ref().and_then(|content| content.value(key));
    let data = SecretData {
        credentials: credentials.is_some().then_some(&of_credentials),
        ca: ca.is_some().then_some(&of_ca),
    };
    from_secret_data(data, repository, mode)
}

#[cfg(test)]
mod tests;
