//! Builds that a user asks for, and those that a user waits for.

use std::time::Duration;

use imgop_core::api::{
    BuildReason, BuildResult, CANCEL_REQUESTED_AT_ANNOTATION, ConcurrencyPolicy, REQUESTED_AT_ANNOTATION,
    RESET_ANNOTATION,
};
use imgop_core::build::BuildFailure;

use super::stage::Stage;
use super::watching::moves_base;

#[tokio::test]
async fn a_limit_that_is_raised_as_the_message_says_is_another_build() {
    for failure in [BuildFailure::OutOfMemory, BuildFailure::TimedOut, BuildFailure::StepFailed] {
        let mut stage = Stage::running().await;
        stage.end_badly(0, failure);
        stage.passes(2).await;
        assert_eq!((stage.ready().0.as_str(), stage.jobs().len()), (failure.as_str(), 1));
        stage.edit(|spec| spec.timeout = "3h".into());
        stage.passes(2).await;
        assert_eq!(stage.parts(), ["1 linux/amd64 1", "2 linux/amd64 1"], "{failure:?}");
    }
}

#[tokio::test]
async fn a_requested_build_begins_when_the_registry_answers_again() {
    let mut stage = Box::pin(Stage::succeeded()).await;
    stage.registry.refuse_one("/v2/app/blobs/uploads/", 503);
    stage.annotate(REQUESTED_AT_ANNOTATION, "one");
    for _ in 0..3 {
        let status = stage.pass().await;
        assert_eq!(stage.ready().0, "RegistryUnreachable", "{}", stage.ready().1);
        assert_eq!(status.last_handled_requested_at.as_deref(), Some("one"));
    }
    stage.registry.refuse_nothing();
    stage.restart();
    stage.now += Duration::from_mins(2);
    let status = stage.pass().await;
    assert_eq!(status.build.map(|build| build.reason), Some(BuildReason::Requested));
    assert!(!status.request_pending);
}

#[tokio::test]
async fn a_request_beside_one_to_cancel_is_for_the_build_after_it() {
    let mut stage = Stage::running().await;
    stage.annotate(CANCEL_REQUESTED_AT_ANNOTATION, "now");
    stage.annotate(REQUESTED_AT_ANNOTATION, "again");
    let status = stage.pass().await;
    assert_eq!((stage.ready().0.as_str(), status.last_handled_requested_at), ("Cancelled", None));
    let status = stage.pass().await;
    assert_eq!(status.build.map(|build| (build.number, build.reason)), Some((2, BuildReason::Requested)));
}

#[tokio::test]
async fn a_build_is_cancelled_though_its_spec_is_invalid_by_now() {
    let mut stage = Stage::running().await;
    stage.edit(|spec| spec.timeout = "never".into());
    stage.annotate(CANCEL_REQUESTED_AT_ANNOTATION, "now");
    let status = stage.pass().await;
    assert_eq!(status.history.last().map(|build| build.result), Some(BuildResult::Cancelled));
}

#[tokio::test]
async fn a_request_during_a_build_is_that_build() {
    let mut stage = Stage::running().await;
    stage.annotate(REQUESTED_AT_ANNOTATION, "one");
    let status = stage.pass().await;
    assert_eq!(status.last_handled_requested_at.as_deref(), Some("one"));
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well(0, &digest);
    stage.now += Duration::from_secs(10);
    let status = stage.passes(3).await;
    assert_eq!((status.history.len(), stage.jobs().len()), (1, 1), "never twice for one reason");
}

#[tokio::test]
async fn a_request_during_a_build_of_something_older_is_another_build() {
    let mut stage = Stage::new(|spec, host| spec.source = Some(format!("FROM {host}/base:1\n"))).await;
    moves_base(&stage, "1");
    stage.passes(2).await;
    moves_base(&stage, "2");
    // Answers of the registry are as old as they are by the clock of the process, which is not the test's.
    stage.builders.bases = crate::image_builder::base_images::BaseImages::default();
    stage.pass().await;
    assert_eq!(stage.parts().len(), 1, "rebuildOn names nothing");
    stage.annotate(REQUESTED_AT_ANNOTATION, "one");
    let status = stage.pass().await;
    let build = status.build.unwrap();
    assert_eq!((build.number, build.reason), (2, BuildReason::Requested));
    assert!(build.changes.unwrap().contains(" → "));
}

