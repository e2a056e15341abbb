//! Builds that begin by themselves.

use std::time::Duration;

use imgop_core::api::{BuildReason, RebuildOn};

use super::stage::Stage;

const BASE: &str = r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","size":1,"platform":{"os":"linux","architecture":"amd64"}}]}"#;

/// The tag of the base image shows this content.
pub fn moves_base(stage: &Stage, content: &str) {
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
    stage.succeeds().await;
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
async fn a_key_that_another_version_of_the_agent_wrote_silences_nothing_and_ends_no_job() {
    let mut stage = on_a_base(vec![RebuildOn::BaseImage]).await;
    let other = imgop_registry::reference::Digest::of(b"as an earlier agent wrote it").to_string();
    stage.builder.status.as_mut().unwrap().key = Some(other.clone());
    stage.restart();
    moves_base(&stage, "2");
    stage.builders.bases = crate::image_builder::base_images::BaseImages::default();
    stage.now += Duration::from_mins(2);
    let status = stage.passes(2).await;
    assert_eq!(status.build.map(|build| build.reason), Some(BuildReason::BaseImageMoved));
    stage.builder.status.as_mut().unwrap().key = Some(other.clone());
    stage.is_of_key(1, &other);
    stage.passes(2).await;
    assert_eq!((stage.deleted(), stage.parts().len()), (0, 2));
}

#[tokio::test]
async fn what_keeps_the_next_build_from_beginning_is_not_reported_in_the_place_of_the_one_that_runs() {
    let mut stage = Stage::new(|spec, host| {
        spec.source = Some(format!("FROM {host}/base:1\n"));
        spec.rebuild_on = vec![RebuildOn::BaseImage];
        spec.image.credentials = Some(imgop_core::api::Credentials { secret_name: "push".into() });
        (spec.frequency, spec.min_interval) = ("1m".into(), "10s".into());
    })
    .await;
    moves_base(&stage, "1");
    let host = format!("127.0.0.1:{}", stage.registry.address.port());
    stage.hold_docker_config("push", &[&host], "u");
    stage.passes(2).await;
    moves_base(&stage, "2");
    stage.builders.bases = crate::image_builder::base_images::BaseImages::default();
    stage.api.fail_with("GET", "/secrets/push", 404, "not found");
    // What was read a moment ago would do.
    stage.restart();
    stage.now += Duration::from_mins(2);
    for _ in 0..4 {
        let status = stage.pass().await;
        assert_eq!(status.build.map(|build| build.number), Some(1));
        assert_eq!(stage.ready().0, "Progressing", "{}", stage.ready().1);
        stage.now += Duration::from_secs(20);
    }
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
    let between = stage.pass().await;
    assert_eq!(between.warnings, status.warnings, "until the next check");
    stage.registry.refuse_nothing();
    stage.builders.bases = crate::image_builder::base_images::BaseImages::default();
    stage.now += Duration::from_mins(2);
    assert_eq!(stage.pass().await.warnings, Vec::<String>::new());
    assert_eq!(stage.parts().len(), 1);
}

#[tokio::test]
async fn an_image_that_the_registry_lost_is_built_again() {
    let mut stage = on_a_base(Vec::new()).await;
    let digest = stage.builder.status.as_ref().unwrap().image.as_ref().unwrap().digest.clone();
    stage.registry.hide("/v2/app/manifests/v1", 1);
    stage.registry.hide(&format!("/v2/app/manifests/{digest}"), 1);
    stage.now += Duration::from_hours(25);
    let status = stage.pass().await;
    assert_eq!(status.build.map(|build| build.reason), Some(BuildReason::TagLost));
    stage.passes(2).await;
    assert_eq!(stage.parts(), ["1 linux/amd64 1", "2 linux/amd64 2"]);
}

#[tokio::test]
async fn a_tag_that_was_deleted_or_moved_is_set_again_without_a_pod() {
    for other in [None, Some("{}")] {
        let mut stage = on_a_base(Vec::new()).await;
        let image = stage.registry.manifest("app", "v1");
        match other {
            None => stage.registry.hide("/v2/app/manifests/v1", 2),
            Some(other) => stage.registry.hold_manifest("app", "v1", other),
        }
        stage.now += Duration::from_hours(25);
        stage.passes(2).await;
        assert_eq!(stage.ready().0, "Succeeded", "{}", stage.ready().1);
        assert_eq!((stage.parts().len(), stage.registry.manifest("app", "v1")), (1, image));
        assert_eq!(stage.builder.status.as_ref().unwrap().history.len(), 2);
    }
}

#[tokio::test]
async fn the_tags_of_all_are_not_looked_up_with_the_first_check_after_a_restart_but_within_a_day() {
    let mut stage = on_a_base(vec![RebuildOn::BaseImage]).await;
    stage.restart();
    stage.registry.hide("/v2/app/manifests/v1", 1);
    stage.now += Duration::from_mins(2);
    assert!(stage.pass().await.build.is_none());
    stage.now += Duration::from_hours(24);
    let status = stage.pass().await;
    assert_eq!(status.build.map(|build| build.reason), Some(BuildReason::TagLost));
}

#[tokio::test]
async fn a_lost_tag_stays_lost_until_a_build_can_begin() {
    let mut stage = on_a_base(Vec::new()).await;
    stage.registry.hide("/v2/app/manifests/v1", 3);
    stage.registry.refuse_one("/v2/app/blobs/uploads/", 503);
    stage.now += Duration::from_hours(25);
    for _ in 0..2 {
        stage.pass().await;
        assert_eq!(stage.ready().0, "RegistryUnreachable", "{}", stage.ready().1);
    }
    stage.registry.refuse_nothing();
    stage.now += Duration::from_mins(2);
    let status = stage.pass().await;
    assert_eq!(status.build.map(|build| build.reason), Some(BuildReason::TagLost));
}

#[tokio::test]
async fn what_is_watched_is_checked_every_frequency_after_a_failure_too() {
    let mut stage = on_a_base(vec![RebuildOn::BaseImage]).await;
    stage.edit(|spec| spec.image.labels = [("a".into(), "b".into())].into());
    stage.passes(2).await;
    stage.end_badly(1, imgop_core::build::BuildFailure::StepFailed);
    stage.pass().await;
    assert_eq!(stage.ready().0, "StepFailed");
    moves_base(&stage, "2");
    stage.builders.bases = crate::image_builder::base_images::BaseImages::default();
    stage.now += Duration::from_mins(2);
    let status = stage.pass().await;
    assert_eq!(status.build.map(|build| build.reason), Some(BuildReason::BaseImageMoved));
}
