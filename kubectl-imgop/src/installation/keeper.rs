//! Who manages what is installed, where that is not this program: what they would set back, it leaves alone.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::ListParams;
use kube::core::{ApiResource, GroupVersionKind, ObjectMeta};

use crate::cli_error::CliError;
use crate::cluster::Cluster;

/// A program that keeps objects as they are written elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeper {
    /// A release of Helm.
    Helm {
        /// Its name.
        release: String,
        /// Its namespace.
        namespace: String,
    },
    /// An object of Flux.
    Flux(FluxObject),
    /// An application of Argo CD.
    ArgoCd(String),
}

/// An object of Flux that applies others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FluxObject {
    kind: FluxKind,
    name: String,
    namespace: Option<String>,
}

/// The kinds of Flux that apply objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FluxKind {
    HelmRelease,
    Kustomization,
}

/// The versions that Flux has served `HelmReleases` in.
const HELM_RELEASE_VERSIONS: [&str; 3] = ["v2", "v2beta2", "v2beta1"];

impl FluxKind {
    fn group(self) -> &'static str {
        match self {
            Self::HelmRelease => "helm.toolkit.fluxcd.io",
            Self::Kustomization => "kustomize.toolkit.fluxcd.io",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::HelmRelease => "helmrelease",
            Self::Kustomization => "kustomization",
        }
    }
}

impl fmt::Display for FluxObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.word(), self.name)?;
        self.namespace.iter().try_for_each(|namespace| write!(f, " -n {namespace}"))
    }
}

impl FluxObject {
    /// Returns the object of Flux that has left its marks.
    fn of(labels: &BTreeMap<String, String>) -> Option<Self> {
        [FluxKind::HelmRelease, FluxKind::Kustomization].into_iter().find_map(|kind| {
            let group = kind.group();
            let name = labels.get(&format!("{group}/name"))?.clone();
            Some(Self { kind, name, namespace: labels.get(&format!("{group}/namespace")).cloned() })
        })
    }

    /// Returns the `HelmRelease` that has left its marks on an object and does not exist any more.
    ///
    /// # Errors
    /// If that cannot be looked up.
    pub async fn gone(cluster: &Cluster, metadata: &ObjectMeta) -> Result<Option<Self>, CliError> {
        let Some(object) = metadata.labels.as_ref().and_then(Self::of) else { return Ok(None) };
        Ok(object.is_gone(cluster).await?.then_some(object))
    }

