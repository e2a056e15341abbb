//! A fixed tag of the destination that follows the newest of several.

use imgop_core::api::Select;

use super::*;

#[tokio::test]
async fn a_list_that_lacks_the_newest_tag_moves_a_fixed_tag_only_once_a_second_one_agrees() {
    let mut stage = Stage::of_a_synced_image().await;
    stage.image.spec.destination.version = Some("stable".into());
    stage.image.spec.source.select = Some(Select { latest: Some(1), ..Select::default() });
    // No list is shared, so that each sync asks for its own.
    let agent = fixtures::agent_with(stage.api.client(), &["--share-lists-seconds=0"]);
    stage.images = Images::new(agent, Objects::new([]));
    let (older, newer) = ("{}", "{ }");
    stage.registry.hold("/v2/source/tags/list", r#"{"tags":["v2.13.1","v2.13.2"]}"#);
    stage.registry.hold("/v2/target/tags/list", r#"{"tags":["stable"]}"#);
    stage.registry.hold_manifest("source", "v2.13.1", older);
    stage.registry.hold_manifest("source", "v2.13.2", newer);
    stage.registry.hold_manifest("target", "stable", newer);
    let mut memory = due_now();
    let sync = async |memory: &mut Memory| {
        memory.schedule.next = Some(now());
        let result = stage.pass(memory, now()).await.unwrap();
        (stage.registry.manifest("target", "stable").unwrap(), reason(&result).to_owned())
    };
    assert_eq!(sync(&mut memory).await, (newer.to_owned(), reasons::SUCCEEDED.to_owned()));
    stage.registry.hold("/v2/source/tags/list", r#"{"tags":["v2.13.1"]}"#);
    assert_eq!(sync(&mut memory).await, (newer.to_owned(), reasons::SUCCEEDED.to_owned()));
    assert_eq!(sync(&mut memory).await, (newer.to_owned(), reasons::PROGRESSING.to_owned()));
}

#[tokio::test]
async fn a_first_list_after_a_restart_does_not_move_a_fixed_tag_back() {
    let mut stage = Stage::of_a_synced_image().await;
    stage.image.spec.destination.version = Some("stable".into());
    stage.image.spec.source.select = Some(Select { latest: Some(1), ..Select::default() });
    let agent = fixtures::agent_with(stage.api.client(), &["--share-lists-seconds=0"]);
    stage.images = Images::new(agent, Objects::new([]));
    let (older, newer) = ("{}", "{ }");
    stage.registry.hold("/v2/source/tags/list", r#"{"tags":["v2.13.1","v2.13.2"]}"#);
    stage.registry.hold("/v2/target/tags/list", r#"{"tags":["stable"]}"#);
    stage.registry.hold_manifest("source", "v2.13.1", older);
    stage.registry.hold_manifest("source", "v2.13.2", newer);
    stage.registry.hold_manifest("target", "stable", newer);
    let result = stage.pass(&mut due_now(), now()).await.unwrap();
    let status = result.report.unwrap().status;
    assert_eq!(status.set_from.as_deref(), Some("v2.13.2"));
    stage.image.status = Some(status);
    stage.registry.hold("/v2/source/tags/list", r#"{"tags":["v2.13.1"]}"#);
    // Nothing is remembered but the status.
    let mut memory = due_now();
    let first = stage.pass(&mut memory, now()).await.unwrap();
    assert_eq!(reason(&first), reasons::SUCCEEDED);
    assert_eq!(
        first.report.as_ref().unwrap().status.set_from.as_deref(),
        Some("v2.13.2"),
        "a second restart"
    );
    memory.schedule.next = Some(now());
    let second = stage.pass(&mut memory, now()).await.unwrap();
    assert_eq!(reason(&second), reasons::PROGRESSING);
    let set_from = second.report.unwrap().status.set_from;
    assert_eq!(set_from.as_deref(), Some("v2.13.2"), "until it is set from another one");
}
