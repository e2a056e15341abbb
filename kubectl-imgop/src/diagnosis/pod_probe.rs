//! Registries asked from the cluster: by a Job of the agent's image in the user's namespace, where the Jobs that copy run
//! too. It has no credential, and Kubernetes deletes it though this program is ended meanwhile.

use std::time::Duration;

use imgop_core::api::{MANAGED_BY, MANAGED_BY_LABEL, NAME_LABEL};
use imgop_core::job_proxies::{InPlaceOfOwn, Proxies};
use imgop_core::probe::{Answer, PROBE};
use imgop_registry::reference::RegistryHost;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, LogParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::checks::{Check, Verdict};
use super::registries::{Asked, AskedFrom, judge};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::cluster::agent::setting;
use crate::installation::Installed;

const AREA: &str = "registry from the cluster";
/// How long all of it may take.
const DEADLINE: Duration = Duration::from_secs(90);
const INTERVAL: Duration = Duration::from_millis(500);
/// Reasons for which a container does not start, however long one waits.
const HOPELESS: [&str; 6] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
];

/// Asks all registries from a pod.
pub async fn checks(cluster: &Cluster, agent: &Installed, asked: &[(&RegistryHost, &Asked)]) -> Vec<Check> {
    match answers(cluster, agent, asked).await {
        Ok(answers) => asked.iter().map(|(host, asked)| check(host, asked, &answers)).collect(),
        Err(error) => {
            let check = Check::new(AREA, &cluster.namespace, Verdict::Unknown, error.message.clone());
            vec![error.hints.iter().fold(check, super::checks::Check::repaired)]
        }
    }
}

fn check(host: &RegistryHost, asked: &Asked, answers: &[Answer]) -> Check {
    let repository = asked.repository.to_string();
    match answers.iter().find(|answer| answer.repository == repository) {
        Some(answer) => judge(host, answer, AskedFrom::Cluster, false),
        None => Check::new(AREA, host.as_str(), Verdict::Unknown, "the pod has not said anything of it"),
    }
}

async fn answers(
    cluster: &Cluster,
    agent: &Installed,
    asked: &[(&RegistryHost, &Asked)],
) -> Result<Vec<Answer>, CliError> {
    let unreadable = |why: String| CliError::failed(format!("the Job cannot be written: {why}"));
    let job = serde_json::from_value(job(agent, asked)).map_err(|error| unreadable(error.to_string()))?;
    let jobs: Api<Job> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let created = jobs.create(&PostParams::default(), &job).await;
    let created = created.map_err(|error| cluster.explain_in_namespace("create", "jobs.batch", &error))?;
    let name = created.name_any();
    let log = log_of(cluster, &created).await;
    // It would be deleted a minute later anyway.
    let _ = jobs.delete(&name, &DeleteParams::background()).await;
    let log = log?;
    let answers: Vec<Answer> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if answers.is_empty() {
        let said: String = log.chars().take(200).collect();
        return Err(CliError::failed(format!(
            "the agent's image {} cannot ask registries: {said}",
            agent.image
        ))
        .hinted(format!("kubectl imgop upgrade{}", cluster.flags)));
    }
    Ok(answers)
}

/// Bytes of the log that are read: a line for each registry.
const MAX_LOG_BYTES: i64 = 1 << 20;

/// Returns what the pod of a Job has printed, once it has ended.
async fn log_of(cluster: &Cluster, job: &Job) -> Result<String, CliError> {
    let name = job.name_any();
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let of_job = ListParams::default().labels(&format!("{}={name}", imgop_core::api::JOB_NAME_LABEL));
    let began = Instant::now();
    let mut last = None;
    loop {
        let listed = pods.list(&of_job).await;
        let listed = listed.map_err(|error| cluster.explain_in_namespace("list", "pods", &error))?;
        // Whoever may create pods there can give them that label.
        if let Some(pod) = listed.items.iter().find(|pod| is_of(pod, job)) {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            if matches!(phase, Some("Succeeded" | "Failed")) {
                let params = LogParams { limit_bytes: Some(MAX_LOG_BYTES), ..LogParams::default() };
                let log = pods.logs(&pod.name_any(), &params).await;
                return log.map_err(|error| cluster.explain_in_namespace("get", "pods/log", &error));
            }
            let (why, is_hopeless) = waiting(pod);
            if is_hopeless {
                return Err(CliError::failed(format!(
                    "the pod that asks does not start: {}",
                    why.unwrap_or_default()
                )));
            }
            last = why.or(last);
        }
        if began.elapsed() > DEADLINE {
            let why = match last {
                Some(why) => why,
                None => why_no_pod(cluster, &name).await.unwrap_or_else(|| "there is no pod".to_owned()),
            };
            return Err(CliError::failed(format!("the pod that asks has not ended in time: {why}")));
        }
        sleep(INTERVAL).await;
    }
}