#[tokio::test]
async fn a_request_during_a_build_that_cannot_be_compared_is_the_next_build() {
    let mut stage = Stage::new(|spec, host| {
        let image = serde_json::json!({ "image": { "name": format!("{host}/files:1"), "tls": { "mode": "PlainHTTP" } } });
        (spec.source, spec.context) = (None, Some(serde_json::from_value(image).unwrap()));
    })
    .await;
    stage.registry.hold_manifest("files", "1", "{}");
    stage.passes(2).await;
    stage.annotate(REQUESTED_AT_ANNOTATION, "one");
    let status = stage.passes(2).await;
    assert!(status.request_pending, "its pod alone knows the Dockerfile, and has not reported it yet");
    assert_eq!((status.last_handled_requested_at.as_deref(), stage.jobs().len()), (Some("one"), 1));
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well(0, &digest);
    let status = stage.passes(2).await;
    assert_eq!(status.build.map(|build| (build.number, build.reason)), Some((2, BuildReason::Requested)));
    assert!(!status.request_pending);
}

#[tokio::test]
async fn a_request_while_builds_are_suspended_is_kept() {
    let mut stage = Stage::running().await;
    stage.end_badly(0, BuildFailure::BaseImageNotFound);
    stage.pass().await;
    stage.edit(|spec| spec.suspend = true);
    stage.annotate(REQUESTED_AT_ANNOTATION, "one");
    let status = stage.passes(2).await;
    assert!(status.request_pending && stage.jobs().len() == 1);
    stage.edit(|spec| spec.suspend = false);
    stage.passes(2).await;
    assert_eq!(stage.parts(), ["1 linux/amd64 1", "2 linux/amd64 1"]);
}

#[tokio::test]
async fn what_waits_for_another_try_gives_way_to_what_is_asked_for() {
    for policy in [ConcurrencyPolicy::Replace, ConcurrencyPolicy::Forbid] {
        let mut stage = Stage::new(|spec, _| spec.concurrency_policy = policy).await;
        stage.passes(2).await;
        stage.end_badly(0, BuildFailure::BaseImageNotFound);
        stage.passes(2).await;
        assert_eq!((stage.ready().0.as_str(), stage.jobs().len()), ("BaseImageNotFound", 1));
        stage.annotate(REQUESTED_AT_ANNOTATION, "fixed");
        stage.passes(2).await;
        assert_eq!(stage.parts(), ["1 linux/amd64 1", "2 linux/amd64 1"], "{policy:?}");
    }
}

#[tokio::test]
async fn a_request_that_cannot_begin_leaves_the_waiting_build_and_asks_the_registry_seldom() {
    let mut stage = Stage::running().await;
    stage.end_badly(0, BuildFailure::BaseImageNotFound);
    stage.passes(2).await;
    stage.registry.refuse_one("/v2/app/blobs/uploads/", 503);
    stage.annotate(REQUESTED_AT_ANNOTATION, "fixed");
    let status = stage.pass().await;
    assert!(status.request_pending && status.build.is_some());
    let asked = stage.registry.requests().len();
    stage.passes(5).await;
    assert_eq!(stage.registry.requests().len(), asked);
    stage.registry.refuse_nothing();
    stage.now += Duration::from_mins(2);
    stage.passes(2).await;
    assert_eq!(stage.parts(), ["1 linux/amd64 1", "2 linux/amd64 1"]);
}

#[tokio::test]
async fn what_is_suspended_is_not_tried_again() {
    let mut stage = Stage::running().await;
    stage.end_badly(0, BuildFailure::PushFailed);
    stage.pass().await;
    stage.edit(|spec| spec.suspend = true);
    stage.now += Duration::from_mins(5);
    stage.passes(2).await;
    assert_eq!(stage.jobs().len(), 1);
    assert!(stage.ready().1.ends_with("spec.suspend is set"), "{}", stage.ready().1);
    stage.edit(|spec| spec.suspend = false);
    stage.pass().await;
    assert_eq!(stage.parts(), ["1 linux/amd64 1", "1 linux/amd64 2"]);
}

