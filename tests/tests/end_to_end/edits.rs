//! Specs that change under way: what was known of the old one must not speak for the new one.

use imgop_core::api::{Image, Mode, Phase, Select};
use imgop_registry::reference::Repository;
use imgop_tests::tenant::with_tenant;

const TAGS: [&str; 4] = ["v1.0.0", "v1.0.1", "v1.0.2", "v1.1.0"];

fn reason(image: &Image) -> Option<&str> {
    let status = image.status.as_ref()?;
    status.conditions.iter().find(|c| c.type_ == "Ready").map(|c| c.reason.as_str())
}

#[tokio::test]
async fn a_destination_that_cannot_be_asked_is_never_ready() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.cluster.source.fill(&tenant.path("busybox"), &TAGS, "").await?;
        let mut spec = tenant.spec("busybox", "v1.0.1", "busybox");
        spec.mode = Mode::OneShot;
        spec.source.immutable_tags = vec!["*".to_owned()];
        // Nothing listens at this port of the machine that the registries are on.
        let source: Repository = tenant.cluster.source.repository("never").parse()?;
        spec.destination.name = format!("{}:9/never", source.host().name());
        spec.destination.credentials = None;
        spec.destination.tls = None;
        tenant.apply("down", &spec).await?;
        let image = tenant.settled("down").await?;
        assert_eq!(image.status.as_ref().and_then(|s| s.phase), Some(Phase::Failed));
        assert_eq!(reason(&image), Some("RegistryUnreachable"), "{:?}", image.status);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn another_destination_gets_every_tag_even_if_its_first_look_fails() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let target = &tenant.cluster.target;
        let pushed = tenant.cluster.source.fill(&tenant.path("busybox"), &TAGS, "").await?;
        tenant.cluster.source.fill(&tenant.path("other"), &TAGS, "other").await?;
        let mut spec = tenant.spec("busybox", "v1.0.x", "one");
        spec.mode = Mode::Recurrent;
        tenant.apply("busybox", &spec).await?;
        tenant.ready("busybox").await?;
        // The second destination has the same tags with other content.
        let other = tenant.spec("other", "v1.0.x", "two");
        tenant.apply("other", &other).await?;
        tenant.ready("other").await?;
        tenant.images().delete("other", &kube::api::DeleteParams::default()).await?;

        spec.destination = tenant.spec("busybox", "v1.0.x", "two").destination;
        spec.destination.credentials = Some(imgop_core::api::Credentials { secret_name: "later".to_owned() });
        tenant.apply("busybox", &spec).await?;
        let (reason, _) = tenant.stalled("busybox").await?;
        assert_eq!(reason, "SecretUnusable");
        tenant.login("later", std::fs::read(&tenant.cluster.environment.target_authfile)?).await?;
        tenant.ready("busybox").await?;
        let copied = target.digests(&tenant.path("two")).await?;
        for tag in ["v1.0.0", "v1.0.1", "v1.0.2"] {
            assert_eq!(copied.get(tag), pushed.get(tag), "{tag}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn another_source_is_copied_although_its_tags_were_copied_from_the_first() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.cluster.source.fill(&tenant.path("one"), &TAGS, "one").await?;
        let second = tenant.cluster.source.fill(&tenant.path("two"), &TAGS, "two").await?;
        tenant.apply("busybox", &tenant.spec("one", "v1.0.x", "busybox")).await?;
        tenant.ready("busybox").await?;
        tenant.apply("busybox", &tenant.spec("two", "v1.0.x", "busybox")).await?;
        tenant.ready("busybox").await?;
        let copied = tenant.cluster.target.digests(&tenant.path("busybox")).await?;
        for tag in ["v1.0.0", "v1.0.1", "v1.0.2"] {
            assert_eq!(copied.get(tag), second.get(tag), "{tag}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_fixed_tag_follows_the_newest_version_also_of_tags_that_never_move() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let pushed = source.fill(&tenant.path("busybox"), &TAGS[..2], "").await?;
        let mut spec = tenant.spec("busybox", "v1.0.x", "busybox");
        spec.mode = Mode::Recurrent;
        spec.source.immutable_tags = vec!["x.x.x".to_owned()];
        spec.source.select = Some(Select { latest: Some(1), ..Select::default() });
        spec.destination.version = Some("stable".to_owned());
        tenant.apply("busybox", &spec).await?;
        tenant.ready("busybox").await?;
        assert_eq!(target.digests(&tenant.path("busybox")).await?["stable"], pushed["v1.0.1"]);
        let newer = source.fill(&tenant.path("busybox"), &TAGS[2..3], "").await?;
        tenant.sync("busybox").await?;
        tenant.ready("busybox").await?;
        assert_eq!(target.digests(&tenant.path("busybox")).await?["stable"], newer["v1.0.2"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn suspending_finishes_what_runs_and_certifies_nothing() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let pushed = tenant.cluster.source.fill(&tenant.path("busybox"), &TAGS, "").await?;
        let mut spec = tenant.spec("busybox", "v1.0.x", "busybox");
        tenant.apply("busybox", &spec).await?;
        tenant.until("busybox", "has a Job", |image| reason(image) == Some("Progressing")).await?;
        spec.suspend = true;
        tenant.apply("busybox", &spec).await?;
        let image = tenant
            .until("busybox", "is suspended with nothing under way", |image| {
                let copying = image.status.as_ref().and_then(|s| s.counts).map(|c| c.copying);
                reason(image) == Some("Suspended") && copying == Some(0)
            })
            .await?;
        let copied = tenant.cluster.target.digests(&tenant.path("busybox")).await?;
        assert_eq!(copied.get("v1.0.2"), pushed.get("v1.0.2"));
        let jobs = tenant.jobs().await?.len();
        // A spec that was never synced does not become ready by being suspended.
        spec.source.version = "v9.9.9".to_owned();
        spec.mode = Mode::OneShot;
        let edited = tenant.apply("busybox", &spec).await?;
        assert_ne!(image.status.and_then(|s| s.observed_generation), edited.metadata.generation);
        spec.suspend = false;
        tenant.apply("busybox", &spec).await?;
        let image = tenant.settled("busybox").await?;
        assert_eq!(reason(&image), Some("TagNotFound"));
        assert_eq!(tenant.jobs().await?.len(), jobs, "nothing was begun");
        Ok(())
    })
    .await
}
