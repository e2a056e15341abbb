//! `kubectl imgop install`.

use imgop_core::api::crds;
use imgop_tests::api_server::ApiServer;

use super::{Case, EXISTING, image_and_settings};

#[tokio::test]
async fn an_installation_again_changes_nothing_and_says_so() -> anyhow::Result<()> {
    let case = Case::bare().await?;
    let first = case.imgop(&["install"]).await?;
    for name in
        ["namespace/imgop-system created", "deployment.apps/imgop-agent created", "kubectl imgop enable"]
    {
        assert!(first.contains(name), "{name} in {first}");
    }
    let before = case
        .kubectl(&[
            "get",
            "crd,deployment,clusterrole",
            "-A",
            "-o",
            "jsonpath={.items[*].metadata.resourceVersion}",
        ])
        .await?;
    let again = case.imgop(&["install"]).await?;
    assert!(again.contains("nothing to change"), "{again}");
    let after = case
        .kubectl(&[
            "get",
            "crd,deployment,clusterrole",
            "-A",
            "-o",
            "jsonpath={.items[*].metadata.resourceVersion}",
        ])
        .await?;
    assert_eq!(before, after);
    Ok(())
}

#[tokio::test]
async fn what_kubectl_applied_is_what_an_installation_finds_as_it_should_be() -> anyhow::Result<()> {
    let case = Case::bare().await?;
    let file = imgop_tests::repository_root().join("manifests/install.yaml");
    let file = file.display().to_string();
    // Namespace and kinds come first in none of the two orders.
    for _ in 0..2 {
        case.kubectl.run(["apply", "--server-side", "-f", &file]).await?;
    }
    let plan = case.imgop(&["install", "--dry-run=server"]).await?;
    assert!(!plan.contains("create "), "{plan}");
    case.imgop(&["install", "--yes"]).await?;
    assert!(case.imgop(&["install"]).await?.contains("nothing to change"));
    Ok(())
}

#[tokio::test]
async fn what_is_printed_for_a_repository_can_be_applied_and_is_what_an_installation_makes()
-> anyhow::Result<()> {
    let case = Case::bare().await?;
    let arguments = ["--set", "MAX_JOBS=7", "--image", "r.example.com/imgop/agent:0.1.0", "--replicas", "1"];
    let printed =
        case.kubectl.imgop([&["install", "--dry-run=client", "-o", "yaml"], &arguments[..]].concat()).await?;
    let printed = printed.ok()?;
    let file = case.server.folder().join("printed.yaml");
    std::fs::write(&file, printed)?;
    case.kubectl(&["apply", "--server-side", "-f", &file.display().to_string()]).await?;
    let (image, settings) = image_and_settings(&case.agent("imgop-system").await?);
    assert_eq!(image, "r.example.com/imgop/agent:0.1.0");
    assert!(settings.contains(&"MAX_JOBS=7".to_owned()), "{settings:?}");
    let again = case.imgop(&[&["install"], &arguments[..]].concat()).await?;
    assert!(again.contains("nothing to change"), "{again}");
    Ok(())
}

#[tokio::test]
async fn a_server_dry_run_stores_nothing() -> anyhow::Result<()> {
    let case = Case::of(ApiServer::shared_bare().await?).await?;
    let plan = case.imgop(&["install", "--dry-run=server"]).await?;
    assert!(plan.contains("create  deployment.apps/imgop-agent"), "{plan}");
    assert_eq!(
        case.kubectl(&["get", "crd,clusterrole", "-o", "name", "-l", "app.kubernetes.io/part-of=imgop"])
            .await?,
        ""
    );
    Ok(())
}

#[tokio::test]
async fn a_namespace_that_was_there_stays_as_it_is_and_one_installation_is_enough() -> anyhow::Result<()> {
    let case = Case::bare().await?;
    case.kubectl(&["create", "namespace", EXISTING]).await?;
    case.imgop(&["install", "-n", EXISTING]).await?;
    let labels = case.kubectl(&["get", "namespace", EXISTING, "-o", "jsonpath={.metadata.labels}"]).await?;
    assert!(!labels.contains("imgop") && !labels.contains("pod-security"), "{labels}");
    let subject = ["get", "clusterrolebinding", "imgop-agent", "-o", "jsonpath={.subjects[0].namespace}"];
    assert_eq!(case.kubectl(&subject).await?, EXISTING);
    assert!(case.imgop(&["install"]).await?.contains("nothing to change"), "it is found where it is");
    let said = case.refused(&["install", "-n", "other"]).await?;
    assert!(said.contains("is installed in namespace mirrors"), "{said}");
    Ok(())
}

#[tokio::test]
async fn what_helm_manages_is_left_to_helm() -> anyhow::Result<()> {
    let case = Case::installed(&[]).await?;
    case.kubectl(&[
        "annotate",
        "deployment",
        "imgop-agent",
        "-n",
        "imgop-system",
        "meta.helm.sh/release-name=mirror",
        "meta.helm.sh/release-namespace=imgop-system",
    ])
    .await?;
    for (verb, command) in [
        (vec!["install"], "helm upgrade mirror"),
        (vec!["upgrade"], "helm upgrade mirror"),
        (vec!["uninstall", "--yes"], "helm uninstall mirror -n imgop-system"),
    ] {
        let said = case.refused(&verb).await?;
        assert!(said.contains(command), "{verb:?}: {said}");
    }
    assert_eq!(case.kubectl(&["get", "crd", "-o", "name"]).await?.lines().count(), crds().len());
    Ok(())
}
