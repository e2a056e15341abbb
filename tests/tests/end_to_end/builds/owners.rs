//! Several objects that mean one tag: the oldest owns it.

use imgop_tests::tenant::{Tenant, with_tenant};
use imgop_tests::wait::another_second;

/// The younger object never takes the tag, however often it is synced.
async fn keeps_its_tag(tenant: &Tenant, younger: &str) -> anyhow::Result<()> {
    let path = tenant.path("app");
    let before = tenant.cluster.target.digest(&path, "1").await?;
    assert!(before.is_some());
    for _ in 0..3 {
        tenant.kubectl.imgop(["sync", younger]).await?.failed()?;
        assert_eq!(tenant.cluster.target.digest(&path, "1").await?, before);
    }
    Ok(())
}

#[tokio::test]
async fn of_two_builders_with_one_tag_the_younger_one_never_takes_it() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        let spec =
            |text: &str| tenant.builder(&format!("FROM {base}\nRUN echo {text} > /text\n"), "app", "1");
        tenant.apply_builder("older", &spec("older")).await?;
        tenant.built("older").await?;
        another_second().await;
        tenant.apply_builder("younger", &spec("younger")).await?;
        let message = tenant.build_fails("younger", "DestinationConflict").await?;
        assert!(message.contains("ImageBuilder \"older\""), "{message}");
        keeps_its_tag(tenant, "imagebuilder/younger").await?;
        let pods = tenant.pod_names().await?;
        assert!(pods.iter().all(|pod| pod.contains("older")), "{pods:?}");
        tenant.builders().delete("older", &kube::api::DeleteParams::default()).await?;
        tenant.kubectl.imgop(["sync", "imagebuilder/younger"]).await?.ok()?;
        tenant.built("younger").await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn of_a_builder_and_an_image_with_one_tag_the_older_one_keeps_it() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        let dockerfile = format!("FROM {base}\nRUN true\n");
        tenant.apply_builder("older", &tenant.builder(&dockerfile, "app", "1")).await?;
        tenant.built("older").await?;
        another_second().await;
        tenant.apply("younger", &tenant.spec("base", "1", "app")).await?;
        let (reason, message) = tenant.stalled("younger").await?;
        assert_eq!(reason, "DestinationConflict", "{message}");
        assert!(message.contains("older"), "{message}");
        keeps_its_tag(tenant, "image/younger").await
    })
    .await
}

#[tokio::test]
async fn of_an_image_and_a_builder_with_one_tag_the_older_one_keeps_it() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        tenant.apply("older", &tenant.spec("base", "1", "app")).await?;
        tenant.ready("older").await?;
        another_second().await;
        tenant
            .apply_builder("younger", &tenant.builder(&format!("FROM {base}\nRUN true\n"), "app", "1"))
            .await?;
        let message = tenant.build_fails("younger", "DestinationConflict").await?;
        assert!(message.contains("Image \"older\""), "{message}");
        keeps_its_tag(tenant, "imagebuilder/younger").await
    })
    .await
}