    /// Whether it is a `HelmRelease` that does not exist any more. What it has installed may be there still.
    async fn is_gone(&self, cluster: &Cluster) -> Result<bool, CliError> {
        if self.kind != FluxKind::HelmRelease {
            return Ok(false);
        }
        let place = cluster.in_namespace(self.namespace.as_deref());
        for version in HELM_RELEASE_VERSIONS {
            let kind = GroupVersionKind::gvk(self.kind.group(), version, "HelmRelease");
            let resource = ApiResource::from_gvk(&kind);
            let found =
                cluster.resources(&resource, Some(&place.namespace)).get_metadata_opt(&self.name).await;
            let name = "helmreleases.helm.toolkit.fluxcd.io";
            if found.map_err(|error| place.explain_in_namespace("get", name, &error))?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Keeper {
    /// Returns who keeps an object, by the marks that they leave.
    fn of(metadata: &ObjectMeta) -> Option<Self> {
        let empty = BTreeMap::new();
        let labels = metadata.labels.as_ref().unwrap_or(&empty);
        let annotations = metadata.annotations.as_ref().unwrap_or(&empty);
        // A HelmRelease is Flux's, and leaves Helm's marks too.
        if let Some(object) = FluxObject::of(labels) {
            return Some(Self::Flux(object));
        }
        if let Some(application) = annotations.get("argocd.argoproj.io/tracking-id") {
            return Some(Self::ArgoCd(application.split(':').next().unwrap_or_default().to_owned()));
        }
        Self::of_helm(annotations)
    }

    fn of_helm(annotations: &BTreeMap<String, String>) -> Option<Self> {
        let release = annotations.get("meta.helm.sh/release-name")?.clone();
        let namespace = annotations.get("meta.helm.sh/release-namespace").cloned().unwrap_or_default();
        Some(Self::Helm { release, namespace })
    }

    /// Returns who keeps an object now. What Helm leaves behind on purpose still has its marks when the release is gone; and
    /// where a `HelmRelease` is gone, Helm may have the release that it made.
    ///
    /// # Errors
    /// If that cannot be looked up.
    pub async fn in_charge(cluster: &Cluster, metadata: &ObjectMeta) -> Result<Option<Self>, CliError> {
        let mut keeper = Self::of(metadata);
        if let Some(Self::Flux(object)) = &keeper
            && object.is_gone(cluster).await?
        {
            keeper = metadata.annotations.as_ref().and_then(Self::of_helm);
        }
        if let Some(Self::Helm { release, namespace }) = &keeper
            && is_left_behind(metadata)
            && !has_release(cluster, release, namespace).await?
        {
            return Ok(None);
        }
        Ok(keeper)
    }

    /// Returns that an installation is theirs, and how it is changed.
    pub fn refusal(&self, verb: Verb) -> CliError {
        let (by, hint) = match (self, verb) {
            (Self::Helm { release, namespace }, Verb::Apply) => (
                format!("the Helm release {release} of namespace {namespace}"),
                format!("helm upgrade {release} CHART -n {namespace} --reset-then-reuse-values"),
            ),
            (Self::Helm { release, namespace }, Verb::Delete) => (
                format!("the Helm release {release} of namespace {namespace}"),
                format!("helm uninstall {release} -n {namespace}"),
            ),
            (Self::Flux(object), _) => (
                format!("Flux ({object})"),
                format!("change it in the repository that Flux reads; then: flux reconcile {object}"),
            ),
            (Self::ArgoCd(application), _) => (
                format!("the application {application} of Argo CD"),
                format!(
                    "change it in the repository that Argo CD reads; then: argocd app sync {application}"
                ),
            ),
        };
        CliError::failed(format!("imgop is managed by {by}, which would set back what is changed here"))
            .hinted(hint)
    }
}

/// Returns whether an object stays where its release is uninstalled.
fn is_left_behind(metadata: &ObjectMeta) -> bool {
    let policy = metadata.annotations.as_ref().and_then(|all| all.get("helm.sh/resource-policy"));
    policy.is_some_and(|policy| policy == "keep")
}

/// Returns whether Helm knows a release: by a Secret for each of its revisions, or by a ConfigMap, as Helm is set.
async fn has_release(cluster: &Cluster, release: &str, namespace: &str) -> Result<bool, CliError> {
    let revisions = ListParams::default().labels(&format!("owner=helm,name={release}"));
    let place = cluster.in_namespace(Some(namespace));
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), namespace);
    let found = secrets.list_metadata(&revisions).await;
    if !found.map_err(|error| place.explain_in_namespace("list", "secrets", &error))?.items.is_empty() {
        return Ok(true);
    }
    let config_maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), namespace);
    let found = config_maps.list_metadata(&revisions).await;
    Ok(!found.map_err(|error| place.explain_in_namespace("list", "configmaps", &error))?.items.is_empty())
}

/// What was to be done with an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Install or upgrade it.
    Apply,
    /// Uninstall it.
    Delete,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keeper(metadata: serde_json::Value) -> Option<String> {
        let keeper = Keeper::of(&serde_json::from_value(metadata).unwrap())?;
        let [apply, delete] = [Verb::Apply, Verb::Delete].map(|verb| keeper.refusal(verb));
        Some(format!("{}\n{}\n{}", apply.message, apply.hints.join("\n"), delete.hints.join("\n")))
    }

    #[test]
    fn what_a_helm_release_manages_is_told_to_helm() {
        let helm = json!({ "labels": { "app.kubernetes.io/managed-by": "Helm" },
            "annotations": { "meta.helm.sh/release-name": "mirror", "meta.helm.sh/release-namespace": "ops" } });
        insta::assert_snapshot!(keeper(helm).unwrap(), @"
        imgop is managed by the Helm release mirror of namespace ops, which would set back what is changed here
        helm upgrade mirror CHART -n ops --reset-then-reuse-values
        helm uninstall mirror -n ops
        ");
    }

    #[test]
    fn what_flux_or_argo_cd_manage_is_changed_where_they_read() {
        let flux = json!({ "annotations": { "meta.helm.sh/release-name": "mirror" },
            "labels": { "helm.toolkit.fluxcd.io/name": "mirror", "helm.toolkit.fluxcd.io/namespace": "flux-system" } });
        assert!(keeper(flux).unwrap().contains("flux reconcile helmrelease mirror -n flux-system"));
        let argo =
            json!({ "annotations": { "argocd.argoproj.io/tracking-id": "imgop:apps/Deployment:a/b" } });
        assert!(keeper(argo).unwrap().contains("argocd app sync imgop"));
        assert_eq!(keeper(json!({ "labels": { "app.kubernetes.io/managed-by": "imgop" } })), None);
    }
}
