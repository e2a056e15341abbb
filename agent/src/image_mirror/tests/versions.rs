//! What version sources announce, in whole passes.

use imgop_core::api::{
    FOUND_TAGS_ANNOTATION, GithubReleaseSource, GithubReleases, MirrorUpdate, UpdateMode, UpdateSource,
    UpdatedEntry,
};
use imgop_fakes::GitHub;

use super::stage::Stage;

const REPOSITORY: &str = "tools/widget";

/// A mirror of one repository, whose tags come from GitHub, which announces these.
async fn stage(mode: UpdateMode, releases: &[&str]) -> (Stage, GitHub) {
    let github = GitHub::start("token").await;
    for tag in releases {
        github.release(REPOSITORY, tag, false, false);
    }
    let url = |server: &imgop_fakes::ScriptedRegistry| format!("http://{}/", server.address);
    let settings =
        [format!("--github-api-url={}", url(&github.api)), format!("--github-raw-url={}", url(&github.raw))];
    let mut stage = Stage::with(1, &[&settings[0], &settings[1]]);
    stage.mirror.spec.updates = vec![update("widget", mode)];
    (stage, github)
}

/// An update of the entry from releases of this repository.
fn update(repository: &str, mode: UpdateMode) -> MirrorUpdate {
    let releases =
        GithubReleases { owner: "tools".into(), repository: repository.into(), ..GithubReleases::default() };
    let github_release = Some(GithubReleaseSource { releases, latest_only: false });
    MirrorUpdate {
        name: repository.into(),
        from: UpdateSource { github_release, ..UpdateSource::default() },
        entries: vec![UpdatedEntry { source: "quay.io/tools/widget0".into(), target_name: None }],
        mode,
        frequency: "6h".into(),
    }
}

fn tags(stage: &Stage) -> Vec<String> {
    stage.images()[0].spec.source.tags.clone()
}

#[tokio::test]
async fn what_is_announced_is_proposed_and_not_mirrored() {
    let (mut stage, github) = stage(UpdateMode::Propose, &["1.1", "1.2", "1.3"]).await;
    stage.settle().await;
    assert_eq!(tags(&stage), ["1.0", "1.1"]);
    let proposals = stage.status().proposals.clone().unwrap();
    assert_eq!(
        (proposals.count, proposals.tags.as_slice()),
        (2, &["quay.io/tools/widget0:1.2".to_owned(), "quay.io/tools/widget0:1.3".to_owned()][..])
    );
    assert_eq!(github.api.seen().len(), 1, "once a period");
    stage.change(|spec| spec.entries[0].tags.extend(["1.2".into(), "1.3".into()]));
    stage.settle().await;
    assert_eq!(stage.status().proposals, None);
}

#[tokio::test]
async fn what_is_to_be_applied_is_mirrored_and_stays_when_it_is_announced_no_more() {
    let (mut stage, github) = stage(UpdateMode::Apply, &["1.2"]).await;
    stage.settle().await;
    assert_eq!(tags(&stage), ["1.0", "1.1", "1.2"]);
    let annotations = stage.images()[0].metadata.annotations.clone().unwrap();
    assert_eq!(annotations[FOUND_TAGS_ANNOTATION], "1.2");
    assert_eq!(stage.settle().await, 0, "a second look writes nothing");

    // A restart, and a GitHub that takes no requests.
    github.leave(0);
    stage.memory = crate::image_mirror::Memory::default();
    assert_eq!(stage.settle().await, 0);
    assert_eq!(tags(&stage), ["1.0", "1.1", "1.2"]);
    let failed = &stage.status().failed_updates;
    assert!(failed[0].name == "widget" && failed[0].message.contains("no more requests"), "{failed:?}");

    // Nothing asks for it any more.
    stage.change(|spec| spec.updates.clear());
    assert_eq!(stage.settle().await, 1);
    assert_eq!(tags(&stage), ["1.0", "1.1"]);
    assert!(stage.status().failed_updates.is_empty());
}

