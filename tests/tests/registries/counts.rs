//! How many requests a question costs.

use imgop_registry::Registries;
use imgop_registry::reference::ManifestRef;

use crate::every_registry::{Way, every_registry, registries};
use crate::image::Image;
use crate::token_server::PUBLIC;

fn counts(registries: &Registries, host: &str) -> Vec<(Option<u16>, u64)> {
    let all = registries.requests().into_iter();
    all.filter(|count| count.host == host).map(|count| (count.status, count.count)).collect()
}

#[tokio::test]
async fn nobody_pings_and_what_a_registry_wants_is_remembered() -> anyhow::Result<()> {
    for registry in every_registry().await? {
        let path = "counts/remembered";
        let (_, writer) = registry.client(path, &registry.access())?;
        Image::new("remembered").push(registry, path, &writer, &["v1"]).await?;

        let (requests, client) = registry.client(path, &registry.access())?;
        let v1 = ManifestRef::Tag("v1".parse()?);
        for _ in 0..3 {
            assert!(client.head(&v1).await?.is_some(), "{registry}");
        }
        assert_eq!(client.tags().await?.len(), 1, "{registry}");
        let wanted: &[_] = match registry.way {
            Way::Open | Way::Tls => &[(Some(200), 4)],
            // The first request learns what is wanted.
            Way::Password | Way::Token => &[(Some(200), 4), (Some(401), 1)],
        };
        assert_eq!(counts(&requests, &registry.address), wanted, "{registry}");
        let wanted: &[_] = if registry.way == Way::Token { &[(Some(200), 1)] } else { &[] };
        assert_eq!(counts(&requests, &registry.tokens.address), wanted, "{registry}");

        // Another repository of the same registry: another token, and no second 401.
        let other = requests.repository(&registry.repository("counts/other")?, &registry.access());
        assert_eq!(other.head(&v1).await?, None, "{registry}");
        let refused =
            counts(&requests, &registry.address).into_iter().find(|(status, _)| *status == Some(401));
        assert_eq!(
            refused.map_or(0, |(_, count)| count),
            u64::from(wanted_proof(registry.way)),
            "{registry}"
        );
    }
    Ok(())
}

fn wanted_proof(way: Way) -> bool {
    matches!(way, Way::Password | Way::Token)
}

#[tokio::test]
async fn writing_and_reading_a_repository_takes_a_token_each() -> anyhow::Result<()> {
    for registry in registries(Way::Token).await? {
        let path = "counts/scopes";
        let (requests, client) = registry.client(path, &registry.access())?;
        Image::new("scopes").push(registry, path, &client, &["v1", "v2", "v3"]).await?;
        client.tags().await?;
        client.tags().await?;
        assert_eq!(counts(&requests, &registry.tokens.address), [(Some(200), 2)], "{registry}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_public_is_read_with_a_token_for_nobody() -> anyhow::Result<()> {
    for registry in registries(Way::Token).await? {
        let path = format!("{PUBLIC}app");
        let (_, writer) = registry.client(&path, &registry.access())?;
        Image::new("public").push(registry, &path, &writer, &["v1"]).await?;
        let (requests, client) = registry.client(&path, &registry.anonymous())?;
        assert_eq!(client.tags().await?.len(), 1, "{registry}");
        assert_eq!(counts(&requests, &registry.tokens.address), [(Some(200), 1)], "{registry}");
    }
    Ok(())
}
