//! The agent: its version, its pods, and whether one of them leads.

use imgop_core::text::shorten;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::Api;
use kube::ResourceExt as _;
use kube::api::ListParams;

use super::checks::{Check, Verdict};
use crate::cluster::Cluster;
use crate::cluster::lease::{Leading, LeasePlace};
use crate::installation::applying::unavailable;
use crate::installation::keeper::FluxObject;
use crate::installation::{Installed, find};
use crate::manifests::VERSION;
use crate::manifests::kept::is_newer;

const AREA: &str = "agent";
const AGENT_PODS: &str = "app.kubernetes.io/name=imgop-agent";
const MAX_MESSAGE: usize = 300;

/// Looks at the agent, and returns it.
pub async fn checks(cluster: &Cluster, namespace: Option<&str>) -> (Vec<Check>, Option<Installed>) {
    let agent = match find(cluster, namespace).await {
        Ok(Some(agent)) => agent,
        Ok(None) => {
            let check = Check::fail(AREA, "deployment", "no Deployment has the label of the agent");
            return (vec![check.repaired(format!("kubectl imgop install{}", cluster.flags))], None);
        }
        Err(error) => return (vec![Check::unseen(AREA, "deployment", &error)], None),
    };
    let mut checks = vec![version(&agent, &cluster.flags), pods(cluster, &agent).await];
    checks.extend(gone_release(cluster, &agent).await);
    if let Some(place) = LeasePlace::of(&agent.deployment) {
        checks.push(lease(cluster, &place).await);
    }
    (checks, Some(agent))
}

fn version(agent: &Installed, flags: &str) -> Check {
    let name = "version";
    match agent.version.as_deref() {
        None => Check::ok(AREA, name, format!("its image {} names no version", agent.image)),
        Some(VERSION) => Check::ok(AREA, name, format!("{VERSION}, as this program")),
        Some(newer) if is_newer(newer, VERSION) => {
            let message = format!("the agent is version {newer}, and this program {VERSION}");
            Check::new(AREA, name, Verdict::Warn, message).repaired("take a newer kubectl-imgop")
        }
        Some(older) => {
            let message = format!("the agent is version {older}, and this program {VERSION}");
            Check::new(AREA, name, Verdict::Warn, message).repaired(format!("kubectl imgop upgrade{flags}"))
        }
    }
}

/// Looks whether what has installed the agent is still there.
async fn gone_release(cluster: &Cluster, agent: &Installed) -> Option<Check> {
    let name = "helmrelease";
    match FluxObject::gone(cluster, &agent.deployment.metadata).await {
        Ok(gone) => {
            let message = format!("Flux has installed it by {}, which is gone: nothing upgrades it", gone?);
            let repair = "apply the HelmRelease again, or uninstall what is left: kubectl imgop uninstall";
            Some(
                Check::new(AREA, name, Verdict::Warn, message).repaired(format!("{repair}{}", cluster.flags)),
            )
        }
        Err(error) => Some(Check::unseen(AREA, name, &error)),
    }
}

/// Looks whether the agent's pods are ready, and why not.
async fn pods(cluster: &Cluster, agent: &Installed) -> Check {
    let Installed { namespace, name, .. } = agent;
    let title = format!("{namespace}/{name}");
    let wanted = agent.deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    if wanted == 0 {
        return Check::fail(AREA, title, "it is scaled to no pod").repaired(format!(
            "kubectl scale deployment {name} -n {namespace} --replicas=2{}",
            cluster.flags
        ));
    }
    let Some(why) = unavailable(&agent.deployment) else {
        return Check::ok(AREA, title, format!("{wanted} of {wanted} pods are ready"));
    };
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    let listed = pods.list(&ListParams::default().labels(AGENT_PODS)).await.map(|list| list.items);
    let trouble = listed.unwrap_or_default().iter().find_map(trouble);
    let ready = agent.deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    // One works as long as one is ready.
    let verdict = if ready > 0 { Verdict::Warn } else { Verdict::Fail };
    let details = trouble.map(|trouble| format!("; {trouble}")).unwrap_or_default();
    Check::new(AREA, title, verdict, format!("{why}{details}")).repaired(format!(
        "to see more: kubectl describe pods -n {namespace} -l {AGENT_PODS}{}",
        cluster.flags
    ))
}

