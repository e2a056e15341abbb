//! Blobs that the destination's registry has already are not sent to it.

use std::collections::BTreeSet;

use anyhow::Context as _;
use imgop_core::api::Credentials;
use imgop_tests::registry::{Registry, Request};
use imgop_tests::tenant::{PUSH_SECRET, with_tenant};

const TAGS: [&str; 2] = ["v1.0.0", "v1.0.1"];

#[tokio::test]
async fn a_copy_within_one_registry_sends_no_blob() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let path = tenant.path("busybox");
        let pushed = source.fill(&path, &TAGS, "").await?;
        for tag in TAGS {
            target.take(&path, tag, source, &path, tag).await?;
        }
        let mut spec = tenant.spec("busybox", "v1.0.x", "mirror");
        spec.source.name = target.repository(&path);
        spec.source.credentials = Some(Credentials { secret_name: PUSH_SECRET.to_owned() });
        spec.source.tls = spec.destination.tls.clone().unwrap_or_default();
        let from = target.mark().await?;
        tenant.apply("mirror", &spec).await?;
        tenant.ready("mirror").await?;
        assert_eq!(target.digests(&tenant.path("mirror")).await?, pushed);
        let asked = target.requests(&tenant.path("mirror"), from, target.mark().await?)?;
        assert!(sent(&asked).is_empty(), "{asked:#?}");
        let mounts: Vec<&Request> = asked.iter().filter(|request| is_mount(request)).collect();
        // Two layers that all tags share; for each tag one more and two configurations.
        assert_eq!(mounts.len(), 8, "each blob once: {mounts:#?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_layer_that_another_image_has_brought_is_mounted() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        for (name, salt) in [("one", ""), ("other", "other")] {
            source.fill(&tenant.path(name), &TAGS[..1], salt).await?;
        }
        tenant.apply("one", &tenant.spec("one", "v1.0.0", "one")).await?;
        tenant.ready("one").await?;
        let from = target.mark().await?;
        tenant.apply("other", &tenant.spec("other", "v1.0.0", "other")).await?;
        tenant.ready("other").await?;
        let asked = target.requests(&tenant.path("other"), from, target.mark().await?)?;
        let shared = base_layers(target, &tenant.path("one")).await?;
        assert_eq!(shared, base_layers(target, &tenant.path("other")).await?);
        for layer in &shared {
            assert!(asked.iter().any(|r| is_mount(r) && r.path.contains(layer)), "{layer}: {asked:#?}");
            assert!(!sent(&asked).iter().any(|path| path.contains(layer)), "{layer}: {asked:#?}");
        }
        assert_eq!(sent(&asked).len(), 3, "a layer and two configurations are its own: {asked:#?}");
        let metrics = tenant.cluster.agent_metrics().await?;
        let mounted = metrics.lines().find_map(|line| line.strip_prefix("imgop_blobs_mounted_total "));
        assert!(mounted.context("no such metric")?.parse::<u64>()? >= 2, "{mounted:?}");
        Ok(())
    })
    .await
}

/// Whether a blob came from another repository, without being sent.
fn is_mount(request: &Request) -> bool {
    request.method == "POST" && request.path.contains("mount=sha256") && request.status == 201
}

/// What was sent: each upload ends in a PUT that names the digest.
fn sent(asked: &[Request]) -> Vec<&str> {
    let ends = asked.iter().filter(|request| request.method == "PUT" && request.path.contains("/blobs/"));
    ends.map(|request| request.path.as_str()).collect()
}

/// The hexadecimal digests of the first layers, one for each architecture.
async fn base_layers(registry: &Registry, path: &str) -> anyhow::Result<BTreeSet<String>> {
    let mut layers = BTreeSet::new();
    for architecture in ["amd64", "arm64"] {
        let image = registry.platform(path, TAGS[0], architecture).await?;
        let digest = image["layers"][0]["digest"].as_str().context("no layer")?;
        layers.insert(digest.trim_start_matches("sha256:").to_owned());
    }
    Ok(layers)
}
