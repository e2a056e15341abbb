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

/// The resources that are such bindings.
const OF_CLUSTER: &str = "clusterrolebindings.rbac.authorization.k8s.io";
const OF_NAMESPACES: &str = "rolebindings.rbac.authorization.k8s.io";

/// Something that stays, or may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stays {
    /// What, as kubectl names it.
    pub what: String,
    /// What can be done about it.
    pub remedy: Remedy,
}

/// What can be done about something that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// This command removes it.
    Remove(String),
    /// Others are bound by it too: this account is taken out of its subjects where the command shows them.
    Edit(Account, String),
    /// Nothing: imgop has not made it.
    LeaveAlone,
    /// It cannot be looked for, for this reason.
    Unknown(String),
}

impl Stays {
    /// Returns that it stays, and what removes it.
    pub fn sentence(&self) -> String {
        let what = &self.what;
        match &self.remedy {
            Remedy::Remove(command) => format!("{what} stays; to remove it: {command}"),
            Remedy::Edit(Account { namespace, name }, command) => format!(
                "{what} stays, since it binds others too; to take the ServiceAccount {name} of namespace {namespace} out of its \
                 subjects: {command}"
            ),
            Remedy::LeaveAlone => format!("{what} stays: imgop has not made it"),
            Remedy::Unknown(why) => format!("{what} may stay: {why}"),
        }
    }

    /// Returns it as a line of a plan.
    pub fn line(&self) -> String {
        match &self.remedy {
            Remedy::Unknown(why) => format!("unknown {}: {why}", self.what),
            Remedy::Remove(_) | Remedy::Edit(..) | Remedy::LeaveAlone => format!("keep    {}", self.what),
        }
    }

    /// A binding, and what can be done with it as an object of kubectl: `rolebinding NAME -n NAMESPACE`.
    fn binding(binding: &Manifest, remedy: impl FnOnce(String) -> Remedy) -> Self {
        let place =
            binding.namespace.as_ref().map(|namespace| format!(" -n {namespace}")).unwrap_or_default();
        let object = format!("{} {}{place}", binding.resource.kind.to_lowercase(), binding.name);
        Self { what: format!("{}{place}", binding.qualified()), remedy: remedy(object) }
    }

    /// Bindings that cannot be listed.
    fn unlisted(resource: &str, error: CliError) -> Self {
        let what = format!("{resource} by which workloads are seen");
        Self { what, remedy: Remedy::Unknown(error.message) }
    }

    /// Returns that a namespace stays; none where it is not there.
    pub async fn namespace(cluster: &Cluster, name: &str) -> Option<Self> {
        let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
        let what = format!("namespace/{name} with all that is in it");
        let remedy = match namespaces.get_metadata_opt(name).await {
            Ok(None) => return None,
            Ok(Some(live)) => {
                let is_ours = live.labels().get(PART_OF_LABEL).is_some_and(|part_of| part_of == MANAGED_BY);
                let command = format!("kubectl delete namespace {name}{}", cluster.flags);
                if is_ours { Remedy::Remove(command) } else { Remedy::LeaveAlone }
            }
            Err(error) => Remedy::Unknown(cluster.explain_of_cluster("get", "namespaces", &error).message),
        };
        Some(Self { what, remedy })
    }
}

/// Bindings by which workloads are seen.
#[derive(Debug, Default)]
pub struct WorkloadBindings {
    /// Those of the agent alone.
    pub of_agent: Vec<Manifest>,
    /// Those of the agent and others.
    shared: Vec<Manifest>,
    /// Those by which users let `WorkloadMirrors` mirror pods.
    of_users: Vec<Manifest>,
    /// Those that cannot be listed.
    unlisted: Vec<Stays>,
}

impl WorkloadBindings {
    /// Returns those of a cluster. What cannot be listed may stay.
    pub async fn find(cluster: &Cluster, account: &Account) -> Self {
        let (mut found, everything) = (Self::default(), ListParams::default());
        let wide: Api<ClusterRoleBinding> = Api::all(cluster.client.clone());
        let listed = wide.list(&everything).await.map(|list| list.items);
        let listed = listed.map_err(|error| cluster.explain_of_cluster("list", OF_CLUSTER, &error));
        for binding in found.items(OF_CLUSTER, listed) {
            let manifest = binding_manifest(&binding.name_any(), None);
            found.add(account, (&binding.role_ref, binding.subjects.as_deref()), manifest);
        }
        let narrow: Api<RoleBinding> = Api::all(cluster.client.clone());
        let listed = narrow.list(&everything).await.map(|list| list.items);
        let listed = listed.map_err(|error| cluster.explain_everywhere("list", OF_NAMESPACES, &error));
        for binding in found.items(OF_NAMESPACES, listed) {
            let manifest = binding_manifest(&binding.name_any(), binding.namespace().as_deref());
            found.add(account, (&binding.role_ref, binding.subjects.as_deref()), manifest);
        }
        found
    }

