//! What an uninstallation deletes.

use std::fmt::Write as _;
use std::time::Duration;

use imgop_core::api::crds;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::ListParams;
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::Installed;
use super::applying::delete;
use super::enabled::{Account, Binding, bindings};
use super::keeper::{Keeper, Verb};
use super::leftovers::{Stays, WorkloadBindings, binding_manifest, lent_jobs};
use super::plan::{done, is_installed, is_ours, obsolete};
use crate::cli_error::CliError;
use crate::cluster::lease::{LeasePlace, lent_namespace};
use crate::cluster::{Cluster, TimeLimit};
use crate::manifests::choices::Choices;
use crate::manifests::{DEFAULT_NAMESPACE, Manifest, shipped};
use crate::output::Ui;
use crate::output::text::count;

/// How often it is looked whether objects are gone.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long the agent's pods are waited for: they give back their Lease.
const UNTIL_STOPPED: Duration = Duration::from_secs(35);
/// The label of the agent's pods.
const AGENT_PODS: &str = "app.kubernetes.io/name=imgop-agent";

/// What an uninstallation deletes, in this order.
#[derive(Debug, Clone)]
pub struct Removal {
    /// The objects.
    pub objects: Vec<Manifest>,
    /// The resources of users, by their name in RBAC, and how many there are.
    pub resources: Vec<(String, usize)>,
    /// Whether these go too.
    pub with_crds: bool,
    /// The agent's namespace, if it goes, and how many Secrets are in it.
    pub namespace: Option<(String, Option<usize>)>,
    /// What stays, beside what users have written.
    pub stays: Vec<Stays>,
    /// Where the agent's pods are.
    agent_namespace: String,
    /// Where its Jobs are that use what administrators lend.
    lent_namespace: String,
}

impl Removal {
    /// Works out what is deleted.
    ///
    /// # Errors
    /// If someone else manages the installation.
    pub async fn new(
        cluster: &Cluster,
        installed: Option<&Installed>,
        namespace: Option<&str>,
        with_crds: bool,
    ) -> Result<Self, CliError> {
        let agent_namespace = installed.map(|agent| agent.namespace.as_str()).or(namespace);
        let agent_namespace = agent_namespace.unwrap_or(DEFAULT_NAMESPACE).to_owned();
        let choices = Choices { namespace: Some(agent_namespace.clone()), ..Choices::default() };
        let manifests = choices.applied(shipped()?)?;
        let mut objects = obsolete(cluster, &manifests).await?;
        for manifest in manifests {
            let Some(live) = cluster.live(&manifest).await? else { continue };
            let is_crd = manifest.is("CustomResourceDefinition");
            if (!is_crd || with_crds)
                && let Some(keeper) = Keeper::in_charge(cluster, &live.metadata).await?
            {
                return Err(keeper.refusal(Verb::Delete));
            }
            // What administrators and users have put into the namespace goes with it: only on demand, and never where
            // others have made it.
            let is_deleted = match manifest.resource.kind.as_str() {
                "CustomResourceDefinition" => with_crds,
                "Namespace" => with_crds && is_ours(&live) && is_installed(&live),
                _ => is_ours(&live),
            };
            if is_deleted {
                objects.push(manifest);
            }
        }
        let of_manifests = || Account { namespace: agent_namespace.clone(), ..Account::default() };
        let account = installed.map_or_else(of_manifests, Account::from);
        let of_workloads = WorkloadBindings::find(cluster, &account).await;
        let mut stays = of_workloads.staying(&account, &cluster.flags);
        for binding in enabling(cluster, &account).await?.into_iter().chain(of_workloads.of_agent) {
            if !is_listed(&objects, &binding) {
                objects.push(binding);
            }
        }
        objects.extend(lease(cluster, installed, &agent_namespace).await?);
        let lent_namespace =
            installed.map_or_else(|| agent_namespace.clone(), |agent| lent_namespace(&agent.deployment));
        objects.extend(lent_jobs(cluster, &lent_namespace).await?);
        objects.sort_by_key(|object| rank(&object.resource.kind));
        let namespace = if objects.iter().any(|object| object.is("Namespace")) {
            Some((agent_namespace.clone(), secrets_in(cluster, &agent_namespace).await))
        } else {
            stays.extend(Stays::namespace(cluster, &agent_namespace).await);
            None
        };
        let resources = resources(cluster, with_crds).await?;
        Ok(Self { objects, resources, with_crds, namespace, stays, agent_namespace, lent_namespace })
    }

