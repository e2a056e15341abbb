//! What the policies of manifests/size-policies.yaml refuse, on an API server of its own: a policy holds for all of it.

use std::time::Duration;

use anyhow::Context as _;
use imgop_core::api::{
    CANCEL_REQUESTED_AT_ANNOTATION, ImageBuilder, REQUESTED_AT_ANNOTATION, RESET_ANNOTATION,
};
use imgop_tests::api_server::{ApiServer, install_crds};
use imgop_tests::namespace::with_namespace;
use imgop_tests::{repository_root, wait};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client, Error};
use serde_json::{Value, json};

use crate::images::{image, images, spec};

const LABELS: usize = 16_384;
const ANNOTATIONS: usize = 196_608;
const TOKEN: usize = 253;
const SPEC: usize = 131_072;
/// The name of a label, once for each character that is not in labels of 128.
const REST: &str = "r";
/// The API server takes a moment until a policy holds.
const DEADLINE: Duration = Duration::from_secs(30);

/// An object with too much of one thing, the same with as much as may be, and the words for it.
struct Pair {
    too_large: DynamicObject,
    large: DynamicObject,
    says: &'static str,
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_its_field_and_what_was_may_stay_without_growing()
-> anyhow::Result<()> {
    let server = ApiServer::bare().await?;
    let client = server.client().await?;
    install_crds(&client).await?;
    with_namespace(&client, async |namespace| {
        let from_before = [labelled(LABELS + 10), annotated("a", ANNOTATIONS), built(SPEC + 10)];
        for (object, name) in from_before.into_iter().zip(["labels", "annotations", "source"]) {
            create(&client, &namespace, named(object, name), false).await?;
        }
        let manifest = std::fs::read_to_string(repository_root().join("manifests/size-policies.yaml"))?;
        server.kubectl()?.apply(&manifest).await?.ok()?;
        for Pair { too_large, large, says } in pairs() {
            let said = wait::poll(says, DEADLINE, || async {
                refusal(create(&client, &namespace, too_large.clone(), true).await)
            })
            .await?;
            anyhow::ensure!(said.contains(says), "it says: {said}");
            create(&client, &namespace, large, true).await.with_context(|| format!("as large: {says}"))?;
        }
        what_was_may_be_changed_without_growing(&client, &namespace).await
    })
    .await
}

async fn what_was_may_be_changed_without_growing(client: &Client, namespace: &str) -> anyhow::Result<()> {
    let images = images(client, namespace);
    patch(&images, "labels", json!({ "spec": { "suspend": true } })).await?;
    patch(&images, "labels", json!({ "metadata": { "labels": { REST.repeat(10): null } } })).await?;
    let grown = patch(&images, "labels", json!({ "metadata": { "labels": { "grown": "" } } })).await;
    anyhow::ensure!(refusal(grown)?.is_some(), "labels grew");
    let of_the_same_size = json!({ "a": "x".repeat(ANNOTATIONS - 1), "b": "" });
    patch(&images, "annotations", json!({ "metadata": { "annotations": of_the_same_size } })).await?;
    let builders = builders(client, namespace);
    patch(&builders, "source", json!({ "spec": { "suspend": true } })).await?;
    let status = Patch::Merge(json!({ "status": { "observedGeneration": 1 } }));
    builders.patch_status("source", &PatchParams::default(), &status).await?;
    let grown = patch(&builders, "source", json!({ "spec": { "image": { "labels": { "a": "b" } } } })).await;
    anyhow::ensure!(refusal(grown)?.is_some(), "a spec grew");
    Ok(())
}

/// What is too large in each field, and what is not.
fn pairs() -> Vec<Pair> {
    let pair = |of: &dyn Fn(usize) -> DynamicObject, most: usize, says| Pair {
        too_large: of(most + 1),
        large: of(most),
        says,
    };
    // The text of the smallest Dockerfile counts too.
    let with_spec = |field: &str, value: Value| {
        let mut object = built(12);
        *field.split('.').fold(&mut object.data["spec"], |place, key| &mut place[key]) = value;
        object
    };
    let arguments = |size: usize| {
        let value = |n: usize| json!({ "name": format!("A{n}"), "value": "x".repeat(32_768 - 2) });
        let rest = json!({ "name": "R", "value": "x".repeat(size - 3 * 32_768 - 13) });
        with_spec("buildArgs", json!([value(0), value(1), value(2), rest]))
    };
    let texts = |field: &'static str, size: usize| {
        let key = |n: usize| format!("{n:02}{}", "k".repeat(2_046));
        let full = (0..63).map(|n| (key(n), "".into()));
        let rest = ("r".repeat(size - 12 - 63 * 2_048), "".into());
        with_spec(field, Value::Object(full.chain([rest]).collect()))
    };
    let items = |size: usize| {
        let item = |n: usize| json!({ "key": "k".repeat(200), "path": format!("{n:03}{}", "p".repeat(797)) });
        let rest = json!({ "key": "k".repeat(200), "path": "q".repeat(size - 212 - 130 * 1_000) });
        let items: Vec<_> = (0..130).map(item).chain([rest]).collect();
        with_spec("context", json!({ "configMap": { "name": "files", "items": items } }))
    };
    vec![
        pair(&labelled, LABELS, "metadata.labels must have 16384 characters"),
        pair(
            &|size| annotated("a", size - 1),
            ANNOTATIONS,
            "metadata.annotations must have 196608 characters",
        ),
        pair(&|size| annotated(REQUESTED_AT_ANNOTATION, size), TOKEN, "imgop.skopeo.io/requested-at"),
        pair(&|size| annotated(RESET_ANNOTATION, size), TOKEN, "imgop.skopeo.io/reset"),
        pair(
            &|size| annotated(CANCEL_REQUESTED_AT_ANNOTATION, size),
            TOKEN,
            "cancel-requested-at must have 253",
        ),
        pair(&built, SPEC, "131072 characters at most together, and have 131073"),
        pair(&arguments, SPEC, "spec.buildArgs"),
        pair(&|size| texts("image.labels", size), SPEC, "spec.image.labels"),
        pair(&|size| texts("image.annotations", size), SPEC, "spec.image.annotations"),
        pair(&items, SPEC, "spec.context.configMap.items"),
    ]
}