#[tokio::test]
async fn a_spec_that_was_taken_back_after_its_build_had_ended_is_built() {
    let mut stage = Stage::new(|spec, _| spec.concurrency_policy = ConcurrencyPolicy::Forbid).await;
    stage.passes(2).await;
    let source = stage.builder.spec.source.clone();
    stage.edit(|spec| spec.source = Some("FROM scratch\nLABEL a=c\n".into()));
    stage.pass().await;
    let digest = stage.pushed("linux/amd64", "1");
    stage.end_well(0, &digest);
    let status = stage.pass().await;
    assert_eq!(status.history[0].result, BuildResult::Superseded);
    stage.edit(|spec| spec.source = source);
    stage.passes(2).await;
    assert_eq!(stage.ready().0, "Succeeded", "{}", stage.ready().1);
}

#[tokio::test]
async fn a_secret_that_was_corrected_while_no_agent_ran_is_another_try() {
    let path = "/api/v1/namespaces/team-a/secrets/build";
    let secret = |version: &str| serde_json::json!({ "metadata": { "name": "build", "resourceVersion": version }, "data": { "token": "eA==" } });
    let secrets = serde_json::json!([{ "id": "token", "secretName": "build" }]);
    let mut stage = Stage::new(|spec, _| spec.secrets = serde_json::from_value(secrets).unwrap()).await;
    stage.api.hold(path, secret("1"));
    stage.passes(2).await;
    stage.end_badly(0, BuildFailure::RegistryUnauthorized);
    stage.pass().await;
    stage.restart();
    stage.pass().await;
    assert_eq!((stage.ready().0.as_str(), stage.jobs().len()), ("RegistryUnauthorized", 1));
    stage.api.hold(path, secret("2"));
    stage.restart();
    let status = stage.pass().await;
    assert_eq!(status.build.map(|build| build.reason), Some(BuildReason::Retry));
}

#[tokio::test]
async fn a_reset_builds_again_what_failed_once_and_leaves_a_good_image_alone() {
    let mut stage = Stage::running().await;
    stage.end_badly(0, BuildFailure::OutOfMemory);
    stage.passes(2).await;
    assert_eq!((stage.ready().0.as_str(), stage.parts().len()), ("OutOfMemory", 1));
    stage.annotate(RESET_ANNOTATION, "now");
    let status = stage.pass().await;
    assert_eq!(status.build.map(|build| (build.number, build.reason)), Some((2, BuildReason::Retry)));
    assert_eq!(status.last_handled_reset.as_deref(), Some("now"));
    stage.restart();
    stage.pass().await;
    assert_eq!(stage.parts(), ["1 linux/amd64 1", "2 linux/amd64 1"]);
    stage.end_badly(1, BuildFailure::OutOfMemory);
    stage.passes(3).await;
    assert_eq!(stage.parts().len(), 2, "it was acted on");

    let mut good = Box::pin(Stage::succeeded()).await;
    good.annotate(RESET_ANNOTATION, "now");
    let status = good.pass().await;
    assert_eq!((status.build, status.last_handled_reset.as_deref()), (None, Some("now")));
}

#[tokio::test]
async fn a_reset_ends_the_pause_of_a_running_build() {
    let mut stage = Stage::running().await;
    stage.end_badly(0, BuildFailure::PushFailed);
    stage.pass().await;
    assert_eq!(stage.parts().len(), 1, "it waits for its next try");
    stage.edit(|spec| spec.suspend = true);
    stage.annotate(RESET_ANNOTATION, "now");
    assert_eq!(stage.pass().await.last_handled_reset, None, "nothing is tried again while it is suspended");
    stage.edit(|spec| spec.suspend = false);
    let status = stage.pass().await;
    assert_eq!(stage.parts(), ["1 linux/amd64 1", "1 linux/amd64 2"]);
    assert_eq!(status.last_handled_reset.as_deref(), Some("now"));
}

#[tokio::test]
async fn a_reset_of_a_build_that_cannot_begin_now_is_not_lost() {
    let mut stage = Stage::running().await;
    stage.end_badly(0, BuildFailure::OutOfMemory);
    stage.passes(2).await;
    stage.registry.refuse_one("/v2/app/blobs/uploads/", 503);
    stage.annotate(RESET_ANNOTATION, "now");
    let status = stage.pass().await;
    assert_eq!((status.last_handled_reset.as_deref(), status.request_pending), (Some("now"), true));
    stage.registry.refuse_nothing();
    stage.restart();
    stage.now += Duration::from_mins(2);
    stage.passes(2).await;
    assert_eq!(stage.parts(), ["1 linux/amd64 1", "2 linux/amd64 1"]);
}
