//! Pods that do not start: the condition says why, and once that is corrected the image is built.

use imgop_core::api::ImageBuilderSpec;
use imgop_tests::tenant::{PUSH_SECRET, Tenant, with_tenant};
use k8s_openapi::api::core::v1::{ResourceQuota, Secret};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

async fn spec(tenant: &Tenant) -> anyhow::Result<ImageBuilderSpec> {
    tenant.enable_builds().await?;
    let base = tenant.base_image().await?;
    Ok(tenant.builder(&format!("FROM {base}\nRUN true\n"), "app", "1"))
}

/// Allows no pod in the namespace.
async fn forbid_pods(tenant: &Tenant) -> anyhow::Result<Api<ResourceQuota>> {
    let quotas: Api<ResourceQuota> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
    let none = json!({ "metadata": { "name": "none" }, "spec": { "hard": { "pods": "0" } } });
    quotas.create(&PostParams::default(), &serde_json::from_value(none)?).await?;
    Ok(quotas)
}

/// Requests a build, which does not wait for the pause to end.
async fn is_built_when_asked_for(tenant: &Tenant) -> anyhow::Result<()> {
    tenant.kubectl.imgop(["sync", "imagebuilder/app"]).await?.ok()?;
    tenant.built("app").await?;
    assert_eq!(tenant.cluster.target.tags(&tenant.path("app")).await?, ["1"]);
    Ok(())
}

#[tokio::test]
async fn a_quota_that_has_no_room_for_the_pod_is_named() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let spec = spec(tenant).await?;
        let quotas = forbid_pods(tenant).await?;
        tenant.apply_builder("app", &spec).await?;
        let message = tenant.build_fails("app", "PodNotStarted").await?;
        assert!(message.contains("quota"), "{message}");
        quotas.delete("none", &DeleteParams::default()).await?;
        is_built_when_asked_for(tenant).await
    })
    .await
}

#[tokio::test]
async fn an_image_of_the_pod_that_cannot_be_pulled_is_named() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let spec = spec(tenant).await?;
        let absent = "[JSONPatch{op: \"replace\", path: \"/spec/initContainers/0/image\", value: \"localhost/absent:1\"}]";
        tenant
            .with_changed_pods(absent, async || {
                tenant.apply_builder("app", &spec).await?;
                let message = tenant.build_fails("app", "PodNotStarted").await?;
                assert!(message.contains("localhost/absent:1"), "{message}");
                Ok(())
            })
            .await?;
        // The API server forgets the policy a moment after it is gone.
        tenant.pods_gone().await?;
        is_built_when_asked_for(tenant).await
    })
    .await
}

#[tokio::test]
async fn a_secret_that_goes_before_the_pod_mounts_it_is_an_end_and_not_a_hang() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let spec = spec(tenant).await?;
        let quotas = forbid_pods(tenant).await?;
        tenant.apply_builder("app", &spec).await?;
        let began = tenant.until_builder("app", "has a Job", |status| !status.ran_jobs.is_empty());
        began.await?;
        let secrets: Api<Secret> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
        secrets.delete(PUSH_SECRET, &DeleteParams::default()).await?;
        quotas.delete("none", &DeleteParams::default()).await?;
        tenant.build_fails("app", "PodNotStarted").await?;
        tenant.login(PUSH_SECRET, std::fs::read(&tenant.cluster.environment.target_authfile)?).await?;
        is_built_when_asked_for(tenant).await
    })
    .await
}
