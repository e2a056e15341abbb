//! Images as people write them, for the tests of this binary.

use imgop_core::api::Image;
use kube::api::{ApiResource, DynamicObject, ListParams, PostParams};
use kube::core::response::StatusCause;
use kube::{Api, Client, Error};
use serde_json::{Value, json};

/// Images as the API server takes them: typed ones could not be wrong in every way.
pub fn images(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<Image>(&()))
}

/// A good spec with these fields set, each named as `source.version`. Null removes nothing: it is a
/// value of its own.
pub fn spec(fields: &[(&str, Value)]) -> Value {
    let mut spec = json!({
        "mode": "OnceByTag",
        "source": { "name": "quay.io/argoproj/argocd", "version": "v2.13.1" },
        "destination": { "name": "registry.example.com/argoproj/argocd" },
    });
    for (path, value) in fields {
        let place = path.split('.').fold(&mut spec, |place, key| &mut place[key]);
        *place = value.clone();
    }
    spec
}

/// An Image with this spec.
pub fn image(spec: &Value) -> DynamicObject {
    let mut image = DynamicObject::new("", &ApiResource::erase::<Image>(&())).data(json!({ "spec": spec }));
    image.metadata.name = None;
    image.metadata.generate_name = Some("test-".to_owned());
    image
}

/// Creates an object that must be refused, and says what the API server finds wrong with it.
pub async fn refusal(api: &Api<DynamicObject>, object: &DynamicObject) -> Result<Vec<StatusCause>, String> {
    match api.create(&PostParams::default(), object).await {
        Ok(_) => Err("it was accepted".to_owned()),
        Err(Error::Api(status)) if status.code == 422 => {
            Ok(status.details.as_ref().map(|d| d.causes.clone()).unwrap_or_default())
        }
        Err(other) => Err(format!("another error came: {other}")),
    }
}

/// How many objects are stored.
pub async fn stored(api: &Api<DynamicObject>) -> anyhow::Result<usize> {
    Ok(api.list(&ListParams::default()).await?.items.len())
}
