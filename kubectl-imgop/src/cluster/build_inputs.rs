//! ConfigMaps and Secrets that an ImageBuilder is given, and that go with it.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::apply::FIELD_MANAGER;
use super::connection::Cluster;
use crate::cli_error::CliError;

impl Cluster {
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
