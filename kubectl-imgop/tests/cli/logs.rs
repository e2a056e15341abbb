//! `logs`, against a scripted API server.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, image, list};

/// An Image with a Job of two tags; `pods` are its pods, and `log` answers for a container.
fn cluster(
    ended: bool,
    pods: &'static [&'static str],
    log: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static,
) -> FakeCluster {
    cluster_with(ended, pods, log, |_| None)
}

/// The same, but for what is answered otherwise.
pub fn cluster_with(
    ended: bool,
    pods: &'static [&'static str],
    log: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static,
    otherwise: impl Fn(&str) -> Option<(u16, Value)> + Send + Sync + 'static,
) -> FakeCluster {
    FakeCluster::start(move |request| {
        otherwise(request).unwrap_or_else(|| answer(request, ended, pods, &log))
    })
}

fn answer(request: &str, ended: bool, pods: &[&str], log: &dyn Fn(&str) -> (u16, Value)) -> (u16, Value) {
    match request {
        request if request.contains("/log?") => log(request),
        request if request.contains("/deployments?") => list("DeploymentList", "apps/v1", &[]),
        request if request.contains("/jobs") => {
            let copy = |tag: &str| json!({ "source": tag, "destination": tag, "attempt": 1, "digest": format!("sha256:{}", "0".repeat(64)) });
            let copies = json!([copy("1.0"), copy("1.1")]).to_string();
            let complete = json!([{ "type": "Failed", "status": "True" }]);
            let status = if ended { json!({ "conditions": complete }) } else { json!({ "active": 1 }) };
            let namespace = if request.contains("/namespaces/lent/") { "lent" } else { "ci" };
            let metadata = json!({ "name": "j", "namespace": namespace, "annotations": { "imgop.skopeo.io/copies": copies } });
            let job = json!({ "metadata": metadata, "status": status });
            list("JobList", "batch/v1", &[job])
        }
        request if request.contains("/pods?") => {
            let pod = |(i, name): (usize, &&str)| json!({ "metadata": { "name": name, "creationTimestamp": format!("2026-01-01T00:00:0{i}Z") } });
            list("PodList", "v1", &pods.iter().enumerate().map(pod).collect::<Vec<_>>())
        }
        request if request.contains("/pods/ended") => {
            (200, json!({ "metadata": { "name": "ended" }, "status": { "phase": "Failed" } }))
        }
        request if request.contains("/pods/") => {
            (200, json!({ "metadata": { "name": "p" }, "status": { "phase": "Running" } }))
        }
        _ => (200, image("a", "True", "there")),
    }
}

pub fn waiting() -> (u16, Value) {
    (
        400,
        json!({ "kind": "Status", "code": 400, "message": "container \"copy-0\" in pod \"p\" is waiting to start" }),
    )
}

#[test]
fn headings_stand_with_what_they_are_about() {
    let cluster = cluster(false, &["p"], |request| match request {
        request if request.contains("container=copy-0") => (200, json!("Copying blob 1.0")),
        _ => (200, json!("Copying blob 1.1")),
    });
    insta::assert_snapshot!(cluster.program.run("logs a"), @r#"
    exit code: 0
    ----- stdout -----
    ==> 1.0 (pod p, container copy-0) <==
    "Copying blob 1.0"
    ==> 1.1 (pod p, container copy-1) <==
    "Copying blob 1.1"
    "#);
    let followed = cluster.program.run("logs a -f --tail 5").stdout;
    let mut lines: Vec<&str> = followed.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["[1.0] \"Copying blob 1.0\"", "[1.1] \"Copying blob 1.1\""]);
    assert!(cluster.requests().iter().any(|r| r.contains("follow=true") && r.contains("tailLines=5")));
}

#[test]
fn nothing_that_was_logged_is_no_success() {
    insta::assert_snapshot!(cluster(false, &["p"], |_| waiting()).program.run("logs a --tag 1.0"), @r#"
    exit code: 1
    ----- stderr -----
    container "copy-0" in pod "p" is waiting to start
    "#);
}

#[test]
fn a_container_that_has_not_started_is_followed_once_it_has() {
    let asked = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let cluster = cluster(false, &["p"], move |request| {
        let of_first = request.contains("container=copy-0");
        let [first, second] = &asked;
        match if of_first { first } else { second }.fetch_add(1, Ordering::Relaxed) {
            0 => waiting(),
            _ if of_first => (200, json!("Copying blob 1.0")),
            _ => (200, json!("Copying blob 1.1")),
        }
    });
    let run = cluster.program.run("logs a -f");
    let mut lines: Vec<&str> = run.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["[1.0] \"Copying blob 1.0\"", "[1.1] \"Copying blob 1.1\""], "{run}");
    assert!(run.code == 0 && run.stderr.is_empty(), "{run}");
}

#[test]
fn why_a_container_that_is_followed_has_not_started_is_said_once() {
    let asked = AtomicUsize::new(0);
    let cluster = cluster(false, &["p"], move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0..=2 => waiting(),
        _ => (200, json!("Copying blob 1.0")),
    });
    insta::assert_snapshot!(cluster.program.run("logs a -f --tag 1.0"), @r#"
    exit code: 0
    ----- stdout -----
    [1.0] "Copying blob 1.0"
    ----- stderr -----
    container "copy-0" in pod "p" is waiting to start
    "#);
}

