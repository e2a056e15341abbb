//! WorkloadMirrors where pods really run.

use imgop_core::api::{
    Credentials, MirrorSource, Tls, TlsMode, WorkloadDestination, WorkloadMirror, WorkloadMirrorSpec,
    WorkloadOrigin, WorkloadTrigger,
};
use imgop_tests::repository_root;
use imgop_tests::tenant::{CA_SECRET, DEADLINE, PUSH_SECRET, Tenant, with_tenant};
use imgop_tests::wait;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

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
