//! What becomes of images that nothing uses any more.

use super::*;
use crate::access::tests::aliased;

fn with_image() -> Stage {
    let mut stage = Stage::new();
    stage.names("nginx:1");
    stage.act();
    stage.usage = Usage::default();
    stage
}

fn unused(stage: &Stage) -> Vec<String> {
    let all = stage.children.iter().flat_map(|child| child.unused_since.0.iter());
    all.map(|(name, since)| format!("{name} {}", (since.as_second() - START) / DAY)).collect()
}

#[test]
fn the_tag_of_the_last_user_leaves_after_the_retention_and_not_before() {
    let mut stage = with_image();
    stage.names("nginx:2");
    assert!(stage.act().is_empty());
    assert_eq!(unused(&stage), ["1 0"]);
    stage.now += 7 * DAY - 1;
    stage.act();
    assert_eq!(unused(&stage), ["1 0"], "the clock runs on from where it began");
    assert_eq!(stage.copies().len(), 2);
    stage.now += 1;
    assert!(stage.act().is_empty());
    assert_eq!(stage.copies(), ["docker.io/library/nginx 2 -> registry.corp:5000/mirror/library/nginx:2"]);
    assert!(unused(&stage).is_empty());
}

#[test]
fn an_image_without_tags_is_deleted_and_only_then() {
    let mut stage = with_image();
    let name = stage.children[0].name.clone();
    assert!(stage.act().is_empty());
    stage.now += 7 * DAY;
    assert_eq!(stage.act(), [name]);
}

#[test]
fn a_tag_that_is_used_again_begins_anew() {
    let mut stage = with_image();
    stage.act();
    stage.now += 6 * DAY;
    stage.names("nginx:1");
    stage.act();
    assert!(unused(&stage).is_empty());
    stage.usage = Usage::default();
    stage.now += 6 * DAY;
    stage.act();
    assert_eq!(unused(&stage), ["1 12"]);
}

#[test]
fn a_list_that_is_not_complete_makes_nothing_unused_and_deletes_nothing() {
    let mut stage = with_image();
    stage.is_complete = false;
    stage.now += 30 * DAY;
    assert!(stage.act().is_empty());
    assert!(unused(&stage).is_empty());
    assert_eq!(stage.copies().len(), 1);
    // What was unused before stays too, however long that takes.
    stage.is_complete = true;
    stage.act();
    (stage.is_complete, stage.now) = (false, stage.now + 30 * DAY);
    assert!(stage.act().is_empty());
    assert_eq!(unused(&stage), ["1 30"]);
}

#[test]
fn a_list_that_is_not_complete_adds_what_it_has() {
    let mut stage = with_image();
    stage.is_complete = false;
    stage.names("nginx:2");
    assert_eq!(stage.copies().len(), 2);
}

#[test]
fn a_list_that_is_not_complete_moves_no_tag_from_one_content_to_another() {
    let mut stage = Stage::with(|spec| spec.digests.taken = crate::api::DigestUse::Running);
    stage.runs("nginx:1", Some(&content("A")), "web-1", 1, "linux/amd64");
    stage.runs("nginx:1", Some(&content("B")), "web-2", 2, "linux/amd64");
    stage.act();
    stage.usage = Usage::default();
    stage.runs("nginx:1", Some(&content("A")), "web-1", 1, "linux/amd64");
    stage.is_complete = false;
    let copies = stage.copies();
    assert!(copies.iter().any(|copy| copy.contains(" 1@sha256:B -> ")), "{copies:?}");
    assert!(copies.iter().any(|copy| copy.contains(" sha256:A -> ")), "{copies:?}");
}

#[test]
fn an_annotation_that_cannot_be_read_and_a_clock_that_was_ahead_lengthen_the_retention_at_most() {
    let mut stage = with_image();
    stage.children[0].unused_since = UnusedSince::parse("nonsense");
    assert_eq!(stage.children[0].unused_since, UnusedSince::default());
    stage.act();
    let ahead = time(stage.now + 900 * DAY);
    stage.children[0].unused_since.0.insert("1".to_owned(), ahead);
    stage.act();
    assert_eq!(unused(&stage), ["1 0"], "it counts from now on");
    stage.now += 7 * DAY;
    assert_eq!(stage.act().len(), 1);
}