/// Returns whether a Job has made a pod.
fn is_of(pod: &Pod, job: &Job) -> bool {
    let owners = pod.metadata.owner_references.iter().flatten();
    owners
        .filter(|owner| owner.controller == Some(true))
        .any(|owner| Some(&owner.uid) == job.metadata.uid.as_ref())
}

/// Returns what a pod waits for, and whether that comes to nothing.
fn waiting(pod: &Pod) -> (Option<String>, bool) {
    let Some(status) = &pod.status else { return (None, false) };
    let mut of_containers =
        status.container_statuses.iter().flatten().filter_map(|container| container.state.as_ref());
    if let Some(waiting) = of_containers.find_map(|state| state.waiting.as_ref()) {
        let reason = waiting.reason.clone().unwrap_or_default();
        let message = waiting.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        return (Some(format!("{reason}{message}")), HOPELESS.contains(&reason.as_str()));
    }
    let unscheduled =
        status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False");
    (unscheduled.and_then(|condition| condition.message.clone()), false)
}

/// Returns why a Job gets no pod: a quota, or what the namespace admits.
async fn why_no_pod(cluster: &Cluster, job: &str) -> Option<String> {
    let jobs: Api<Job> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let uid = jobs.get(job).await.ok()?.uid()?;
    let events = cluster.events(&uid).await.ok()?;
    events.into_iter().rev().find(|event| event.type_.as_deref() == Some("Warning"))?.message
}

