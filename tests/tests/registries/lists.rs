//! Tag lists of more than a thousand tags.

use futures::{StreamExt as _, TryStreamExt as _};
use imgop_registry::reference::ManifestRef;

use crate::every_registry::{Registry, Way, registries};
use crate::image::Image;

#[tokio::test]
async fn b9_more_than_a_thousand_tags_are_all_listed() -> anyhow::Result<()> {
    for registry in registries(Way::Open).await? {
        // A multiple of the page: distribution then adds an empty one. docker-registry 2.8 sends all names at
        // once without a Link, which others do with a page that is cut: it is asked once more.
        let (pages, _) = list_all(registry, 1_100).await?;
        assert_eq!(pages, if registry.has_pages() { 12 } else { 2 }, "{registry}");
    }
    Ok(())
}

#[tokio::test]
async fn b9_all_pages_are_read_with_the_password_and_the_ca() -> anyhow::Result<()> {
    for registry in registries(Way::Password).await? {
        let (pages, _) = list_all(registry, 250).await?;
        assert_eq!(pages, if registry.has_pages() { 3 } else { 1 }, "{registry}");
    }
    Ok(())
}

#[tokio::test]
async fn b9_all_pages_are_read_with_one_token() -> anyhow::Result<()> {
    for registry in registries(Way::Token).await? {
        let (pages, tokens) = list_all(registry, 250).await?;
        assert_eq!((pages, tokens), (if registry.has_pages() { 3 } else { 1 }, 1), "{registry}");
    }
    Ok(())
}

/// Puts one index under so many tags and lists them all. How many pages and how many tokens did the
/// list take?
async fn list_all(registry: &Registry, many: usize) -> anyhow::Result<(u64, u64)> {
    let path = "lists/many";
    let names: Vec<String> = (0..many).map(|i| format!("v{i:04}")).collect();
    let (_, writer) = registry.client(path, &registry.access())?;
    let image = Image::new("many");
    image.push(registry, path, &writer, &[]).await?;
    futures::stream::iter(&names)
        .map(|name| async {
            writer.put_manifest(&ManifestRef::Tag(name.parse()?), &image.index).await?;
            anyhow::Ok(())
        })
        .buffer_unordered(6)
        .try_collect::<()>()
        .await?;

    let (requests, reader) = registry.client(path, &registry.access())?;
    let listed = reader.tags().await?;
    assert_eq!(listed.iter().map(ToString::to_string).collect::<Vec<_>>(), names, "{registry}");
    let answers = |host: &str| -> u64 {
        let of_host = requests.requests().into_iter().filter(|count| count.host == host);
        of_host.filter(|count| count.status == Some(200)).map(|count| count.count).sum()
    };
    Ok((answers(&registry.address), answers(&registry.tokens.address)))
}
