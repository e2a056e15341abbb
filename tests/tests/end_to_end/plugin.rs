//! `kubectl imgop` as a user has it.

use imgop_tests::tenant::{CA_SECRET, PUSH_SECRET, Tenant, with_tenant};

/// The arguments that say how this tenant's registries are reached.
fn access() -> [String; 3] {
    [
        "--source-tls=PlainHTTP".to_owned(),
        format!("--destination-credentials={PUSH_SECRET}"),
        format!("--destination-ca-secret={CA_SECRET}"),
    ]
}

/// `kubectl imgop copy` of all v1.0 tags, with more arguments.
async fn copy(tenant: &Tenant, more: &[&str]) -> anyhow::Result<String> {
    let source = format!("{}:v1.0.x", tenant.cluster.source.repository(&tenant.path("busybox")));
    let destination = tenant.cluster.target.repository(&tenant.path("busybox"));
    let mut arguments = vec!["copy".to_owned(), source, destination];
    arguments.extend(access());
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    tenant.kubectl.imgop(arguments).await?.ok()
}

#[tokio::test]
async fn copy_waits_until_every_tag_is_there_and_the_same_again_changes_nothing() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let pushed = tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0", "v1.0.1"], "").await?;
        assert_eq!(copy(tenant, &["--wait"]).await?, "image.skopeo.io/busybox-v1-0-x created\n");
        assert_eq!(tenant.cluster.target.digests(&tenant.path("busybox")).await?, pushed);
        let before = tenant.images().get("busybox-v1-0-x").await?;
        assert_eq!(copy(tenant, &["--wait"]).await?, "image.skopeo.io/busybox-v1-0-x unchanged\n");
        let after = tenant.images().get("busybox-v1-0-x").await?;
        assert_eq!(before.metadata.generation, after.metadata.generation);
        assert_eq!(tenant.jobs().await?.len(), 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_dry_run_stores_nothing() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        for dry in ["--dry-run=client", "--dry-run=server"] {
            let printed = copy(tenant, &[dry, "-o", "yaml"]).await?;
            assert!(printed.contains("kind: Image") && printed.contains("version: v1.0.x"), "{printed}");
        }
        assert_eq!(tenant.images().list(&kube::api::ListParams::default()).await?.items.len(), 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn list_and_describe_show_what_the_agent_says() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0", "v1.0.1"], "").await?;
        tenant.cluster.source.lose_layer(&tenant.path("busybox"), "v1.0.1").await?;
        tenant.apply("busybox", &tenant.spec("busybox", "v1.0.x", "busybox")).await?;
        tenant.settled("busybox").await?;
        let list = tenant.kubectl.imgop(["list"]).await?.ok()?;
        let line = list.lines().find(|line| line.starts_with("busybox ")).unwrap_or_default();
        for word in ["OnceByTag", "False", "CopyFailed", "1/2"] {
            assert!(line.split_whitespace().any(|w| w == word), "{word} in {list}");
        }
        let described = tenant.kubectl.imgop(["describe", "busybox"]).await?.ok()?;
        for text in ["v1.0.1", "CopyFailed", PUSH_SECRET, &tenant.namespace] {
            assert!(described.contains(text), "{text} in {described}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn version_names_plugin_and_cluster() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let version = tenant.kubectl.imgop(["version"]).await?.ok()?;
        assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn sync_of_an_image_that_fails_ends_with_an_error_that_says_why() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.apply("absent", &tenant.spec("absent", "v1.0.x", "absent")).await?;
        let output = tenant.kubectl.imgop(["sync", "absent"]).await?;
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains(&tenant.path("absent")), "{}", output.stderr);
        let output = tenant.kubectl.imgop(["sync", "nobody"]).await?;
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains("nobody"), "{}", output.stderr);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn somebody_without_rights_is_told_which_are_missing() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        for verb in [vec!["list"], vec!["describe", "busybox"], vec!["sync", "busybox"]] {
            let output = tenant.kubectl.imgop(verb.iter().chain(&["--as=nobody@example.com"])).await?;
            let said = output.failed()?;
            assert!(
                said.contains("nobody@example.com") && said.contains("images.skopeo.io"),
                "{verb:?}: {said}"
            );
        }
        Ok(())
    })
    .await
}
