//! What is not there.

use anyhow::Context as _;
use imgop_registry::Reason;
use imgop_registry::reference::{Digest, ManifestRef};

use crate::every_registry::every_registry;
use crate::image::Image;

#[tokio::test]
async fn an_absent_tag_and_an_absent_digest_are_none() -> anyhow::Result<()> {
    for registry in every_registry().await? {
        let (_, client) = registry.client("absent/tag", &registry.access())?;
        Image::new("absent").push(registry, "absent/tag", &client, &["there"]).await?;
        for what in [ManifestRef::Tag("gone".parse()?), ManifestRef::Digest(Digest::of(b"gone"))] {
            assert_eq!(client.head(&what).await?, None, "{registry}");
            assert_eq!(client.manifest(&what).await?, None, "{registry}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_absent_repository_is_said_to_be_absent_and_has_no_tag() -> anyhow::Result<()> {
    for registry in every_registry().await? {
        let (_, client) = registry.client("absent/repository", &registry.access())?;
        let error = client.tags().await.err().context("a list of nothing")?;
        assert_eq!(*error.reason(), Reason::RepositoryNotFound, "{registry}: {error}");
        assert_eq!((error.status(), error.code()), (Some(404), Some("NAME_UNKNOWN")), "{registry}");
        assert!(!error.is_retryable());
        let wanted = format!("cannot list the tags of {}/absent/repository: ", registry.address);
        assert!(error.to_string().starts_with(&wanted), "{error}");
        assert_eq!(client.head(&ManifestRef::Tag("v1".parse()?)).await?, None, "{registry}");
        // To a destination that nothing was ever copied to, everything is to be copied.
        assert!(client.shared_tags().await?.tags.is_empty(), "{registry}");
    }
    Ok(())
}
