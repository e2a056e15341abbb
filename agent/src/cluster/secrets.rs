//! Secrets, read and written by name. This is the only place that does.

use std::sync::Arc;

use imgop_registry::DockerConfig;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;

use super::Freshness;
use super::api_error::ApiError;

/// What is read of a Secret, parsed.
#[derive(Debug, Clone)]
pub struct SecretContent {
    /// Name and resource version: which Secret was read, and as of when.
    pub version: String,
    /// Its key `.dockerconfigjson`; none if there is no such key, else the credentials or why they cannot be
    /// read.
    pub docker_config: Option<Result<Arc<DockerConfig>, String>>,
    /// Its key `ca.crt`.
    pub ca: Option<Arc<[u8]>>,
}

/// Reads Secrets by name and keeps what was parsed of them, within a bound in bytes. However many objects name
/// a Secret, it is read once a period.
pub struct Secrets {
    client: Client,
}

/// Why a Secret that Jobs mount was not written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EnsureError {
    /// A Secret of this name exists that has another owner or another type.
    #[error("a Secret named {0:?} exists and is not this object's; delete it")]
    Taken(String),
    /// The API server did not do it.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl Secrets {
    /// Reads through this client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Returns what a Secret of this namespace holds, as recent as `freshness` wants it.
    pub async fn get(
        &self,
        namespace: &str,
        name: &str,
        freshness: Freshness,
    ) -> Result<Arc<SecretContent>, ApiError> {
        let _ = (namespace, name, freshness, &self.client);
        unimplemented!()
    }

    /// Makes sure that this Secret exists and holds this. One that does is not written again.
    pub async fn ensure(&self, wanted: &Secret) -> Result<(), EnsureError> {
        let _ = wanted;
        unimplemented!()
    }
}