/// An Image with labels of this many characters.
fn labelled(size: usize) -> DynamicObject {
    let mut object = image(&spec(&[]));
    let label = |n: usize| (format!("pp/{n:062}"), "x".repeat(63));
    let rest = (REST.repeat(size % 128), String::new());
    let rest = Some(rest).filter(|(name, _)| !name.is_empty());
    object.metadata.labels = Some((0..size / 128).map(label).chain(rest).collect());
    object
}

/// An Image with an annotation of this name and of this many characters.
fn annotated(name: &str, size: usize) -> DynamicObject {
    let mut object = image(&spec(&[]));
    object.metadata.annotations = Some([(name.to_owned(), "x".repeat(size))].into());
    object
}

/// An ImageBuilder with a Dockerfile of this many characters.
fn built(size: usize) -> DynamicObject {
    let source = format!("FROM scratch{}", "\n".repeat(size - 12));
    let spec = json!({ "platforms": ["linux/amd64"], "source": source,
        "image": { "name": "registry.example.com/team/app", "version": "v1" } });
    let mut object =
        DynamicObject::new("", &ApiResource::erase::<ImageBuilder>(&())).data(json!({ "spec": spec }));
    object.metadata.name = None;
    object.metadata.generate_name = Some("test-".to_owned());
    object
}

fn named(mut object: DynamicObject, name: &str) -> DynamicObject {
    object.metadata.name = Some(name.to_owned());
    object
}

fn builders(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<ImageBuilder>(&()))
}

/// Creates an Image or an ImageBuilder, or only asks whether it would be accepted.
async fn create(client: &Client, namespace: &str, object: DynamicObject, dry_run: bool) -> Result<(), Error> {
    let is_builder = object.types.as_ref().is_some_and(|types| types.kind == "ImageBuilder");
    let api = if is_builder { builders(client, namespace) } else { images(client, namespace) };
    api.create(&PostParams { dry_run, ..PostParams::default() }, &object).await.map(drop)
}

async fn patch(api: &Api<DynamicObject>, name: &str, change: Value) -> Result<(), Error> {
    api.patch(name, &PatchParams::default(), &Patch::Merge(change)).await.map(drop)
}

/// Returns what a policy says against an object; none if it was accepted.
fn refusal(answer: Result<(), Error>) -> anyhow::Result<Option<String>> {
    match answer {
        Ok(()) => Ok(None),
        Err(Error::Api(status)) if status.message.contains("ValidatingAdmissionPolicy") => {
            Ok(Some(status.message))
        }
        Err(error) => Err(error).context("it is refused by something else"),
    }
}
