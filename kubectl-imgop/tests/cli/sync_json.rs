//! `kubectl imgop sync` of a WorkloadMirror: with `--json` a program gets its answer whatever happens.

use std::sync::Mutex;

use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, list, not_found, refused};
use crate::program::Run;

/// A WorkloadMirror whose agent has done what this token asked for, if any, with all tags at the destination or not.
fn mirror(handled: Option<&str>, is_ready: bool) -> Value {
    let (ready, synced, failed) = if is_ready { ("True", 5, 0) } else { ("False", 3, 2) };
    let condition = json!({ "type": "Ready", "status": ready, "reason": "Any",
        "message": format!("{synced} of 5 tags are there"), "lastTransitionTime": "2026-01-01T00:00:00Z" });
    let counts = json!({ "workloads": 3, "pods": 4, "images": 2, "repositories": 2, "pinned": 0, "excluded": 0,
        "waitingForDigest": 0, "synced": synced, "failed": failed, "originNotFound": 0, "retained": 0 });
    json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "WorkloadMirror",
        "metadata": { "name": "cluster", "namespace": "ci", "uid": "u", "resourceVersion": "1", "generation": 1 },
        "spec": { "destination": { "repository": "r.corp/m" } },
        "status": { "observedGeneration": 1, "lastHandledRequestedAt": handled, "conditions": [condition],
            "counts": counts } })
}

/// An Image that had copied five tags before, and two more since.
fn image(has_copied: bool) -> Value {
    let entry = |at: &str, copied: u32| json!({ "performedAt": at, "copied": copied });
    let before = entry("2026-01-01T00:00:00Z", 5);
    let history = if has_copied { vec![entry("2026-01-02T00:00:00Z", 2), before] } else { vec![before] };
    json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": "web", "namespace": "ci" },
        "spec": { "mode": "Recurrent", "source": { "name": "quay.io/a/web", "tags": ["1"] },
            "destination": { "name": "r.corp/m/web" } },
        "status": { "history": history } })
}

/// A cluster whose agent does at once what is asked for; `ends_well` with all tags at the destination.
fn cluster_with_agent(ends_well: bool) -> FakeCluster {
    let handled = Mutex::new(None::<String>);
    FakeCluster::with_bodies(move |request, body| {
        let mut handled = handled.lock().unwrap();
        if request.starts_with("PATCH") {
            let patch: Value = serde_json::from_slice(body).unwrap();
            let token = &patch["metadata"]["annotations"]["imgop.skopeo.io/requested-at"];
            *handled = token.as_str().map(str::to_owned);
        }
        let mirror = mirror(handled.as_deref(), ends_well && handled.is_some());
        match request {
            request if request.contains("/images?") => {
                list("ImageList", "skopeo.io/v1alpha1", &[image(handled.is_some())])
            }
            request if request.contains("/workloadmirrors?") => {
                list("WorkloadMirrorList", "skopeo.io/v1alpha1", &[mirror])
            }
            _ => (200, mirror),
        }
    })
}

/// What a program reads.
fn answer(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap()
}

#[test]
fn a_program_is_told_that_nothing_was_begun() {
    let cluster = FakeCluster::with_builders(|request| {
        if !request.contains("/workloadmirrors/cluster") {
            return not_found("it");
        }
        let object = json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "WorkloadMirror",
            "metadata": { "name": "cluster", "namespace": "ci", "uid": "u", "resourceVersion": "1", "generation": 1 },
            "spec": { "destination": { "repository": "r.corp/m" }, "suspend": true } });
        (200, object)
    });
    for (name, said) in [("cluster", "suspended"), ("absent", "not found")] {
        let run = cluster.program.run(&format!("sync workloadmirror/{name} --json"));
        assert_eq!(run.code, 1, "{run}");
        let message = answer(&run)["message"].clone();
        assert!(message.as_str().unwrap().contains(said) && run.stderr.contains(said), "{run}");
        let expected = json!({ "triggered": false, "success": false, "workloadsProcessed": 0, "imagesMirrored": 0,
            "message": message });
        assert_eq!(answer(&run), expected, "{run}");
        let run = cluster.program.run(&format!("sync workloadmirror/{name} --retry --json"));
        assert_eq!(
            (&answer(&run)["reset"], &answer(&run)["clearedTargets"]),
            (&json!(false), &json!(0)),
            "{run}"
        );
    }
}

