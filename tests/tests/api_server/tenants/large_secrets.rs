//! Secrets that are as large as the API server lets them be.

use imgop_core::api::{Credentials, DOCKER_CONFIG_KEY, Image};
use imgop_fakes::Catalog;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::json;

use super::{Case, assert_within_the_limit, image, unparsed};

/// Secrets of the tenant, each of these bytes at least.
const SECRETS: usize = 150;
const LARGE: usize = 960_000;
/// One that is read.
const SMALLER: usize = 400_000;

#[tokio::test]
async fn large_secrets_that_images_name_take_a_bounded_amount_of_memory() -> anyhow::Result<()> {
    let case = Case::new().await?;
    case.enabled_namespace("team").await?;
    let secrets: Api<Secret> = Api::namespaced(case.client.clone(), "team");
    for (first, bytes) in [LARGE, SMALLER].into_iter().enumerate() {
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": unparsed::NAME },
            "type": "kubernetes.io/dockerconfigjson", "stringData": { DOCKER_CONFIG_KEY: docker_config(bytes) } });
        let names = (0..SECRETS).map(|n| format!("login-{}", 2 * n + first));
        unparsed::create(&case, &secrets, &secret.to_string(), names).await?;
    }

    let registry = Catalog::default().with("app", &[("1.0.0", "one")]).with("copy", &[("1.0.0", "one")]);
    let registry = registry.start().await;
    let (source, destination) = (format!("{}/app", registry.address), format!("{}/copy", registry.address));
    let images = (0..2 * SECRETS).map(|n| with_login(n, image(&format!("app-{n}"), &source, &destination)));
    case.create("team", images).await?;
    let agent = case.agent(&[]).await?;
    // It holds no credential for this registry, and one that is too large is not read.
    unparsed::all_say(&case, "team", 2 * SECRETS, "SecretUnusable").await?;
    assert_within_the_limit(&agent)
}

/// Returns a docker configuration of about so many bytes, for other registries.
fn docker_config(bytes: usize) -> String {
    let logins =
        (0..bytes / 72).map(|n| (format!("registry-{n:032}.example.com"), json!({ "auth": "dTpw" })));
    json!({ "auths": logins.collect::<serde_json::Map<_, _>>() }).to_string()
}

fn with_login(n: usize, mut image: Image) -> Image {
    image.spec.source.credentials = Some(Credentials { secret_name: format!("login-{n}") });
    image
}
