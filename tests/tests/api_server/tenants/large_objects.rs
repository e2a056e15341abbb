//! Objects that are as large as the API server lets them be.

use std::collections::{BTreeMap, BTreeSet};

use imgop_core::api::conditions::{READY, find};
use imgop_core::api::{BuiltImage, ImageBuilder, ImageBuilderSpec};
use imgop_tests::wait;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};

use super::{Case, DEADLINE, assert_within_the_limit, image, unparsed};

/// Images of the tenant; with labels of 1.2 MB each they are 72 MB.
const IMAGES: usize = 60;
const LABELS: usize = 9_000;

#[tokio::test]
async fn labels_of_a_namespace_that_is_not_enabled_take_no_memory_from_the_others() -> anyhow::Result<()> {
    let case = Case::new().await?;
    case.namespace("hostile").await?;
    let labels: BTreeMap<String, String> =
        (0..LABELS).map(|n| (format!("{n:062}"), "x".repeat(63))).collect();
    let mut large = image(unparsed::NAME, "127.0.0.1:9/a", "127.0.0.1:9/b");
    large.metadata.labels = Some(labels);
    let (images, large) = (case.images("hostile"), serde_json::to_string(&large)?);
    unparsed::create(&case, &images, &large, (0..IMAGES).map(|n| format!("large-{n}"))).await?;

    let agent = case.agent(&[]).await?;
    case.namespace("other").await?;
    case.create("other", [image("small", "127.0.0.1:9/a", "127.0.0.1:9/b")]).await?;
    assert_eq!(case.reason("other", "small").await?, "NamespaceNotEnabled");
    unparsed::all_say(&case, "hostile", IMAGES, "NamespaceNotEnabled").await?;
    assert_within_the_limit(&agent)
}

/// ImageBuilders with Dockerfiles of 100 KB: 30 MB together, which is more than one namespace may have.
const LARGE_SPECS: usize = 300;
const DOCKERFILE_BYTES: usize = 100_000;

#[tokio::test]
async fn specs_of_a_namespace_fill_its_own_room_alone_and_are_taken_when_there_is_room_again()
-> anyhow::Result<()> {
    let case = Case::new().await?;
    case.enabled_namespace("hostile").await?;
    case.enabled_namespace("other").await?;
    let builders: Api<ImageBuilder> = Api::namespaced(case.client.clone(), "hostile");
    let mut spec = ImageBuilderSpec::new(BuiltImage::new("127.0.0.1:9/a", unparsed::NAME));
    spec.platforms = vec!["linux/amd64".to_owned()];
    spec.source = Some(format!("FROM scratch\n#{}\n", "x".repeat(DOCKERFILE_BYTES)));
    let large = serde_json::to_string(&ImageBuilder::new(unparsed::NAME, spec))?;
    unparsed::create(&case, &builders, &large, (0..LARGE_SPECS).map(|n| format!("large-{n}"))).await?;

    let agent = case.agent(&[]).await?;
    case.create("other", [image("small", "127.0.0.1:9/a", "127.0.0.1:9/b")]).await?;
    assert_eq!(case.reason("other", "small").await?, "RegistryUnreachable");
    // A list of them is 30 MB, so it is asked for only once there is something to see.
    let writes = async || anyhow::Ok(usize::try_from(agent.counter("imgop_status_writes_total").await?)?);
    let refused = wait::poll("all of the namespace have a status", DEADLINE, || async {
        if writes().await? <= LARGE_SPECS {
            return Ok(None);
        }
        let all = builders.list(&ListParams::default()).await?.items;
        let refused = all.iter().filter(|builder| is_refused(builder)).map(ResourceExt::name_any);
        let refused: BTreeSet<String> = refused.collect();
        Ok(all.iter().all(|builder| builder.status.is_some()).then_some(refused))
    })
    .await?;
    assert!(!refused.is_empty() && refused.len() < LARGE_SPECS, "{} of {LARGE_SPECS}", refused.len());

    let written = writes().await?;
    for name in (0..LARGE_SPECS).map(|n| format!("large-{n}")).filter(|name| !refused.contains(name)) {
        builders.delete(&name, &DeleteParams::background()).await?;
    }
    wait::poll("what was refused is taken", DEADLINE, || async {
        if writes().await? < written + refused.len() {
            return Ok(None);
        }
        let all = builders.list(&ListParams::default()).await?.items;
        Ok((all.len() == refused.len() && !all.iter().any(is_refused)).then_some(()))
    })
    .await?;
    assert_within_the_limit(&agent)
}

fn is_refused(builder: &ImageBuilder) -> bool {
    let ready = builder.status.as_ref().and_then(|status| find(&status.conditions, READY));
    ready.is_some_and(|ready| ready.message.contains("MAX_OBJECT_BYTES_PER_NAMESPACE"))
}
