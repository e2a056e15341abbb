//! What earlier syncs copied.

use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, image};
use crate::program::{Program, Run};

/// An Image with a history: the last sync failed for two tags, one before copied five.
fn with_history() -> Value {
    let mut image = image("argocd", "False", "1 of 3 tags are there");
    image["status"]["lastSyncTime"] = json!("2026-01-03T00:00:00Z");
    image["status"]["failures"] = json!([
        { "tag": "v2.13.2", "reason": "CopyFailed", "message": "denied:\u{1b}[2J no", "attempts": 1 },
        { "tag": "v2.13.1", "reason": "OutOfMemory", "message": "killed", "attempts": 1 },
    ]);
    image["status"]["history"] = json!([
        { "performedAt": "2026-01-01T00:00:00Z" },
        { "performedAt": "2026-01-02T00:00:00Z", "copied": 5, "failed": 0, "tags": ["v2.13.0", "v2.12.9", "v2.12.8"] },
        { "performedAt": "2026-01-03T00:00:00Z", "copied": 1, "failed": 2, "tags": ["v2.13.3"] },
    ]);
    image
}

fn history(image: &Value, arguments: &str) -> Run {
    let image = image.clone();
    FakeCluster::start(move |_| (200, image.clone())).program.run(&format!("history {arguments}"))
}

#[test]
fn a_history_shows_what_each_sync_copied_and_why_the_last_one_failed() {
    insta::assert_snapshot!(history(&with_history(), "argocd -o wide"), @r"
    exit code: 0
    ----- stdout -----
    SYNC                   RESULT      COPIED      FAILED      TAGS                         REASON       MESSAGE
    2026-01-03T00:00:00Z   Partial     1           2           v2.13.3                      CopyFailed   v2.13.2: denied:\u{1b}[2J no (and 1 more)
    2026-01-02T00:00:00Z   Succeeded   5           0           v2.13.0,v2.12.9,v2.12.8,+2   <none>       <none>
    2026-01-01T00:00:00Z   <unknown>   <unknown>   <unknown>   <none>                       <none>       <none>
    ");
    insta::assert_snapshot!(history(&with_history(), "argocd -o json"), @r#"
    exit code: 0
    ----- stdout -----
    {
        "apiVersion": "imgop.history/v1",
        "kind": "Image",
        "namespace": "ci",
        "name": "argocd",
        "syncs": [
            {
                "time": "2026-01-03T00:00:00Z",
                "result": "partial",
                "counts": {
                    "copied": 1,
                    "failed": 2
                },
                "tags": [
                    "v2.13.3"
                ],
                "tagsBeyond": 0,
                "reason": "CopyFailed",
                "message": "v2.13.2: denied:\u001b[2J no (and 1 more)"
            },
            {
                "time": "2026-01-02T00:00:00Z",
                "result": "succeeded",
                "counts": {
                    "copied": 5,
                    "failed": 0
                },
                "tags": [
                    "v2.13.0",
                    "v2.12.9",
                    "v2.12.8"
                ],
                "tagsBeyond": 2
            },
            {
                "time": "2026-01-01T00:00:00Z",
                "result": "unknown",
                "counts": {},
                "tags": [],
                "tagsBeyond": 0
            }
        ]
    }
    "#);
    let yaml = history(&with_history(), "argocd -o yaml");
    assert!(yaml.stdout.starts_with("apiVersion: imgop.history/v1\nkind: Image\n"), "{yaml}");
}

#[test]
fn a_history_has_ages_unless_it_is_wide() {
    let mut image = with_history();
    let days_ago =
        |days: i64| (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days)).to_string();
    for (entry, days) in [(0, 4), (1, 3), (2, 2)] {
        image["status"]["history"][entry]["performedAt"] = json!(days_ago(days));
    }
    insta::assert_snapshot!(history(&image, "argocd"), @"
    exit code: 0
    ----- stdout -----
    SYNC     RESULT      COPIED      FAILED      TAGS                         REASON   MESSAGE
    2d ago   Partial     1           2           v2.13.3                      <none>   <none>
    3d ago   Succeeded   5           0           v2.13.0,v2.12.9,v2.12.8,+2   <none>   <none>
    4d ago   <unknown>   <unknown>   <unknown>   <none>                       <none>   <none>
    ");
    let rows = history(&image, "argocd --no-headers");
    assert!(rows.stdout.starts_with("2d ago"), "{rows}");
}

#[test]
fn an_image_that_has_copied_nothing_has_no_history() {
    let new = image("argocd", "True", "there");
    insta::assert_snapshot!(history(&new, "argocd"), @"
    exit code: 0
    ----- stderr -----
    argocd has copied nothing yet.
    ");
    let document = history(&new, "argocd -o json");
    assert!(document.code == 0 && document.stdout.contains("\"syncs\": []"), "{document}");
}

#[test]
fn a_history_is_of_one_image() {
    let run = Program::new().run("history");
    assert!(run.code == 2 && run.stderr.starts_with("error: missing: NAME"), "{run}");
    insta::assert_snapshot!(Program::new().run("history a b"), @"
    exit code: 2
    ----- stderr -----
    error: unexpected argument 'b' found

    Usage: kubectl imgop history [OPTIONS] [NAME]

    For more information, try '--help'.
    ");
}
