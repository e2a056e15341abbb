//! Indexes that Skopeo does not write as they are: entries with an `artifactType`, and indexes of indexes.

use imgop_core::api::Mode;
use imgop_registry::reference::Digest;
use imgop_tests::registry::Registry;
use imgop_tests::tenant::with_tenant;
use serde_json::{Value, json};

/// The entries of a pushed image's index.
async fn images_of(registry: &Registry, path: &str, tag: &str) -> anyhow::Result<Vec<Value>> {
    let index = registry.manifest(path, tag).await?;
    Ok(index["manifests"].as_array().cloned().unwrap_or_default())
}

#[tokio::test]
async fn an_index_with_an_artifact_as_entry_arrives_unchanged() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let (from, to) = (tenant.path("attested"), tenant.path("attested-copy"));
        source.fill(&from, &["parts"], "").await?;
        let mut entries = images_of(source, &from, "parts").await?;
        let subject: Digest = entries[0]["digest"].as_str().unwrap_or_default().parse()?;
        let statement = source.attach(&from, &subject, "built from there").await?;
        let more = json!({
            "platform": { "architecture": "unknown", "os": "unknown" },
            "artifactType": "application/vnd.docker.attestation.manifest.v1+json",
        });
        entries.push(source.entry(&from, &statement, more).await?);
        let pushed = source.put_index(&from, Some("v1.0.0"), &entries).await?;

        let mut spec = tenant.spec("attested", "v1.0.0", "attested-copy");
        spec.mode = Mode::Recurrent;
        tenant.apply("attested", &spec).await?;
        tenant.ready("attested").await?;
        assert_eq!(target.digest(&to, "v1.0.0").await?, Some(pushed));
        for architecture in ["amd64", "arm64"] {
            let image = target.platform(&to, "v1.0.0", architecture).await?;
            assert!(target.has_blobs_of(&to, &image).await?, "{architecture} cannot be pulled");
        }
        let statement = target.manifest(&to, statement.as_str()).await?;
        assert!(target.has_blobs_of(&to, &statement).await?, "the statement cannot be pulled");

        tenant.jobs_ended().await?;
        assert_eq!(tenant.jobs_of_a_sync("attested").await?, 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_index_of_indexes_arrives_unchanged_and_its_platforms_are_found_below() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let (from, to) = (tenant.path("nested"), tenant.path("nested-copy"));
        source.fill(&from, &["parts"], "").await?;
        let mut entries = Vec::new();
        for image in images_of(source, &from, "parts").await? {
            let below = source.put_index(&from, None, &[image]).await?;
            // No platform of its own: it is that of the image below.
            entries.push(source.entry(&from, &below, json!({})).await?);
        }
        let pushed = source.put_index(&from, Some("v1.0.0"), &entries).await?;

        tenant.apply("nested", &tenant.spec("nested", "v1.0.0", "nested-copy")).await?;
        tenant.ready("nested").await?;
        assert_eq!(target.digest(&to, "v1.0.0").await?, Some(pushed));
        for image in images_of(source, &from, "parts").await? {
            let image = target.manifest(&to, image["digest"].as_str().unwrap_or_default()).await?;
            assert!(target.has_blobs_of(&to, &image).await?, "an image below cannot be pulled");
        }

        let mut one = tenant.spec("nested", "v1.0.0", "nested-arm64");
        one.platforms = vec!["linux/arm64".to_owned()];
        tenant.apply("nested-arm64", &one).await?;
        tenant.ready("nested-arm64").await?;
        let kept = images_of(target, &tenant.path("nested-arm64"), "v1.0.0").await?;
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!(kept[0]["digest"], entries[1]["digest"]);
        Ok(())
    })
    .await
}
