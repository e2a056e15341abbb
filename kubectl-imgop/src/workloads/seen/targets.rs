//! Where the mirrors that one sees bring images: what comes from there is mirrored no further.

use std::collections::BTreeSet;
use std::fmt::Debug;

use imgop_core::api::{ImageMirror, WorkloadMirror};
use imgop_core::workloads::{MirrorTarget, Sight, targets_in_sight};
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use super::Reader;
use crate::cli_error::CliError;
use crate::workloads::forbidden::unless_forbidden;

impl Reader<'_> {
    /// Returns where the mirrors bring images that count for one in this namespace.
    pub(super) async fn targets(&mut self, own: &str, sight: &Sight) -> Result<Vec<MirrorTarget>, CliError> {
        let namespaces: BTreeSet<&str> = sight.namespaces.iter().map(String::as_str).chain([own]).collect();
        let inventories = self.mirrors::<ImageMirror>(&namespaces).await?;
        let mirrors = self.mirrors::<WorkloadMirror>(&namespaces).await?;
        Ok(targets_in_sight(own, &sight.namespaces, inventories, mirrors))
    }

    /// Returns the mirrors of a kind: of all namespaces, or of each of these where the user may see them.
    async fn mirrors<K>(&mut self, namespaces: &BTreeSet<&str>) -> Result<Vec<K>, CliError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let client = &self.cluster.client;
        let (all, resource) = (ListParams::default(), K::plural(&()));
        let everywhere = unless_forbidden(Api::<K>::all(client.clone()).list(&all).await);
        let explain = |error| self.cluster.explain_in_namespace("list", &resource, &error);
        if let Some(list) = everywhere.map_err(explain)? {
            return Ok(list.items);
        }
        let mut found = Vec::new();
        for namespace in namespaces {
            let of = unless_forbidden(Api::<K>::namespaced(client.clone(), namespace).list(&all).await);
            match of.map_err(explain)? {
                Some(list) => found.extend(list.items),
                None => self.unseen.push(format!("{resource} in {namespace}")),
            }
        }
        Ok(found)
    }
}
