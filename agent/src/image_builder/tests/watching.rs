//! Builds that begin by themselves.

use std::time::Duration;

use imgop_core::api::{BuildReason, RebuildOn};

use super::stage::Stage;

const BASE: &str = r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","size":1,"platform":{"os":"linux","architecture":"amd64"}}]}"#;

fn moves_base(stage: &Stage, content: &str) {
    let text = BASE.replace("\"schemaVersion\":2", &format!("\"schemaVersion\":2,\"x\":\"{content}\""));
    stage.registry.hold_manifest("base", "1", &text);
    stage.registry.hold_content("base", &text);
}

/// A build on a base image that has succeeded.
async fn on_a_base(watched: Vec<RebuildOn>) -> Stage {
    let mut stage = Stage::new(|spec, host| {
        spec.source = Some(format!("FROM {host}/base:1\n"));
        spec.rebuild_on = watched;
        (spec.frequency, spec.min_interval) = ("1m".into(), "10s".into());
    })
    .await;
    moves_base(&stage, "1");
    stage.passes(2).await;
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well(0, &digest);
    stage.pass().await;
    assert_eq!(stage.ready().0, "Succeeded", "{}", stage.ready().1);
    stage
}

#[tokio::test(start_paused = false)]
async fn a_moved_base_is_rebuilt_exactly_once_with_both_digests() {
    let mut stage = on_a_base(vec![RebuildOn::BaseImage]).await;
    moves_base(&stage, "2");
    // Answers of the registry are as old as the period by the clock of the process, which is not the test's.
    stage.builders.bases = crate::image_builder::base_images::BaseImages::default();
    stage.now += Duration::from_mins(2);
    let status = stage.pass().await;
    let build = status.build.unwrap();
    assert_eq!((build.number, build.reason), (2, BuildReason::BaseImageMoved));
    assert!(build.changes.unwrap().contains(" → "));
    stage.pass().await;
    let digest = stage.pushed("linux/amd64", "2");
    stage.end_well(1, &digest);
    stage.pass().await;
    for _ in 0..3 {
        stage.now += Duration::from_mins(2);
        stage.pass().await;
    }
    assert_eq!(stage.parts().len(), 2, "exactly once");
}

#[tokio::test]
async fn what_is_not_watched_builds_nothing() {
    let mut stage = on_a_base(Vec::new()).await;
    moves_base(&stage, "2");
    stage.builders.bases = crate::image_builder::base_images::BaseImages::default();
    let asked = stage.registry.requests().len();
    stage.now += Duration::from_hours(3);
    stage.pass().await;
    assert_eq!((stage.parts().len(), stage.registry.requests().len()), (1, asked));
}

#[tokio::test]
async fn a_base_that_cannot_be_asked_for_leaves_the_image_as_it_is() {
    let mut stage = on_a_base(vec![RebuildOn::BaseImage]).await;
    stage.builders.bases = crate::image_builder::base_images::BaseImages::default();
    stage.registry.refuse_one("/v2/base/manifests/1", 500);
    stage.now += Duration::from_mins(2);
    let status = stage.pass().await;
    assert_eq!(stage.ready().0, "Succeeded", "the image is as good as before");
    assert!(status.warnings[0].starts_with("rebuildOn: "), "{:?}", status.warnings);
    assert_eq!(stage.parts().len(), 1);
}

#[tokio::test]
async fn an_image_that_the_registry_lost_is_built_again() {
    let mut stage = on_a_base(Vec::new()).await;
    let digest = stage.builder.status.as_ref().unwrap().image.as_ref().unwrap().digest.clone();
    stage.registry.hide(&format!("/v2/app/manifests/{digest}"), 1);
    stage.now += Duration::from_hours(25);
    let status = stage.pass().await;
    assert_eq!(status.build.map(|build| build.reason), Some(BuildReason::TagLost));
}
