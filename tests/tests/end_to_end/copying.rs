//! What is copied, and what is not.

use std::collections::BTreeSet;

use imgop_core::api::{Credentials, Image, Mode, Overwrite, Tls, TlsMode};
use imgop_tests::leaks::Canary;
use imgop_tests::registry::{Registry, Request};
use imgop_tests::supervised::Supervised;
use imgop_tests::tenant::{Tenant, with_tenant};
use imgop_tests::tries::Tries;

const TAGS: [&str; 8] =
    ["v2.12.4", "v2.13.0", "v2.13.1", "v2.13.2", "v2.13.10", "v2.13.4-rc1", "v2.14.0", "latest"];
const MATCHING: [&str; 4] = ["v2.13.0", "v2.13.1", "v2.13.10", "v2.13.2"];

#[tokio::test]
async fn b1_a_pattern_copies_every_matching_tag_whole_and_no_other() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let pushed = source.fill(&tenant.path("busybox"), &TAGS, "").await?;
        for mode in [Mode::OnceByTag, Mode::Recurrent] {
            let name = format!("{mode:?}").to_lowercase();
            let mut spec = tenant.spec("busybox", "v2.13.x", &name);
            spec.mode = mode;
            tenant.apply(&name, &spec).await?;
            let status = tenant.ready(&name).await?.status.unwrap();
            assert_eq!(status.progress.as_deref(), Some("4/4"));
            let path = tenant.path(&name);
            let copied = target.digests(&path).await?;
            let wanted = MATCHING.map(|tag| (tag.to_owned(), pushed[tag].clone())).into();
            assert_eq!(copied, wanted, "{mode:?}");
            for architecture in ["amd64", "arm64"] {
                let image = target.platform(&path, "v2.13.1", architecture).await?;
                assert!(target.has_blobs_of(&path, &image).await?, "{architecture} cannot be pulled");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_sync_with_nothing_to_do_makes_no_pod_and_asks_once_per_tag_and_side() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let path = tenant.path("busybox");
        source.fill(&path, &TAGS, "").await?;
        for mode in [Mode::OnceByTag, Mode::Recurrent] {
            let name = format!("{mode:?}").to_lowercase();
            let mut spec = tenant.spec("busybox", "v2.13.x", &name);
            spec.mode = mode;
            tenant.apply(&name, &spec).await?;
            tenant.ready(&name).await?;
            // The first sync's Job ends a moment after its tags are there.
            tenant.jobs_ended().await?;
            tenant.sync(&name).await?;
            let before = tenant.images().get(&name).await?;
            let (jobs, pods) = (tenant.jobs().await?.len(), tenant.pods().await?.len());
            let (from_source, from_target) = (source.mark().await?, target.mark().await?);

            tenant.sync(&name).await?;

            let asked = source.requests(&path, from_source, source.mark().await?)?;
            assert_one_look(&asked, "source");
            let asked = target.requests(&tenant.path(&name), from_target, target.mark().await?)?;
            assert_one_look(&asked, "destination");
            assert_eq!((tenant.jobs().await?.len(), tenant.pods().await?.len()), (jobs, pods));
            let after = tenant.images().get(&name).await?;
            assert_eq!(without_request(&before), without_request(&after), "only the request was answered");
        }
        Ok(())
    })
    .await
}

/// The status without the answer to `sync`.
fn without_request(image: &Image) -> serde_json::Value {
    let mut status = serde_json::to_value(&image.status).unwrap_or_default();
    if let Some(fields) = status.as_object_mut() {
        for field in ["lastHandledRequestedAt", "lastSyncTime", "lastSuccessfulSyncTime"] {
            fields.remove(field);
        }
    }
    status
}

/// One list, at most one HEAD for a tag, nothing else. What is answered with 401 comes again with
/// credentials, so it does not count.
fn assert_one_look(requests: &[Request], side: &str) {
    let asked: Vec<&Request> = requests.iter().filter(|r| r.status != 401).collect();
    let others: Vec<&&Request> = asked
        .iter()
        .filter(|r| !(r.method == "HEAD" || r.method == "GET" && r.path.contains("/tags/list")))
        .collect();
    assert!(others.is_empty(), "{side}: {others:?}");
    let lists = asked.iter().filter(|r| r.method == "GET").count();
    assert!(lists <= 1, "{side}: {lists} lists: {asked:#?}");
    let heads: Vec<&str> = asked.iter().filter(|r| r.method == "HEAD").map(|r| r.path.as_str()).collect();
    let different: BTreeSet<&str> = heads.iter().copied().collect();
    assert_eq!(heads.len(), different.len(), "{side}: asked twice: {heads:?}");
    assert!(different.len() <= MATCHING.len(), "{side}: {heads:?}");
}