/// Returns the Job: what any namespace admits, with the proxies of imgop's own Jobs, and for the pod the labels of those that
/// copy, so that the `NetworkPolicy` that selects these holds for it too. The agent counts neither: no Image controls the
/// Job.
fn job(agent: &Installed, asked: &[(&RegistryHost, &Asked)]) -> Value {
    let (mut arguments, mut volumes, mut mounts) = (vec![PROBE.to_owned()], Vec::new(), Vec::new());
    for (index, (_, asked)) in asked.iter().enumerate() {
        let ca_file = asked.ca_secret().map(|secret| {
            let (name, folder) = (format!("ca-{index}"), format!("/ca/{index}"));
            volumes.push(json!({ "name": name, "secret": { "secretName": secret, "optional": true,
                "items": [{ "key": imgop_core::api::CA_KEY, "path": imgop_core::api::CA_KEY }] } }));
            mounts.push(json!({ "name": name, "mountPath": folder, "readOnly": true }));
            format!("{folder}/{}", imgop_core::api::CA_KEY)
        });
        arguments.push(serde_json::to_string(&asked.target(ca_file)).unwrap_or_default());
    }
    let secrets = setting(&agent.deployment, "JOB_PULL_SECRETS").unwrap_or_default();
    let secrets: Vec<Value> =
        secrets.split(',').filter(|s| !s.is_empty()).map(|name| json!({ "name": name })).collect();
    let labels = json!({ NAME_LABEL: "imgop-copy", MANAGED_BY_LABEL: MANAGED_BY });
    json!({
        "metadata": { "generateName": "imgop-doctor-", "labels": { NAME_LABEL: "imgop-doctor" } },
        "spec": {
            "backoffLimit": 0, "activeDeadlineSeconds": DEADLINE.as_secs(), "ttlSecondsAfterFinished": 60,
            "template": { "metadata": { "labels": labels }, "spec": {
                "restartPolicy": "Never", "automountServiceAccountToken": false, "enableServiceLinks": false,
                "terminationGracePeriodSeconds": 1, "imagePullSecrets": secrets, "volumes": volumes,
                "securityContext": { "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532,
                    "seccompProfile": { "type": "RuntimeDefault" } },
                "containers": [{
                    "name": PROBE, "image": agent.image, "args": arguments, "env": proxies(&agent.deployment),
                    "volumeMounts": mounts,
                    "resources": { "requests": { "cpu": "10m", "memory": "16Mi" }, "limits": { "cpu": "500m", "memory": "64Mi" } },
                    "securityContext": { "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                        "capabilities": { "drop": ["ALL"] } },
                }],
            } },
        },
    })
}

/// Returns the proxies that imgop's Jobs have by the agent's settings and environment. With one that has a password, which is
/// for the agent's eyes alone, the agent does not start.
fn proxies(agent: &Deployment) -> Vec<Value> {
    let setting = |name: &str| setting(agent, name);
    let [http, https, no_proxy] =
        ["JOB_HTTP_PROXY", "JOB_HTTPS_PROXY", "JOB_NO_PROXY"].map(|name| setting(name).unwrap_or_default());
    let given = InPlaceOfOwn { http: &http, https: &https, no_proxy: &no_proxy };
    let proxies = Proxies::new(given, setting).unwrap_or_default();
    let variables = proxies.environment().into_iter().filter(|(_, value)| !value.contains('@'));
    variables.map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(env: &Value) -> Installed {
        let deployment = json!({ "metadata": { "name": "imgop-agent", "namespace": "imgop-system" },
            "spec": { "selector": {}, "template": { "spec": {
                "containers": [{ "name": "agent", "image": "r.corp/agent:0.1.0", "env": env }] } } } });
        Installed::of(&serde_json::from_value(deployment).unwrap())
    }

    #[test]
    fn the_pod_is_admitted_everywhere_holds_no_credential_and_goes_by_itself() {
        let job = job(&agent(&json!([])), &[]);
        let _: Job = serde_json::from_value(job.clone()).unwrap();
        let pod = &job["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["containers"][0]["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
        assert!(
            job["spec"]["ttlSecondsAfterFinished"].is_number()
                && job["spec"]["activeDeadlineSeconds"].is_number()
        );
    }

    #[test]
    fn the_pod_has_the_proxies_and_pull_secrets_of_the_jobs_that_copy() {
        let env = json!([{ "name": "HTTPS_PROXY", "value": "http://p:1" }, { "name": "JOB_HTTP_PROXY", "value": "none" },
            { "name": "HTTP_PROXY", "value": "http://p:2" }, { "name": "JOB_PULL_SECRETS", "value": "a,b" }]);
        let job = job(&agent(&env), &[]);
        let pod = &job["spec"]["template"]["spec"];
        let both = ["HTTPS_PROXY", "https_proxy"].map(|name| json!({ "name": name, "value": "http://p:1" }));
        assert_eq!(pod["containers"][0]["env"], json!(both));
        assert_eq!(pod["imagePullSecrets"], json!([{ "name": "a" }, { "name": "b" }]));
    }

    #[test]
    fn the_pod_has_the_agents_own_proxies_however_they_are_spelled_and_none_with_a_password() {
        let given = |name: &str, value: &str| {
            let env = json!([{ "name": name, "value": value }]);
            let job = job(&agent(&env), &[]);
            let variables = job["spec"]["template"]["spec"]["containers"][0]["env"].as_array().cloned();
            let names =
                variables.unwrap().into_iter().map(|variable| variable["name"].as_str().unwrap().to_owned());
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(given("https_proxy", "http://p:1"), "HTTPS_PROXY https_proxy");
        assert_eq!(given("ALL_PROXY", "http://p:1"), "HTTPS_PROXY HTTP_PROXY http_proxy https_proxy");
        assert_eq!(given("all_proxy", "http://me:secret@p:1"), "");
    }

    #[test]
    fn the_network_policy_of_copies_selects_the_pod() {
        let policy = include_str!("../../../manifests/copy-network-policy.yaml");
        let policy: Value = serde_saphyr::from_str(policy).unwrap();
        let selected = policy["spec"]["podSelector"]["matchLabels"].as_object().unwrap().clone();
        let job = job(&agent(&json!([])), &[]);
        let labels = job["spec"]["template"]["metadata"]["labels"].clone();
        assert!(!selected.is_empty());
        assert!(selected.iter().all(|(key, value)| labels[key] == *value), "{labels}");
        for expression in policy["spec"]["podSelector"]["matchExpressions"].as_array().unwrap() {
            let label = &labels[expression["key"].as_str().unwrap()];
            assert!(expression["values"].as_array().unwrap().contains(label), "{labels}: {expression}");
        }
    }

    #[test]
    fn the_log_is_that_of_a_pod_that_the_job_controls() {
        let job: Job = serde_json::from_value(json!({ "metadata": { "name": "j", "uid": "1" } })).unwrap();
        let of = |uid: &str, is_controller: bool| -> bool {
            let owner = json!({ "apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": uid,
                "controller": is_controller });
            let pod = json!({ "metadata": { "labels": { "job-name": "j" }, "ownerReferences": [owner] } });
            is_of(&serde_json::from_value(pod).unwrap(), &job)
        };
        assert!(of("1", true) && !of("1", false) && !of("2", true));
    }

    #[test]
    fn a_pod_whose_image_cannot_be_pulled_is_not_waited_for() {
        let pod = |reason: &str| -> Pod {
            serde_json::from_value(
                json!({ "metadata": {}, "status": { "containerStatuses": [{ "name": "probe",
                "ready": false, "image": "", "imageID": "", "restartCount": 0,
                "state": { "waiting": { "reason": reason, "message": "m" } } }] } }),
            )
            .unwrap()
        };
        assert_eq!(waiting(&pod("ErrImagePull")), (Some("ErrImagePull: m".to_owned()), true));
        assert_eq!(waiting(&pod("ContainerCreating")), (Some("ContainerCreating: m".to_owned()), false));
    }
}
