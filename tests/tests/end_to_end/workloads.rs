//! WorkloadMirrors where pods really run.

mod images;
mod leaving;
mod tenants;

use anyhow::Context as _;
use imgop_core::api::{
    DigestUse, REQUESTED_AT_ANNOTATION, WorkloadKind, WorkloadMirror, WorkloadOrigin, WorkloadPlatformMode,
    WorkloadTrigger,
};
use imgop_registry::reference::Digest;
use imgop_tests::tenant::{DEADLINE, PUSH_SECRET, Tenant, with_tenant};
use imgop_tests::wait;
use imgop_tests::workloads::WORKLOAD_MIRROR;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

async fn deploy(tenant: &Tenant, image: &str) -> anyhow::Result<()> {
    let security = json!({ "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } });
    let deployment = json!({
        "metadata": { "name": "web" },
        "spec": { "replicas": 1, "selector": { "matchLabels": { "app": "web" } }, "template": {
            "metadata": { "labels": { "app": "web" } },
            "spec": {
                "imagePullSecrets": [{ "name": PUSH_SECRET }],
                "terminationGracePeriodSeconds": 0,
                "securityContext": { "runAsNonRoot": true, "runAsUser": 65532,
                    "seccompProfile": { "type": "RuntimeDefault" } },
                "containers": [{ "name": "app", "image": image, "command": ["sleep", "3600"],
                    "securityContext": security }],
            } } },
    });
    let deployments: Api<Deployment> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
    deployments.create(&PostParams::default(), &serde_json::from_value(deployment)?).await?;
    Ok(())
}

async fn is_available(tenant: &Tenant) -> anyhow::Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
    let is_available = |deployment: &Deployment| {
        deployment.status.as_ref().and_then(|status| status.available_replicas) == Some(1)
    };
    wait::until(&deployments, "web", "is available", DEADLINE, is_available).await.map(drop)
}

#[tokio::test]
async fn a_deployment_whose_image_only_its_origin_has_becomes_ready_by_itself() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let path = tenant.path("mirror");
        let pushed = tenant.cluster.source.fill(&tenant.path("origin/app"), &["v1_2"], "").await?;
        let mut spec = tenant.workload_mirror(&path);
        spec.triggers = vec![WorkloadTrigger::PullFailure];
        spec.origins = vec![WorkloadOrigin {
            from: tenant.cluster.target.repository(&path),
            to: vec![
                tenant.cluster.source.repository(&tenant.path("nowhere")),
                tenant.cluster.source.repository(&tenant.path("origin")),
            ],
        }];
        tenant.mirror_workloads(spec).await?;
        deploy(tenant, &format!("{}:v1_2", tenant.cluster.target.repository(&format!("{path}/app")))).await?;
        is_available(tenant).await?;
        assert_eq!(tenant.cluster.target.digests(&format!("{path}/app")).await?, pushed);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_image_of_a_deployment_that_runs_arrives_at_the_destination() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let path = tenant.path("mirror");
        let app = tenant.path("app");
        let pushed = tenant.cluster.source.fill(&app, &["1.0"], "").await?;
        tenant.mirror_workloads(tenant.workload_mirror(&path)).await?;
        deploy(tenant, &format!("{}:1.0", tenant.cluster.source.repository(&app))).await?;
        is_available(tenant).await?;
        tenant.arrives(&format!("{path}/{app}"), &pushed).await
    })
    .await
}

#[tokio::test]
async fn of_a_tag_that_has_moved_the_newest_pod_has_the_tag_and_what_the_other_runs_can_be_pulled_by_its_digest()
-> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (path, app) = (tenant.path("mirror"), tenant.path("app"));
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let image = format!("{}:stable", source.repository(&app));
        let mut contents = Vec::new();
        for name in ["old", "new"] {
            let pushed = source.fill(&app, &["stable"], name).await?;
            tenant.run_pod(name, &image, None).await?;
            let runs = tenant.running(name).await?;
            let digest = pushed.get("stable").context("it was pushed")?.clone();
            anyhow::ensure!(runs.ends_with(&format!("@{digest}")), "{runs}: {digest}");
            contents.push(digest);
        }
        let mut spec = tenant.workload_mirror(&path);
        spec.digests.taken = DigestUse::Running;
        tenant.mirror_workloads(spec).await?;
        let arrived = format!("{path}/{app}");
        let has_both = async || {
            let there = target.digests(&arrived).await.unwrap_or_default();
            let is_pinned =
                |(tag, digest): (&String, &Digest)| tag.starts_with("pin-sha256-") && *digest == contents[0];
            there.get("stable") == Some(&contents[1]) && there.iter().any(is_pinned)
        };
        wait::poll("both arrive", DEADLINE, || async { Ok(has_both().await.then_some(())) }).await?;
        tenant.end_pod("old").await?;
        look(tenant).await?;
        anyhow::ensure!(has_both().await, "it stays for the retention");
        Ok(())
    })
    .await
}