#[tokio::test]
async fn more_than_a_hundred_new_tags_are_not_added_in_one_step() {
    let many: Vec<String> = (0..101).map(|n| format!("2.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (mut stage, _github) = stage(UpdateMode::Apply, &many).await;
    stage.settle().await;
    assert_eq!(tags(&stage), ["1.0", "1.1"]);
    let message = &stage.status().failed_updates[0].message;
    assert!(message.starts_with("TooManyTags: it has 101 new tags, and 100 are added"), "{message}");
    let proposals = stage.status().proposals.clone().unwrap();
    assert_eq!((proposals.count, proposals.tags.len()), (101, 50));

    // As the message says, a pattern of the entry accepts them.
    stage.change(|spec| spec.entries[0].tags.push("2.x".into()));
    stage.settle().await;
    assert_eq!((stage.status().proposals.clone(), stage.status().failed_updates.len()), (None, 0));
}

#[tokio::test]
async fn what_the_inventory_has_no_room_for_is_proposed_and_stops_nothing() {
    let long: Vec<String> = (0..60).map(|n| format!("{n}-{}", "x".repeat(100))).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    let (mut stage, _github) = stage(UpdateMode::Apply, &long).await;
    let name = Some("tools/widget".to_owned());
    stage.mirror.spec.entries[0].target_name.clone_from(&name);
    let mut star = stage.mirror.spec.entries[0].clone();
    star.tags = vec!["*".into()];
    stage.mirror.spec.entries.push(star);
    // Tags of the star are overwritten otherwise, and its list of excluded tags has a limit.
    stage.mirror.spec.follow = vec!["*".into()];
    stage.mirror.spec.updates[0].entries[0].target_name = name;
    stage.settle().await;
    assert_eq!(stage.images().len(), 2);
    assert_eq!(stage.status().proposals.as_ref().map(|proposals| proposals.count), Some(60));
    let message = &stage.status().failed_updates[0].message;
    assert!(message.starts_with("TooManyTags: 60 tags are proposed and not added"), "{message}");
    assert_ne!(stage.condition("Ready").reason, "InvalidSpec");
}

#[tokio::test]
async fn an_update_whose_entry_is_not_there_says_so() {
    let (mut stage, _github) = stage(UpdateMode::Apply, &["1.2"]).await;
    stage.mirror.spec.updates[0].entries[0].target_name = Some("other".into());
    stage.settle().await;
    assert_eq!(tags(&stage), ["1.0", "1.1"]);
    assert_eq!(
        stage.status().failed_updates[0].message,
        "no entry is quay.io/tools/widget0 (targetName other), or it is excluded: correct entries of the update"
    );
}

#[tokio::test]
async fn a_limit_of_github_holds_for_all_mirrors_and_no_other_one_asks() {
    let (mut stage, github) = stage(UpdateMode::Propose, &["1.2"]).await;
    github.leave(0);
    stage.settle().await;
    assert_eq!(github.api.seen().len(), 1);
    // Another mirror knows nothing but what all share.
    github.leave(60);
    stage.memory = crate::image_mirror::Memory::default();
    stage.settle().await;
    assert_eq!(github.api.seen().len(), 1);
    assert!(stage.status().failed_updates[0].message.contains("no more requests until 2026-12-01"));
}

#[tokio::test]
async fn a_pass_looks_at_two_sources_and_later_ones_at_the_others() {
    let (mut stage, github) = stage(UpdateMode::Propose, &[]).await;
    stage.mirror.spec.updates =
        ["a", "b", "c", "d", "e"].map(|name| update(name, UpdateMode::Propose)).to_vec();
    for (passes, looks) in [(1, 2), (2, 4), (3, 5), (4, 5)] {
        let result = stage.pass(11).await;
        assert_eq!(github.api.seen().len(), looks, "after {passes} passes");
        let wait = result.next.unwrap();
        assert!(looks == 5 || wait.as_secs() <= 1, "{wait:?}");
    }
}
