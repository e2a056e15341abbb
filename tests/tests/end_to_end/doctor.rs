//! `kubectl imgop doctor` where an agent runs, and registries that only the cluster reaches.

use anyhow::Context as _;
use imgop_tests::tenant::{Tenant, with_tenant};
use serde_json::{Value, json};

/// Returns what was found, and the exit code.
async fn doctor(tenant: &Tenant, more: &[&str]) -> anyhow::Result<(Vec<Value>, Option<i32>)> {
    let output = tenant.kubectl.imgop(["doctor", "-o", "json"].iter().chain(more)).await?;
    let found: Value = serde_json::from_str(&output.stdout).with_context(|| format!("{output:?}"))?;
    Ok((found["checks"].as_array().cloned().unwrap_or_default(), output.code))
}

/// Returns the results of the checks of an area, with their names and words.
fn of_area(checks: &[Value], area: &str) -> Vec<(String, String, String)> {
    let text = |check: &Value, field: &str| check[field].as_str().unwrap_or_default().to_owned();
    let found = checks.iter().filter(|check| check["area"] == area);
    found.map(|check| (text(check, "result"), text(check, "name"), text(check, "message"))).collect()
}

#[tokio::test]
async fn registries_are_asked_from_a_pod_of_the_namespace_which_is_gone_afterwards() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0"], "").await?;
        tenant.apply("there", &tenant.spec("busybox", "v1.0.x", "busybox")).await?;
        tenant.settled("there").await?;
        let (checks, code) = doctor(tenant, &["--from-cluster"]).await?;
        let asked = of_area(&checks, "registry from the cluster");
        assert!(asked.len() == 2 && asked.iter().all(|(result, ..)| result == "OK"), "{asked:?}");
        for area in ["agent", "namespace", "secret", "resource"] {
            let found = of_area(&checks, area);
            assert!(
                !found.is_empty() && found.iter().all(|(result, ..)| result == "OK"),
                "{area}: {found:?}"
            );
        }
        assert_eq!(code, Some(0));
        let jobs = tenant.kubectl.run(["get", "jobs", "-o", "name"]).await?.ok()?;
        assert!(!jobs.contains("imgop-doctor"), "{jobs}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_registry_whose_certificate_is_not_trusted_in_the_cluster_fails_there() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let mut spec = json!(tenant.spec("busybox", "v1.0.x", "busybox"));
        spec["destination"]["tls"] = json!({});
        tenant.apply("untrusted", &serde_json::from_value(spec)?).await?;
        let (checks, code) = doctor(tenant, &["--from-cluster"]).await?;
        let asked = of_area(&checks, "registry from the cluster");
        assert!(asked.iter().any(|(result, ..)| result == "FAIL"), "{asked:?}");
        assert_eq!(code, Some(1));
        Ok(())
    })
    .await
}
