//! Images that are suspended with their mirror, or by a mode that makes none.

use std::time::Duration;

use imgop_core::api::conditions::{READY, STALLED, reasons};
use imgop_core::api::{REQUESTED_AT_ANNOTATION, WorkloadMirrorSpec, WorkloadMode};

use super::stage::Stage;
use crate::workload_mirror::workloads::testing::pod;

/// A mirror that has one Image.
async fn at_rest() -> Stage {
    let mut stage = Stage::new();
    stage.workloads.lists_pods(&[pod("team-a", "one", "quay.io/acme/app:1", "")]);
    assert_eq!(stage.settle().await, 1);
    stage
}

#[tokio::test(start_paused = true)]
async fn where_the_right_to_suspend_images_was_withdrawn_it_is_named_with_what_grants_it() {
    type Edit = fn(&mut WorkloadMirrorSpec);
    let edits: [Edit; 3] = [
        |spec| spec.suspend = true,
        |spec| spec.mode = WorkloadMode::Plan,
        |spec| spec.mode = WorkloadMode::Observe,
    ];
    for edit in edits {
        let mut stage = at_rest().await;
        stage.api.deny("patch", "images", "team-a");
        tokio::time::advance(Duration::from_secs(301)).await;
        stage.change(edit);
        let result = stage.pass(11).await;
        let stalled = stage.condition(STALLED);
        assert_eq!(stalled.reason, reasons::NAMESPACE_NOT_ENABLED);
        assert!(stalled.message.contains("may not patch images"), "{}", stalled.message);
        assert!(stalled.message.contains("rolebinding imgop-agent -n team-a"), "{}", stalled.message);
        assert_eq!(stage.status().observed_generation, stage.mirror.metadata.generation);
        assert_eq!(result.next.map(|wait| wait.as_secs()), Some(30));
        assert_eq!(stage.images.writes().len(), 1, "nothing is tried that would be refused");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_is_asked_for_of_a_suspended_mirror_waits_also_where_its_images_cannot_be_suspended() {
    let mut stage = at_rest().await;
    stage.api.deny("patch", "images", "team-a");
    tokio::time::advance(Duration::from_secs(301)).await;
    stage.change(|spec| spec.suspend = true);
    stage.mirror.metadata.annotations = Some([(REQUESTED_AT_ANNOTATION.to_owned(), "now".to_owned())].into());
    stage.pass(11).await;
    assert_eq!(stage.condition(STALLED).reason, reasons::NAMESPACE_NOT_ENABLED);
    assert_eq!(stage.status().last_handled_requested_at, None);
}

#[tokio::test(start_paused = true)]
async fn a_mode_that_makes_nothing_needs_no_right_where_there_is_no_image() {
    let mut stage = Stage::new();
    stage.api.deny("patch", "images", "team-a");
    stage.workloads.lists_pods(&[pod("team-a", "one", "quay.io/acme/app:1", "")]);
    stage.change(|spec| spec.mode = WorkloadMode::Plan);
    stage.settle().await;
    assert_eq!(stage.condition(READY).status, "True", "{:?}", stage.condition(READY));
}

#[tokio::test(start_paused = true)]
async fn an_image_that_goes_on_copying_is_said_in_a_mode_that_makes_nothing_and_is_tried_again_soon() {
    let mut stage = at_rest().await;
    let name = stage.images.all()[0].metadata.name.clone().unwrap();
    stage.api.fail_with("PATCH", &name, 403, "denied by policy");
    stage.change(|spec| spec.mode = WorkloadMode::Plan);
    stage.pass(11).await;
    let result = stage.pass(2).await;
    let ready = stage.condition(READY);
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", reasons::IMAGE_REFUSED));
    assert!(ready.message.contains(&name) && ready.message.contains("denied by policy"), "{ready:?}");
    assert!(ready.message.contains("1 tags would be mirrored"), "{ready:?}");
    assert_eq!(result.next.map(|wait| wait.as_secs()), Some(30));
    let tries = stage.images.writes().len();
    stage.api.fail("PATCH", false);
    stage.pass(31).await;
    assert_eq!(stage.images.writes().len(), tries + 1);
    assert_eq!(stage.condition(READY).status, "True", "{:?}", stage.condition(READY));
}
