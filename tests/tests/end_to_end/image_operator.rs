//! Manifests of image-operator do here what its documentation says.

use imgop_tests::image_operator::{Reached, image};
use imgop_tests::tenant::with_tenant;

#[tokio::test]
async fn b1_the_readme_example_of_image_operator_keeps_each_tag() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let tags = ["v2.12.0", "v2.13.0", "v2.13.1", "v2.13.2-rc1", "v2.14.0"];
        let mut pushed = tenant.cluster.source.fill(&tenant.path("argocd"), &tags, "").await?;
        pushed.retain(|tag, _| tag.starts_with("v2.13."));
        let manifest = image(tenant, Reached::ByItself);
        assert_eq!(tenant.kubectl.apply(&manifest).await?.ok()?, "image.skopeo.io/argocd created\n");
        let status = tenant.ready("argocd").await?.status.unwrap();
        assert_eq!(tenant.cluster.target.digests(&tenant.path("argocd")).await?, pushed);
        assert_eq!(status.tag_already_synced.len(), 3);
        assert_eq!(status.history.len(), 1);
        assert_eq!(serde_json::to_value(status.phase)?, "COMPLETED");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn b5_a_name_with_shell_text_is_refused() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        for (name, version) in [
            ("quay.io/a/$(id)", "v1"),
            ("quay.io/a/b;id", "v1"),
            ("quay.io/a/b", "v1;id"),
            ("quay.io/a/b", "$(id)"),
            ("quay.io/a/b --dest-creds=x:y", "v1"),
            ("--all", "v1"),
        ] {
            let mut spec = tenant.spec("busybox", version, "busybox");
            spec.source.name = name.to_owned();
            let refused = tenant.apply("shell", &spec).await.unwrap_err().to_string();
            assert!(refused.contains("spec.source."), "{name} {version}: {refused}");
        }
        Ok(())
    })
    .await
}
