//! What is there because imgop was used, beside what an installation consists of: bindings by which workloads are seen, and
//! Jobs that use what administrators lend.

use imgop_core::api::{MANAGED_BY, MANAGED_BY_LABEL, OWNER_ANNOTATION, PART_OF_LABEL};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding, RoleRef, Subject};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::enabled::Account;
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::manifests::Manifest;

/// The role by which the agent sees workloads: manifests/workloads.yaml binds it.
const OF_AGENT: &str = "imgop-agent-workloads";
/// The role by which a namespace lets `WorkloadMirrors` of others mirror its pods.
const OF_MIRRORS: &str = "imgop-workload-mirror";

/// Something that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stays {
    /// What, as kubectl names it.
    pub what: String,
    /// The command that removes it; none for what imgop has not made.
    pub command: Option<String>,
}

impl Stays {
    /// Returns that it stays, and what removes it.
    pub fn sentence(&self) -> String {
        match &self.command {
            Some(command) => format!("{} stays; to remove it: {command}", self.what),
            None => format!("{} stays: imgop has not made it", self.what),
        }
    }

    /// A binding of users'.
    fn binding(binding: &Manifest, flags: &str) -> Self {
        let place =
            binding.namespace.as_ref().map(|namespace| format!(" -n {namespace}")).unwrap_or_default();
        let kind = binding.resource.kind.to_lowercase();
        Self {
            what: format!("{}{place}", binding.qualified()),
            command: Some(format!("kubectl delete {kind} {}{place}{flags}", binding.name)),
        }
    }

    /// Returns that a namespace stays; none where it is not there.
    pub async fn namespace(cluster: &Cluster, name: &str) -> Option<Self> {
        let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
        let live = namespaces.get_metadata_opt(name).await.ok()??;
        let is_ours = live.labels().get(PART_OF_LABEL).is_some_and(|part_of| part_of == MANAGED_BY);
        let command = is_ours.then(|| format!("kubectl delete namespace {name}{}", cluster.flags));
        Some(Self { what: format!("namespace/{name} with all that is in it"), command })
    }
}

/// Bindings by which workloads are seen.
#[derive(Debug, Default)]
pub struct WorkloadBindings {
    /// Those of the agent alone.
    pub of_agent: Vec<Manifest>,
    /// Those of users: of others too, or by which `WorkloadMirrors` may mirror pods.
    pub of_users: Vec<Manifest>,
}

impl WorkloadBindings {
    /// Returns those of a cluster, as far as they may be listed.
    pub async fn find(cluster: &Cluster, account: &Account) -> Self {
        let (mut found, everything) = (Self::default(), ListParams::default());
        let wide: Api<ClusterRoleBinding> = Api::all(cluster.client.clone());
        for binding in wide.list(&everything).await.map(|list| list.items).unwrap_or_default() {
            let manifest = binding_manifest(&binding.name_any(), None);
            found.add(account, (&binding.role_ref, binding.subjects.as_deref()), manifest);
        }
        let narrow: Api<RoleBinding> = Api::all(cluster.client.clone());
        for binding in narrow.list(&everything).await.map(|list| list.items).unwrap_or_default() {
            let manifest = binding_manifest(&binding.name_any(), binding.namespace().as_deref());
            found.add(account, (&binding.role_ref, binding.subjects.as_deref()), manifest);
        }
        found
    }

    fn add(
        &mut self,
        account: &Account,
        (role, subjects): (&RoleRef, Option<&[Subject]>),
        manifest: Option<Manifest>,
    ) {
        let subjects = subjects.unwrap_or_default();
        match role.name.as_str() {
            _ if role.kind != "ClusterRole" => {}
            OF_AGENT if !account.is_among(subjects) => {}
            OF_AGENT if subjects.len() == 1 => self.of_agent.extend(manifest),
            OF_AGENT | OF_MIRRORS => self.of_users.extend(manifest),
            _ => {}
        }
    }

    /// Returns that those of users stay.
    pub fn staying(&self, flags: &str) -> Vec<Stays> {
        self.of_users.iter().map(|binding| Stays::binding(binding, flags)).collect()
    }
}

/// Returns a binding by its name: of a namespace, or of the cluster.
pub fn binding_manifest(name: &str, namespace: Option<&str>) -> Option<Manifest> {
    let kind = if namespace.is_some() { "RoleBinding" } else { "ClusterRoleBinding" };
    Manifest::read(json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
        "metadata": { "name": name, "namespace": namespace } }))
}

/// Returns the Jobs of a namespace that use what administrators lend. Their pods and Secrets go with them.
pub async fn lent_jobs(cluster: &Cluster, namespace: &str) -> Result<Vec<Manifest>, CliError> {
    let cluster = cluster.in_namespace(Some(namespace));
    let jobs: Api<Job> = Api::namespaced(cluster.client.clone(), namespace);
    let ours = ListParams::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}"));
    let listed = jobs.list_metadata(&ours).await;
    let listed = listed.map_err(|error| cluster.explain_in_namespace("list", "jobs.batch", &error))?;
    let lent = listed.items.iter().filter(|job| job.annotations().contains_key(OWNER_ANNOTATION));
    let manifest = |name: String| {
        Manifest::read(json!({ "apiVersion": "batch/v1", "kind": "Job",
            "metadata": { "name": name, "namespace": namespace } }))
    };
    Ok(lent.filter_map(|job| manifest(job.name_any())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bindings of a role to subjects, each a kind with its name.
    fn found(role: &str, namespace: Option<&str>, subjects: &[(&str, &str)]) -> WorkloadBindings {
        let role = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role });
        let subject =
            |(kind, name): &(&str, &str)| json!({ "kind": kind, "name": name, "namespace": "imgop-system" });
        let subjects: Vec<Subject> =
            subjects.iter().map(|it| serde_json::from_value(subject(it)).unwrap()).collect();
        let mut found = WorkloadBindings::default();
        let role = serde_json::from_value(role).unwrap();
        found.add(&Account::default(), (&role, Some(&subjects)), binding_manifest("seen", namespace));
        found
    }

    #[test]
    fn a_binding_of_the_agent_alone_goes_and_those_of_others_stay_with_the_command_that_removes_them() {
        let (agent, other) = (("ServiceAccount", "imgop-agent"), ("ServiceAccount", "other"));
        let of = |found: &WorkloadBindings| (found.of_agent.len(), found.of_users.len());
        assert_eq!(of(&found(OF_AGENT, None, &[agent])), (1, 0));
        assert_eq!(of(&found(OF_AGENT, None, &[agent, other])), (0, 1));
        assert_eq!(of(&found(OF_AGENT, None, &[other])), (0, 0));
        assert_eq!(of(&found("view", None, &[agent])), (0, 0));
        let sentences = |namespace| {
            let staying = found(OF_MIRRORS, namespace, &[("Group", "system:serviceaccounts:b")])
                .staying(" --context x");
            staying.iter().map(Stays::sentence).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(sentences(None), @"clusterrolebinding.rbac.authorization.k8s.io/seen stays; to remove it: kubectl delete clusterrolebinding seen --context x");
        insta::assert_snapshot!(sentences(Some("team")), @"rolebinding.rbac.authorization.k8s.io/seen -n team stays; to remove it: kubectl delete rolebinding seen -n team --context x");
    }
}