#[test]
fn a_sync_that_ended_well_is_answered_with_what_was_looked_at_and_copied() {
    let mut expected = json!({ "triggered": true, "success": true, "workloadsProcessed": 3, "imagesMirrored": 2,
        "message": "5 of 5 tags are there" });
    let run = cluster_with_agent(true).program.run("sync workloadmirror/cluster --json");
    assert_eq!((run.code, answer(&run)), (0, expected.clone()), "{run}");
    expected["reset"] = json!(true);
    expected["clearedTargets"] = json!(2);
    let run = cluster_with_agent(true).program.run("sync workloadmirror/cluster --retry --json");
    assert_eq!((run.code, answer(&run)), (0, expected), "{run}");
    assert!(run.stderr.contains("workloadmirror/cluster is ready: 5 of 5 tags are there"), "{run}");
}

#[test]
fn a_sync_that_ended_badly_is_no_success_and_has_its_numbers_all_the_same() {
    let expected = json!({ "triggered": true, "success": false, "workloadsProcessed": 3, "imagesMirrored": 2,
        "message": "3 of 5 tags are there" });
    let run = cluster_with_agent(false).program.run("sync workloadmirror/cluster --json");
    assert_eq!((run.code, answer(&run)), (1, expected), "{run}");
    assert!(run.stderr.contains("workloadmirror/cluster is not ready: 3 of 5 tags are there"), "{run}");
}

#[test]
fn without_json_people_read_what_was_asked_for_and_how_it_ended() {
    let run = cluster_with_agent(true).program.run("sync workloadmirror/cluster");
    insta::assert_snapshot!(run, @"
    exit code: 0
    ----- stdout -----
    workloadmirror.skopeo.io/cluster triggered
    ----- stderr -----
    workloadmirror/cluster is ready: 5 of 5 tags are there
    ");
}

#[test]
fn a_program_is_told_why_the_agent_could_not_be_asked() {
    let cluster = FakeCluster::with_builders(|request| match request {
        request if request.starts_with("PATCH") => refused(403, "Forbidden", "workloadmirrors is forbidden"),
        request if request.contains("/images?") => list("ImageList", "skopeo.io/v1alpha1", &[]),
        _ => (200, mirror(None, false)),
    });
    let run = cluster.program.run("sync workloadmirror/cluster --json");
    assert_eq!((run.code, &answer(&run)["triggered"]), (1, &json!(false)), "{run}");
    assert!(run.stderr.contains(answer(&run)["message"].as_str().unwrap()), "{run}");
}

#[test]
fn what_was_not_waited_for_to_its_end_is_no_success() {
    let cluster = FakeCluster::with_builders(|request| match request {
        request if request.contains("/images?") => list("ImageList", "skopeo.io/v1alpha1", &[]),
        request if request.contains("/workloadmirrors?") => {
            (500, json!({ "kind": "Status", "code": 500, "message": "etcd has no leader" }))
        }
        _ => (200, mirror(None, false)),
    });
    let expected = |message: &Value| {
        json!({ "triggered": true, "success": false, "workloadsProcessed": 0, "imagesMirrored": 0,
            "message": message })
    };
    let run = cluster.program.run("sync workloadmirror/cluster --json --no-wait");
    let asked = json!("the agent was asked to look at all workloads");
    assert_eq!((run.code, answer(&run)), (0, expected(&asked)), "{run}");
    let run = cluster.program.run("sync workloadmirror/cluster --json --timeout 1s");
    let message = answer(&run)["message"].clone();
    assert_eq!((run.code, answer(&run)), (1, expected(&message)), "{run}");
    assert!(message.as_str().unwrap().contains("not ready after 1s"), "{run}");
}
