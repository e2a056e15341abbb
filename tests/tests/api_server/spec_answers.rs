//! What the API server says to the specs of a kind.

use imgop_tests::api_server::ApiServer;
use imgop_tests::namespace::with_namespace;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::{Api, Error, Resource};
use serde_json::{Value, json};

/// Returns for each spec whether the API server takes it, or what it says. Nothing is created.
pub async fn answers<K: Resource<DynamicType = ()>>(
    specs: Vec<Value>,
) -> anyhow::Result<Vec<Result<(), String>>> {
    let client = ApiServer::shared().await?.client().await?;
    let resource = ApiResource::erase::<K>(&());
    let mut answers = Vec::new();
    with_namespace(&client, async |namespace| {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
        let strict = PostParams { dry_run: true, ..PostParams::default() };
        for spec in &specs {
            let object = DynamicObject::new("a", &resource).data(json!({ "spec": spec }));
            answers.push(match api.create(&strict, &object).await {
                Ok(_) => Ok(()),
                Err(Error::Api(status)) => Err(status.message),
                Err(error) => return Err(error.into()),
            });
        }
        Ok(())
    })
    .await?;
    Ok(answers)
}
