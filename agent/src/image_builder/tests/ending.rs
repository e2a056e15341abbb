//! Builds from their beginning to their end.

use std::time::Duration;

use imgop_core::api::{
    Architecture, BuildReason, BuildResult, CANCEL_REQUESTED_AT_ANNOTATION, REQUESTED_AT_ANNOTATION,
};
use imgop_core::build::BuildFailure;

use super::stage::Stage;

#[tokio::test]
async fn b12_one_platform_is_built_and_gets_the_plain_tag() {
    let mut stage = Stage::new(|_, _| ()).await;
    let begun = stage.pass().await;
    assert_eq!(
        begun.build.as_ref().map(|build| (build.number, build.reason)),
        Some((1, BuildReason::Created))
    );
    assert!(stage.jobs().is_empty(), "the status has the build before anything is made for it");
    stage.pass().await;
    assert_eq!(stage.parts(), ["1 linux/amd64 1"]);
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well(0, &digest);
    let status = stage.pass().await;
    assert_eq!(stage.ready().0, "Succeeded", "{}", stage.ready().1);
    let image = status.image.unwrap();
    assert_eq!((image.digest.as_str(), image.tags), (digest.as_str(), vec!["v1".to_owned()]));
    assert!(status.pushed && status.build.is_none());
    assert_eq!(status.history.len(), 1);
    let put: Vec<String> =
        stage.registry.requests().into_iter().filter(|line| line.starts_with("PUT")).collect();
    assert_eq!(put, ["PUT /v2/app/manifests/v1"], "no other tag, and no index");
}

#[tokio::test]
async fn a_build_is_judged_by_its_own_containers_and_a_job_that_another_keeps_from_ending_is_deleted() {
    let mut stage = Stage::new(|_, _| ()).await;
    stage.passes(2).await;
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well_beside_another(0, &digest);
    stage.pass().await;
    assert_eq!(stage.ready().0, "Succeeded", "{}", stage.ready().1);
    let is_deleted = |stage: &Stage| {
        stage.api.requests().iter().any(|line| line.starts_with("DELETE") && line.contains("/jobs/"))
    };
    let soon = Some(Duration::from_secs(15));
    assert!(!is_deleted(&stage) && stage.next == soon, "its pod may be about to end: {:?}", stage.next);
    stage.now += Duration::from_mins(1);
    stage.pass().await;
    assert!(is_deleted(&stage));
    assert_eq!(stage.parts().len(), 1, "nothing is built again");
}

#[tokio::test]
async fn nothing_is_asked_and_nothing_is_written_where_nothing_is_due() {
    let mut stage = Box::pin(Stage::succeeded()).await;
    let (asked, status) = (stage.registry.requests().len(), stage.builder.status.clone());
    let written = stage.api.requests().len();
    for _ in 0..5 {
        stage.now += Duration::from_mins(10);
        stage.pass().await;
    }
    assert_eq!(stage.registry.requests().len(), asked);
    assert_eq!(stage.builder.status, status);
    assert_eq!(stage.api.requests().len(), written, "not even a read");
}

#[tokio::test]
async fn one_platform_that_fails_leaves_the_tag_alone_and_is_retried_alone() {
    let mut stage = Stage::new(|spec, _| spec.architecture = Some(Architecture::Both)).await;
    stage.passes(2).await;
    assert_eq!(stage.parts(), ["1 linux/amd64 1", "1 linux/arm64 1"]);
    let amd64 = stage.pushed("linux/amd64", "1");
    stage.end_well(0, &amd64);
    stage.pass().await;
    stage.end_badly(1, BuildFailure::StepFailed);
    let status = stage.pass().await;
    assert_eq!(stage.ready().0, "StepFailed");
    assert_eq!(status.history[0].result, BuildResult::Failed);
    assert!(!stage.registry.requests().iter().any(|line| line.starts_with("PUT")), "no index and no tag");

    stage.annotate(REQUESTED_AT_ANNOTATION, "again");
    stage.passes(2).await;
    assert_eq!(stage.parts()[2..], ["2 linux/arm64 1"], "what is built stays built");
    let arm64 = stage.pushed("linux/arm64", "1");
    stage.end_well(2, &arm64);
    let status = stage.pass().await;
    assert_eq!(stage.ready().0, "Succeeded", "{}", stage.ready().1);
    let index = stage.registry.manifest("app", "v1").unwrap();
    assert!(index.contains(amd64.as_str()) && index.contains(arm64.as_str()));
    assert_eq!(status.last_handled_requested_at.as_deref(), Some("again"));
    let put: Vec<String> =
        stage.registry.requests().into_iter().filter(|line| line.starts_with("PUT")).collect();
    assert_eq!(put.len(), 2, "the index by its digest, and then the tag: {put:?}");
    assert!(put[0].contains("sha256:") && put[1].ends_with("/v1"));
}

