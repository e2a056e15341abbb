//! `sync --retry`, and what is shown of tags that are left alone.

use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, builder, image};

/// A cluster with an Image `a` of which two tags have failed, and an ImageBuilder `api`.
fn cluster() -> FakeCluster {
    FakeCluster::with_builders(|request| match request {
        request if request.contains("/imagebuilders/") => (200, builder("api", "False", "StepFailed", "no")),
        _ => (200, failed()),
    })
}

fn failed() -> Value {
    let mut image = image("a", "False", "0 of 2 tags are there");
    let failure = |tag: &str, attempts: u32, next_attempt: &str| {
        json!({ "tag": tag, "reason": "CopyFailed", "message": "disk full", "attempts": attempts,
            "nextAttempt": next_attempt })
    };
    image["status"]["failures"] =
        json!([failure("v2", 5, "2000-01-01T00:00:00Z"), failure("v1", 1, "2000-01-01T00:00:00Z")]);
    image
}

/// The annotations that a run writes.
fn annotations(cluster: &FakeCluster) -> Value {
    let bodies = cluster.bodies();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    serde_json::from_str::<Value>(&bodies[0]).unwrap()["metadata"]["annotations"].clone()
}

#[test]
fn a_sync_alone_resets_nothing() {
    let cluster = cluster();
    assert_eq!(cluster.program.run("sync image/a --no-wait").code, 0);
    let written = annotations(&cluster);
    assert_eq!(written.as_object().unwrap().len(), 1, "{written}");
}

#[test]
fn retry_resets_all_that_failed_of_any_kind_together_with_the_request() {
    for object in ["image/a", "imagebuilder/api"] {
        let cluster = cluster();
        let run = cluster.program.run(&format!("sync {object} --retry --no-wait"));
        assert_eq!(run.code, 0, "{run}");
        let written = annotations(&cluster);
        let (sync, reset) = (&written["imgop.skopeo.io/requested-at"], &written["imgop.skopeo.io/reset"]);
        assert!(sync.is_string() && sync == reset, "{written}");
    }
}

#[test]
fn retry_of_one_tag_names_it() {
    let cluster = cluster();
    let run = cluster.program.run("sync image/a --retry=v1 --no-wait");
    assert_eq!(run.code, 0, "{run}");
    let written = annotations(&cluster);
    let token = written["imgop.skopeo.io/requested-at"].as_str().unwrap();
    assert_eq!(written["imgop.skopeo.io/reset"], format!("v1@{token}"));
}

#[test]
fn retry_of_what_has_not_failed_is_a_mistake_and_writes_nothing() {
    let cluster = cluster();
    insta::assert_snapshot!(cluster.program.run("sync image/a --retry=v3"), @"
    exit code: 1
    ----- stderr -----
    error: the status of a names no failed tag v3

    hint: failed: v2, v1; to try all of them: --retry
    ");
    insta::assert_snapshot!(cluster.program.run("sync imagebuilder/api --retry=v3"), @"
    exit code: 1
    ----- stderr -----
    error: imagebuilder/api has no tags that are tried again one by one

    hint: to try all of it: --retry
    ");
    insta::assert_snapshot!(cluster.program.run("sync image/a --retry=v/3"), @r#"
    exit code: 2
    ----- stderr -----
    error: invalid value 'v/3' for '--retry[=<TAG>]': "v/3" is not a tag; a tag has at most 128 letters, digits, '_', '.' and '-', and starts with a letter, digit or '_'

    For more information, try '--help'.
    "#);
    assert!(cluster.bodies().is_empty());
}

#[test]
fn where_more_tags_failed_than_the_status_names_any_may_be_tried_again() {
    let cluster = FakeCluster::start(|_| {
        let mut image = failed();
        image["status"]["counts"] =
            json!({ "matched": 60, "synced": 0, "copying": 0, "failed": 60, "kept": 0, "excluded": 0 });
        (200, image)
    });
    let run = cluster.program.run("sync image/a --retry=v3 --no-wait");
    assert_eq!(run.code, 0, "{run}");
    assert!(annotations(&cluster)["imgop.skopeo.io/reset"].as_str().unwrap().starts_with("v3@"));
}

#[test]
fn a_description_shows_how_often_each_tag_was_tried_and_when_it_is_tried_next() {
    let cluster = FakeCluster::start(|request| match request {
        request if request.contains("/events") || request.contains("/jobs") => {
            (200, json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": [] }))
        }
        _ => (200, failed()),
    });
    let run = cluster.program.run("describe image/a");
    let at = run.stdout.find("FAILED-TAG").unwrap_or_else(|| panic!("{run}"));
    let table: Vec<&str> = run.stdout[at..].lines().take(3).collect();
    insta::assert_snapshot!(table.join("\n"), @"
    FAILED-TAG   REASON       ATTEMPTS   NEXT-ATTEMPT   MESSAGE
    v2           CopyFailed   5          now            disk full
    v1           CopyFailed   1          now            disk full
    ");
}
