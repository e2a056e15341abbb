//! With which credentials and over which transport the repositories of an object are reached: Secrets of its own
//! namespace, the agent's AWS identity where it is lent; and the Secrets that its Jobs mount.

mod aws;
pub mod files;

use imgop_core::api::{Credentials, Tls};
use imgop_registry::Access;
use imgop_registry::ecr::{EcrError, EcrTokens};
use imgop_registry::reference::Repository;

use crate::cluster::Freshness;
use crate::cluster::api_error::ApiError;
use crate::cluster::owner::Owner;
use crate::cluster::rights::Rights;
use crate::cluster::secrets::Secrets;

/// One repository that an object names, and how its spec says that it is reached.
#[derive(Debug, Clone, Copy)]
pub struct EndpointRef<'a> {
    /// The field of the spec, such as `source`.
    pub field: &'static str,
    /// The repository.
    pub repository: &'a Repository,
    /// The Secret with the credentials.
    pub credentials: Option<&'a Credentials>,
    /// How the connection is secured.
    pub tls: &'a Tls,
    /// Whether the agent's AWS identity is wanted.
    pub use_aws: bool,
}

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
    #[error("{field}: {error}")]
    Aws {
        /// As in the spec.
        field: &'static str,
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
    /// Reads what an endpoint of an object names, in no namespace but the object's own.
    pub async fn resolve(
        &self,
        namespace: &str,
        endpoint: EndpointRef<'_>,
        freshness: Freshness,
    ) -> Result<Resolved, AccessError> {
        let _ = (namespace, endpoint, freshness);
        unimplemented!()
    }

    /// Writes the Secrets that an owner's Jobs mount for an endpoint, unless they hold a token that is young
    /// enough. Only right before a Job is created: an object with nothing to do has no Secret.
    pub async fn ensure_job_secret(
        &self,
        owner: &Owner,
        endpoint: EndpointRef<'_>,
    ) -> Result<(), JobSecretError> {
        let _ = (owner, endpoint);
        unimplemented!()
    }
}
