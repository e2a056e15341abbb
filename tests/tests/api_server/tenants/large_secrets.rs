//! Secrets that are as large as the API server lets them be.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use imgop_core::api::DOCKER_CONFIG_KEY;
use imgop_fakes::Catalog;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use super::{CONCURRENCY, Case, assert_within_the_limit, image};

/// Secrets of the tenant, of 0.96 MB each.
const SECRETS: usize = 150;
const LOGINS: usize = 13_400;

#[tokio::test]
async fn large_secrets_that_images_name_take_a_bounded_amount_of_memory() -> anyhow::Result<()> {
    let case = Case::new().await?;
    case.enabled_namespace("team").await?;
    let logins: serde_json::Map<String, serde_json::Value> =
        (0..LOGINS).map(|n| (format!("registry-{n:032}.example.com"), json!({ "auth": "dTpw" }))).collect();
    let content = json!({ "auths": logins }).to_string();
    anyhow::ensure!(content.len() > 900_000 && content.len() < 1 << 20, "{} bytes", content.len());
    let secrets: Api<Secret> = Api::namespaced(case.client.clone(), "team");
    let create = |n: usize| {
        let secret = json!({ "metadata": { "name": format!("login-{n}") },
            "type": "kubernetes.io/dockerconfigjson", "stringData": { DOCKER_CONFIG_KEY: &content } });
        let secrets = secrets.clone();
        async move {
            let secret: Secret = serde_json::from_value(secret)?;
            secrets.create(&PostParams::default(), &secret).await?;
            anyhow::Ok(())
        }
    };
    stream::iter(0..SECRETS).map(create).buffer_unordered(CONCURRENCY).try_collect::<Vec<()>>().await?;

    let registry = Catalog::default().with("app", &[("1.0.0", "one")]).with("copy", &[("1.0.0", "one")]);
    let address = registry.start().await.address;
    let (source, destination) = (format!("{address}/app"), format!("{address}/copy"));
    let images =
        (0..SECRETS).map(|n| image(&format!("app-{n}"), &source, &destination, Some(&format!("login-{n}"))));
    case.create("team", images).await?;
    let agent = case.agent(&[]).await?;
    for n in 0..SECRETS {
        assert_eq!(case.reason("team", &format!("app-{n}")).await?, "Succeeded");
    }
    assert_within_the_limit(&agent)
}
