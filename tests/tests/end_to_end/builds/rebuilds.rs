//! What starts a build by itself, and layers that are used again.

use imgop_core::api::{BuildReason, Cache, CacheMode, Credentials, RebuildOn};
use imgop_tests::tenant::{PUSH_SECRET, with_tenant};

#[tokio::test]
async fn a_base_that_moved_is_one_build_with_the_reason_in_the_history() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        let mut spec = tenant.builder(&format!("FROM {base}\nRUN true\n"), "app", "1");
        spec.rebuild_on = vec![RebuildOn::BaseImage];
        (spec.frequency, spec.min_interval) = ("10s".to_owned(), "10s".to_owned());
        tenant.apply_builder("app", &spec).await?;
        let before = tenant.built("app").await?;
        let moved = tenant.cluster.source.fill(&tenant.path("base"), &["1"], "moved").await?;
        let after = tenant.until_builder("app", "follows its base", |status| {
            status.build.is_none() && status.history.len() > before.history.len()
        });
        let after = after.await?;
        assert_eq!(after.history.len(), before.history.len() + 1);
        let build = after.history.last().unwrap();
        assert_eq!(build.reason, BuildReason::BaseImageMoved);
        let changes = build.changes.clone().unwrap_or_default();
        let old = &before.base_images[0].digest;
        assert!(changes.contains(&old[7..19]) && changes.contains(&moved["1"].hex()[..12]), "{changes}");
        let path = tenant.path("app");
        let image = format!("{}:1", tenant.cluster.target.repository(&path));
        assert_eq!(tenant.run_image(&image, &["cat", "/etc/imgop-salt"]).await?, "moved");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn with_a_cache_only_what_changed_runs_again() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        let dockerfile = |last: &str| {
            format!("FROM {base}\nRUN /bin/busybox date +%s%N > /first\nRUN echo {last} > /last\n")
        };
        let mut spec = tenant.builder(&dockerfile("one"), "app", "1");
        spec.cache = Cache {
            mode: CacheMode::Registry,
            repository: Some(tenant.cluster.target.repository(&tenant.path("cache"))),
            credentials: Some(Credentials { secret_name: PUSH_SECRET.to_owned() }),
            ..Cache::default()
        };
        tenant.apply_builder("app", &spec).await?;
        tenant.built("app").await?;
        let image = format!("{}:1", tenant.cluster.target.repository(&tenant.path("app")));
        let first = tenant.run_image(&image, &["cat", "/first"]).await?;
        spec.source = Some(dockerfile("two"));
        tenant.apply_builder("app", &spec).await?;
        tenant.built("app").await?;
        let printed = tenant.run_image(&image, &["cat", "/first", "/last"]).await?;
        assert_eq!(printed, format!("{first}\ntwo"), "the first step was not run again");
        Ok(())
    })
    .await
}
