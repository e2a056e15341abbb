//! WorkloadMirrors where pods really run.

mod images;

use anyhow::Context as _;
use imgop_core::api::{
    Credentials, DigestUse, MirrorSource, REQUESTED_AT_ANNOTATION, Tls, TlsMode, WorkloadDestination,
    WorkloadKind, WorkloadMirror, WorkloadMirrorSpec, WorkloadOrigin, WorkloadPlatformMode, WorkloadTrigger,
};
use imgop_registry::reference::Digest;
use imgop_tests::repository_root;
use imgop_tests::tenant::{CA_SECRET, DEADLINE, PUSH_SECRET, Tenant, with_tenant};
use imgop_tests::wait;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// What brings images of the source registry below this path of the target registry.
fn spec(tenant: &Tenant, path: &str) -> WorkloadMirrorSpec {
    let source = &tenant.cluster.environment.source_registry;
    let destination = WorkloadDestination {
        repository: tenant.cluster.target.repository(path),
        credentials: Some(Credentials { secret_name: PUSH_SECRET.into() }),
        tls: Some(Tls { mode: TlsMode::Verify, ca_secret_name: Some(CA_SECRET.into()) }),
        ..WorkloadDestination::default()
    };
    let tls = Tls { mode: TlsMode::PlainHttp, ca_secret_name: None };
    WorkloadMirrorSpec {
        sources: vec![MirrorSource { registry: source.clone(), tls, ..MirrorSource::default() }],
        ..WorkloadMirrorSpec::new(destination)
    }
}

async fn mirror(tenant: &Tenant, spec: WorkloadMirrorSpec) -> anyhow::Result<()> {
    let manifest = repository_root().join("manifests/workloads.yaml").display().to_string();
    tenant.cluster.kubectl.run(["apply", "--server-side", "-f", manifest.as_str()]).await?.ok()?;
    let mirrors: Api<WorkloadMirror> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
    mirrors.create(&PostParams::default(), &WorkloadMirror::new("all", spec)).await?;
    Ok(())
}

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
        let mut spec = spec(tenant, &path);
        spec.triggers = vec![WorkloadTrigger::PullFailure];
        spec.origins = vec![WorkloadOrigin {
            from: tenant.cluster.target.repository(&path),
            to: vec![
                tenant.cluster.source.repository(&tenant.path("nowhere")),
                tenant.cluster.source.repository(&tenant.path("origin")),
            ],
        }];
        mirror(tenant, spec).await?;
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
        mirror(tenant, spec(tenant, &path)).await?;
        deploy(tenant, &format!("{}:1.0", tenant.cluster.source.repository(&app))).await?;
        is_available(tenant).await?;
        let arrived = format!("{path}/{app}");
        wait::poll("it arrives", DEADLINE, || async {
            let there = tenant.cluster.target.digests(&arrived).await.ok();
            Ok((there.as_ref() == Some(&pushed)).then_some(()))
        })
        .await
    })
    .await
}

/// A pod that names an image, on this node or on one that the scheduler takes.
async fn pod(tenant: &Tenant, name: &str, image: &str, node: Option<&str>) -> anyhow::Result<()> {
    let security = json!({ "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } });
    let mut pod = json!({ "metadata": { "name": name }, "spec": {
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{ "operator": "Exists" }],
        "securityContext": { "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" } },
        "containers": [{ "name": "app", "image": image, "imagePullPolicy": "Always",
            "command": ["sleep", "3600"], "securityContext": security }],
    } });
    if let Some(node) = node {
        pod["spec"]["nodeName"] = node.into();
    }
    let pods: Api<Pod> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    Ok(())
}

/// Waits until a pod runs, and returns what its node says it is.
async fn running(tenant: &Tenant, name: &str) -> anyhow::Result<String> {
    let pods: Api<Pod> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
    let image_id = |pod: &Pod| {
        let status = pod.status.as_ref()?;
        let of = status.container_statuses.as_ref()?.first().filter(|of| of.ready)?;
        (status.phase.as_deref() == Some("Running")).then(|| of.image_id.clone())
    };
    let pod = wait::until(&pods, name, "runs", DEADLINE, |pod| image_id(pod).is_some()).await?;
    image_id(&pod).context("it ran a moment ago")
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
            pod(tenant, name, &image, None).await?;
            let runs = running(tenant, name).await?;
            let digest = pushed.get("stable").context("it was pushed")?.clone();
            anyhow::ensure!(runs.ends_with(&format!("@{digest}")), "{runs}: {digest}");
            contents.push(digest);
        }
        let mut spec = spec(tenant, &path);
        spec.digests.taken = DigestUse::Running;
        mirror(tenant, spec).await?;
        let arrived = format!("{path}/{app}");
        let has_both = async || {
            let there = target.digests(&arrived).await.unwrap_or_default();
            let is_pinned =
                |(tag, digest): (&String, &Digest)| tag.starts_with("pin-sha256-") && *digest == contents[0];
            there.get("stable") == Some(&contents[1]) && there.iter().any(is_pinned)
        };
        wait::poll("both arrive", DEADLINE, || async { Ok(has_both().await.then_some(())) }).await?;
        let pods: Api<Pod> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
        let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        pods.delete("old", &at_once).await?;
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
    let mirrors: Api<WorkloadMirror> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
    let annotation = json!({ "metadata": { "annotations": { REQUESTED_AT_ANNOTATION: "second" } } });
    mirrors.patch("all", &PatchParams::default(), &Patch::Merge(annotation)).await?;
    let has_looked = |mirror: &WorkloadMirror| {
        let status = mirror.status.as_ref();
        status.and_then(|status| status.last_handled_requested_at.as_deref()) == Some("second")
    };
    wait::until(&mirrors, "all", "has looked again", DEADLINE, has_looked).await.map(drop)
}

/// Both platforms, one after the other, in both orders: `arm` is a node that there is only by its name.
async fn both_platforms(tenant: &Tenant, arm: &str) -> anyhow::Result<()> {
    let (path, source) = (tenant.path("mirror"), &tenant.cluster.source);
    let mut images = Vec::new();
    for (name, first) in [("one", None), ("two", Some(arm))] {
        let app = tenant.path(name);
        source.fill(&app, &["1.0"], name).await?;
        let image = format!("{}:1.0", source.repository(&app));
        pod(tenant, &format!("{name}-first"), &image, first).await?;
        images.push((name, image, format!("{path}/{app}"), first));
    }
    let mut spec = spec(tenant, &path);
    spec.kinds = vec![WorkloadKind::Pod];
    spec.platforms.mode = WorkloadPlatformMode::Nodes;
    mirror(tenant, spec).await?;
    for (_, _, at, first) in &images {
        has_architectures(tenant, at, "1.0", if first.is_some() { &["arm64"] } else { &["amd64"] }).await?;
    }
    // The pod of the other platform comes, and the first one goes.
    let pods: Api<Pod> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
    let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    for (name, image, _, first) in &images {
        pod(tenant, &format!("{name}-second"), image, if first.is_some() { None } else { Some(arm) }).await?;
        pods.delete(&format!("{name}-first"), &at_once).await?;
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
