//! Releases and files of GitHub.

use imgop_core::sources::github::GithubError;
use imgop_core::sources::{FindError, GithubFile, GithubRelease, Note, ReleaseRule, Update, VersionSource};
use imgop_fakes::GitHub;

use crate::world::{TOKEN, World, update};

const REPOSITORY: &str = "tools/widget";

fn releases(is_latest_only: bool, rule: ReleaseRule) -> Update {
    let repository = REPOSITORY.parse().unwrap();
    let source = VersionSource::GithubRelease(GithubRelease { repository, is_latest_only, rule });
    update(source, &["quay.io/tools/widget", "quay.io/tools/gadget"])
}

async fn github() -> GitHub {
    let github = GitHub::start(TOKEN).await;
    for (tag, is_prerelease, is_draft) in [
        ("1.8.0", false, false),
        ("v1.9.0", false, true),
        ("nightly", false, false),
        ("v1.9.1", false, false),
        ("v2.0.0", true, false),
    ] {
        github.release(REPOSITORY, tag, is_prerelease, is_draft);
    }
    github
}

fn rule(regex: Option<&str>, constraint: Option<&str>) -> ReleaseRule {
    ReleaseRule {
        regex: regex.map(|text| text.parse().unwrap()),
        constraint: constraint.map(|text| text.parse().unwrap()),
        ..ReleaseRule::default()
    }
}

#[tokio::test]
async fn all_releases_that_a_regular_expression_or_constraint_selects_are_found_for_each_image() {
    let github = github().await;
    let world = World::with(&github);
    assert_eq!(
        world.found(&releases(false, rule(Some("^v(.*)"), None))).await,
        ["quay.io/tools/widget:1.9.1", "quay.io/tools/gadget:1.9.1"]
    );
    let found = world.find(&releases(false, rule(None, Some(">1.8")))).await.unwrap();
    assert_eq!(found.images[0].tags, ["v1.9.1"]);
    assert_eq!(found.notes, [Note::NoVersions(vec!["nightly".to_owned()])]);
}

#[tokio::test]
async fn the_latest_release_that_does_not_match_is_no_tag_and_never_an_empty_one() {
    let github = github().await;
    let world = World::with(&github);
    assert_eq!(
        world.found(&releases(true, rule(None, None))).await,
        ["quay.io/tools/widget:v1.9.1", "quay.io/tools/gadget:v1.9.1"]
    );
    assert_eq!(world.found(&releases(true, rule(Some("^w(.*)"), None))).await, [""; 0]);
}

#[tokio::test]
async fn all_pages_are_read_and_those_that_are_known_are_not_sent_again() {
    let github = GitHub::start(TOKEN).await;
    for number in 0..250 {
        github.release(REPOSITORY, &format!("v1.0.{number}"), false, false);
    }
    let world = World::with(&github);
    let all = releases(false, ReleaseRule::default());
    assert_eq!(world.find(&all).await.unwrap().images[0].tags.len(), 250);
    assert_eq!(github.api.count("GET "), 3);
    assert!(github.api.seen().iter().all(|seen| seen.header("if-none-match").is_none()));
    github.release(REPOSITORY, "v1.1.0", true, false);
    github.leave(1);
    // Only the pages that changed cost a request, and all did: the first one is answered, the second one refused.
    assert!(world.find(&all).await.is_err());
    github.leave(60);
    assert_eq!(world_at(world, "2026-12-01T00:00:01Z").find(&all).await.unwrap().images[0].tags.len(), 250);
}

fn world_at(world: World, now: &str) -> World {
    World { now: now.parse().unwrap(), ..world }
}

#[tokio::test]
async fn what_is_known_costs_no_request_of_the_hour() {
    let github = github().await;
    let world = World::with(&github);
    let all = releases(false, ReleaseRule::default());
    let first = world.found(&all).await;
    github.leave(1);
    for _ in 0..3 {
        assert_eq!(world.found(&all).await, first);
    }
}

#[tokio::test]
async fn more_than_ten_pages_are_an_error_and_no_smaller_truth() {
    let github = GitHub::start(TOKEN).await;
    for number in 0..=1_000 {
        github.release(REPOSITORY, &format!("v1.0.{number}"), false, false);
    }
    let error = World::with(&github).find(&releases(false, ReleaseRule::default())).await.unwrap_err();
    assert_eq!(error.to_string(), "tools/widget has more than 1000 releases; take only the latest one");
}

#[tokio::test]
async fn without_requests_left_nothing_is_asked_until_there_are_more() {
    let github = github().await;
    github.leave(0);
    let world = World::with(&github);
    let all = releases(false, ReleaseRule::default());
    let error = world.find(&all).await.unwrap_err();
    let FindError::Github(GithubError::RateLimited { until }) = &error else { panic!("{error}") };
    assert_eq!(until.to_string(), "2026-12-01T00:00:00Z");
    assert_eq!(
        error.to_string(),
        "GitHub takes no more requests until 2026-12-01T00:00:00Z; with a token it takes 5,000 an hour"
    );
    github.leave(60);
    assert!(world.find(&all).await.is_err());
    assert_eq!(github.api.count("GET "), 1, "not asked again");
    let later = world_at(world, "2026-12-01T00:00:01Z");
    assert!(later.find(&all).await.is_ok());
}

#[tokio::test]
async fn a_token_that_is_refused_is_said_and_not_shown() {
    let github = github().await;
    let world = World { token: Some("wrong".to_owned()), ..World::with(&github) };
    let error = world.find(&releases(false, ReleaseRule::default())).await.unwrap_err().to_string();
    assert_eq!(error, "GitHub refuses the token: Bad credentials");
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let github = GitHub::start(TOKEN).await;
    let error = World::with(&github).find(&releases(true, ReleaseRule::default())).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "GitHub has no latest release of tools/widget, or the token must not see it"
    );
}

#[tokio::test]
async fn a_file_is_read_as_it_is_at_each_release_that_counts() {
    let github = github().await;
    let lines =
        "docker.io/tools/widget:v1\nrancher/mirrored:v1\n\n  quay.io/tools/gadget:2 \nhost:5000/x/y\n";
    github.file(REPOSITORY, "v1.9.1", "deploy/images.txt", lines);
    github.file(REPOSITORY, "1.8.0", "deploy/images.txt", "tools/widget:v0\nunknown/one:1\n");
    let source = VersionSource::GithubFile(GithubFile {
        repository: REPOSITORY.parse().unwrap(),
        path: "deploy/images.txt".to_owned(),
        rule: rule(None, Some(">=1.8.0")),
    });
    let world = World::with(&github);
    let found = world.find(&update(source, &["tools/widget", "quay.io/tools/gadget"])).await.unwrap();
    assert_eq!(
        crate::world::references(&found),
        ["tools/widget:v1", "tools/widget:v0", "quay.io/tools/gadget:2"]
    );
    let notes: Vec<String> = found.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "not readable as a version: nightly",
            "host:5000/x/y was found without a tag; left out",
            "unknown/one was found, and no entry has it; list it, or add it to the denylist"
        ]
    );
}
