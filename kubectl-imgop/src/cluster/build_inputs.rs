//! ConfigMaps and Secrets that an ImageBuilder is given, and that go with it.

use std::fmt::Debug;

use imgop_core::api::ImageBuilder;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::core::PartialObjectMeta;
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::apply::FIELD_MANAGER;
use super::connection::Cluster;
use crate::cli_error::CliError;

/// The label of a ConfigMap that holds a folder of a user's machine: the ImageBuilder that it is sent for.
pub const CONTEXT_LABEL: &str = "imgop.skopeo.io/context-of";
/// The label of a Secret that holds secrets of a user's machine: the ImageBuilder that it is sent for.
pub const SECRETS_LABEL: &str = "imgop.skopeo.io/secrets-of";

/// The manager of no field: what it applies is nothing.
const READER: &str = "imgop-cli-reads";

/// How long what has no owner may be on its way: it gets one when its ImageBuilder is applied.
const BEING_SENT: SignedDuration = SignedDuration::from_hours(1);

impl Cluster {
    /// Deletes what earlier builds of an ImageBuilder were sent, unless its spec names it, as it is now: another user
    /// may have changed it meanwhile. What may not be deleted stays, and goes with the ImageBuilder.
    pub async fn delete_older_contexts(&self, builder: &str) {
        let config_maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let of_builder = ListParams::default().labels(&format!("{CONTEXT_LABEL}={builder}"));
        let found = config_maps.list_metadata(&of_builder).await.map(|list| list.items).unwrap_or_default();
        // Read after the list: what is applied later has a version that is not in it.
        let Ok(live) = self.api::<ImageBuilder>().get(builder).await else { return };
        let named = live.spec.context.and_then(|context| context.config_map).map(|named| named.name);
        let is_older = |found: &&PartialObjectMeta<ConfigMap>| {
            Some(found.name_any()) != named && !is_being_sent(&found.metadata, Timestamp::now())
        };
        for older in found.iter().filter(is_older) {
            let version = older.metadata.resource_version.clone();
            let preconditions = Some(Preconditions { resource_version: version, uid: older.uid() });
            let params = DeleteParams { preconditions, ..DeleteParams::background() };
            let _ = config_maps.delete(&older.name_any(), &params).await;
        }
    }

    /// Returns the metadata of an object that another one needs, as it is before it is applied. Who may apply and not
    /// read learns the same of a dry run: an apply of nothing, under a name that manages nothing.
    pub async fn applied_input<K>(&self, name: &str) -> Result<Option<ObjectMeta>, CliError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
    {
        let objects: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        let resource = K::plural(&()).into_owned();
        let (verb, found) = match objects.get_metadata_opt(name).await {
            Err(kube::Error::Api(refusal)) if refusal.code == 403 => {
                let field_manager = Some(READER.to_owned());
                let params = PatchParams { dry_run: true, field_manager, ..PatchParams::default() };
                let (version, kind) = (K::api_version(&()), K::kind(&()));
                let nothing = json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name } });
                let patched = objects.patch_metadata(name, &params, &Patch::Apply(&nothing)).await;
                // What a dry run makes has no version.
                let is_there = |found: &PartialObjectMeta<K>| found.metadata.resource_version.is_some();
                ("patch", patched.map(|found| Some(found).filter(is_there)))
            }
            found => ("get", found),
        };
        found
            .map(|found| found.map(|found| found.metadata))
            .map_err(|error| self.explain_in_namespace(verb, &resource, &error))
    }

    /// Deletes an object again that was made for nothing.
    pub async fn delete_input<K>(&self, name: &str)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
    {
        let objects: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        // Why it was made for nothing is the error that is shown.
        let _ = objects.delete(name, &DeleteParams::background()).await;
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

fn is_being_sent(metadata: &ObjectMeta, now: Timestamp) -> bool {
    let created = metadata.creation_timestamp.as_ref();
    let is_new = created.is_some_and(|created| now.duration_since(created.0) < BEING_SENT);
    is_new && metadata.owner_references.as_ref().is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_just_now_and_has_no_owner_yet_is_on_its_way() {
        let is_being_sent = |created: &str, owners: serde_json::Value| {
            let metadata = json!({ "name": "x", "creationTimestamp": created, "ownerReferences": owners });
            let metadata: ObjectMeta = serde_json::from_value(metadata).unwrap();
            is_being_sent(&metadata, "2026-01-01T12:00:00Z".parse().unwrap())
        };
        let owner = json!([{ "apiVersion": "a/v1", "kind": "K", "name": "n", "uid": "u" }]);
        assert!(is_being_sent("2026-01-01T11:59:00Z", json!([])));
        assert!(!is_being_sent("2026-01-01T11:59:00Z", owner));
        assert!(!is_being_sent("2026-01-01T10:00:00Z", json!([])), "its build was given up");
    }
}
