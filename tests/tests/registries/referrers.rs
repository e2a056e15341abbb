//! What refers to an image.

use imgop_registry::reference::Digest;
use imgop_tests::registry::Registry;

use crate::every_registry::{every_registry, with_referrers};
use crate::image::Image;

#[tokio::test]
async fn a_registry_with_the_referrers_api_tells_what_refers_to_an_image() -> anyhow::Result<()> {
    let (registry, log) = with_referrers().await?;
    let path = "referrers/api";
    let (_, client) = registry.client(path, &registry.access())?;
    let image = Image::new("referred to");
    let subject = image.index.digest.clone();
    assert_eq!(client.referrers(&subject).await?, Some(Vec::new()), "nothing, of a repository that is none");
    image.push(registry, path, &client, &["v1"]).await?;
    assert_eq!(client.referrers(&subject).await?, Some(Vec::new()));
    let attached = Registry::open(&registry.address, log)?.attach(path, &subject, "sbom").await?;
    let found: Vec<Digest> =
        client.referrers(&subject).await?.unwrap_or_default().into_iter().map(|r| r.digest).collect();
    assert_eq!(found, [attached]);
    Ok(())
}

#[tokio::test]
async fn the_other_registries_have_no_such_api() -> anyhow::Result<()> {
    for registry in every_registry().await? {
        let (_, client) = registry.client("referrers/none", &registry.access())?;
        let image = Image::new("alone");
        image.push(registry, "referrers/none", &client, &["v1"]).await?;
        assert_eq!(client.referrers(&image.index.digest).await?, None, "{registry}");
    }
    Ok(())
}
