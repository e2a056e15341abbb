//! Everything in a pod that names an image, and a workload that has no pods.

use std::collections::BTreeMap;

use imgop_registry::reference::Digest;
use imgop_tests::tenant::{DEADLINE, Tenant, with_tenant};
use imgop_tests::wait;
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// What names an image of its own each, and is called so.
const USERS: [&str; 5] = ["container", "init", "volume", "ephemeral", "cron"];
const POD: &str = "parts";

fn image(tenant: &Tenant, user: &str) -> String {
    format!("{}:1.0", tenant.cluster.source.repository(&tenant.path(user)))
}

fn container(tenant: &Tenant, name: &str, command: &[&str]) -> Value {
    json!({ "name": name, "image": image(tenant, name), "command": command,
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } } })
}

/// What namespaces of the level `restricted` ask of a pod.
fn restricted() -> Value {
    json!({ "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" } })
}

/// Waits for a pod whose init container finds the content of an image volume. Kubernetes has these since 1.36 without a
/// feature gate, containerd since 2.1.
async fn run_pod(tenant: &Tenant, pods: &Api<Pod>) -> anyhow::Result<()> {
    let mut init = container(tenant, "init", &["ls", "/volume/bin/busybox"]);
    init["volumeMounts"] = json!([{ "name": "volume", "mountPath": "/volume" }]);
    let pod = json!({ "metadata": { "name": POD }, "spec": {
        "terminationGracePeriodSeconds": 0,
        "securityContext": restricted(),
        "volumes": [{ "name": "volume", "image": { "reference": image(tenant, "volume") } }],
        "initContainers": [init],
        "containers": [container(tenant, "container", &["sleep", "3600"])],
    } });
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    let runs = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        phase == Some("Running")
    };
    wait::until(pods, POD, "runs", DEADLINE, runs).await.map(drop)
}

/// Adds an ephemeral container to the pod, as `kubectl debug` does, and waits until it runs.
async fn debug_pod(tenant: &Tenant, pods: &Api<Pod>) -> anyhow::Result<()> {
    let added = container(tenant, "ephemeral", &["sleep", "3600"]);
    let patch = Patch::Strategic(json!({ "spec": { "ephemeralContainers": [added] } }));
    pods.patch_ephemeral_containers(POD, &PatchParams::default(), &patch).await?;
    let runs = |pod: &Pod| {
        let statuses = pod.status.as_ref().and_then(|status| status.ephemeral_container_statuses.as_ref());
        let mut states = statuses.into_iter().flatten().filter_map(|status| status.state.as_ref());
        states.any(|state| state.running.is_some())
    };
    wait::until(pods, POD, "runs its ephemeral container", DEADLINE, runs).await.map(drop)
}

/// A CronJob that never makes a pod: only its template names the image.
async fn cron_job(tenant: &Tenant) -> anyhow::Result<()> {
    let template = json!({ "spec": {
        "restartPolicy": "Never",
        "securityContext": restricted(),
        "containers": [container(tenant, "cron", &["true"])],
    } });
    let cron_job = json!({ "metadata": { "name": "cron" }, "spec": {
        "schedule": "0 0 1 1 *",
        "suspend": true,
        "jobTemplate": { "spec": { "template": template } },
    } });
    let cron_jobs: Api<CronJob> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
    cron_jobs.create(&PostParams::default(), &serde_json::from_value(cron_job)?).await?;
    Ok(())
}

#[tokio::test]
async fn images_of_init_and_ephemeral_containers_of_volumes_and_of_a_cron_job_without_pods_arrive()
-> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let path = tenant.path("mirror");
        let mut pushed: BTreeMap<&str, BTreeMap<String, Digest>> = BTreeMap::new();
        for user in USERS {
            pushed.insert(user, tenant.cluster.source.fill(&tenant.path(user), &["1.0"], user).await?);
        }
        tenant.mirror_workloads(tenant.workload_mirror(&path)).await?;
        let pods = tenant.all_pods();
        run_pod(tenant, &pods).await?;
        debug_pod(tenant, &pods).await?;
        cron_job(tenant).await?;
        for (user, digests) in &pushed {
            tenant.arrives(&format!("{path}/{}", tenant.path(user)), digests).await?;
        }
        Ok(())
    })
    .await
}
