//! The namespaces that the agent may work in: those with a `RoleBinding` of its service account to one of its roles.

use std::collections::BTreeMap;

use clap::ValueEnum;
use imgop_core::api::{MANAGED_BY, PART_OF_LABEL};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, PolicyRule, RoleBinding, RoleRef, Subject};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::Installed;
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::manifests::{AGENT, DEFAULT_NAMESPACE, Manifest, shipped};

/// What a namespace is enabled for. Each has a role of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Feature {
    /// Images are copied, with the Secrets that they name.
    Images,
    /// Images are copied that name no Secret.
    ImagesWithoutSecrets,
    /// The agent reads the Secrets that Images name, where the latter alone are copied.
    Secrets,
    /// `ImageBuilders` are built.
    Builds,
    /// Images may use the agent's AWS identity.
    Aws,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Images, Self::ImagesWithoutSecrets, Self::Secrets, Self::Builds, Self::Aws];

    /// Returns the name of the `RoleBinding` that enables it.
    pub fn binding(self) -> &'static str {
        match self {
            Self::Images => "imgop-agent",
            // What a binding is of cannot be changed, so each role has one of its own.
            Self::ImagesWithoutSecrets => "imgop-agent-copies",
            Self::Secrets => "imgop-agent-secrets",
            Self::Builds => "imgop-agent-builds",
            Self::Aws => "imgop-agent-aws",
        }
    }

    /// Returns the name of the `ClusterRole` with its rights.
    pub fn cluster_role(self) -> &'static str {
        match self {
            Self::Images => "imgop-agent-namespace",
            Self::ImagesWithoutSecrets => "imgop-agent-copies",
            Self::Secrets => "imgop-agent-secrets",
            Self::Builds => "imgop-agent-builds",
            Self::Aws => "imgop-agent-aws",
        }
    }

    /// Returns it in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Images => "copies of Images",
            Self::ImagesWithoutSecrets => "copies of Images without Secrets",
            Self::Secrets => "Secrets that Images name",
            Self::Builds => "builds of ImageBuilders",
            Self::Aws => "the agent's AWS identity",
        }
    }

    /// Returns the flag of `enable` that stands for it, with a space in front; none for what it does without one.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Images | Self::Secrets => "",
            Self::ImagesWithoutSecrets => " --without-secrets",
            Self::Builds => " --builds",
            Self::Aws => " --aws",
        }
    }

    /// Returns what whoever grants it should know.
    pub fn caution(self) -> Option<&'static str> {
        match self {
            Self::Images | Self::ImagesWithoutSecrets | Self::Secrets => None,
            Self::Builds => Some(
                "whoever may create ImageBuilders there runs code there, as root of a user namespace, with the pods' network",
            ),
            Self::Aws => Some(
                "whoever may create Images or read Secrets there has what the agent's identity may do at Amazon ECR",
            ),
        }
    }

    /// Returns its rights, a line each, as its role grants them.
    ///
    /// # Errors
    /// If the manifests of this program cannot be read.
    pub fn rights(self) -> Result<Vec<String>, CliError> {
        let manifests = shipped()?;
        let role = manifests.iter().find(|role| role.is("ClusterRole") && role.name == self.cluster_role());
        let rules = role.map(|role| role.body["rules"].clone()).unwrap_or_default();
        let rules: Vec<PolicyRule> = serde_json::from_value(rules)
            .map_err(|error| CliError::failed(format!("the agent's roles cannot be read: {error}")))?;
        Ok(rules.iter().flat_map(rights_of).collect())
    }
}

/// Returns whether one of the things that a namespace is enabled for lets Images be copied there.
pub fn copies_images(enabled: &[Feature]) -> bool {
    enabled.iter().any(|feature| matches!(feature, Feature::Images | Feature::ImagesWithoutSecrets))
}

/// Returns whether one of them lets the agent read Secrets there.
pub fn reads_secrets(enabled: &[Feature]) -> bool {
    enabled.iter().any(|feature| matches!(feature, Feature::Images | Feature::Secrets | Feature::Builds))
}

/// Returns what a rule grants: `create, delete jobs.batch`.
fn rights_of(rule: &PolicyRule) -> Vec<String> {
    let verbs = rule.verbs.join(", ");
    let groups = rule.api_groups.iter().flatten();
    let resources = groups.flat_map(|group| {
        let dotted = if group.is_empty() { String::new() } else { format!(".{group}") };
        rule.resources.iter().flatten().map(move |resource| format!("{resource}{dotted}"))
    });
    resources.map(|resource| format!("{verbs} {resource}")).collect()
}

/// The agent's service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Default for Account {
    fn default() -> Self {
        Self { namespace: DEFAULT_NAMESPACE.to_owned(), name: AGENT.to_owned() }
    }
}

impl From<&Installed> for Account {
    fn from(agent: &Installed) -> Self {
        Self { namespace: agent.namespace.clone(), name: agent.service_account.clone() }
    }
}

impl Account {
    /// Returns its name as a user of the API server.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    /// Returns whether it is one of these.
    pub fn is_among(&self, subjects: &[Subject]) -> bool {
        subjects.iter().any(|subject| {
            let is_account = subject.kind == "ServiceAccount"
                && subject.name == self.name
                && subject.namespace.as_deref() == Some(&self.namespace);
            is_account || (subject.kind == "User" && subject.name == self.user())
        })
    }

    /// Returns the manifest that enables a namespace for something.
    pub fn binding(&self, feature: Feature, namespace: &str) -> Option<Manifest> {
        Manifest::read(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": feature.binding(), "namespace": namespace, "labels": { PART_OF_LABEL: MANAGED_BY } },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": feature.cluster_role() },
            "subjects": [{ "kind": "ServiceAccount", "name": self.name, "namespace": self.namespace }],
        }))
    }
}

