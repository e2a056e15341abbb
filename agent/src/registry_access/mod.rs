//! With which credentials and over which transport the repositories of an object are reached: Secrets of its own
//! namespace, what administrators lend; who may write where; and the Secrets that its Jobs mount.

pub mod advice;
pub(crate) mod aws;
pub mod default_destinations;
mod destination_repository;
pub mod docker_config;
pub mod files;
pub mod lent;
mod lent_secrets;
mod policies;
mod resolve;
pub mod status;
#[cfg(test)]
pub(crate) mod testing;

use imgop_core::api::conditions::reasons;
use imgop_core::api::{EndpointRef, Tls as TlsSpec, TlsMode};
use imgop_core::default_destination::IncompleteDestination;
use imgop_core::readiness::Readiness;
use imgop_registry::Access;
use imgop_registry::ecr::{EcrError, EcrTokens};
use imgop_registry::reference::{Digest, RegistryHost, Repository};

use crate::cluster::api_error::{ApiCause, ApiError};
use crate::cluster::owner::Owner;
use crate::cluster::rights::{Right, Rights};
use crate::cluster::secrets::Secrets;
use crate::config::given_credentials::GivenCredentials;
pub use destination_repository::{EnsureError, RepositoryError, ensure_repository};
pub use policies::{Policies, PolicyFault};
pub use resolve::{EndpointUse, Lending};

/// How a registry is reached that a spec says nothing of.
const DEFAULT_TLS: TlsSpec = TlsSpec { mode: TlsMode::Verify, ca_secret_name: None };

/// How an endpoint is reached, and from which versions of Secrets that is known.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// For the registry client.
    pub access: Access,
    /// What it was made from.
    pub versions: Versions,
    /// Whether something of it is lent, so that no Job in a tenant's namespace may have it.
    pub is_lent: bool,
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

    /// Returns a hash of the Secrets: another one when one of them is corrected, and not when a token is a new one.
    pub fn digest(&self) -> String {
        Digest::of(self.secrets.join("\n").as_bytes()).to_string()
    }

    /// Adds those of another endpoint.
    pub fn extend(&mut self, others: Self) {
        self.secrets.extend(others.secrets);
        self.tokens.extend(others.tokens);
    }
}

/// What endpoints are resolved with.
pub struct AccessResolver<'a> {
    /// What administrators have granted.
    pub policies: &'a Policies,
    /// The namespace of the agent, with the Secrets that are lent.
    pub agent_namespace: &'a str,
    /// What the agent's own variables give that namespace.
    pub given: &'a [GivenCredentials],
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
    #[error(
        "spec.{field} names Secret {secret:?}, which does not exist in this namespace; create it, or correct the name"
    )]
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
    /// Administrators let other namespaces write there, and not this one. Those are not named.
    #[error(
        "spec.{field}: an administrator has decided which namespaces may write to {scope}, and this one is none of \
         them; name another destination, or have it selected by the RegistryAccess for that"
    )]
    DestinationNotAllowed {
        /// Where the spec has the endpoint.
        field: String,
        /// The repositories that are decided about.
        scope: String,
    },
    /// Administrators let the namespace create no repository there, or not with this role.
    #[error("spec.{field}.create: {problem}")]
    CreationNotAllowed {
        /// Where the spec has the endpoint.
        field: String,
        /// What is not allowed, and what to do.
        problem: String,
    },
    /// How lent credentials are sent is not a tenant's decision.
    #[error(
        "spec.{field}.tls: an administrator lends the credentials for this registry and says how it is reached; leave tls \
         out, or name credentials of your own"
    )]
    TlsOfLent {
        /// Where the spec has the endpoint.
        field: String,
    },
    /// What is lent cannot be used. Names of Secrets of administrators are not a tenant's.
    #[error("spec.{field}: what an administrator lends for {host} cannot be used: {problem}")]
    LentUnusable {
        /// Where the spec has the endpoint.
        field: String,
        /// The registry.
        host: RegistryHost,
        /// Why.
        problem: String,
    },
    /// The spec leaves its destination open, and no default says where it is.
    #[error(transparent)]
    OpenDestination(#[from] IncompleteDestination),
    /// It is not known what administrators have granted.
    #[error(transparent)]
    Policy(#[from] PolicyFault),
    /// The API server did not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl AccessError {
    /// Returns the reason of the condition that says it, one of [`reasons`], and the right that the agent lacks, if that is
    /// why; nothing where it is over in a moment, or only the API server can help.
    pub fn reason_and_right(&self) -> Option<(&'static str, Option<Right>)> {
        let reason = match self {
            Self::Api(_) | Self::Policy(PolicyFault::Pending) => return None,
            Self::AwsNotEnabled => return Some((reasons::NAMESPACE_NOT_ENABLED, Some(Right::USE_AWS))),
            Self::Forbidden { .. } => {
                return Some((reasons::NAMESPACE_NOT_ENABLED, Some(Right::GET_SECRETS)));
            }
            Self::Aws { error, .. } if error.is_transient() => reasons::REGISTRY_UNREACHABLE,
            Self::Aws { .. } => reasons::REGISTRY_UNAUTHORIZED,
            Self::Missing { .. } | Self::Unusable { .. } | Self::LentUnusable { .. } => {
                reasons::SECRET_UNUSABLE
            }
            Self::DestinationNotAllowed { .. } | Self::CreationNotAllowed { .. } => {
                reasons::DESTINATION_NOT_ALLOWED
            }
            Self::TlsOfLent { .. } | Self::OpenDestination(_) => reasons::INVALID_SPEC,
            Self::Policy(_) => reasons::ACCESS_UNKNOWN,
        };
        Some((reason, None))
    }
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

impl AccessResolver<'_> {
    /// Writes the Secret that an owner's Jobs in its own namespace mount for an endpoint, unless it holds a token that is
    /// young enough. Only right before a Job is created: an object with nothing to do has no Secret.
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
}

#[cfg(test)]
mod tests;