#[tokio::test]
async fn a_build_that_is_cancelled_ends_its_jobs_and_sets_no_tag() {
    let mut stage = Stage::new(|_, _| ()).await;
    stage.passes(2).await;
    stage.annotate(CANCEL_REQUESTED_AT_ANNOTATION, "now");
    let status = stage.pass().await;
    assert_eq!(stage.ready().0, "Cancelled");
    assert_eq!(status.history[0].result, BuildResult::Cancelled);
    assert_eq!(status.last_handled_cancel_requested_at.as_deref(), Some("now"));
    assert!(stage.api.requests().iter().any(|line| line.starts_with("DELETE") && line.contains("/jobs/")));
    stage.passes(3).await;
    assert_eq!(stage.jobs().len(), 1, "no retry");
    stage.annotate(REQUESTED_AT_ANNOTATION, "build");
    stage.passes(2).await;
    assert_eq!(stage.parts()[1..], ["2 linux/amd64 1"]);
}

#[tokio::test]
async fn a_build_that_is_cancelled_before_it_has_a_job_gets_none_and_cancelling_again_changes_nothing() {
    let mut stage = Stage::new(|_, _| ()).await;
    stage.pass().await;
    stage.annotate(CANCEL_REQUESTED_AT_ANNOTATION, "now");
    stage.pass().await;
    stage.annotate(CANCEL_REQUESTED_AT_ANNOTATION, "again");
    let status = stage.passes(2).await;
    let results: Vec<BuildResult> = status.history.iter().map(|build| build.result).collect();
    assert_eq!((stage.ready().0.as_str(), results), ("Cancelled", vec![BuildResult::Cancelled]));
    assert_eq!(status.last_handled_cancel_requested_at.as_deref(), Some("again"));
    assert!(stage.jobs().is_empty());
}

#[tokio::test]
async fn a_build_that_is_cancelled_while_it_pushes_sets_no_tag_though_its_push_ends_well() {
    for is_restarted in [false, true] {
        let mut stage = Stage::new(|_, _| ()).await;
        stage.passes(2).await;
        let digest = stage.pushed("linux/amd64", "1");
        stage.end_well(0, &digest);
        stage.annotate(CANCEL_REQUESTED_AT_ANNOTATION, "now");
        if is_restarted {
            stage.restart();
        }
        let status = stage.passes(3).await;
        let results: Vec<BuildResult> = status.history.iter().map(|build| build.result).collect();
        assert_eq!((stage.ready().0.as_str(), results), ("Cancelled", vec![BuildResult::Cancelled]));
        assert!(stage.registry.manifest("app", "v1").is_none());
        assert_eq!(stage.jobs().len(), 1, "no retry");
    }
}

#[tokio::test]
async fn a_build_that_is_cancelled_while_no_agent_runs_ends_when_one_does() {
    let mut stage = Stage::new(|_, _| ()).await;
    stage.passes(2).await;
    stage.annotate(CANCEL_REQUESTED_AT_ANNOTATION, "now");
    stage.restart();
    stage.pass().await;
    assert_eq!(stage.ready().0, "Cancelled");
    assert!(stage.api.requests().iter().any(|line| line.starts_with("DELETE") && line.contains("/jobs/")));
}