/// The architectures of the index of a tag, sorted; none where there is no such tag.
async fn architectures(tenant: &Tenant, path: &str, tag: &str) -> Vec<String> {
    let Ok(index) = tenant.cluster.target.manifest(path, tag).await else { return Vec::new() };
    let of = |entry: &Value| entry["platform"]["architecture"].as_str().map(str::to_owned);
    let mut all: Vec<String> = index["manifests"].as_array().into_iter().flatten().filter_map(of).collect();
    all.sort();
    all
}

async fn has_architectures(tenant: &Tenant, path: &str, tag: &str, wanted: &[&str]) -> anyhow::Result<()> {
    wait::poll(&format!("{path}:{tag} has {wanted:?}"), DEADLINE, || async {
        Ok((architectures(tenant, path, tag).await == wanted).then_some(()))
    })
    .await
}

/// Has the mirror look again, and waits until it has.
async fn look(tenant: &Tenant) -> anyhow::Result<()> {
    let annotation = json!({ "metadata": { "annotations": { REQUESTED_AT_ANNOTATION: "second" } } });
    let patch = Patch::Merge(annotation);
    tenant.workload_mirrors().patch(WORKLOAD_MIRROR, &PatchParams::default(), &patch).await?;
    let has_looked = |mirror: &WorkloadMirror| {
        let status = mirror.status.as_ref();
        status.and_then(|status| status.last_handled_requested_at.as_deref()) == Some("second")
    };
    tenant.until_mirror("has looked again", DEADLINE, has_looked).await.map(drop)
}

/// Both platforms, one after the other, in both orders: `arm` is a node that there is only by its name.
async fn both_platforms(tenant: &Tenant, arm: &str) -> anyhow::Result<()> {
    let (path, source) = (tenant.path("mirror"), &tenant.cluster.source);
    let mut images = Vec::new();
    for (name, first) in [("one", None), ("two", Some(arm))] {
        let app = tenant.path(name);
        source.fill(&app, &["1.0"], name).await?;
        let image = format!("{}:1.0", source.repository(&app));
        tenant.run_pod(&format!("{name}-first"), &image, first).await?;
        images.push((name, image, format!("{path}/{app}"), first));
    }
    let mut spec = tenant.workload_mirror(&path);
    spec.kinds = vec![WorkloadKind::Pod];
    spec.platforms.mode = WorkloadPlatformMode::Nodes;
    tenant.mirror_workloads(spec).await?;
    for (_, _, at, first) in &images {
        has_architectures(tenant, at, "1.0", if first.is_some() { &["arm64"] } else { &["amd64"] }).await?;
    }
    // The pod of the other platform comes, and the first one goes.
    for (name, image, _, first) in &images {
        let node = if first.is_some() { None } else { Some(arm) };
        tenant.run_pod(&format!("{name}-second"), image, node).await?;
        tenant.end_pod(&format!("{name}-first")).await?;
    }
    for (_, _, at, _) in &images {
        has_architectures(tenant, at, "1.0", &["amd64", "arm64"]).await?;
    }
    tenant.jobs_ended().await?;
    let before = tenant.jobs().await?.len();
    look(tenant).await?;
    tenant.jobs_ended().await?;
    assert_eq!(tenant.jobs().await?.len(), before, "a second look copies nothing");
    for (_, _, at, _) in &images {
        assert_eq!(architectures(tenant, at, "1.0").await, ["amd64", "arm64"]);
    }
    Ok(())
}

#[tokio::test]
async fn what_nodes_of_two_platforms_run_at_different_times_has_both_whichever_came_first()
-> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let arm = format!("arm-{}", tenant.namespace);
        let nodes: Api<Node> = Api::all(tenant.cluster.client.clone());
        let labels = json!({ "kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64" });
        let node =
            json!({ "metadata": { "name": arm, "labels": labels }, "spec": { "unschedulable": true } });
        nodes.create(&PostParams::default(), &serde_json::from_value(node)?).await?;
        let result = both_platforms(tenant, &arm).await;
        nodes.delete(&arm, &DeleteParams::default()).await?;
        result
    })
    .await
}