/// A binding that lets the agent do something in a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The namespace; none for all of them, by a `ClusterRoleBinding`.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// What it enables.
    pub feature: Feature,
    /// Whether it is for others too.
    pub is_shared: bool,
}

/// Returns what a binding enables for an account.
fn feature_of(role: &RoleRef, subjects: Option<&Vec<Subject>>, account: &Account) -> Option<Feature> {
    let feature = Feature::ALL
        .into_iter()
        .find(|feature| role.kind == "ClusterRole" && role.name == feature.cluster_role())?;
    account.is_among(subjects?).then_some(feature)
}

/// Returns the bindings that enable a namespace, or all of them, for an account.
///
/// # Errors
/// If `RoleBindings` may not be listed there.
pub async fn bindings(
    cluster: &Cluster,
    account: &Account,
    namespace: Option<&str>,
) -> Result<Vec<Binding>, CliError> {
    let roles: Api<RoleBinding> = match namespace {
        Some(namespace) => Api::namespaced(cluster.client.clone(), namespace),
        None => Api::all(cluster.client.clone()),
    };
    let (resource, everything) = ("rolebindings.rbac.authorization.k8s.io", ListParams::default());
    let listed = roles.list(&everything).await.map_err(|error| match namespace {
        Some(namespace) => {
            cluster.in_namespace(Some(namespace)).explain_in_namespace("list", resource, &error)
        }
        None => cluster.explain_everywhere("list", resource, &error),
    })?;
    let mut found: Vec<Binding> = Vec::new();
    for binding in listed {
        if let Some(feature) = feature_of(&binding.role_ref, binding.subjects.as_ref(), account) {
            let is_shared = binding.subjects.as_ref().is_some_and(|subjects| subjects.len() > 1);
            found.push(Binding {
                namespace: binding.namespace(),
                name: binding.name_any(),
                feature,
                is_shared,
            });
        }
    }
    // Who may not list these learns the rest all the same.
    let wide: Api<ClusterRoleBinding> = Api::all(cluster.client.clone());
    for binding in wide.list(&everything).await.map(|list| list.items).unwrap_or_default() {
        if let Some(feature) = feature_of(&binding.role_ref, binding.subjects.as_ref(), account) {
            found.push(Binding { namespace: None, name: binding.name_any(), feature, is_shared: true });
        }
    }
    Ok(found)
}

/// Returns what each namespace is enabled for; that of all namespaces under `*`.
pub fn by_namespace(bindings: &[Binding]) -> BTreeMap<String, Vec<Feature>> {
    let mut namespaces: BTreeMap<String, Vec<Feature>> = BTreeMap::new();
    for binding in bindings {
        let namespace = binding.namespace.clone().unwrap_or_else(|| "*".to_owned());
        let features = namespaces.entry(namespace).or_default();
        if !features.contains(&binding.feature) {
            features.push(binding.feature);
        }
    }
    for features in namespaces.values_mut() {
        features.sort();
    }
    namespaces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_has_a_role_in_the_manifests_and_says_what_it_grants() {
        let rights = |feature: Feature| feature.rights().unwrap().join("\n");
        for feature in Feature::ALL {
            assert!(!rights(feature).is_empty(), "{feature:?}");
        }
        insta::assert_snapshot!(rights(Feature::Images), @"
        create, delete jobs.batch
        list, watch pods
        list events
        get secrets
        get configmaps
        create, patch, delete images.skopeo.io
        own jobs.imgop.io
        ");
        let reads = |feature| {
            rights(feature).lines().any(|line| line.starts_with("get") && line.ends_with(" secrets"))
        };
        assert_eq!(Feature::ALL.map(reads), Feature::ALL.map(|feature| reads_secrets(&[feature])));
    }

    #[test]
    fn a_binding_counts_by_role_and_account_whatever_its_name() {
        let account = Account::default();
        let binding = |role: &str, namespace: &str| {
            let role = serde_json::from_value(json!({ "apiGroup": "", "kind": "ClusterRole", "name": role }));
            let subjects =
                json!([{ "kind": "ServiceAccount", "name": "imgop-agent", "namespace": namespace }]);
            feature_of(&role.unwrap(), serde_json::from_value(subjects).ok().as_ref(), &account)
        };
        assert_eq!(binding("imgop-agent-builds", "imgop-system"), Some(Feature::Builds));
        assert_eq!(binding("imgop-agent-builds", "other"), None);
        assert_eq!(binding("edit", "imgop-system"), None);
    }

    #[test]
    fn what_is_made_to_enable_a_namespace_is_found_again() {
        let account = Account { namespace: "mirrors".to_owned(), name: "agent".to_owned() };
        for feature in Feature::ALL {
            let made = account.binding(feature, "ci").unwrap();
            let made: RoleBinding = serde_json::from_value(made.body).unwrap();
            assert_eq!(feature_of(&made.role_ref, made.subjects.as_ref(), &account), Some(feature));
        }
        let of = |namespace: Option<&str>, feature| Binding {
            namespace: namespace.map(str::to_owned),
            name: String::new(),
            feature,
            is_shared: false,
        };
        let all = [of(Some("a"), Feature::Aws), of(None, Feature::Images), of(Some("a"), Feature::Images)];
        let shown = by_namespace(&all);
        assert_eq!(shown["a"], [Feature::Images, Feature::Aws]);
        assert_eq!(shown["*"], [Feature::Images]);
    }
}
