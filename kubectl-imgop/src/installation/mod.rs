//! What is installed in a cluster, and how that is changed.
//!
//! ```text
//! keeper     who else manages what is installed: a Helm release, Flux, Argo CD
//! variables  settings that others have given another form
//! port       the port of the agent, where others have set it
//! plan       what an apply would change, worked out by the API server
//! applying   objects applied, and waited for
//! removal    what an uninstallation deletes
//! enabled    the namespaces that the agent may work in
//! ```

pub mod applying;
pub mod enabled;
pub mod keeper;
mod leftovers;
pub mod plan;
mod port;
pub mod removal;
mod variables;

use imgop_core::api::{MANAGED_BY, PART_OF_LABEL};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, ResourceExt as _};
use serde_json::Value;

use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::cluster::agent::agents;
use crate::manifests::choices::VERSION_LABEL;
use crate::manifests::kept::version_of;
use crate::manifests::{Manifest, container, resource_name};

/// The manager of the fields that an installation sets.
pub const FIELD_MANAGER: &str = "imgop-install";

/// Who has enabled a namespace, as its field manager: an installation does not consist of that.
pub const ENABLING_MANAGER: &str = "imgop-enable";

/// An agent that is installed.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Its namespace.
    pub namespace: String,
    /// The name of its Deployment.
    pub name: String,
    /// Its service account.
    pub service_account: String,
    /// Its image.
    pub image: String,
    /// Its version, if it says one.
    pub version: Option<String>,
    /// Its Deployment.
    pub deployment: Deployment,
}

impl Installed {
    /// Reads an agent's Deployment.
    pub fn of(deployment: &Deployment) -> Self {
        let value = serde_json::to_value(deployment).unwrap_or_default();
        let image = container(&value).and_then(|container| container["image"].as_str()).unwrap_or_default();
        let account = value.pointer("/spec/template/spec/serviceAccountName").and_then(Value::as_str);
        let labeled = deployment.labels().get(VERSION_LABEL).map(String::as_str);
        Self {
            namespace: deployment.namespace().unwrap_or_default(),
            name: deployment.name_any(),
            service_account: account.unwrap_or("default").to_owned(),
            image: image.to_owned(),
            // The image is what runs, whatever a label says.
            version: version_of(image).or(labeled).map(str::to_owned),
            deployment: deployment.clone(),
        }
    }

    /// Fails if another program manages it.
    ///
    /// # Errors
    /// That say which, and how it is changed there.
    pub async fn check_keeper(&self, cluster: &Cluster, verb: keeper::Verb) -> Result<(), CliError> {
        let keeper = keeper::Keeper::in_charge(cluster, &self.deployment.metadata).await?;
        keeper.map_or(Ok(()), |keeper| Err(keeper.refusal(verb)))
    }

    /// Returns it with its version, for a sentence.
    pub fn title(&self) -> String {
        match &self.version {
            Some(version) => format!("imgop {version}"),
            None => format!("imgop (image {})", self.image),
        }
    }
}

/// Returns the agent of a cluster; that of a namespace where one is named.
///
/// # Errors
/// If there are several, or Deployments may not be listed.
pub async fn find(cluster: &Cluster, namespace: Option<&str>) -> Result<Option<Installed>, CliError> {
    let found = agents(cluster).await;
    let found = found.map_err(|error| cluster.explain_everywhere("list", "deployments.apps", &error))?;
    let mut found: Vec<Installed> = found.iter().map(Installed::of).collect();
    let namespaces: Vec<String> = found.iter().map(|agent| agent.namespace.clone()).collect();
    if let Some(namespace) = namespace {
        found.retain(|agent| agent.namespace == namespace);
    }
    match found.len() {
        0 if !namespaces.is_empty() => Err(CliError::failed(format!(
            "imgop is installed in namespace {}, and once in a cluster is enough",
            namespaces.join(", ")
        ))
        .hinted("leave -n out, or name that namespace")),
        0 | 1 => Ok(found.pop()),
        _ => Err(CliError::failed(format!(
            "there are agents in several namespaces: {}",
            namespaces.join(", ")
        ))
        .hinted("name one of them with -n")),
    }
}

impl Cluster {
    /// Returns the objects of a kind: of a namespace, or those of the cluster.
    pub fn resources(&self, resource: &ApiResource, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        }
    }

    /// Returns a manifest's object as it is; none if there is none.
    pub async fn live(&self, manifest: &Manifest) -> Result<Option<DynamicObject>, CliError> {
        let objects = self.resources(&manifest.resource, manifest.namespace.as_deref());
        objects.get_opt(&manifest.name).await.map_err(|error| self.explain_manifest("get", manifest, &error))
    }

    /// Returns the objects of a kind that have imgop's label.
    pub async fn labeled(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
    ) -> Result<Vec<DynamicObject>, CliError> {
        let labeled = ListParams::default().labels(&format!("{PART_OF_LABEL}={MANAGED_BY}"));
        let found = self.resources(resource, namespace).list(&labeled).await;
        let name = resource_name(resource);
        Ok(found.map_err(|error| self.explain_everywhere("list", &name, &error))?.items)
    }

    /// Returns what a failed call for an object of the installation means.
    pub fn explain_manifest(&self, verb: &str, manifest: &Manifest, error: &kube::Error) -> CliError {
        let resource = resource_name(&manifest.resource);
        let explained = match &manifest.namespace {
            Some(namespace) => {
                self.in_namespace(Some(namespace)).explain_in_namespace(verb, &resource, error)
            }
            None => self.explain_of_cluster(verb, &resource, error),
        };
        CliError { message: format!("{}: {}", manifest.qualified(), explained.message), ..explained }
    }
}
