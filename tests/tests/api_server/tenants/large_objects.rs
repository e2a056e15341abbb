//! Objects that are as large as the API server lets them be.

use std::collections::BTreeMap;

use super::{Case, assert_within_the_limit, image};

/// Images of the tenant; with labels of 1.2 MB each they are 72 MB.
const IMAGES: usize = 60;
const LABELS: usize = 9_000;

#[tokio::test]
async fn labels_of_a_namespace_that_is_not_enabled_take_no_memory_from_the_others() -> anyhow::Result<()> {
    let case = Case::new().await?;
    case.namespace("hostile").await?;
    let labels: BTreeMap<String, String> =
        (0..LABELS).map(|n| (format!("{n:062}"), "x".repeat(63))).collect();
    let large = (0..IMAGES).map(|n| {
        let mut image = image(&format!("large-{n}"), "127.0.0.1:9/a", "127.0.0.1:9/b");
        image.metadata.labels = Some(labels.clone());
        image
    });
    case.create("hostile", large).await?;

    let agent = case.agent(&[]).await?;
    case.namespace("other").await?;
    case.create("other", [image("small", "127.0.0.1:9/a", "127.0.0.1:9/b")]).await?;
    assert_eq!(case.reason("other", "small").await?, "NamespaceNotEnabled");
    for n in 0..IMAGES {
        assert_eq!(case.reason("hostile", &format!("large-{n}")).await?, "NamespaceNotEnabled");
    }
    assert_within_the_limit(&agent)
}
