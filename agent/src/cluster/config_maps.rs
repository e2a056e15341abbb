//! `ConfigMaps`, read by name.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use tokio::sync::Semaphore;

use super::api_error::{ApiCause, ApiError};
use super::secrets::is_name;

/// `ConfigMaps` that are read at once: each may have a megabyte.
const MAX_CONCURRENT_READS: usize = 4;

/// Reads `ConfigMaps` by name. Nothing of them is cached: they are read when a build begins.
pub struct ConfigMaps {
    client: Client,
    turns: Semaphore,
}

/// What a ConfigMap holds, as the files that a pod that mounts it sees.
pub type ConfigMapFiles = BTreeMap<String, Vec<u8>>;

impl ConfigMaps {
    /// Reads through this client.
    pub fn new(client: Client) -> Self {
        Self { client, turns: Semaphore::new(MAX_CONCURRENT_READS) }
    }

    /// Returns what a ConfigMap holds, text and bytes alike; none if there is no ConfigMap of that name.
    pub async fn get(&self, namespace: &str, name: &str) -> Result<Option<ConfigMapFiles>, ApiError> {
        // Whatever else stands in a spec would be a path of another request.
        if !is_name(name) {
            return Ok(None);
        }
        // The semaphore is never closed.
        let _turn = self.turns.acquire().await.ok();
        let found = Api::<ConfigMap>::namespaced(self.client.clone(), namespace).get_opt(name).await;
        let failed = |error| ApiError::new("get", format!("ConfigMap \"{namespace}/{name}\""), &error);
        Ok(found.map_err(failed)?.map(files))
    }
}

fn files(config_map: ConfigMap) -> ConfigMapFiles {
    let texts = config_map.data.unwrap_or_default().into_iter().map(|(key, text)| (key, text.into_bytes()));
    let bytes = config_map.binary_data.unwrap_or_default().into_iter().map(|(key, bytes)| (key, bytes.0));
    texts.chain(bytes).collect()
}

/// Returns whether the agent lacks the right to read `ConfigMaps`.
pub fn is_forbidden(error: &ApiError) -> bool {
    matches!(error.cause, ApiCause::MissingRight(_) | ApiCause::Forbidden(_))
}