    /// Returns what is deleted and what stays, in lines for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for object in &self.objects {
            let place =
                object.namespace.as_ref().map(|namespace| format!(" -n {namespace}")).unwrap_or_default();
            let _ = writeln!(text, "delete  {}{place}", object.qualified());
        }
        if let Some((namespace, secrets)) = &self.namespace {
            let secrets =
                secrets.map_or_else(|| "Secrets, which you may not list".to_owned(), |n| count(n, "Secret"));
            let _ = writeln!(text, "delete  all that is in namespace {namespace}: {secrets}");
        }
        for (resource, number) in self.resources.iter().filter(|(_, number)| *number > 0) {
            let what = if self.with_crds { "delete " } else { "keep   " };
            let _ = writeln!(text, "{what} {number} {resource} of users");
        }
        for stays in &self.stays {
            let _ = writeln!(text, "{}", stays.line());
        }
        text
    }

    /// Returns how many resources of users are deleted.
    pub fn lost(&self) -> usize {
        if self.with_crds { self.resources.iter().map(|(_, number)| number).sum() } else { 0 }
    }

    /// Deletes everything, and waits until it is gone.
    pub async fn run(&self, ui: Ui, cluster: &Cluster, limit: TimeLimit) -> Result<(), CliError> {
        let (agents, mut others): (Vec<_>, Vec<_>) =
            self.objects.iter().cloned().partition(|object| object.is("Deployment"));
        delete_all(ui, cluster, &agents).await?;
        self.wait_for_pods(cluster).await;
        // It may have begun some since.
        let mut begun = lent_jobs(cluster, &self.lent_namespace).await?;
        begun.retain(|job| !is_listed(&others, job));
        begun.append(&mut others);
        delete_all(ui, cluster, &begun).await?;
        wait_until_gone(ui, cluster, agents.iter().chain(&begun).collect(), limit).await
    }

    /// Waits for the agent's pods to end. One that hangs goes with its namespace.
    async fn wait_for_pods(&self, cluster: &Cluster) {
        let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &self.agent_namespace);
        let began = Instant::now();
        while began.elapsed() < UNTIL_STOPPED {
            let listed = pods.list_metadata(&ListParams::default().labels(AGENT_PODS)).await;
            if listed.map_or(true, |list| list.items.is_empty()) {
                return;
            }
            sleep(INTERVAL).await;
        }
    }
}

/// Deletes objects, and says so.
async fn delete_all(ui: Ui, cluster: &Cluster, objects: &[Manifest]) -> Result<(), CliError> {
    for object in objects {
        delete(cluster, object).await?;
        ui.data(&done(object, "deleted", ""))?;
    }
    Ok(())
}

async fn wait_until_gone(
    ui: Ui,
    cluster: &Cluster,
    mut left: Vec<&Manifest>,
    limit: TimeLimit,
) -> Result<(), CliError> {
    ui.progress("waiting until all of it is gone");
    let began = Instant::now();
    loop {
        let mut still = Vec::new();
        for object in left {
            if cluster.live(object).await?.is_some() {
                still.push(object);
            }
        }
        let Some(first) = still.first() else { return Ok(()) };
        if limit.limit().is_some_and(|limit| began.elapsed() > limit) {
            let names: Vec<String> = still.iter().map(|object| object.qualified()).collect();
            return Err(CliError::failed(format!("after {limit} there are still: {}", names.join(", ")))
                .hinted(format!("to see why: kubectl describe {}{}", first.qualified(), cluster.flags)));
        }
        left = still;
        sleep(INTERVAL).await;
    }
}

/// Returns the bindings that enable namespaces for an account.
async fn enabling(cluster: &Cluster, account: &Account) -> Result<Vec<Manifest>, CliError> {
    // Others are bound by a shared one, too.
    let is_own = |binding: &Binding| binding.namespace.is_none() || !binding.is_shared;
    let own = bindings(cluster, account, None).await?.into_iter().filter(is_own);
    Ok(own.filter_map(|binding| binding_manifest(&binding.name, binding.namespace.as_deref())).collect())
}