#[test]
fn a_pod_that_is_to_come_is_waited_for_where_it_is_followed_and_that_is_said() {
    let asked = AtomicUsize::new(0);
    let none_at_first = move |request: &str| {
        let is_first = request.contains("/pods?") && asked.fetch_add(1, Ordering::Relaxed) == 0;
        is_first.then(|| list("PodList", "v1", &[]))
    };
    let log = |_: &str| (200, json!("Copying blob 1.0"));
    let cluster = cluster_with(false, &["p"], log, none_at_first);
    insta::assert_snapshot!(cluster.program.run("logs a -f --tag 1.0"), @r#"
    exit code: 0
    ----- stdout -----
    [1.0] "Copying blob 1.0"
    ----- stderr -----
    waiting for a pod of Job j
    "#);
}

#[test]
fn a_pod_is_waited_for_no_longer_once_its_job_has_ended() {
    let asked = AtomicUsize::new(0);
    let ends = move |request: &str| {
        let is_later = request.contains("/jobs") && asked.fetch_add(1, Ordering::Relaxed) > 0;
        is_later.then(|| answer(request, true, &[], &|_| waiting()))
    };
    insta::assert_snapshot!(cluster_with(false, &[], |_| waiting(), ends).program.run("logs a -f"), @"
    exit code: 1
    ----- stderr -----
    waiting for a pod of Job j
    error: Job j has ended and has no pod

    hint: kubectl imgop describe a -n ci shows what became of it
    ");
}

#[test]
fn the_pod_of_a_job_that_ended_soon_is_printed() {
    let (jobs, pods) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let ends = move |request: &str| {
        if request.contains("/pods?") && pods.fetch_add(1, Ordering::Relaxed) == 0 {
            return Some(list("PodList", "v1", &[]));
        }
        let is_later = request.contains("/jobs") && jobs.fetch_add(1, Ordering::Relaxed) > 0;
        is_later.then(|| answer(request, true, &[], &|_| waiting()))
    };
    let log = |_: &str| (200, json!("Copying blob 1.0"));
    let run = cluster_with(false, &["ended"], log, ends).program.run("logs a -f --tag 1.0");
    assert_eq!((run.code, run.stdout.as_str()), (0, "[1.0] \"Copying blob 1.0\"\n"), "{run}");
}

#[test]
fn what_never_started_when_its_pod_has_ended_is_said_once() {
    insta::assert_snapshot!(cluster(false, &["ended"], |_| waiting()).program.run("logs a -f --tag 1.0"), @r#"
    exit code: 1
    ----- stderr -----
    container "copy-0" in pod "p" is waiting to start
    "#);
}

#[test]
fn a_pod_that_is_gone_differs_from_one_that_is_to_come() {
    insta::assert_snapshot!(cluster(true, &[], |_| waiting()).program.run("logs a"), @"
    exit code: 1
    ----- stderr -----
    error: the pods of Job j are gone, and their logs with them

    hint: kubectl imgop describe a -n ci shows what became of it
    ");
    insta::assert_snapshot!(cluster(false, &[], |_| waiting()).program.run("logs a"), @"
    exit code: 1
    ----- stderr -----
    error: Job j has no pod yet
    ");
}

#[test]
fn the_pod_before_the_newest_one_is_an_earlier_try() {
    let log = |request: &str| (200, json!(request.split('?').next()));
    let run = cluster(true, &["first", "second"], log).program.run("logs a --tag 1.0 --previous");
    assert!(run.stdout.contains("(pod first, container copy-0)"), "{run}");
    insta::assert_snapshot!(cluster(true, &["only"], log).program.run("logs a --previous"), @"
    exit code: 1
    ----- stderr -----
    error: a has no earlier pod

    hint: kubectl imgop describe a -n ci shows what became of it
    ");
}

#[test]
fn a_mirror_has_its_jobs_at_its_images() {
    let logs_of = |kind: &'static str, name: &str| {
        let mirror = json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": kind,
            "metadata": { "name": "tools", "namespace": "ci", "uid": "m" }, "spec": {} });
        let cluster = FakeCluster::with_builders(move |_| (200, mirror.clone()));
        cluster.program.run(&format!("logs {name}"))
    };
    insta::assert_snapshot!(logs_of("WorkloadMirror", "workloadmirror/tools"), @"
    exit code: 1
    ----- stderr -----
    error: workloadmirror/tools has no Jobs of its own: its Images have them

    hint: to list them: kubectl imgop list -l imgop.skopeo.io/workload-mirror=tools -n ci
    hint: then: kubectl imgop logs NAME -n ci
    ");
    let of_mirror = logs_of("ImageMirror", "imagemirror/tools");
    assert!(of_mirror.stderr.contains("list -l imgop.skopeo.io/mirror=tools -n ci\n"), "{of_mirror}");
}
