//! How Images look through plain `kubectl`.

use std::time::Duration;

use imgop_core::api::Image;
use imgop_tests::api_server::ApiServer;
use imgop_tests::namespace::with_namespace;
use imgop_tests::wait;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

const ARGOCD: &str = r"
apiVersion: skopeo.io/v1alpha1
kind: Image
metadata:
  name: argocd
spec:
  mode: Recurrent
  source: { name: quay.io/argoproj/argocd, version: v2.13.x }
  destination: { name: registry.example.com/argoproj/argocd }
";

#[tokio::test]
async fn kubectl_get_shows_the_columns_of_an_image() -> anyhow::Result<()> {
    let server = ApiServer::shared().await?;
    let client = server.client().await?;
    with_namespace(&client, async |namespace| {
        let kubectl = server.kubectl()?.in_namespace(&namespace);
        kubectl.apply(ARGOCD).await?.ok()?;
        let status = json!({ "status": {
            "progress": "4/5",
            "lastSyncTime": "2026-01-01T00:00:00Z",
            "conditions": [{
                "type": "Ready", "status": "False", "reason": "CopyFailed", "message": "1 of 5 tags failed",
                "lastTransitionTime": "2026-01-01T00:00:00Z"
            }],
        }});
        let api: Api<Image> = Api::namespaced(client.clone(), &namespace);
        api.patch_status("argocd", &PatchParams::default(), &Patch::Merge(&status)).await?;

        let table = kubectl.run(["get", "images.skopeo.io"]).await?.ok()?;
        assert_eq!(words(&table, 0), "NAME MODE VERSION READY REASON SYNCED LAST-CHANGE AGE");
        assert!(words(&table, 1).starts_with("argocd Recurrent v2.13.x False CopyFailed 4/5 "), "{table}");
        let wide = kubectl.run(["get", "images.skopeo.io", "-o", "wide"]).await?.ok()?;
        assert_eq!(
            words(&wide, 0),
            "NAME MODE VERSION READY REASON SYNCED LAST-CHANGE SOURCE DESTINATION MESSAGE AGE"
        );
        assert!(
            words(&wide, 1).contains(
                " quay.io/argoproj/argocd registry.example.com/argoproj/argocd 1 of 5 tags failed "
            ),
            "{wide}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn images_have_a_short_name_a_category_and_a_selectable_mode() -> anyhow::Result<()> {
    let server = ApiServer::shared().await?;
    with_namespace(&server.client().await?, async |namespace| {
        let kubectl = server.kubectl()?.in_namespace(&namespace);
        kubectl.apply(ARGOCD).await?.ok()?;
        for arguments in [
            vec!["get", "simg", "-o", "name"],
            vec!["get", "imgop", "-o", "name"],
            vec!["get", "image", "argocd", "-o", "name"],
            vec!["get", "simg", "--field-selector", "spec.mode=Recurrent", "-o", "name"],
        ] {
            let names = kubectl.run(&arguments).await?.ok()?;
            assert_eq!(names, "image.skopeo.io/argocd\n", "{arguments:?}");
        }
        let others =
            kubectl.run(["get", "simg", "--field-selector", "spec.mode=OneShot", "-o", "name"]).await?;
        assert_eq!(others.ok()?, "");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn kubectl_explain_describes_every_field_of_the_spec() -> anyhow::Result<()> {
    let server = ApiServer::shared().await?;
    let kubectl = server.kubectl()?;
    // The API server publishes the schema shortly after it serves the kind.
    let explained = wait::poll("kubectl explain knows Images", Duration::from_secs(30), || async {
        Ok(kubectl.run(["explain", "simg.spec"]).await?.ok().ok())
    })
    .await?;
    for field in ["mode", "frequency", "suspend", "allowCandidateRelease", "source", "destination"] {
        assert!(explained.contains(&format!("\n  {field}\t")), "{field} in {explained}");
    }
    let mode = kubectl.run(["explain", "simg.spec.mode"]).await?.ok()?;
    assert!(mode.contains("ENUM:\n    OneShot\n    OnceByTag\n    Recurrent\n"), "{mode}");
    let version = kubectl.run(["explain", "simg.spec.source.version"]).await?.ok()?;
    assert!(version.contains("a pattern (v2.13.x, 2.x.0, 2.13.x-alpine)"), "{version}");
    Ok(())
}

#[tokio::test]
async fn the_default_frequency_is_written_into_the_object() -> anyhow::Result<()> {
    let server = ApiServer::shared().await?;
    with_namespace(&server.client().await?, async |namespace| {
        let kubectl = server.kubectl()?.in_namespace(&namespace);
        kubectl.apply(ARGOCD).await?.ok()?;
        let frequency = kubectl.run(["get", "simg", "argocd", "-o", "jsonpath={.spec.frequency}"]).await?;
        assert_eq!(frequency.ok()?, "5m");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn applying_a_manifest_again_changes_nothing() -> anyhow::Result<()> {
    let server = ApiServer::shared().await?;
    with_namespace(&server.client().await?, async |namespace| {
        let kubectl = server.kubectl()?.in_namespace(&namespace);
        assert_eq!(kubectl.apply(ARGOCD).await?.ok()?, "image.skopeo.io/argocd created\n");
        assert_eq!(kubectl.apply(ARGOCD).await?.ok()?, "image.skopeo.io/argocd unchanged\n");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_status_in_a_manifest_is_not_taken() -> anyhow::Result<()> {
    let server = ApiServer::shared().await?;
    let client = server.client().await?;
    with_namespace(&client, async |namespace| {
        let kubectl = server.kubectl()?.in_namespace(&namespace);
        kubectl.apply(&format!("{ARGOCD}status: {{ progress: 9/9 }}\n")).await?.ok()?;
        let api: Api<Image> = Api::namespaced(client.clone(), &namespace);
        assert_eq!(api.get("argocd").await?.status, None);
        Ok(())
    })
    .await
}

/// A line of a table with its blanks made one.
fn words(table: &str, line: usize) -> String {
    table.lines().nth(line).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}
