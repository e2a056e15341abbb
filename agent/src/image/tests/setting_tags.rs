//! Tags that a destination does not take, or shows only after a while.

use super::*;

/// Two tags of the source; the destination has neither, but the contents of both.
async fn of_two_tags() -> (Stage, Memory) {
    let stage = Stage::of_a_synced_image().await;
    stage.registry.hold("/v2/source/tags/list", r#"{"tags":["v2.13.1","v2.13.2"]}"#);
    stage.registry.hold("/v2/target/tags/list", r#"{"tags":[]}"#);
    for (tag, content) in [("v2.13.1", "{}"), ("v2.13.2", "{ }")] {
        stage.registry.hold_manifest("source", tag, content);
        stage.registry.hold_content("target", content);
    }
    (stage, due_now())
}

/// One pass at this time. Returns the failures that the status has then.
async fn failures_at(stage: &mut Stage, memory: &mut Memory, at: Timestamp) -> Vec<TagFailure> {
    if let Some(report) = stage.pass(memory, at).await.unwrap().report {
        stage.image.status = Some(report.status);
    }
    stage.image.status.as_ref().unwrap().failures.clone()
}

#[tokio::test]
async fn syncs_that_find_nothing_new_write_neither_to_a_registry_nor_a_job() {
    let stage = Stage::of_a_synced_image().await;
    in_sync(&stage);
    // A tag could be set to it.
    stage.registry.hold_content("target", "{}");
    let mut memory = due_now();
    for minutes in [0, 5, 10] {
        let at = now() + Duration::from_mins(minutes);
        memory.schedule.next = Some(at);
        stage.pass(&mut memory, at).await.unwrap();
    }
    assert!(stage.registry.count("HEAD") >= 3, "it was looked at: {:?}", stage.registry.requests());
    assert_eq!(["PUT", "POST", "PATCH", "DELETE"].map(|method| stage.registry.count(method)), [0; 4]);
    assert_eq!(jobs_created(&stage), 0);
}

#[tokio::test]
async fn the_event_of_a_job_names_its_tags() {
    let mut stage = Stage::of_a_synced_image().await;
    stage.is_reconciling(reasons::PROGRESSING);
    let copies = ["v2.13.1", "v2.13.2"].map(|tag| copy_of(tag, tag));
    let mut memory = memory(&[], (now(), observed(&[&copies[0], &copies[1]])));
    stage.pass(&mut memory, now()).await.unwrap();
    let event = stage.api.bodies("POST").into_iter().find(|body| body["reason"] == "CopyScheduled").unwrap();
    let note = event["note"].as_str().unwrap();
    assert!(note.ends_with(" copies v2.13.1, v2.13.2"), "{note}");
}

fn jobs_created(stage: &Stage) -> usize {
    stage.api.bodies("POST").iter().filter(|body| body["kind"] == "Job").count()
}

#[tokio::test]
async fn a_tag_that_the_registry_does_not_take_is_reported_in_its_words_and_others_go_on() {
    let (mut stage, mut memory) = of_two_tags().await;
    let (code, message) = ("TAG_INVALID", "tags that end in 1 are reserved");
    stage.registry.refuse_put_to("/v2/target/manifests/v2.13.1", Some((code, message)));
    let mut at = now();
    for (tries, pause) in [(1, 10), (2, 20), (3, 40)] {
        let failures = failures_at(&mut stage, &mut memory, at).await;
        assert_eq!(stage.registry.manifest("target", "v2.13.2").as_deref(), Some("{ }"));
        let [failure] = &failures[..] else { panic!("{failures:?}") };
        assert_eq!((failure.tag.as_str(), failure.reason), ("v2.13.1", FailureReason::PublishFailed));
        assert!(failure.message.contains(message), "{}", failure.message);
        let next = at + Duration::from_secs(pause);
        assert_eq!((failure.attempts, failure.next_attempt.clone()), (tries, Some(Time(next))));
        stage.registry.hold("/v2/target/tags/list", r#"{"tags":["v2.13.2"]}"#);
        let before = stage.registry.count("PUT");
        failures_at(&mut stage, &mut memory, next - Duration::from_secs(1)).await;
        assert_eq!(stage.registry.count("PUT"), before, "it is not tried before");
        at = next;
    }
    stage.registry.refuse_put_to("/v2/target/manifests/v2.13.1", None);
    assert_eq!(failures_at(&mut stage, &mut memory, at).await, []);
    assert_eq!(jobs_created(&stage), 0, "what is there is not copied again");
}

#[tokio::test]
async fn what_a_registry_shows_only_after_a_while_is_set_at_the_second_try() {
    let mut stage = Stage::of_a_synced_image().await;
    stage.is_reconciling(reasons::PROGRESSING);
    let copy = copy_of("v2.13.1", "{}");
    stage.has_job(&copy);
    stage.end_job();
    // A process that has not created the Job itself.
    let mut memory = memory(&[], (now(), observed(&[&copy])));
    stage.registry.hold("/v2/source/tags/list", r#"{"tags":["v2.13.1"]}"#);
    stage.registry.hold("/v2/target/tags/list", r#"{"tags":[]}"#);
    stage.registry.hold_manifest("source", "v2.13.1", "{}");
    let failures = failures_at(&mut stage, &mut memory, now()).await;
    let [failure] = &failures[..] else { panic!("it is copied again: {failures:?}") };
    assert_eq!(failure.attempts, 1);
    assert!(!failure.message.contains("Direct"), "{}", failure.message);

    // By its digest now, and by its tag a moment after that is put, before which it is asked for once.
    stage.registry.hold_content("target", "{}");
    stage.registry.hide("/v2/target/manifests/v2.13.1", 2);
    let again = failure.next_attempt.clone().unwrap().0;
    assert_eq!(failures_at(&mut stage, &mut memory, again).await, []);
    assert_eq!((stage.registry.count("PUT"), jobs_created(&stage)), (1, 0));
}
