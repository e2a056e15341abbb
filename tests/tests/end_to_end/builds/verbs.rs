//! The plugin's verbs on ImageBuilders.

use imgop_tests::tenant::with_tenant;

#[tokio::test]
async fn every_verb_works_on_an_image_builder() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        let dockerfile = format!("FROM {base}\nRUN echo a step that prints\n");
        tenant.apply_builder("app", &tenant.builder(&dockerfile, "app", "1")).await?;
        let object = "imagebuilder/app";
        tenant.kubectl.imgop(["wait", object]).await?.ok()?;
        let digest = tenant.cluster.target.digest(&tenant.path("app"), "1").await?.unwrap().to_string();
        let printed = async |arguments: &[&str]| tenant.kubectl.imgop(arguments).await?.ok();
        assert!(printed(&["list", "imagebuilders"]).await?.contains("app"));
        let described = printed(&["describe", object]).await?;
        // Its lines are wrapped.
        let joined: String = described.split_whitespace().collect();
        assert!(joined.contains(&digest) && described.contains("linux/amd64"), "{described}");
        let logs = printed(&["logs", object]).await?;
        assert!(logs.contains("a step that prints"), "{logs}");
        let history = printed(&["history", object]).await?;
        assert!(history.contains("Created") && history.contains(&digest[7..19]), "{history}");
        printed(&["suspend", object]).await?;
        let builds = tenant.builds("app").await?;
        printed(&["resume", object]).await?;
        printed(&["sync", object]).await?;
        assert_eq!(tenant.builds("app").await?, builds + 1);
        printed(&["delete", object, "--yes"]).await?;
        assert!(tenant.builders().get_opt("app").await?.is_none());
        assert_eq!(tenant.cluster.target.tags(&tenant.path("app")).await?, ["1"], "the image stays");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_log_of_a_build_that_prints_a_lot_is_followed_to_its_end() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        // Of more the kubelet would begin another file, where whoever follows may miss lines.
        let run = "i=0; while [ $i -lt 50000 ]; do echo line $i; i=$((i+1)); done; exit 3";
        tenant
            .apply_builder("app", &tenant.builder(&format!("FROM {base}\nRUN {run}\n"), "app", "1"))
            .await?;
        tenant.building("app").await?;
        let log = tenant.kubectl.imgop(["logs", "imagebuilder/app", "--follow"]).await?.ok()?;
        let last: Vec<&str> = log.lines().rev().filter(|line| line.contains("line ")).take(3).collect();
        assert!(last.iter().any(|line| line.ends_with("line 49999")), "{last:?}");
        let message = tenant.build_fails("app", "StepFailed").await?;
        assert!(message.contains("exited with 3") && message.contains("line 2"), "{message}");
        assert!(message.len() <= 1024, "{} bytes", message.len());
        Ok(())
    })
    .await
}
