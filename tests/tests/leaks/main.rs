//! No credential is anywhere but in Secrets and on its way to the registry (invariant I4). This
//! looks at all that the whole cluster has kept, so it also judges what the other tests did before.

use std::panic::AssertUnwindSafe;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;
use imgop_tests::leaks::Canary;
use imgop_tests::tenant::{PUSH_SECRET, Tenant, with_tenant};
use imgop_tests::test_cluster::TestCluster;
use serde_json::json;

/// With everything in it that is written differently somewhere.
const WRONG_PASSWORD: &str = r#"canäry "word"/w%rd&$(id)<>\"#;

#[tokio::test]
async fn no_credential_is_in_any_object_log_or_record_even_with_everything_logged() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let cluster = &tenant.cluster;
        let logging = async {
            cluster.set_agent("RUST_LOG=trace").await?;
            everything_that_uses_credentials(tenant).await
        };
        // A test that fails must not leave the agent of a cluster that stays like this.
        let logged = AssertUnwindSafe(logging).catch_unwind().await;
        let agent_log = cluster.agent_log().await;
        cluster.set_agent("RUST_LOG-").await?;
        logged.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let agent_log = agent_log?;
        assert!(agent_log.contains("TRACE"), "the agent logged all it can");

        let environment = &cluster.environment;
        let canaries =
            [Canary::of_target(environment)?, Canary::new(&environment.target_username, WRONG_PASSWORD)];
        let mut texts = vec![("the agent's log", agent_log), ("all objects", all_objects(cluster).await?)];
        for (what, file) in [
            ("the audit log", environment.audit_log.as_ref()),
            ("the source's access log", Some(&environment.source_registry_log)),
            ("the destination's access log", Some(&environment.target_registry_log)),
            ("the access log of the registry with referrers", Some(&environment.referrers_registry_log)),
        ] {
            if let Some(file) = file {
                let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
                texts.push((what, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        texts.push(("the metrics", cluster.agent_metrics().await?));
        for canary in &canaries {
            for (what, text) in &texts {
                assert_eq!(canary.places(text), Vec::<String>::new(), "in {what}");
            }
            assert_eq!(tenant.leaks(canary).await?, Vec::<String>::new());
        }
        Ok(())
    })
    .await
}

/// A copy that works, one that fails, wrong credentials, and the plugin with and without the Secret.
async fn everything_that_uses_credentials(tenant: &Tenant) -> anyhow::Result<()> {
    let environment = &tenant.cluster.environment;
    let source = &tenant.cluster.source;
    let path = tenant.path("busybox");
    source.fill(&path, &["v1.0.0", "v1.0.1"], "").await?;
    source.lose_layer(&path, "v1.0.1").await?;
    tenant.apply("good", &tenant.spec("busybox", "v1.0.0", "good")).await?;
    tenant.apply("bad", &tenant.spec("busybox", "v1.0.x", "bad")).await?;
    tenant.ready("good").await?;
    tenant.settled("bad").await?;

    let auth = STANDARD.encode(format!("{}:{WRONG_PASSWORD}", environment.target_username));
    let config = json!({ "auths": { (&environment.target_registry): { "auth": auth } } });
    tenant.login("wrong", config.to_string().into_bytes()).await?;
    let mut spec = tenant.spec("busybox", "v1.0.0", "refused");
    if let Some(credentials) = &mut spec.destination.credentials {
        "wrong".clone_into(&mut credentials.secret_name);
    }
    tenant.apply("refused", &spec).await?;
    tenant.stalled("refused").await?;

    let canaries =
        [Canary::of_target(environment)?, Canary::new(&environment.target_username, WRONG_PASSWORD)];
    for verb in [
        vec!["preview", "good"],
        vec!["preview", "refused"],
        vec!["describe", "refused"],
        vec!["describe", "bad"],
        vec!["list", "-o", "json"],
        vec!["sync", "refused"],
    ] {
        let output = tenant.kubectl.imgop(&verb).await?;
        for canary in &canaries {
            let places = [canary.places(&output.stdout), canary.places(&output.stderr)].concat();
            assert_eq!(places, Vec::<String>::new(), "{verb:?}");
        }
    }
    // A Secret that holds something else than credentials is not quoted either.
    let config = json!({ "auths": { (&environment.target_registry): WRONG_PASSWORD } });
    tenant.login(PUSH_SECRET, config.to_string().into_bytes()).await?;
    tenant.apply("unusable", &tenant.spec("busybox", "v1.0.0", "unusable")).await?;
    tenant.stalled("unusable").await?;
    Ok(())
}

/// Every object of every kind that the API server keeps, but for Secrets.
async fn all_objects(cluster: &TestCluster) -> anyhow::Result<String> {
    let kinds = cluster.kubectl.run(["api-resources", "--verbs=list", "-o", "name"]).await?.ok()?;
    let kinds: Vec<&str> = kinds.lines().filter(|kind| *kind != "secrets").collect();
    let list = ["get", &kinds.join(","), "--all-namespaces", "-o", "json", "--show-managed-fields"];
    cluster.kubectl.run(list).await?.ok()
}
