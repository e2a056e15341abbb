//! Only some platforms.

use imgop_core::api::{FailureReason, Mode};
use imgop_registry::oci::{PLATFORMS_ANNOTATION, SOURCE_DIGEST_ANNOTATION};
use imgop_tests::registry::Request;
use imgop_tests::tenant::with_tenant;
use serde_json::json;

const TAGS: [&str; 3] = ["v1.0.0", "v1.0.1", "v1.0.2"];

/// Manifests that were read; questions by HEAD and refusals do not count.
fn reads(requests: &[Request]) -> Vec<&str> {
    let of = |r: &&Request| r.method == "GET" && r.status != 401 && r.path.contains("/manifests/");
    requests.iter().filter(of).map(|r| r.path.as_str()).collect()
}

#[tokio::test]
async fn some_platforms_make_an_index_that_is_whole_and_the_next_sync_does_nothing() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let (from, to) = (tenant.path("busybox"), tenant.path("subset"));
        let pushed = source.fill(&from, &TAGS, "").await?;
        let mut spec = tenant.spec("busybox", "v1.0.x", "subset");
        spec.mode = Mode::Recurrent;
        spec.platforms = vec!["linux/amd64".to_owned()];
        tenant.apply("subset", &spec).await?;
        let status = tenant.ready("subset").await?.status.unwrap_or_default();
        assert_eq!(status.progress.as_deref(), Some("3/3"));
        for tag in TAGS {
            let index = target.manifest(&to, tag).await?;
            let entries = index["manifests"].as_array().map(Vec::as_slice).unwrap_or_default();
            assert_eq!(entries.len(), 1, "{index}");
            assert_eq!(entries[0]["platform"], json!({"architecture": "amd64", "os": "linux"}));
            assert_eq!(index["annotations"][SOURCE_DIGEST_ANNOTATION], pushed[tag].as_str());
            assert_eq!(index["annotations"][PLATFORMS_ANNOTATION], "linux/amd64");
            let image = target.platform(&to, tag, "amd64").await?;
            assert!(target.has_blobs_of(&to, &image).await?, "{tag} cannot be pulled");
        }
        // Another client can take it from there, and gets the same.
        let onwards = tenant.path("onwards");
        source.take(&onwards, "v1.0.0", target, &to, "v1.0.0").await?;
        assert_eq!(source.digest(&onwards, "v1.0.0").await?, target.digest(&to, "v1.0.0").await?);

        tenant.jobs_ended().await?;
        let (from_source, from_target) = (source.mark().await?, target.mark().await?);
        assert_eq!(tenant.jobs_of_a_sync("subset").await?, 0);
        let at_source = source.requests(&from, from_source, source.mark().await?)?;
        let at_target = target.requests(&to, from_target, target.mark().await?)?;
        assert_eq!((reads(&at_source), reads(&at_target)), (Vec::new(), Vec::new()));

        spec.platforms.push("linux/arm64".to_owned());
        tenant.apply("subset", &spec).await?;
        tenant.ready("subset").await?;
        assert_eq!(target.digests(&to).await?, pushed, "all platforms: nothing is rewritten");

        // What is wanted now is there already: it only needs its index.
        tenant.jobs_ended().await?;
        let before = tenant.jobs().await?.len();
        spec.platforms = vec!["linux/arm64".to_owned()];
        tenant.apply("subset", &spec).await?;
        tenant.ready("subset").await?;
        assert_eq!(tenant.jobs().await?.len(), before);
        let index = target.manifest(&to, "v1.0.1").await?;
        assert_eq!(index["manifests"][0]["platform"]["architecture"], "arm64");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_mode_once_by_tag_copies_again_when_more_platforms_are_wanted() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let pushed = tenant.cluster.source.fill(&tenant.path("busybox"), &TAGS[..1], "").await?;
        let mut spec = tenant.spec("busybox", "v1.0.x", "once");
        spec.platforms = vec!["linux/arm64".to_owned()];
        tenant.apply("once", &spec).await?;
        let status = tenant.ready("once").await?.status.unwrap_or_default();
        assert_eq!(status.tag_already_synced, ["v1.0.0"]);
        spec.platforms.clear();
        tenant.apply("once", &spec).await?;
        tenant.ready("once").await?;
        assert_eq!(tenant.cluster.target.digests(&tenant.path("once")).await?, pushed);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_platform_that_no_tag_has_is_said_with_those_that_there_are() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.cluster.source.fill(&tenant.path("busybox"), &TAGS[..1], "").await?;
        let mut spec = tenant.spec("busybox", "v1.0.x", "none");
        spec.platforms = vec!["linux/s390x".to_owned()];
        tenant.apply("none", &spec).await?;
        let status = tenant.settled("none").await?.status.unwrap_or_default();
        let failure = &status.failures[0];
        assert_eq!((failure.tag.as_str(), failure.reason), ("v1.0.0", FailureReason::PlatformNotFound));
        assert!(failure.message.ends_with("its platforms: linux/amd64, linux/arm64"), "{}", failure.message);
        assert!(tenant.jobs().await?.is_empty());
        Ok(())
    })
    .await
}
