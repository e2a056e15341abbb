//! What image-operator's users have.

use imgop_tests::image_operator::image_builder;
use imgop_tests::tenant::{Tenant, with_tenant};

#[tokio::test]
async fn b12_and_b13_image_operators_manifest_is_built_for_each_architecture_and_has_the_plain_tag()
-> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        let emulates = !tenant.cluster.environment.emulated.is_empty();
        let architectures: &[&str] = if emulates { &["amd64", "arm64", "both"] } else { &["amd64"] };
        for architecture in architectures {
            tenant.kubectl.apply(&image_builder(tenant, architecture, architecture, &base)).await?.ok()?;
        }
        let path = tenant.path("built");
        let image = |tag: &str| format!("{}:{tag}", tenant.cluster.target.repository(&path));
        for architecture in architectures {
            let status = tenant.built(architecture).await?;
            let digest = tenant.cluster.target.digest(&path, architecture).await?;
            assert_eq!(status.image.unwrap().digest, digest.unwrap().to_string());
        }
        assert_eq!(tenant.cluster.target.tags(&path).await?, *architectures, "there are no other tags");
        let printed = tenant.run_image(&image("amd64"), &["cat", "/platform"]).await?;
        assert_eq!(printed, "linux/amd64|amd64|x86_64");
        if emulates {
            let printed = tenant.run_image(&image("arm64"), &["cat", "/platform"]).await;
            assert_eq!(printed?, "linux/arm64|arm64|aarch64");
            for (architecture, machine) in [("amd64", "x86_64"), ("arm64", "aarch64")] {
                let manifest = tenant.cluster.target.platform(&path, "both", architecture).await?;
                assert!(tenant.cluster.target.has_blobs_of(&path, &manifest).await?, "{machine}");
            }
            assert_eq!(
                tenant.run_image(&image("both"), &["cat", "/platform"]).await?,
                "linux/amd64|amd64|x86_64"
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn b12_a_changed_dockerfile_builds_the_new_one_and_equal_names_in_two_namespaces_are_apart()
-> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        let other = Tenant::beside(tenant).await?;
        other.enable_builds().await?;
        let dockerfile = |text: &str| format!("FROM {base}\nRUN echo {text} > /text\n");
        tenant.apply_builder("app", &tenant.builder(&dockerfile("one"), "app", "1")).await?;
        other.apply_builder("app", &other.builder(&dockerfile("other"), "app", "1")).await?;
        tenant.built("app").await?;
        other.built("app").await?;
        tenant.apply_builder("app", &tenant.builder(&dockerfile("two"), "app", "1")).await?;
        tenant.built("app").await?;
        let image = |tenant: &Tenant| format!("{}:1", tenant.cluster.target.repository(&tenant.path("app")));
        assert_eq!(tenant.run_image(&image(tenant), &["cat", "/text"]).await?, "two");
        assert_eq!(other.run_image(&image(&other), &["cat", "/text"]).await?, "other");
        other.delete().await
    })
    .await
}
