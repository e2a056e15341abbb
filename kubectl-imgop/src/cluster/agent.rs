//! The agent's Deployments, and what to check when no agent reacts.

use std::time::Duration;

use imgop_core::api::ImageBuilder;
use imgop_core::api::conditions::reasons;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use tokio::time::{Instant, sleep, timeout};

use super::connection::Cluster;
use super::errors::how_to_install;
use super::lease::{Leading, LeasePlace};
use super::objects::FoundObject;
use crate::installation::enabled::Feature;
use crate::kinds::{Erased, ObjectRef};
use crate::manifests::AGENT_CONTAINER;
use crate::output::Ui;
use crate::output::text::count;

/// The label by which the agent's Deployment is found.
const AGENT_SELECTOR: &str = "app.kubernetes.io/name=imgop-agent";

/// How long the first word of the agent on a new object is awaited, and how often it is looked for.
const FIRST_REACTION: Duration = Duration::from_millis(1500);
const REACTION_INTERVAL: Duration = Duration::from_millis(250);

/// How long the API server may take to list Deployments.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns why there may be no reaction to what was requested of `name`.
pub async fn why_no_reaction(cluster: &Cluster, name: &str) -> String {
    let flags = &cluster.flags;
    match agents(cluster).await {
        // Whoever may not list Deployments cannot check them otherwise either.
        Err(kube::Error::Api(status)) if status.code == 403 => format!(
            "the agent has not reconciled {name} yet; whoever runs imgop in this cluster can check its Deployment"
        ),
        Err(_) => format!(
            "the agent has not reconciled {name} yet; check it with: kubectl get deployments -A -l {AGENT_SELECTOR}{flags}"
        ),
        Ok(agents) if agents.is_empty() => format!("nothing reconciles {name}: {}", without_agent(flags)),
        Ok(agents) => {
            let described: Vec<String> = agents.iter().map(describe_agent).collect();
            format!(
                "the agent has not reconciled {name} yet; {}; see kubectl logs -n {} -l {AGENT_SELECTOR}{flags}",
                described.join(", "),
                agents[0].namespace().unwrap_or_default(),
            )
        }
    }
}

/// Warns if the cluster has no agent, so that nothing is `done`: copied, or built. No answer is no reason to warn.
pub async fn warn_without_agent(ui: Ui, cluster: &Cluster, done: &str) {
    if let Ok(Ok(agents)) = timeout(ANSWER_TIMEOUT, agents(cluster)).await
        && agents.is_empty()
    {
        ui.warning(&format!("nothing is {done} yet: {}", without_agent(&cluster.flags)));
    }
}

/// Warns if no agent works, by its Lease, so that nothing is checked or done. Whoever may not read the Lease is told nothing,
/// and so is who may see several agents: which of them works for whom is not known.
pub async fn warn_where_none_leads(ui: Ui, cluster: &Cluster) {
    if let Ok(Some(why)) = timeout(ANSWER_TIMEOUT, why_none_leads(cluster)).await {
        let flags = &cluster.flags;
        ui.warning(&format!("nothing is checked or done: {why}; kubectl imgop doctor{flags} says more"));
    }
}

async fn why_none_leads(cluster: &Cluster) -> Option<String> {
    let agents = agents(cluster).await.ok()?;
    let [agent] = agents.as_slice() else { return None };
    let LeasePlace { namespace, name } = LeasePlace::of(agent)?;
    let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), &namespace);
    let lease = leases.get_opt(&name).await.ok()?;
    match Leading::of(lease.as_ref(), &name, Timestamp::now()) {
        Leading::NotLed(why) => Some(why),
        Leading::Leads(_) | Leading::InTheFuture(_) => None,
    }
}

/// Warns if the agent says at once that it may not work for a new object in this namespace. No answer is no reason to
/// warn.
pub async fn warn_where_not_enabled(ui: Ui, cluster: &Cluster, object: &ObjectRef) {
    let began = Instant::now();
    while began.elapsed() < FIRST_REACTION {
        let Ok(found) = cluster.objects(object.kind, false).get(&object.name).await else { return };
        let found = FoundObject { kind: object.kind, object: found };
        match found.ready_condition() {
            Some(ready) if ready["reason"] == reasons::NAMESPACE_NOT_ENABLED => {
                ui.warning(ready["message"].as_str().unwrap_or(reasons::NAMESPACE_NOT_ENABLED));
                if let Some(hint) = hint_to_enable(cluster, &found) {
                    ui.hint(&hint);
                }
                return;
            }
            Some(_) => return,
            None => sleep(REACTION_INTERVAL).await,
        }
    }
}

/// Returns the hint that names the verb which enables a namespace, if that is what an object waits for: the agent's message
/// names the binding. Builds are enabled by an option, however the rest of the namespace is.
pub fn hint_to_enable(cluster: &Cluster, object: &FoundObject) -> Option<String> {
    let Cluster { namespace, flags, .. } = cluster;
    let place = cluster.place();
    let is_builder = object.kind == Erased::<ImageBuilder>::REF;
    let option = if is_builder { Feature::Builds.flag() } else { "" };
    object.is_in_namespace_not_enabled().then(|| {
        format!(
            "an administrator's command: kubectl imgop enable {namespace}{option}{flags}; kubectl imgop doctor{place} says with which options"
        )
    })
}

/// Returns that there is no agent, and how to install it.
fn without_agent(flags: &str) -> String {
    format!(
        "no Deployment in this cluster has the label {AGENT_SELECTOR}; to install it: {}",
        how_to_install(flags)
    )
}

/// Returns the agent's Deployments.
pub async fn agents(cluster: &Cluster) -> Result<Vec<Deployment>, kube::Error> {
    let deployments: Api<Deployment> = Api::all(cluster.client.clone());
    Ok(deployments.list(&ListParams::default().labels(AGENT_SELECTOR)).await?.items)
}

/// Returns a setting of an agent's Deployment, as its own container has it, unless it is empty.
pub fn setting(agent: &Deployment, name: &str) -> Option<String> {
    let containers = &agent.spec.as_ref()?.template.spec.as_ref()?.containers;
    let own = containers.iter().find(|container| container.name == AGENT_CONTAINER);
    let variables = own.or_else(|| containers.first())?.env.as_ref()?;
    let value = variables.iter().find(|variable| variable.name == name)?.value.clone();
    value.filter(|value| !value.is_empty())
}

/// Returns `imgop-system/imgop-agent has 1 of 1 pods ready`.
fn describe_agent(agent: &Deployment) -> String {
    let wanted = agent.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    let ready = agent.status.as_ref().and_then(|s| s.ready_replicas).unwrap_or(0);
    let namespace = agent.namespace().unwrap_or_default();
    let pods = count(usize::try_from(wanted).unwrap_or(0), "pod");
    format!("{namespace}/{} has {ready} of {pods} ready", agent.name_any())
}
