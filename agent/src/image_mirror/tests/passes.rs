//! Whole passes.

use std::collections::BTreeSet;

use imgop_core::api::conditions::{CHILDREN_READY, READY, STALLED, reasons};
use imgop_core::api::{ADOPT_ANNOTATION, Image, PRUNE_ANNOTATION, REQUESTED_AT_ANNOTATION, prune_release};
use imgop_core::inventory::Inventory;
use serde_json::json;

use super::stage::{Stage, entry};
use crate::image_mirror::Pass;
use crate::image_mirror::desired::desired;

#[tokio::test(start_paused = true)]
async fn an_inventory_becomes_images_and_a_second_look_writes_nothing() {
    let mut stage = Stage::new(3);
    assert_eq!(stage.settle().await, 3);
    let image: &Image = &stage.images()[0];
    assert_eq!(image.spec.source.tags, ["1.0", "1.1"]);
    assert_eq!(image.spec.destination.name, "r.example.com/acme/mirrored-tools-widget0");
    let owner = &image.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!((owner.kind.as_str(), owner.controller), ("ImageMirror", Some(true)));
    assert_eq!(image.metadata.labels.as_ref().unwrap()["imgop.skopeo.io/mirror"], "acme");
    assert_eq!(stage.condition(READY).reason, reasons::PROGRESSING);

    stage.images_say(true, reasons::SUCCEEDED);
    assert_eq!(stage.settle().await, 0);
    assert_eq!(stage.condition(READY).reason, reasons::SUCCEEDED);
    assert_eq!(stage.condition(CHILDREN_READY).status, "True");
    assert_eq!((stage.status().progress.as_deref(), stage.status().tags.unwrap().synced), (Some("3/3"), 6));
    stage.change(|spec| spec.entries.reverse());
    assert_eq!(stage.settle().await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_mirror_reports_the_same_again_and_again() {
    let mut stage = Stage::new(2);
    stage.settle().await;
    stage.images_say(true, reasons::SUCCEEDED);
    stage.settle().await;
    let before = stage.status().clone();
    for _ in 0..3 {
        stage.pass(400).await;
    }
    assert_eq!(*stage.status(), before);
}

#[tokio::test(start_paused = true)]
async fn a_large_inventory_is_written_at_no_more_than_twenty_a_second() {
    let mut stage = Stage::new(100);
    let began = tokio::time::Instant::now();
    stage.settle().await;
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(stage.writes().len(), 100);
    assert!(seconds >= 4.9, "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn an_inventory_that_was_emptied_deletes_nothing_until_a_user_says_so() {
    let mut stage = Stage::new(12);
    stage.settle().await;
    stage.images_say(true, reasons::SUCCEEDED);
    stage.change(|spec| spec.entries.clear());
    assert_eq!(stage.settle().await, 0);
    assert_eq!(stage.condition(STALLED).reason, reasons::PRUNE_HELD);
    assert_eq!(stage.status().children.unwrap().prune_held, 12);
    stage.annotate(PRUNE_ANNOTATION, &prune_release(1, "first"));
    stage.annotate(REQUESTED_AT_ANNOTATION, "first");
    assert_eq!(stage.settle().await, 0, "that was for another spec");
    let generation = stage.mirror.metadata.generation.unwrap();
    stage.annotate(PRUNE_ANNOTATION, &prune_release(generation, "second"));
    assert_eq!(stage.settle().await, 0, "it goes with a sync");
    stage.annotate(REQUESTED_AT_ANNOTATION, "another");
    assert_eq!(stage.settle().await, 0, "and with no other one");
    stage.annotate(REQUESTED_AT_ANNOTATION, "second");
    assert_eq!(stage.settle().await, 12);
    assert!(stage.images().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_tag_of_two_sources_is_left_out_and_all_else_is_mirrored() {
    let mut stage = Stage::new(2);
    stage.change(|spec| {
        for (n, entry) in spec.entries.iter_mut().enumerate() {
            entry.target_name = Some("app".into());
            entry.tags = vec!["1".into(), format!("only-{n}")];
        }
        spec.entries.push(entry(7));
    });
    assert_eq!(stage.settle().await, 3);
    stage.images_say(true, reasons::SUCCEEDED);
    stage.settle().await;
    let tags: Vec<Vec<String>> = stage.images().into_iter().map(|image| image.spec.source.tags).collect();
    assert!(tags.contains(&vec!["only-0".to_owned()]) && !tags.iter().flatten().any(|tag| tag == "1"));
    assert_eq!(stage.condition(STALLED).reason, reasons::ENTRIES_CONFLICT);
    let conflict = &stage.status().conflicts[0];
    assert_eq!(conflict.destination, "r.example.com/acme/app:1");
    assert_eq!(conflict.sources, ["quay.io/tools/widget0:1", "quay.io/tools/widget1:1"]);
}

#[tokio::test(start_paused = true)]
async fn an_image_of_another_is_not_touched_unless_it_says_that_it_may_be_taken_over() {
    let mut stage = Stage::new(1);
    stage.settle().await;
    let mut image = stage.images().remove(0);
    image.metadata.owner_references = None;
    image.metadata.annotations = None;
    image.spec.source.tags = vec!["7".into()];
    stage.show(image.clone());
    assert_eq!(stage.settle().await, 0);
    assert_eq!(stage.condition(STALLED).reason, reasons::NAME_TAKEN);
    let adopt = |mirror: &str| Some([(ADOPT_ANNOTATION.to_owned(), mirror.to_owned())].into());
    image.metadata.annotations = adopt("another");
    stage.show(image.clone());
    assert_eq!(stage.settle().await, 0);
    image.metadata.annotations = adopt("acme");
    image.spec.source.tags = Vec::new();
    image.spec.source.version = "7.x".into();
    stage.show(image);
    assert_eq!(stage.settle().await, 2);
    assert_eq!(stage.images()[0].spec.source.tags, ["1.0", "1.1"]);
    let replaced = stage.api.bodies("PATCH").into_iter().find(|body| body.get("kind").is_none()).unwrap();
    assert_eq!(replaced["spec"]["source"]["version"], json!(null), "a version does not go with tags");
    assert_eq!(replaced["spec"]["source"]["tags"], json!(["1.0", "1.1"]));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_handed_to_all_images_and_then_handled() {
    let mut stage = Stage::new(2);
    stage.settle().await;
    stage.images_say(true, reasons::SUCCEEDED);
    stage.settle().await;
    stage.annotate(REQUESTED_AT_ANNOTATION, "now");
    assert_eq!(stage.settle().await, 2);
    assert_eq!(stage.status().last_handled_requested_at.as_deref(), Some("now"));
    let asked =
        |image: &Image| image.metadata.annotations.as_ref().unwrap()[REQUESTED_AT_ANNOTATION] == *"now";
    assert!(stage.images().iter().all(asked));
    assert_eq!(stage.condition(READY).reason, reasons::PROGRESSING, "the Images have not acted on it");
    stage.images_say(true, reasons::SUCCEEDED);
    assert_eq!(stage.settle().await, 0);
    assert_eq!(stage.condition(READY).status, "True");
}

#[tokio::test(start_paused = true)]
async fn a_bad_image_makes_the_mirror_not_ready_and_never_stalled() {
    let mut stage = Stage::new(2);
    stage.settle().await;
    stage.images_say(false, reasons::TAG_NOT_FOUND);
    stage.settle().await;
    assert_eq!(stage.condition(READY).reason, reasons::IMAGES_NOT_READY);
    assert!(imgop_core::api::conditions::find(&stage.status().conditions, STALLED).is_none());
    let failing = &stage.status().failing;
    assert_eq!((failing.len(), failing[0].reason.as_str()), (2, reasons::TAG_NOT_FOUND));
    assert_eq!(failing[0].tag.as_deref(), Some("1.1"));
}

#[tokio::test(start_paused = true)]
async fn an_image_that_the_api_server_refuses_keeps_no_other_one_waiting() {
    let mut stage = Stage::new(3);
    let refused = "mirrored-tools-widget1";
    stage.settle().await;
    let name = stage.images()[1].metadata.name.clone().unwrap();
    assert!(name.contains(refused) || name.contains("widget1"), "{name}");
    stage.api.fail_with("PATCH", &name, 403, "denied by policy");
    stage.change(|spec| spec.entries.iter_mut().for_each(|entry| entry.tags.push("2.0".into())));
    stage.pass(11).await;
    stage.pass(11).await;
    stage.api.requests();
    assert_eq!(stage.status().failing[0].reason, reasons::IMAGE_REFUSED);
    assert_eq!(stage.status().failing[0].image, name);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_there_is_no_room_for_is_said_with_the_setting_and_costs_no_request() {
    let mut stage = Stage::new(2);
    stage.settle().await;
    stage.images_say(true, reasons::SUCCEEDED);
    stage.settle().await;
    let image = stage.images().remove(0);
    stage.show_without_room(image.clone());
    stage.annotate(REQUESTED_AT_ANNOTATION, "now");
    stage.settle().await;
    stage.images_say(true, reasons::SUCCEEDED);
    stage.settle().await;
    let stalled = stage.condition(STALLED).clone();
    assert_eq!(stalled.reason, reasons::IMAGE_NOT_KEPT);
    assert!(stalled.message.contains("MAX_OBJECT_BYTES_PER_NAMESPACE"), "{}", stalled.message);
    assert!(stalled.message.contains("24 MiB") && stalled.message.contains("1 of 2 Images are ready"));
    assert_eq!(stage.condition(CHILDREN_READY).reason, reasons::IMAGE_NOT_KEPT);
    assert_eq!(stage.status().failing[0].reason, reasons::IMAGE_NOT_KEPT);
    assert_eq!(stage.status().last_handled_requested_at.as_deref(), Some("now"), "nothing waits for it");
    let (before, asked) = (stage.status().clone(), stage.api.requests().len());
    for _ in 0..5 {
        stage.pass(31).await;
    }
    assert_eq!(*stage.status(), before);
    let requests = stage.api.requests();
    assert_eq!(requests[asked..], [] as [String; 0]);
    stage.show(image);
    stage.settle().await;
    stage.images_say(true, reasons::SUCCEEDED);
    stage.settle().await;
    assert_eq!(stage.condition(READY).status, "True", "it goes on by itself");
}

#[tokio::test(start_paused = true)]
async fn an_image_that_the_agent_cannot_read_is_said_and_left_as_it_is() {
    let mut stage = Stage::new(1);
    stage.settle().await;
    let image = stage.images().remove(0);
    stage.show_unreadable(image);
    stage.change(|spec| spec.entries[0].tags.push("2.0".into()));
    assert_eq!(stage.settle().await, 0);
    let stalled = stage.condition(STALLED);
    assert_eq!(stalled.reason, reasons::IMAGE_NOT_KEPT);
    assert!(stalled.message.contains("cannot read it: spec.mode: unknown"), "{}", stalled.message);
    stage.change(|spec| spec.entries.clear());
    assert_eq!(stage.settle().await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_the_watch_does_not_show_is_not_written_and_does_not_count_as_a_sync() {
    let mut stage = Stage::new(1);
    stage.api.hold_list("images", vec![json!({ "metadata": { "name": "there", "uid": "u" } })]);
    for _ in 0..4 {
        stage.pass(31).await;
    }
    assert_eq!((stage.writes(), &stage.status().last_sync_time), (Vec::new(), &None));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_shows_nothing_of_what_was_written_is_looked_at_once_more() {
    let mut stage = Stage::new(1);
    stage.pass(11).await;
    let next = stage.pass(1).await.next.unwrap();
    assert!(next <= std::time::Duration::from_secs(30), "{next:?}");
}

#[tokio::test(start_paused = true)]
async fn an_image_that_another_made_is_left_alone() {
    let mut stage = Stage::new(1);
    stage.settle().await;
    let mut copy = stage.images().remove(0);
    copy.metadata.name = Some("mine".into());
    copy.metadata.uid = Some("mine".into());
    stage.show(copy);
    assert_eq!(stage.settle().await, 0);
    stage.change(|spec| spec.entries[0].source = "quay.io/tools/another".into());
    stage.settle().await;
    let deleted: Vec<String> = stage.writes().into_iter().filter(|line| line.starts_with("DELETE")).collect();
    assert!(deleted.len() == 1 && !deleted[0].contains("/mine"), "{deleted:?}");
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_more_tags_than_the_agent_copies_of_an_image_becomes_several_images() {
    let mut stage = Stage::with(1, &["--max-tags-per-image=50"]);
    stage.change(|spec| spec.entries[0].tags = (0..120).map(|n| format!("1.{n}")).collect());
    stage.settle().await;
    let images = stage.images();
    let tags: BTreeSet<&String> = images.iter().flat_map(|image| &image.spec.source.tags).collect();
    assert_eq!(tags.len(), 120);
    assert!(images.iter().all(|image| image.spec.source.tags.len() <= 50));
    assert_eq!(stage.settle().await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_image_of_the_mirror_that_the_watch_shows_during_a_pass_has_no_name_of_another() {
    let mut stage = Stage::new(2);
    stage.settle().await;
    let pass = Pass::new(&stage.mirrors, &stage.mirror, &stage.memory.looks, stage.now);
    let children = pass.children();
    let mirrored = children.mirrored();
    let inventory = Inventory::read(&stage.mirror.spec, &[]).unwrap();
    let expansion = inventory.expand().unwrap();
    let desired = desired("acme", &stage.mirror.spec, &inventory, &expansion);
    // The other one came after they were looked for.
    assert!(children.occupants(&desired, &mirrored[..1]).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_template_that_gives_pods_an_identity_makes_no_image() {
    let mut stage = Stage::new(2);
    stage.change(|spec| {
        spec.job_template.annotations = [("iam.amazonaws.com/role".into(), "admin".into())].into();
    });
    assert_eq!(stage.settle().await, 0);
    let stalled = stage.condition(STALLED);
    assert_eq!(stalled.reason, reasons::INVALID_SPEC);
    assert!(stalled.message.contains("spec.jobTemplate.annotations: iam.amazonaws.com/role"), "{stalled:?}");
}
