//! The verbs of `kubectl imgop` that ask real registries: `verify`, `tags`, `quota` and `search`.

use anyhow::Context as _;
use imgop_tests::tenant::{Tenant, with_tenant};
use serde_json::{Value, json};

/// The flags that reach the target registry with the files of this machine.
fn at_the_target(tenant: &Tenant) -> [String; 2] {
    let environment = &tenant.cluster.environment;
    [
        format!("--authfile={}", environment.target_authfile.display()),
        format!("--ca-file={}", environment.target_ca.display()),
    ]
}

async fn json_of(tenant: &Tenant, arguments: &[&str]) -> anyhow::Result<(Option<i32>, Value)> {
    let output = tenant.kubectl.imgop([arguments, &["-o", "json"]].concat()).await?;
    let json = serde_json::from_str(&output.stdout).with_context(|| format!("{output:?}"))?;
    Ok((output.code, json))
}

#[tokio::test]
async fn a_copy_is_verified_until_something_of_it_is_lost() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let path = tenant.path("busybox");
        tenant.cluster.source.fill(&path, &["v1.0.0", "v1.0.1"], "").await?;
        tenant.apply("busybox", &tenant.spec("busybox", "v1.0.x", "busybox")).await?;
        tenant.ready("busybox").await?;
        let results = |json: &Value| -> Vec<Value> {
            json["tags"].as_array().into_iter().flatten().map(|tag| tag["result"].clone()).collect()
        };
        for more in [vec![], vec!["--layers"]] {
            let (code, json) = json_of(tenant, &[vec!["verify", "busybox"], more].concat()).await?;
            assert_eq!((code, results(&json)), (Some(0), vec![json!("verified"); 2]), "{json}");
        }

        // A layer that is gone is seen only by those who ask for it.
        tenant.cluster.target.lose_layer(&path, "v1.0.0").await?;
        let (code, json) = json_of(tenant, &["verify", "busybox", "--layers"]).await?;
        assert_eq!((code, results(&json)), (Some(1), vec![json!("verified"), json!("incomplete")]), "{json}");

        tenant.cluster.target.delete(&path, "v1.0.1").await?;
        let (code, json) = json_of(tenant, &["verify", "busybox"]).await?;
        assert_eq!((code, &results(&json)[0]), (Some(1), &json!("missing")), "{json}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_tags_of_a_private_repository_are_listed_newest_first_with_the_patterns_that_select_them()
-> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let path = tenant.path("busybox");
        tenant.cluster.source.fill(&path, &["v1.9.0", "v1.10.0", "v1.10.1-rc1", "latest"], "").await?;
        tenant.apply("busybox", &tenant.spec("busybox", "*", "busybox")).await?;
        tenant.ready("busybox").await?;
        let [authfile, ca] = at_the_target(tenant);
        let repository = tenant.cluster.target.repository(&path);
        let at_target = ["tags", &repository, &authfile, &ca, "--versions=v1.x.0"];
        let (code, json) = json_of(tenant, &at_target).await?;
        assert_eq!((code, &json["number"]), (Some(0), &json!(3)), "{json}");
        let tags = json["tags"].as_array().into_iter().flatten();
        let tags: Vec<_> = tags.map(|tag| (tag["tag"].clone(), tag["selectedBy"].clone())).collect();
        let by = json!(["v1.x.0"]);
        let expected = [("v1.10.0", &by), ("v1.9.0", &by), ("latest", &Value::Null)];
        assert_eq!(tags, expected.map(|(tag, by)| (json!(tag), by.clone())), "{json}");

        let unknown = tenant.kubectl.imgop(["tags", &repository, &ca]).await?;
        assert_eq!(unknown.code, Some(1), "{unknown:?}");
        assert!(unknown.stderr.contains("credential"), "{unknown:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_quota_is_that_of_the_registries_which_the_images_of_a_namespace_use() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0"], "").await?;
        tenant.apply("busybox", &tenant.spec("busybox", "v1.0.0", "busybox")).await?;
        let (code, json) = json_of(tenant, &["quota"]).await?;
        assert_eq!(code, Some(0), "{json}");
        let registries = json["registries"].as_array().cloned().unwrap_or_default();
        assert_eq!(registries.len(), 2, "{json}");
        assert!(registries.iter().all(|one| one["remaining"].is_null() && one["error"].is_null()), "{json}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_registry_without_a_search_is_named() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let registry = tenant.cluster.source.repository("");
        let registry = format!("--registry={}", registry.trim_end_matches('/'));
        let output = tenant.kubectl.imgop(["search", "busybox", &registry]).await?;
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains("search") && output.stderr.contains("docker.io"), "{output:?}");
        Ok(())
    })
    .await
}
