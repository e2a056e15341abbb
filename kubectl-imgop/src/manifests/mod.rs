//! What an installation consists of: `manifests/install.yaml` of this version, as an administrator wants it. Pure.
//!
//! ```text
//! choices      what an administrator chooses: namespace, image, settings, replicas
//! kept         what of a running agent stays as it is through an upgrade
//! account      the service account of a running agent, which it keeps
//! crd_skew     which of two versions of a CRD knows more
//! differences  what an apply changes, field by field
//! listen       the port of the container, which is that of the agent's address
//! ```

pub mod account;
pub mod choices;
pub mod crd_skew;
pub mod differences;
pub mod kept;
pub mod listen;

use std::sync::LazyLock;

use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;

use crate::cli_error::CliError;

/// Everything that a cluster needs.
const INSTALL: &str = include_str!("../../../manifests/install.yaml");

/// The namespace of the agent in these manifests.
pub const DEFAULT_NAMESPACE: &str = "imgop-system";
/// The version of what is installed: that of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The name of the agent's Deployment, and of its service account.
pub const AGENT: &str = "imgop-agent";
/// The name of the agent's container.
pub const AGENT_CONTAINER: &str = "agent";

/// An object that is applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Its kind.
    pub resource: ApiResource,
    /// Its name.
    pub name: String,
    /// Its namespace; none where it is the cluster's.
    pub namespace: Option<String>,
    /// The whole object.
    pub body: Value,
}

/// What the manifests hold. They are half a megabyte, and some commands need them several times.
static SHIPPED: LazyLock<Result<Vec<Manifest>, String>> = LazyLock::new(|| read_all(INSTALL));

/// Returns the objects of this version in the order in which they are applied.
///
/// # Errors
/// If they cannot be read, which a test excludes.
pub fn shipped() -> Result<Vec<Manifest>, CliError> {
    SHIPPED.clone().map_err(|why| CliError::failed(format!("this program's manifests cannot be read: {why}")))
}

fn read_all(text: &str) -> Result<Vec<Manifest>, String> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?;
    let manifests = documents
        .into_iter()
        .map(|body| Manifest::read(body).ok_or_else(|| "an object has no kind or no name".to_owned()));
    let mut manifests: Vec<Manifest> = manifests.collect::<Result<_, _>>()?;
    manifests.sort_by_key(|manifest| rank(&manifest.resource.kind));
    Ok(manifests)
}

/// Returns how early objects of a kind are applied: what others are in or of comes first, what begins to work last.
fn rank(kind: &str) -> u8 {
    match kind {
        "Namespace" => 0,
        "CustomResourceDefinition" => 1,
        "Deployment" => 3,
        _ => 2,
    }
}

impl Manifest {
    /// Returns an object as what it is; none where it does not say that.
    pub fn read(body: Value) -> Option<Self> {
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
        let (api_version, kind) = (text("/apiVersion")?, text("/kind")?);
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let (name, namespace) =
            (text("/metadata/name")?.to_owned(), text("/metadata/namespace").map(str::to_owned));
        Some(Self { resource, name, namespace, body })
    }

    /// Returns it as kubectl names it: `deployment.apps/imgop-agent`.
    pub fn qualified(&self) -> String {
        qualified(&self.resource, &self.name)
    }

    /// Returns whether it is of this kind.
    pub fn is(&self, kind: &str) -> bool {
        self.resource.kind == kind
    }

    /// Returns the agent's container, if this is its Deployment.
    fn container(&mut self) -> Option<&mut Value> {
        if !self.is("Deployment") {
            return None;
        }
        container_mut(&mut self.body)
    }
}

/// Returns an object as kubectl names it.
pub fn qualified(resource: &ApiResource, name: &str) -> String {
    let kind = resource.kind.to_lowercase();
    if resource.group.is_empty() {
        format!("{kind}/{name}")
    } else {
        format!("{kind}.{}/{name}", resource.group)
    }
}

/// Returns a resource as RBAC names it: `deployments.apps`.
pub fn resource_name(resource: &ApiResource) -> String {
    let ApiResource { plural, group, .. } = resource;
    if group.is_empty() { plural.clone() } else { format!("{plural}.{group}") }
}

/// Returns the agent's container of a Deployment.
pub fn container(deployment: &Value) -> Option<&Value> {
    let containers = deployment.pointer("/spec/template/spec/containers")?.as_array()?;
    containers.iter().find(|container| container["name"] == AGENT_CONTAINER).or_else(|| containers.first())
}

fn container_mut(deployment: &mut Value) -> Option<&mut Value> {
    let containers = deployment.pointer_mut("/spec/template/spec/containers")?.as_array_mut()?;
    containers.iter_mut().find(|container| container["name"] == AGENT_CONTAINER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_objects_are_read_and_what_others_need_comes_first() {
        let manifests = shipped().unwrap();
        let kinds: Vec<&str> = manifests.iter().map(|manifest| manifest.resource.kind.as_str()).collect();
        let crds = imgop_core::api::crds().len();
        assert_eq!(kinds[0], "Namespace");
        assert!(kinds[1..=crds].iter().all(|kind| *kind == "CustomResourceDefinition"), "{kinds:?}");
        assert_eq!(kinds.last(), Some(&"Deployment"));
        let names: Vec<String> = manifests.iter().map(Manifest::qualified).collect();
        for name in ["namespace/imgop-system", "clusterrole.rbac.authorization.k8s.io/imgop-agent-namespace"]
        {
            assert!(names.iter().any(|n| n == name), "{names:?}");
        }
        let policies = manifests.iter().find(|manifest| manifest.is("ValidatingAdmissionPolicy")).unwrap();
        assert_eq!(
            resource_name(&policies.resource),
            "validatingadmissionpolicies.admissionregistration.k8s.io"
        );
    }

    #[test]
    fn all_but_the_crds_carry_the_label_by_which_they_are_found_again() {
        for manifest in shipped().unwrap().iter().filter(|manifest| !manifest.is("CustomResourceDefinition"))
        {
            let label = &manifest.body["metadata"]["labels"][imgop_core::api::PART_OF_LABEL];
            assert_eq!(label, imgop_core::api::MANAGED_BY, "{}", manifest.qualified());
        }
    }
}
