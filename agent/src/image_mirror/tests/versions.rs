//! What version sources announce, in whole passes.

use imgop_core::api::{
    FOUND_TAGS_ANNOTATION, GithubReleaseSource, MirrorUpdate, UpdateMode, UpdateSource, UpdatedEntry,
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
    stage.mirror.spec.updates = vec![MirrorUpdate {
        name: "widget".into(),
        from: UpdateSource {
            github_release: Some(GithubReleaseSource {
                owner: "tools".into(),
                repository: "widget".into(),
                latest_only: false,
                version_regex: None,
                version_constraint: None,
                token_secret_name: None,
            }),
            ..UpdateSource::default()
        },
        entries: vec![UpdatedEntry { source: "quay.io/tools/widget0".into(), target_name: None }],
        mode,
        frequency: "6h".into(),
    }];
    (stage, github)
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
    assert!(stage.status().failed_updates[0].message.contains("101 new tags"));
    let proposals = stage.status().proposals.clone().unwrap();
    assert_eq!((proposals.count, proposals.tags.len()), (101, 50));
}
