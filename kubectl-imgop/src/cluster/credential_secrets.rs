//! The Secrets that hold credentials for registries, by name.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;

use super::connection::Cluster;

/// How many are returned at most.
const MAX_SECRETS: u32 = 500;

impl Cluster {
    /// Returns the names of those in the namespace; none where they may not be listed. Only metadata is requested: no
    /// value of a Secret reaches this process.
    pub async fn credential_secrets(&self) -> Vec<String> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let of_type = ListParams::default().limit(MAX_SECRETS).fields("type=kubernetes.io/dockerconfigjson");
        let list = secrets.list_metadata(&of_type).await;
        list.map(|list| list.items.iter().map(kube::ResourceExt::name_any).collect()).unwrap_or_default()
    }
}
