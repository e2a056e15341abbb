//! ConfigMaps and Secrets that an ImageBuilder is given, and that go with it.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::apply::FIELD_MANAGER;
use super::connection::Cluster;
use crate::cli_error::CliError;

/// The label of a ConfigMap that holds a folder of a user's machine: the ImageBuilder that it is sent for.
pub const CONTEXT_LABEL: &str = "imgop.skopeo.io/context-of";

impl Cluster {
    /// Deletes what earlier builds of an ImageBuilder were sent, once another build is done. What may not be deleted
    /// stays, and goes with the ImageBuilder.
    pub async fn delete_older_contexts(&self, builder: &str, current: Option<&ConfigMap>) {
        let config_maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let of_builder = ListParams::default().labels(&format!("{CONTEXT_LABEL}={builder}"));
        let found = config_maps.list_metadata(&of_builder).await.map(|list| list.items).unwrap_or_default();
        let current = current.map(ResourceExt::name_any);
        for older in found.iter().map(ResourceExt::name_any).filter(|name| Some(name) != current.as_ref()) {
            let _ = config_maps.delete(&older, &DeleteParams::background()).await;
        }
    }

    /// Applies an object that another one needs; with its owner it is deleted when that is.
    pub async fn apply_input<K>(
        &self,
        mut object: K,
        owner: Option<OwnerReference>,
        dry_run: bool,
    ) -> Result<(), CliError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Serialize
            + DeserializeOwned
            + Clone
            + Debug,
    {
        object.meta_mut().owner_references = owner.map(|owner| vec![owner]);
        let params =
            PatchParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let objects: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        let applied = objects.patch(&object.name_any(), &params, &Patch::Apply(&object)).await;
        let resource = K::plural(&()).into_owned();
        applied.map(drop).map_err(|error| self.explain_in_namespace("patch", &resource, &error))
    }
}