#[tokio::test]
async fn a_moved_tag_is_copied_again_in_mode_recurrent_and_not_in_mode_once_by_tag() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let path = tenant.path("busybox");
        let old = source.fill(&path, &["v1.0.0", "v1.0.1"], "").await?;
        let mut spec = tenant.spec("busybox", "v1.0.x", "once");
        tenant.apply("once", &spec).await?;
        spec = tenant.spec("busybox", "v1.0.x", "recurrent");
        spec.mode = Mode::Recurrent;
        tenant.apply("recurrent", &spec).await?;
        tenant.ready("once").await?;
        tenant.ready("recurrent").await?;

        let new = source.fill(&path, &["v1.0.1"], "moved").await?;
        assert_ne!(new["v1.0.1"], old["v1.0.1"]);
        tenant.sync("once").await?;
        tenant.sync("recurrent").await?;

        assert_eq!(target.digests(&tenant.path("once")).await?, old);
        let recurrent = target.digests(&tenant.path("recurrent")).await?;
        assert_eq!((&recurrent["v1.0.0"], &recurrent["v1.0.1"]), (&old["v1.0.0"], &new["v1.0.1"]));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_tag_that_is_declared_never_to_move_is_not_asked_for_again() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let source = &tenant.cluster.source;
        let path = tenant.path("busybox");
        source.fill(&path, &["v1.0.0", "v1.0.1"], "").await?;
        let mut spec = tenant.spec("busybox", "v1.0.x", "busybox");
        spec.mode = Mode::Recurrent;
        spec.source.immutable_tags = vec!["v1.0.0".to_owned()];
        tenant.apply("busybox", &spec).await?;
        tenant.ready("busybox").await?;
        let from = source.mark().await?;
        tenant.sync("busybox").await?;
        let asked = source.requests(&path, from, source.mark().await?)?;
        let of = |tag: &str| asked.iter().filter(|request| request.path.ends_with(tag)).count();
        assert!(of("/v1.0.0") == 0 && of("/v1.0.1") > 0, "{asked:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_new_tag_is_copied_alone() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let source = &tenant.cluster.source;
        source.fill(&tenant.path("busybox"), &["v1.0.0", "v1.0.1"], "").await?;
        tenant.apply("busybox", &tenant.spec("busybox", "v1.0.x", "busybox")).await?;
        tenant.ready("busybox").await?;
        source.fill(&tenant.path("busybox"), &["v1.0.2"], "").await?;
        tenant.sync("busybox").await?;
        let tries = Tries::of(tenant).await?;
        assert_eq!((tries.first(), tries.jobs_of_first_tries()?.len()), (3, 2), "each tag once: {tries:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_tag_that_vanished_from_the_destination_comes_back() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let pushed = tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0", "v1.0.1"], "").await?;
        let mut spec = tenant.spec("busybox", "v1.0.x", "busybox");
        spec.mode = Mode::Recurrent;
        tenant.apply("busybox", &spec).await?;
        tenant.ready("busybox").await?;
        tenant.cluster.target.delete(&tenant.path("busybox"), "v1.0.0").await?;
        tenant.sync("busybox").await?;
        assert_eq!(tenant.cluster.target.digests(&tenant.path("busybox")).await?, pushed);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_is_there_already_is_not_copied() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let path = tenant.path("busybox");
        source.fill(&path, &["v1.0.0", "v1.0.1"], "").await?;
        for tag in ["v1.0.0", "v1.0.1"] {
            target.take(&path, tag, source, &path, tag).await?;
        }
        tenant.apply("busybox", &tenant.spec("busybox", "v1.0.x", "busybox")).await?;
        tenant.ready("busybox").await?;
        assert_eq!(tenant.jobs().await?.len(), 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn overwrite_if_missing_keeps_what_is_there() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let path = tenant.path("busybox");
        let pushed = source.fill(&path, &["v1.0.0", "v1.0.1", "other"], "").await?;
        target.take(&path, "v1.0.0", source, &path, "other").await?;
        let mut spec = tenant.spec("busybox", "v1.0.x", "busybox");
        spec.mode = Mode::Recurrent;
        spec.destination.overwrite = Overwrite::IfMissing;
        tenant.apply("busybox", &spec).await?;
        let counts = tenant.ready("busybox").await?.status.unwrap().counts.unwrap();
        assert_eq!((counts.matched, counts.kept, counts.synced), (2, 1, 1));
        let there = target.digests(&path).await?;
        assert_eq!((&there["v1.0.0"], &there["v1.0.1"]), (&pushed["other"], &pushed["v1.0.1"]));

        spec.destination.overwrite = Overwrite::IfDifferent;
        tenant.apply("busybox", &spec).await?;
        tenant.ready("busybox").await?;
        let there = target.digests(&path).await?;
        assert_eq!(there["v1.0.0"], pushed["v1.0.0"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_one_shot_copies_once_and_again_when_its_spec_changes() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let path = tenant.path("busybox");
        let pushed = source.fill(&path, &["v1.0.0", "v1.0.1"], "").await?;
        let mut spec = tenant.spec("busybox", "v1.0.0", "busybox");
        spec.mode = Mode::OneShot;
        spec.destination.version = Some("stable".to_owned());
        tenant.apply("busybox", &spec).await?;
        tenant.ready("busybox").await?;
        assert_eq!(target.digests(&path).await?, [("stable".to_owned(), pushed["v1.0.0"].clone())].into());
        spec.source.version = "v1.0.1".to_owned();
        tenant.apply("busybox", &spec).await?;
        tenant.ready("busybox").await?;
        assert_eq!(target.digests(&path).await?, [("stable".to_owned(), pushed["v1.0.1"].clone())].into());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_digest_is_copied_to_the_tag_that_the_spec_names() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let path = tenant.path("busybox");
        let pushed = tenant.cluster.source.fill(&path, &["v1.0.0"], "").await?;
        let mut spec = tenant.spec("busybox", pushed["v1.0.0"].as_str(), "busybox");
        spec.destination.version = Some("pinned".to_owned());
        spec.mode = Mode::OneShot;
        tenant.apply("busybox", &spec).await?;
        tenant.ready("busybox").await?;
        let there = tenant.cluster.target.digests(&path).await?;
        assert_eq!(there, [("pinned".to_owned(), pushed["v1.0.0"].clone())].into());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn b2_each_side_gets_its_own_credentials_and_its_own_ca() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let environment = &tenant.cluster.environment;
        let others = Supervised::start("registries", vec![environment.host.clone()]).await?;
        let other = environment.with_registries_of(&others.folder)?;
        let (plain, private) = (&tenant.cluster.source, Registry::target(&other)?);
        let path = tenant.path("busybox");
        let pushed = plain.fill(&path, &["v1.0.0", "v1.0.1"], "").await?;
        for tag in pushed.keys() {
            private.take(&path, tag, plain, &path, tag).await?;
        }
        tenant.login("pull", std::fs::read(&other.target_authfile)?).await?;
        tenant.ca("other-ca", std::fs::read(&other.target_ca)?).await?;
        let mut spec = tenant.spec("busybox", "v1.0.x", "busybox");
        spec.source.name = private.repository(&path);
        spec.source.credentials = Some(Credentials { secret_name: "pull".to_owned() });
        spec.source.tls = Tls { mode: TlsMode::Verify, ca_secret_name: Some("other-ca".to_owned()) };
        tenant.apply("busybox", &spec).await?;
        tenant.ready("busybox").await?;
        assert_eq!(tenant.cluster.target.digests(&path).await?, pushed);
        assert_eq!(tenant.leaks(&Canary::of_target(&other)?).await?, Vec::<String>::new());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_suspended_image_waits_until_it_is_resumed() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0"], "").await?;
        let mut spec = tenant.spec("busybox", "v1.0.0", "busybox");
        spec.suspend = true;
        tenant.apply("busybox", &spec).await?;
        tenant
            .until("busybox", "says that it is suspended", |image| reason(image) == Some("Suspended"))
            .await?;
        assert_eq!(tenant.jobs().await?.len(), 0);
        spec.suspend = false;
        tenant.apply("busybox", &spec).await?;
        tenant.ready("busybox").await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn b6_b18_tags_and_names_that_look_alike_do_not_collide() -> anyhow::Result<()> {
    let tags = ["RELEASE.2024-01-01T00-00-00Z", "v1_2021", "v1-2021", "v1.2021", "V1.2021"];
    let copy = async |tenant: &Tenant| -> anyhow::Result<BTreeSet<String>> {
        let pushed = tenant.cluster.source.fill(&tenant.path("busybox"), &tags, &tenant.namespace).await?;
        for (n, tag) in tags.iter().enumerate() {
            let mut spec = tenant.spec("busybox", tag, "busybox");
            spec.mode = Mode::OneShot;
            tenant.apply(&format!("same-name.{n}"), &spec).await?;
        }
        for n in 0..tags.len() {
            tenant.ready(&format!("same-name.{n}")).await?;
        }
        assert_eq!(tenant.cluster.target.digests(&tenant.path("busybox")).await?, pushed);
        Tries::of(tenant).await?.jobs_of_first_tries()
    };
    with_tenant(async |one| {
        let names = copy(one).await?;
        with_tenant(async |two| {
            let (one, two) = (names, copy(two).await?);
            assert_eq!((one.len(), two.len()), (tags.len(), tags.len()), "{one:?} {two:?}");
            assert!(one.is_disjoint(&two), "{one:?} {two:?}");
            Ok(())
        })
        .await
    })
    .await
}

fn reason(image: &Image) -> Option<&str> {
    image.status.as_ref()?.conditions.iter().find(|c| c.type_ == "Ready").map(|c| c.reason.as_str())
}
