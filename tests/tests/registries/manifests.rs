//! Manifests, written and read back.

use anyhow::Context as _;
use imgop_registry::Reason;
use imgop_registry::reference::ManifestRef;

use crate::every_registry::every_registry;
use crate::image::Image;

#[tokio::test]
async fn an_index_that_was_put_is_read_back_byte_for_byte() -> anyhow::Result<()> {
    for registry in every_registry().await? {
        let (_, client) = registry.client("manifests/whole", &registry.access())?;
        let image = Image::new("whole");
        image.push(registry, "manifests/whole", &client, &["v1"]).await?;
        for what in [ManifestRef::Tag("v1".parse()?), ManifestRef::Digest(image.index.digest.clone())] {
            let found = client.head(&what).await?.with_context(|| format!("no {what} at {registry}"))?;
            assert_eq!(found.digest, image.index.digest, "{registry}");
            assert_eq!(found.media_type, image.index.media_type, "{registry}");
            assert_eq!(found.size, Some(u64::try_from(image.index.bytes.len())?), "{registry}");
            let read = client.manifest(&what).await?.context("no manifest")?;
            assert_eq!(read, image.index, "{registry}");
        }
        let platforms = image.index.platforms()?;
        let named: Vec<_> = platforms.iter().map(|entry| entry.platform.to_string()).collect();
        assert_eq!(named, ["linux/amd64", "linux/arm64"]);
        for (entry, manifest) in platforms.iter().zip(&image.platforms) {
            let read = client.manifest(&ManifestRef::Digest(entry.digest.clone())).await?;
            assert_eq!(read.as_ref(), Some(manifest), "{registry}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_tag_moves_to_what_is_put_last() -> anyhow::Result<()> {
    for registry in every_registry().await? {
        let (_, client) = registry.client("manifests/moves", &registry.access())?;
        for salt in ["one", "two"] {
            let image = Image::new(salt);
            image.push(registry, "manifests/moves", &client, &["latest"]).await?;
            let found = client.head(&ManifestRef::Tag("latest".parse()?)).await?;
            assert_eq!(found.map(|found| found.digest), Some(image.index.digest), "{registry}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_index_whose_images_are_not_there_is_refused_with_the_registrys_own_code() -> anyhow::Result<()> {
    for registry in every_registry().await? {
        let (_, client) = registry.client("manifests/hollow", &registry.access())?;
        let what = ManifestRef::Tag("v1".parse()?);
        let error = client.put_manifest(&what, &Image::new("hollow").index).await.err();
        let error = error.with_context(|| format!("{registry} takes an index of nothing"))?;
        // As the specification wants it ("Pushing Manifests"), distribution says 404 or 400.
        assert_eq!(*error.reason(), Reason::Rejected, "{registry}: {error}");
        assert_eq!(error.code(), Some("MANIFEST_BLOB_UNKNOWN"), "{registry}: {error}");
        assert!(!error.is_retryable());
        let wanted = format!("cannot write {}/manifests/hollow:v1: ", registry.address);
        assert!(error.to_string().starts_with(&wanted), "{error}");
        assert_eq!(client.head(&what).await?, None, "{registry}");
    }
    Ok(())
}

#[tokio::test]
async fn a_tag_is_deleted_alone_and_a_registry_that_deletes_none_is_left_as_it_is() -> anyhow::Result<()> {
    for registry in every_registry().await? {
        let (_, client) = registry.client("manifests/deleted", &registry.access())?;
        let image = Image::new("deleted");
        image.push(registry, "manifests/deleted", &client, &["v1", "v2"]).await?;
        let deleted = client.delete_tag(&"v1".parse()?).await?;
        // docker-registry 2.8 deletes by digest alone.
        assert_eq!(deleted, registry.program == "distribution", "{registry}");
        let named = |tag: &str| anyhow::Ok(ManifestRef::Tag(tag.parse()?));
        assert_eq!(client.head(&named("v1")?).await?.is_none(), deleted, "{registry}");
        let other = client.head(&named("v2")?).await?.map(|found| found.digest);
        assert_eq!(other, Some(image.index.digest.clone()), "{registry}");
    }
    Ok(())
}
