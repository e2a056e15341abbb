//! A namespace for each test.

use std::panic::AssertUnwindSafe;

use anyhow::Context as _;
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};

/// Gives a test a new namespace and deletes it afterwards, also when the test fails or panics.
pub async fn with_namespace<Test, Fut>(client: &Client, test: Test) -> anyhow::Result<()>
where
    Test: FnOnce(String) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let api: Api<Namespace> = Api::all(client.clone());
    let namespace = Namespace {
        metadata: ObjectMeta { generate_name: Some("imgop-test-".to_owned()), ..ObjectMeta::default() },
        ..Namespace::default()
    };
    let created =
        api.create(&PostParams::default(), &namespace).await.context("failed to make a namespace")?;
    let name = created.metadata.name.context("the API server gave the namespace no name")?;

    let result = AssertUnwindSafe(test(name.clone())).catch_unwind().await;
    let deleted = api.delete(&name, &DeleteParams::default()).await;
    match result {
        Err(panic) => std::panic::resume_unwind(panic),
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) => deleted.map(drop).with_context(|| format!("failed to delete namespace {name}")),
    }
}
