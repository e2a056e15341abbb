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
        assert_eq!(after.history[0].reason, BuildReason::BaseImageMoved);
        let changes = after.history[0].changes.clone().unwrap_or_default();
        let old = &before.base_images[0].digest;
        assert!(changes.contains(&old[..19]) && changes.contains(&moved["1"].to_string()[..19]), "{changes}");
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
        // Layers of a base without a history cannot be cached, so that one is built first.
        let plain = tenant.base_image().await?;
        tenant
            .apply_builder("base", &tenant.builder(&format!("FROM {plain}\nRUN true\n"), "base", "1"))
            .await?;
        tenant.built("base").await?;
        let base = format!("{}:1", tenant.cluster.target.repository(&tenant.path("base")));
        let dockerfile = |last: &str| {
            format!("FROM {base}\nRUN /bin/busybox date +%s%N > /first\nRUN echo {last} > /last\n")
        };
        let mut spec = tenant.builder(&dockerfile("one"), "app", "1");
        let access = spec.image.clone();
        spec.registries.push(imgop_core::api::PullRegistry {
            host: tenant.cluster.environment.target_registry.clone(),
            credentials: access.credentials,
            tls: access.tls,
        });
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