/// Returns how early a kind is deleted: what works first, then what lets it work, last what others are in.
fn rank(kind: &str) -> u8 {
    match kind {
        "Deployment" => 0,
        "CustomResourceDefinition" => 2,
        "Lease" => 3,
        "Namespace" => 4,
        _ => 1,
    }
}

fn is_listed(objects: &[Manifest], other: &Manifest) -> bool {
    objects.iter().any(|object| {
        object.resource == other.resource && object.name == other.name && object.namespace == other.namespace
    })
}

/// Returns the Lease that the agent has made, if it is there.
async fn lease(
    cluster: &Cluster,
    installed: Option<&Installed>,
    namespace: &str,
) -> Result<Option<Manifest>, CliError> {
    let Some(lease) = lease_manifest(installed, namespace) else { return Ok(None) };
    Ok(cluster.live(&lease).await?.map(|_| lease))
}

/// Returns the Lease of an agent, or of one that is gone; none where agents elect none of them.
fn lease_manifest(installed: Option<&Installed>, namespace: &str) -> Option<Manifest> {
    let unset = || Some(LeasePlace::without_settings(namespace));
    let place = installed.map_or_else(unset, |agent| LeasePlace::of(&agent.deployment))?;
    Manifest::read(json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": place.name, "namespace": place.namespace } }))
}

/// Returns how many Secrets are in a namespace; nothing where they may not be listed.
async fn secrets_in(cluster: &Cluster, namespace: &str) -> Option<usize> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), namespace);
    secrets.list_metadata(&ListParams::default()).await.ok().map(|list| list.items.len())
}

/// Returns how many resources of each of imgop's kinds there are in all namespaces, of those that may be listed.
///
/// # Errors
/// Where they are to be deleted and cannot be counted: what is lost would not be known.
async fn resources(cluster: &Cluster, with_crds: bool) -> Result<Vec<(String, usize)>, CliError> {
    let mut found = Vec::new();
    for crd in crds() {
        let Some(version) = crd.spec.versions.iter().find(|version| version.storage) else { continue };
        let kind = GroupVersionKind::gvk(&crd.spec.group, &version.name, &crd.spec.names.kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, &crd.spec.names.plural);
        let listed = cluster.resources(&resource, None).list_metadata(&ListParams::default()).await;
        match listed {
            Ok(list) => found.push((crd.name_any(), list.items.len())),
            // The kind is not there.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(_) if with_crds => {
                let name = crd.name_any();
                let message =
                    format!("cannot count what would be lost: {name} cannot be listed in all namespaces");
                return Err(CliError::failed(message).hinted(format!("kubectl auth can-i list {name} -A")));
            }
            Err(_) => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_lease_that_goes_is_that_of_the_settings_and_none_where_agents_elect_none_of_them() {
        let place = |lease: Option<Manifest>| {
            lease.map(|lease| format!("{}/{}", lease.namespace.unwrap_or_default(), lease.name))
        };
        let of = |env: Value| {
            let containers = json!([{ "name": "agent", "env": env }]);
            let deployment = json!({ "metadata": { "name": "imgop-agent", "namespace": "mirrors" },
                "spec": { "selector": {}, "template": { "spec": { "containers": containers } } } });
            let agent = Installed::of(&serde_json::from_value(deployment).unwrap());
            place(lease_manifest(Some(&agent), &agent.namespace))
        };
        assert_eq!(of(json!([])).as_deref(), Some("mirrors/imgop-agent"));
        let named =
            json!([{ "name": "LEASE_NAME", "value": "two" }, { "name": "LEASE_NAMESPACE", "value": "x" }]);
        assert_eq!(of(named).as_deref(), Some("x/two"));
        assert_eq!(of(json!([{ "name": "LEADER_ELECT", "value": "false" }])), None);
        assert_eq!(place(lease_manifest(None, "mirrors")).as_deref(), Some("mirrors/imgop-agent"));
    }
}
