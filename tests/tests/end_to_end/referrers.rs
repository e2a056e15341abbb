//! What refers to tags: signatures, attestations, SBOMs.

use imgop_core::api::{Destination, Referrers, Tls, TlsMode};
use imgop_registry::oci::referrers_tag;
use imgop_tests::registry::entries;
use imgop_tests::tenant::with_tenant;

const TAGS: [&str; 2] = ["v1.0.0", "v1.0.1"];

#[tokio::test]
async fn signatures_go_with_their_tags_and_keep_their_names() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let (from, to) = (tenant.path("busybox"), tenant.path("signed"));
        let pushed = source.fill(&from, &TAGS, "").await?;
        let signature = format!("{}.sig", referrers_tag(&pushed["v1.0.0"])?);
        let sbom = referrers_tag(&pushed["v1.0.1"])?.to_string();
        let other = format!("sha256-{}.sig", "0".repeat(64));
        let made = source.fill(&from, &[&signature, &sbom, &other], "what refers").await?;
        let mut spec = tenant.spec("busybox", "v1.0.x", "signed");
        spec.referrers = Referrers::All;
        spec.destination.version = Some("{tag}-corp".to_owned());
        tenant.apply("signed", &spec).await?;
        let status = tenant.ready("signed").await?.status.unwrap_or_default();
        assert_eq!(status.progress.as_deref(), Some("4/4"), "what refers to tags counts as well");
        assert_eq!(status.tag_already_synced, ["v1.0.1", "v1.0.0"]);
        let there = target.digests(&to).await?;
        assert_eq!(there.len(), 4, "{there:?}");
        assert_eq!((&there[&signature], &there[&sbom]), (&made[&signature], &made[&sbom]));
        assert_eq!(there["v1.0.0-corp"], pushed["v1.0.0"]);

        tenant.jobs_ended().await?;
        let before = source.mark().await?;
        assert_eq!(tenant.jobs_of_a_sync("signed").await?, 0);
        let asked = source.requests(&from, before, source.mark().await?)?;
        let gets = |what: &str| asked.iter().filter(|r| r.method == "GET" && r.path.contains(what)).count();
        // Who asks for a sync wants to know whether there is such an API now; one question tells.
        assert_eq!((gets("/tags/list"), gets("/referrers/"), gets("/manifests/")), (1, 1, 0), "{asked:#?}");

        let late = format!("{}.att", referrers_tag(&pushed["v1.0.1"])?);
        let made = source.fill(&from, &[&late], "late").await?;
        assert_eq!(tenant.jobs_of_a_sync("signed").await?, 1);
        assert_eq!(target.digest(&to, &late).await?.as_ref(), Some(&made[&late]));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_only_the_referrers_api_knows_is_copied_and_can_be_found_at_the_destination()
-> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.referrers, &tenant.cluster.target);
        let (from, to) = (tenant.path("busybox"), tenant.path("referred"));
        let subject = source.fill(&from, &TAGS, "").await?["v1.0.0"].clone();
        let mut attached = Vec::new();
        for content in ["signature", "sbom"] {
            attached.push(source.attach(&from, &subject, content).await?);
        }
        attached.sort();
        assert_eq!(source.tags(&from).await?, TAGS, "no tag tells of them");
        let mut spec = tenant.spec("busybox", "v1.0.x", "referred");
        spec.source.name = source.repository(&from);
        spec.referrers = Referrers::All;
        tenant.apply("referred", &spec).await?;
        let status = tenant.ready("referred").await?.status.unwrap_or_default();
        assert_eq!(status.progress.as_deref(), Some("3/3"), "all that refers to a tag is one more");
        // This registry has no such API: clients look for the tag.
        let tag = referrers_tag(&subject)?.to_string();
        assert_eq!(entries(&target.manifest(&to, &tag).await?)?, attached);
        for digest in &attached {
            let artifact = target.manifest(&to, digest.as_str()).await?;
            assert_eq!(artifact["subject"]["digest"], subject.as_str());
            assert!(target.has_blobs_of(&to, &artifact).await?, "{digest} cannot be pulled");
        }

        // And this one has it.
        let again = tenant.path("again");
        spec.destination = Destination {
            name: source.repository(&again),
            tls: Some(Tls { mode: TlsMode::PlainHttp, ca_secret_name: None }),
            ..Destination::default()
        };
        tenant.apply("again", &spec).await?;
        tenant.ready("again").await?;
        assert_eq!(source.referrers(&again, &subject).await?, attached);

        tenant.jobs_ended().await?;
        assert_eq!(tenant.jobs_of_a_sync("referred").await?, 0);
        let late = source.attach(&from, &subject, "attestation").await?;
        assert_eq!(tenant.jobs_of_a_sync("referred").await?, 1);
        attached.push(late);
        attached.sort();
        assert_eq!(entries(&target.manifest(&to, &tag).await?)?, attached);
        Ok(())
    })
    .await
}