    /// Returns what is listed, or keeps in mind that it cannot be.
    fn items<T>(&mut self, resource: &str, listed: Result<Vec<T>, CliError>) -> Vec<T> {
        listed.unwrap_or_else(|error| {
            self.unlisted.push(Stays::unlisted(resource, error));
            Vec::new()
        })
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
            OF_AGENT => self.shared.extend(manifest),
            OF_MIRRORS => self.of_users.extend(manifest),
            _ => {}
        }
    }

    /// Returns that all but those of the agent alone stay.
    pub fn staying(&self, account: &Account, flags: &str) -> Vec<Stays> {
        let edited = |object: String| Remedy::Edit(account.clone(), format!("kubectl edit {object}{flags}"));
        let removed = |object: String| Remedy::Remove(format!("kubectl delete {object}{flags}"));
        let shared = self.shared.iter().map(|binding| Stays::binding(binding, edited));
        let of_users = self.of_users.iter().map(|binding| Stays::binding(binding, removed));
        shared.chain(of_users).chain(self.unlisted.iter().cloned()).collect()
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

    fn sentences(found: &WorkloadBindings) -> String {
        let staying = found.staying(&Account::default(), " --context x");
        staying.iter().map(Stays::sentence).collect::<Vec<_>>().join("\n")
    }

    const AGENT: (&str, &str) = ("ServiceAccount", "imgop-agent");
    const OTHER: (&str, &str) = ("ServiceAccount", "other");

    #[test]
    fn a_binding_of_the_agent_alone_goes_and_those_of_others_stay_with_the_command_that_removes_them() {
        let of =
            |found: &WorkloadBindings| (found.of_agent.len(), found.staying(&Account::default(), "").len());
        assert_eq!(of(&found(OF_AGENT, None, &[AGENT])), (1, 0));
        assert_eq!(of(&found(OF_AGENT, None, &[AGENT, OTHER])), (0, 1));
        assert_eq!(of(&found(OF_AGENT, None, &[OTHER])), (0, 0));
        assert_eq!(of(&found("view", None, &[AGENT])), (0, 0));
        let of_users =
            |namespace| sentences(&found(OF_MIRRORS, namespace, &[("Group", "system:serviceaccounts:b")]));
        insta::assert_snapshot!(of_users(None), @"clusterrolebinding.rbac.authorization.k8s.io/seen stays; to remove it: kubectl delete clusterrolebinding seen --context x");
        insta::assert_snapshot!(of_users(Some("team")), @"rolebinding.rbac.authorization.k8s.io/seen -n team stays; to remove it: kubectl delete rolebinding seen -n team --context x");
    }

    #[test]
    fn of_a_binding_that_others_have_too_only_the_agent_is_to_be_taken_out() {
        let shared = sentences(&found(OF_AGENT, None, &[AGENT, OTHER]));
        insta::assert_snapshot!(shared, @"clusterrolebinding.rbac.authorization.k8s.io/seen stays, since it binds others too; to take the ServiceAccount imgop-agent of namespace imgop-system out of its subjects: kubectl edit clusterrolebinding seen --context x");
    }

    #[test]
    fn bindings_that_cannot_be_listed_are_not_taken_for_none() {
        let mut found = WorkloadBindings::default();
        let items: Vec<RoleBinding> = found.items(OF_NAMESPACES, Err(CliError::failed("no answer")));
        assert!(items.is_empty());
        let staying = found.staying(&Account::default(), "");
        let lines: Vec<String> = staying.iter().map(Stays::line).collect();
        insta::assert_snapshot!(lines.join("\n"), @"unknown rolebindings.rbac.authorization.k8s.io by which workloads are seen: no answer");
        insta::assert_snapshot!(sentences(&found), @"rolebindings.rbac.authorization.k8s.io by which workloads are seen may stay: no answer");
    }
}