#[tokio::test]
async fn a_changed_spec_takes_the_place_of_the_running_build() {
    let mut stage = Stage::new(|_, _| ()).await;
    stage.passes(2).await;
    stage.edit(|spec| spec.source = Some("FROM scratch\nLABEL a=c\n".into()));
    let status = stage.pass().await;
    assert_eq!(status.history[0].result, BuildResult::Superseded);
    assert_eq!(status.build.map(|build| (build.number, build.reason)), Some((2, BuildReason::SpecChanged)));
    stage.pass().await;
    assert_eq!(stage.parts(), ["1 linux/amd64 1", "2 linux/amd64 1"]);
    assert!(stage.api.requests().iter().any(|line| line.starts_with("DELETE") && line.contains("/jobs/")));
}

#[tokio::test]
async fn an_edit_that_changes_nothing_of_the_image_is_observed_and_builds_nothing() {
    let mut stage = Box::pin(Stage::succeeded()).await;
    stage.edit(|spec| (spec.timeout, spec.retries) = ("2h".into(), 3));
    let status = stage.pass().await;
    assert_eq!(status.observed_generation, Some(2));
    assert_eq!((stage.ready().0.as_str(), stage.jobs().len()), ("Succeeded", 1));
}

#[tokio::test]
async fn an_older_build_never_takes_the_tags_of_one_that_another_process_has_begun() {
    let mut stage = Stage::new(|_, _| ()).await;
    stage.passes(2).await;
    let live = serde_json::to_value(&stage.builder).unwrap();
    let (mut newer, mut another, mut unreadable) = (live.clone(), live.clone(), live);
    newer["status"]["build"]["number"] = 2.into();
    another["metadata"]["uid"] = "another".into();
    unreadable["status"]["build"]["number"] = "x".into();
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well(0, &digest);
    stage.is_live = false;
    for live in [vec![newer], vec![another], Vec::new()] {
        stage.api.hold_list("imagebuilders", live);
        stage.pass().await;
        assert!(stage.registry.manifest("app", "v1").is_none());
    }
    stage.api.hold_list("imagebuilders", vec![unreadable]);
    assert!(stage.try_pass().await.is_err());
    stage.api.fail_with("GET", "/imagebuilders", 500, "etcdserver: request timed out");
    assert!(stage.try_pass().await.is_err(), "nothing is known of the newest build");
    assert!(stage.registry.manifest("app", "v1").is_none());
}

#[tokio::test]
async fn a_restart_at_any_moment_repeats_nothing() {
    let mut stage = Stage::new(|_, _| ()).await;
    for _ in 0..3 {
        stage.restart();
        stage.pass().await;
    }
    assert_eq!(stage.parts(), ["1 linux/amd64 1"], "one build and one Job");
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well(0, &digest);
    for _ in 0..2 {
        stage.restart();
        stage.pass().await;
    }
    assert_eq!(stage.ready().0, "Succeeded");
    assert_eq!(stage.builder.status.as_ref().unwrap().history.len(), 1);
}

#[tokio::test]
async fn a_manifest_of_another_platform_gets_no_tag() {
    let mut stage = Stage::new(|_, _| ()).await;
    stage.passes(2).await;
    let other = stage.pushed("linux/arm64", "1");
    stage.end_well(0, &other);
    stage.pass().await;
    assert_eq!(stage.ready().0, "VerificationFailed");
    assert!(stage.registry.manifest("app", "v1").is_none());
}

#[tokio::test]
async fn what_is_suspended_finishes_what_runs_and_begins_nothing() {
    let mut stage = Stage::new(|_, _| ()).await;
    stage.passes(2).await;
    stage.edit(|spec| spec.suspend = true);
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well(0, &digest);
    stage.passes(2).await;
    assert!(stage.registry.manifest("app", "v1").is_some());
    stage.edit(|spec| spec.source = Some("FROM scratch\nLABEL a=c\n".into()));
    stage.pass().await;
    assert_eq!(stage.ready().0, "Suspended");
    assert_eq!(stage.jobs().len(), 1);
}