/// Returns why a pod does not get ready.
fn trouble(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let unscheduled =
        status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False");
    if let Some(why) = unscheduled.and_then(|condition| condition.message.as_deref()) {
        return Some(format!("pod {} has no node: {}", pod.name_any(), shorten(why, MAX_MESSAGE)));
    }
    let containers = status.container_statuses.iter().flatten();
    let words = containers.filter(|container| !container.ready).find_map(container_trouble)?;
    Some(format!("pod {}: {}", pod.name_any(), shorten(&words, MAX_MESSAGE)))
}

fn container_trouble(container: &ContainerStatus) -> Option<String> {
    let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
    let mut ended = [container.last_state.as_ref(), container.state.as_ref()].into_iter().flatten();
    let ended = ended.find_map(|state| state.terminated.as_ref());
    let waiting = waiting.map(|waiting| {
        let message = waiting.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        format!("{}{message}", waiting.reason.as_deref().unwrap_or("waiting"))
    });
    let ended = ended.map(|ended| {
        let reason = ended.reason.as_deref().unwrap_or("ended");
        format!("{reason} with exit code {}", ended.exit_code)
    });
    match (waiting, ended) {
        (Some(waiting), Some(ended)) => Some(format!("{waiting}; before: {ended}")),
        (waiting, ended) => waiting.or(ended),
    }
}

/// Looks whether an agent leads.
async fn lease(cluster: &Cluster, place: &LeasePlace) -> Check {
    let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), &place.namespace);
    match leases.get_opt(&place.name).await {
        Ok(lease) => judge_lease(lease.as_ref(), place, &cluster.flags),
        Err(error) => {
            let cluster = cluster.in_namespace(Some(&place.namespace));
            let error = cluster.explain_in_namespace("get", "leases.coordination.k8s.io", &error);
            Check::unseen(AREA, "lease", &error)
        }
    }
}

/// Returns what a Lease means for the installation.
fn judge_lease(lease: Option<&Lease>, place: &LeasePlace, flags: &str) -> Check {
    let LeasePlace { namespace, name } = place;
    match Leading::of(lease, name, Timestamp::now()) {
        Leading::Leads(words) => Check::ok(AREA, "lease", words),
        Leading::InTheFuture(words) => Check::new(AREA, "lease", Verdict::Warn, words)
            .repaired("set the clock of this machine, or of the nodes"),
        Leading::NotLed(words) => Check::fail(AREA, "lease", words)
            .repaired(format!("to see why: kubectl logs -n {namespace} -l {AGENT_PODS}{flags}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_says_why_it_does_not_get_ready() {
        let pod = |status: serde_json::Value| -> Pod {
            serde_json::from_value(json!({ "metadata": { "name": "p" }, "status": status })).unwrap()
        };
        let container = |state: serde_json::Value, last: serde_json::Value| {
            pod(json!({ "containerStatuses": [{ "name": "agent", "ready": false, "image": "", "imageID": "",
                "restartCount": 1, "state": state, "lastState": last }] }))
        };
        let waiting = json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 10s" } });
        let ended = json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } });
        assert_eq!(
            trouble(&container(waiting, ended)).unwrap(),
            "pod p: CrashLoopBackOff: back-off 10s; before: OOMKilled with exit code 137"
        );
        let unscheduled =
            json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "message": "0/1 nodes" }] });
        assert_eq!(trouble(&pod(unscheduled)).unwrap(), "pod p has no node: 0/1 nodes");
    }
}
