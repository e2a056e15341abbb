//! `install.yaml` and the kustomize base, applied again and again with the images and settings that someone wants.

use std::path::Path;

use anyhow::ensure;
use imgop_tests::api_server::ApiServer;
use imgop_tests::examples::overlay;
use imgop_tests::helm::documents;
use imgop_tests::kubectl::Kubectl;
use imgop_tests::repository_root;
use serde_json::{Value, json};

use super::{by_id, default_values, ensure_same, install_yaml};

const DEPLOYMENT: [&str; 5] =
    ["get", "deployment/imgop-agent", "--namespace=imgop-system", "--output", "json"];
/// What the example of docs/helm.md has in the place of the agent's image.
const IMAGE: &str = "registry.example.com/imgop/agent";

async fn kustomized(kubectl: &Kubectl, folder: &Path) -> anyhow::Result<Vec<Value>> {
    documents(&kubectl.run(["kustomize".as_ref(), folder.as_os_str()]).await?.ok()?)
}

fn container(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]["containers"][0]
}

#[tokio::test]
async fn the_kustomize_base_is_install_yaml_and_an_overlay_changes_nothing_but_what_it_names()
-> anyhow::Result<()> {
    let kubectl = ApiServer::shared().await?.kubectl()?;
    ensure_same(kustomized(&kubectl, &repository_root().join("manifests")).await?, install_yaml()?)?;
    let folder = overlay()?;
    let overlaid = kustomized(&kubectl, &folder.path().join("overlay")).await?;
    let env = default_values::env(overlaid.clone());
    ensure!(env["MAX_JOBS"]["value"] == "100", "{env:#}");
    ensure!(env["SKOPEO_IMAGE"]["value"] == "registry.example.com/skopeo/stable:v1.16.1", "{env:#}");
    let (mut overlaid, mut installed) = (by_id(overlaid)?, by_id(install_yaml()?)?);
    overlaid.retain(|(_, kind, _, _), object| {
        let image = container(object)["image"].as_str().unwrap_or_default();
        kind != "Deployment" || !image.starts_with(&format!("{IMAGE}:"))
    });
    installed.retain(|(_, kind, _, _), _| kind != "Deployment");
    ensure_same(overlaid.into_values().collect(), installed.into_values().collect())
}

#[tokio::test]
async fn an_overlay_and_install_yaml_are_applied_twice_in_either_way() -> anyhow::Result<()> {
    for server_side in ["--server-side", "--server-side=false"] {
        let server = ApiServer::bare().await?;
        let kubectl = server.kubectl()?;
        let folder = overlay()?;
        let file = folder.path().join("overlay/kustomization.yaml");
        let overlay = folder.path().join("overlay").display().to_string();
        let apply = ["apply", server_side, "--kustomize", &overlay];
        kubectl.run(apply).await?.ok()?;
        let first: Value = serde_json::from_str(&kubectl.run(DEPLOYMENT).await?.ok()?)?;
        kubectl.run(apply).await?.ok()?;
        let second: Value = serde_json::from_str(&kubectl.run(DEPLOYMENT).await?.ok()?)?;
        ensure!(first["metadata"]["generation"] == second["metadata"]["generation"], "{second:#}");

        let changed = std::fs::read_to_string(&file)?.replace(IMAGE, "other.example.com/agent");
        std::fs::write(&file, changed.replace("\"100\"", "\"200\""))?;
        kubectl.run(apply).await?.ok()?;
        let third: Value = serde_json::from_str(&kubectl.run(DEPLOYMENT).await?.ok()?)?;
        let image = container(&third)["image"].as_str().unwrap_or_default();
        ensure!(image.starts_with("other.example.com/agent:"), "{third:#}");
        ensure!(default_values::env(vec![third])["MAX_JOBS"]["value"] == "200");

        let manifest = repository_root().join("manifests/install.yaml").display().to_string();
        for _ in 0..2 {
            kubectl.run(["apply", server_side, "--filename", &manifest]).await?.ok()?;
        }
        let last: Value = serde_json::from_str(&kubectl.run(DEPLOYMENT).await?.ok()?)?;
        // What install.yaml does not have is taken out again.
        ensure!(default_values::env(vec![last])["MAX_JOBS"].is_null());
    }
    Ok(())
}

#[tokio::test]
async fn install_yaml_says_which_field_someone_else_has_set_and_takes_it_back_when_forced()
-> anyhow::Result<()> {
    let server = ApiServer::bare().await?;
    let kubectl = server.kubectl()?;
    let manifest = repository_root().join("manifests/install.yaml").display().to_string();
    let apply = ["apply", "--server-side", "--filename", &manifest];
    kubectl.run(apply).await?.ok()?;
    let set = ["set", "image", "deployment/imgop-agent", "--namespace=imgop-system", "agent=elsewhere:1"];
    kubectl.run(set).await?.ok()?;
    let said = kubectl.run(apply).await?.failed()?;
    ensure!(said.contains(r#"conflict with "kubectl-set""#) && said.contains(".image"), "{said}");
    kubectl.run([&apply[..], &["--force-conflicts"]].concat()).await?.ok()?;
    let forced: Value = serde_json::from_str(&kubectl.run(DEPLOYMENT).await?.ok()?)?;
    let installed = install_yaml()?.into_iter().find(|object| object["kind"] == "Deployment");
    ensure!(container(&forced)["image"] == container(&installed.unwrap_or(json!({})))["image"], "{forced:#}");
    kubectl.run(apply).await?.ok()?;
    Ok(())
}
