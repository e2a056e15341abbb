//! Two Images that mean the same tag of the same destination.

use imgop_core::api::{Image, Mode};
use imgop_tests::tenant::with_tenant;
use imgop_tests::wait::another_second;
use kube::api::DeleteParams;

#[tokio::test]
async fn a_tag_belongs_to_the_older_image_until_that_is_gone() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let first = source.fill(&tenant.path("one"), &["v1.0.0"], "one").await?;
        let second = source.fill(&tenant.path("two"), &["v1.0.0", "v1.0.1"], "two").await?;
        let spec = |from: &str, version: &str| {
            let mut spec = tenant.spec(from, version, "shared");
            spec.mode = Mode::Recurrent;
            spec.frequency = "10s".to_owned();
            spec
        };
        tenant.apply("older", &spec("one", "v1.0.0")).await?;
        tenant.ready("older").await?;
        another_second().await;
        tenant.apply("younger", &spec("two", "v1.0.x")).await?;
        let (reason, message) = tenant.stalled("younger").await?;
        assert_eq!(reason, "DestinationConflict", "{message}");
        assert!(message.contains("\"older\"") && message.contains("shared:v1.0.0"), "{message}");

        // The preview says so too, of the Image that is there and of one that is yet to come.
        let page = tenant.kubectl.imgop(["preview", "younger"]).await?.ok()?;
        assert!(page.contains("differs (conflict)") && page.contains("1 owned by an older Image"), "{page}");
        assert!(page.contains("belongs to Image \"older\""), "{page}");
        let json = tenant.kubectl.imgop(["preview", "younger", "-o", "json"]).await?.ok()?;
        let json: serde_json::Value = serde_json::from_str(&json)?;
        let conflicts =
            json["tags"].as_array().into_iter().flatten().filter(|tag| tag["conflict"].is_string());
        assert_eq!(conflicts.map(|tag| &tag["tag"]).collect::<Vec<_>>(), ["v1.0.0"]);
        let file = tempfile::NamedTempFile::new()?;
        let image = Image::new("to-come", spec("two", "v1.0.0"));
        std::fs::write(file.path(), serde_json::to_vec(&image)?)?;
        let path = file.path().display().to_string();
        let to_come = tenant.kubectl.imgop(["preview", "-f", &path, "--exit-code"]).await?;
        assert!(to_come.stdout.contains("(conflict)"), "{to_come:?}");
        assert_eq!(to_come.code, Some(2), "{to_come:?}");

        // Both are synced again, the younger twice, and the tag that no other Image selects is there.
        for _ in 0..2 {
            tenant.kubectl.imgop(["sync", "younger"]).await?.failed()?;
        }
        tenant.sync("older").await?;
        tenant.ready("older").await?;
        let at_target = target.digests(&tenant.path("shared")).await?;
        assert_eq!(at_target["v1.0.0"], first["v1.0.0"]);
        assert_eq!(at_target["v1.0.1"], second["v1.0.1"]);
        let copied: Vec<String> = tenant.copies().await?.into_iter().map(|copy| copy.source).collect();
        assert_eq!(copied.iter().filter(|tag| *tag == "v1.0.0").count(), 1, "{copied:?}");

        tenant.images().delete("older", &DeleteParams::default()).await?;
        tenant.sync("younger").await?;
        tenant.ready("younger").await?;
        assert_eq!(target.digests(&tenant.path("shared")).await?, second);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn who_never_wrote_a_tag_keeps_it_from_no_other_namespace() -> anyhow::Result<()> {
    with_tenant(async |one| {
        with_tenant(async |two| {
            let (source, target) = (&two.cluster.source, &two.cluster.target);
            let pushed = source.fill(&two.path("busybox"), &["v1.0.0"], "two").await?;
            // Older, means every tag of the other's destination, and has none to write there.
            let mut greedy = one.spec("nothing-there", ">=0", "unused");
            greedy.destination.name = target.repository(&two.path("busybox"));
            one.apply("greedy", &greedy).await?;
            one.settled("greedy").await?;
            another_second().await;
            two.apply("busybox", &two.spec("busybox", "v1.0.0", "busybox")).await?;
            two.ready("busybox").await?;
            assert_eq!(target.digests(&two.path("busybox")).await?, pushed);
            Ok(())
        })
        .await
    })
    .await
}