#[test]
fn what_pods_pull_from_the_destination_itself_is_used() {
    let mut stage = with_image();
    stage.names("registry.corp:5000/mirror/library/nginx:1");
    stage.now += 30 * DAY;
    assert!(stage.act().is_empty());
    assert!(unused(&stage).is_empty());
}

#[test]
fn what_pods_pull_from_the_destination_by_another_name_of_its_registry_is_used() {
    let mut stage = with_image();
    stage.policy = aliased("registry.corp:5000", &["mirror.corp"]);
    stage.names("mirror.corp/mirror/library/nginx:1");
    stage.act();
    stage.now += 30 * DAY;
    assert!(stage.act().is_empty());
    assert!(unused(&stage).is_empty());
}

#[test]
fn another_prefix_makes_other_images_and_the_former_stay_for_the_retention() {
    let mut stage = with_image();
    stage.names("nginx:1");
    stage.spec.destination.prefix = "$registry".to_owned();
    stage.act();
    assert_eq!(stage.copies().len(), 2);
    stage.now += 7 * DAY;
    assert_eq!(stage.act().len(), 1);
    assert_eq!(
        stage.copies(),
        ["docker.io/library/nginx 1 -> registry.corp:5000/mirror/docker.io/library/nginx:1"]
    );
}

#[test]
fn an_image_that_another_made_is_left_alone() {
    let mut stage = with_image();
    stage.children[0].name = "mine".to_owned();
    stage.now += 30 * DAY;
    assert!(stage.act().is_empty());
}

#[test]
fn nothing_changes_while_nothing_happens() {
    let mut stage = with_image();
    stage.names("nginx:2");
    stage.act();
    let before = stage.children.clone();
    for _ in 0..6 {
        stage.now += DAY;
        stage.act();
        assert_eq!(stage.children, before);
    }
}

#[test]
fn a_tag_stays_its_images_while_its_user_is_not_seen_and_for_the_retention_whoever_else_would_have_it() {
    let mut stage = Stage::new();
    stage.names("docker.io/acme/app:1");
    stage.act();
    let kept = "docker.io/acme/app 1 -> registry.corp:5000/mirror/acme/app:1";
    stage.usage = Usage::default();
    stage.names("quay.io/acme/app:1");
    (stage.is_complete, stage.now) = (false, stage.now + 30 * DAY);
    stage.act();
    assert_eq!(stage.copies(), [kept]);
    assert!(stage.outcomes()[0].contains("docker.io/acme/app:1 has registry.corp:5000/mirror/acme/app:1"));
    stage.is_complete = true;
    stage.act();
    stage.now += 7 * DAY - 1;
    stage.act();
    assert_eq!(stage.copies(), [kept], "what was pulled by this tag is not overwritten yet");
    stage.now += 1;
    stage.act();
    assert_eq!(stage.copies(), ["quay.io/acme/app 1 -> registry.corp:5000/mirror/acme/app:1"]);
}

#[test]
fn a_tag_that_was_unused_for_long_enough_stays_its_images_while_not_everything_is_known() {
    let mut stage = Stage::new();
    stage.names("docker.io/acme/app:1");
    stage.act();
    stage.usage = Usage::default();
    stage.act();
    assert_eq!(unused(&stage), ["1 0"]);
    stage.names("quay.io/acme/app:1");
    (stage.is_complete, stage.now) = (false, stage.now + 30 * DAY);
    assert_eq!(stage.copies(), ["docker.io/acme/app 1 -> registry.corp:5000/mirror/acme/app:1"]);
}

#[test]
fn a_list_that_is_not_complete_resolves_no_tag_whose_running_content_was_known() {
    let mut stage = Stage::with(|spec| {
        spec.digests.taken = crate::api::DigestUse::Running;
        spec.digests.if_unknown = crate::api::UnknownDigest::Resolve;
    });
    stage.runs("nginx:1", Some(&content("A")), "web-1", 1, "linux/amd64");
    stage.act();
    stage.usage = Usage::default();
    stage.names("nginx:1");
    stage.is_complete = false;
    let pinned = "docker.io/library/nginx 1@sha256:A -> registry.corp:5000/mirror/library/nginx:1";
    assert_eq!(stage.copies(), [pinned]);
}
