//! Tags that a spec names one by one.

use imgop_core::api::{Mode, Overwrite};
use imgop_tests::tenant::with_tenant;

const TAGS: [&str; 4] = ["1.0", "1.1", "1.2", "latest"];

#[tokio::test]
async fn tags_contents_under_tags_and_contents_alone_are_copied_and_a_missing_one_fails_alone()
-> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let path = tenant.path("busybox");
        let old = source.fill(&path, &TAGS, "").await?;
        let moved = source.fill(&path, &["1.1"], "moved").await?;
        assert_ne!(old["1.1"], moved["1.1"]);
        let (before, pinned) = (&old["1.1"], &old["1.2"]);
        let mut spec = tenant.spec("busybox", "", "named");
        spec.mode = Mode::Recurrent;
        spec.source.tags = vec!["1.0".into(), format!("1.1@{before}"), pinned.to_string(), "9.9".into()];
        tenant.apply("named", &spec).await?;
        let status = tenant.settled("named").await?.status.unwrap();
        assert_eq!(status.progress.as_deref(), Some("3/4"));
        let failed: Vec<_> = status.failures.iter().map(|failure| failure.tag.as_str()).collect();
        assert_eq!(failed, ["9.9"]);
        let copied = target.digests(&tenant.path("named")).await?;
        let pin = format!("pin-{}", pinned.to_string().replace(':', "-"));
        let wanted = [
            ("1.0".to_owned(), old["1.0"].clone()),
            ("1.1".to_owned(), before.clone()),
            (pin, pinned.clone()),
        ];
        assert_eq!(copied, wanted.into());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn tags_that_never_move_cost_one_list_of_the_destination_once_they_are_there() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let path = tenant.path("busybox");
        source.fill(&path, &TAGS, "").await?;
        let mut spec = tenant.spec("busybox", "", "missing");
        spec.mode = Mode::Recurrent;
        spec.source.tags = vec!["1.0".into(), "1.1".into(), "1.2".into()];
        spec.source.immutable_tags = vec!["*".into()];
        spec.destination.overwrite = Overwrite::IfMissing;
        tenant.apply("missing", &spec).await?;
        tenant.ready("missing").await?;
        tenant.jobs_ended().await?;
        let (from_source, from_target) = (source.mark().await?, target.mark().await?);

        tenant.sync("missing").await?;

        let asked = source.requests(&path, from_source, source.mark().await?)?;
        assert!(asked.iter().all(|request| request.status == 401), "{asked:?}");
        let asked = target.requests(&tenant.path("missing"), from_target, target.mark().await?)?;
        let asked: Vec<_> = asked.iter().filter(|request| request.status != 401).collect();
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert!(asked[0].path.contains("/tags/list"), "{asked:?}");
        Ok(())
    })
    .await
}
