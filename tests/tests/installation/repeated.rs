//! What kubectl applies twice: install.yaml, and an overlay of kustomize. The agent works with both.

use anyhow::{Context as _, ensure};
use imgop_tests::examples::overlay;
use imgop_tests::helm::NAMESPACE;
use imgop_tests::tenant::Tenant;
use imgop_tests::test_cluster::AGENT;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;

use super::{values, with_releases};

async fn generation(tenant: &Tenant) -> anyhow::Result<Option<i64>> {
    let api: Api<Deployment> = Api::namespaced(tenant.cluster.client.clone(), NAMESPACE);
    Ok(api.get(AGENT).await?.metadata.generation)
}

/// An Image is copied by the agent that is there now.
async fn is_copied(tenant: &Tenant, name: &str) -> anyhow::Result<()> {
    let rollout = ["rollout", "status", "deployment", AGENT, "--namespace", NAMESPACE, "--timeout", "2m"];
    tenant.cluster.kubectl.run(rollout).await?.ok()?;
    let pushed = tenant.cluster.source.fill(&tenant.path(name), &["v1.0.0"], name).await?;
    tenant.apply(name, &tenant.spec(name, "v1.0.0", name)).await?;
    tenant.ready(name).await?;
    ensure!(tenant.cluster.target.digests(&tenant.path(name)).await? == pushed, "{name}");
    Ok(())
}

#[tokio::test]
async fn install_yaml_and_an_overlay_are_applied_twice_and_images_are_copied_with_either()
-> anyhow::Result<()> {
    with_releases(async |tenant, _| {
        let values = values(tenant).await?;
        let text =
            |pointer: &str| values.pointer(pointer).and_then(serde_json::Value::as_str).context("no image");
        is_copied(tenant, "installed").await?;
        let installed = generation(tenant).await?;
        tenant.cluster.deploy().await?;
        ensure!(
            generation(tenant).await? == installed,
            "install.yaml has changed the agent though it was applied before"
        );

        let folder = overlay()?;
        let file = folder.path().join("overlay/kustomization.yaml");
        let tag = text("/image/tag")?;
        let changed = std::fs::read_to_string(&file)?
            .replace(
                "newName: registry.example.com/imgop/agent",
                &format!("newName: {}\n  newTag: \"{tag}\"", text("/image/repository")?),
            )
            .replace("registry.example.com/skopeo/stable:v1.16.1", text("/settings/skopeoImage")?);
        ensure!(changed.contains(tag) && !changed.contains("registry.example.com"), "{changed}");
        std::fs::write(&file, changed)?;
        let overlay = folder.path().join("overlay").display().to_string();
        let apply = ["apply", "--server-side", "--kustomize", &overlay];
        tenant.cluster.kubectl.run(apply).await?.ok()?;
        let overlaid = generation(tenant).await?;
        ensure!(overlaid != installed, "the overlay sets MAX_JOBS");
        is_copied(tenant, "overlaid").await?;
        tenant.cluster.kubectl.run(apply).await?.ok()?;
        ensure!(generation(tenant).await? == overlaid);
        ensure!(
            tenant.sync("installed").await.is_ok() && tenant.jobs().await?.len() == 2,
            "nothing is copied again"
        );
        Ok(())
    })
    .await
}
