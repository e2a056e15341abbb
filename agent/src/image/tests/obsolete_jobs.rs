//! Jobs that put tags by themselves, of a spec that is not asked for any more.

use imgop_core::api::Publish;

use super::*;

const TAG: &str = "v2.13.1";

/// An Image whose Job puts `v2.13.1` by itself, to what the source showed before.
async fn with_a_job_of(content: &str) -> Stage {
    let mut stage = Stage::of_a_synced_image().await;
    stage.image.spec.destination.publish = Publish::Direct;
    stage.has_job(&copy_of(TAG, content));
    for repository in ["source", "other", "target"] {
        stage.registry.hold(&format!("/v2/{repository}/tags/list"), r#"{"tags":["v2.13.1"]}"#);
    }
    stage.image.metadata.generation = Some(2);
    stage
}

fn jobs_created(stage: &Stage) -> usize {
    stage.api.bodies("POST").iter().filter(|body| body["kind"] == "Job").count()
}

async fn pass(stage: &mut Stage, memory: &mut Memory) -> String {
    let result = stage.pass(memory, now()).await.unwrap();
    let reason = reason(&result).to_owned();
    stage.image.status = Some(result.report.unwrap().status);
    reason
}

#[tokio::test]
async fn jobs_of_another_route_are_gone_before_anything_is_put() {
    let mut stage = with_a_job_of("of another source").await;
    stage.image.spec.source.name = stage.image.spec.source.name.replace("/source", "/other");
    stage.registry.hold_manifest("other", TAG, "asked for");
    stage.registry.hold_manifest("target", TAG, "before");
    let mut memory = Memory::default();
    assert_eq!(pass(&mut stage, &mut memory).await, reasons::PROGRESSING);
    let deletions = stage.api.bodies("DELETE");
    assert_eq!((deletions.len(), &deletions[0]["propagationPolicy"]), (1, &"Foreground".into()));
    stage.is_deleting_job();
    assert_eq!(pass(&mut stage, &mut memory).await, reasons::PROGRESSING);
    assert_eq!((stage.api.bodies("DELETE").len(), jobs_created(&stage)), (1, 0), "its pod runs");
    stage.is_without_job();
    pass(&mut stage, &mut memory).await;
    assert_eq!(jobs_created(&stage), 1);
}

#[tokio::test]
async fn a_tag_is_looked_up_again_once_a_job_of_another_content_is_gone() {
    let mut stage = with_a_job_of("before").await;
    stage.registry.hold_manifest("source", TAG, "asked for");
    stage.registry.hold_manifest("target", TAG, "asked for");
    let mut memory = Memory::default();
    assert_eq!(pass(&mut stage, &mut memory).await, reasons::PROGRESSING, "it may still put the tag");
    // And so it does.
    stage.registry.hold_manifest("target", TAG, "before");
    stage.is_without_job();
    assert_eq!(pass(&mut stage, &mut memory).await, reasons::PROGRESSING);
    assert_eq!(jobs_created(&stage), 1);
}

#[tokio::test]
async fn a_job_of_a_tag_that_has_moved_is_let_end_and_no_second_one_is_created_meanwhile() {
    let mut stage = with_a_job_of("before").await;
    let mut memory = Memory::default();
    for content in ["newer", "newest"] {
        stage.registry.hold_manifest("source", TAG, content);
        assert_eq!(pass(&mut stage, &mut memory).await, reasons::PROGRESSING);
        memory.sync().observed = None;
    }
    assert_eq!((stage.api.bodies("DELETE").len(), jobs_created(&stage)), (0, 0));
    stage.registry.hold_manifest("target", TAG, "before");
    stage.end_job();
    assert_eq!(pass(&mut stage, &mut memory).await, reasons::PROGRESSING);
    assert_eq!((stage.api.bodies("DELETE").len(), jobs_created(&stage)), (0, 1));
}

#[tokio::test]
async fn a_job_whose_deletion_does_not_end_is_waited_for_no_longer_than_ten_minutes() {
    let stage = with_a_job_of("before").await;
    for repository in ["source", "target"] {
        stage.registry.hold_manifest(repository, TAG, "asked for");
    }
    stage.is_deleting_job();
    let mut memory = Memory::default();
    let at = now() + Duration::from_mins(10);
    let result = stage.pass(&mut memory, at).await.unwrap();
    assert_eq!(reason(&result), reasons::SUCCEEDED);
    assert!(memory.known(at).at_destination.is_empty(), "and the tag is looked up at each sync");
}

#[tokio::test]
async fn jobs_of_what_is_asked_for_and_those_that_put_no_tag_go_on() {
    let mut stage = with_a_job_of("asked for").await;
    stage.registry.hold_manifest("source", TAG, "asked for");
    let mut memory = Memory::default();
    assert_eq!(pass(&mut stage, &mut memory).await, reasons::PROGRESSING);
    assert_eq!(stage.api.bodies("DELETE").len(), 0);

    let mut staged = Stage::of_a_synced_image().await;
    in_sync(&staged);
    staged.has_job(&copy_of(TAG, "before"));
    staged.image.metadata.generation = Some(2);
    assert_eq!(pass(&mut staged, &mut memory).await, reasons::SUCCEEDED);
    assert_eq!(staged.api.bodies("DELETE").len(), 0, "it only pushes by digest");
}

#[tokio::test]
async fn a_tag_that_a_pod_on_a_lost_node_may_still_put_is_looked_up_until_no_pod_can_run_any_more() {
    let mut stage = with_a_job_of("before").await;
    for repository in ["source", "target"] {
        stage.registry.hold_manifest(repository, TAG, "asked for");
    }
    stage.is_on_a_lost_node();
    let mut memory = Memory::default();
    assert_eq!(pass(&mut stage, &mut memory).await, reasons::SUCCEEDED);
    assert_eq!(stage.api.bodies("DELETE").len(), 1, "its Job is deleted, which does not end the pod");
    let mut sync = async |after| {
        memory.schedule.next = Some(now());
        let result = stage.pass(&mut memory, now() + after).await.unwrap();
        (reason(&result).to_owned(), memory.known(now() + after).at_destination.len())
    };
    let longest = Duration::from_hours(2);
    assert_eq!(
        sync(longest.saturating_sub(Duration::from_secs(1))).await,
        (reasons::SUCCEEDED.to_owned(), 0)
    );
    stage.registry.hold_manifest("target", TAG, "before");
    assert_eq!(sync(longest).await.0, reasons::PROGRESSING, "it has put the tag");
    assert_eq!(jobs_created(&stage), 1);
}
