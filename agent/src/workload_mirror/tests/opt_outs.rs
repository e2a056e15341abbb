//! What workloads say of themselves whose kind is not watched.

use std::time::Duration;

use imgop_core::api::conditions::{STALLED, reasons};
use imgop_core::api::{REQUESTED_AT_ANNOTATION, WorkloadKind};
use serde_json::{Value, json};

use super::stage::Stage;
use crate::children::{CORRECTION_INTERVAL, WRITE_INTERVAL};
use crate::workload_mirror::workloads::testing::{made_by, pod};

/// A StatefulSet or a Deployment with this value of the annotation.
fn workload(name: &str, value: &str) -> Value {
    json!({ "metadata": { "name": name, "namespace": "team-a",
        "annotations": { "imgop.skopeo.io/mirror": value } } })
}

/// A mirror that looks at pods alone: one of a StatefulSet, one of a Deployment, and one of another StatefulSet.
fn stage() -> Stage {
    let mut stage = Stage::new();
    stage.change(|spec| spec.kinds = vec![WorkloadKind::Pod]);
    let replica_set = json!({ "metadata": { "name": "web-1", "namespace": "team-a", "uid": "uid of web-1",
        "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d",
            "controller": true }] } });
    stage.api.hold("/apis/apps/v1/namespaces/team-a/replicasets/web-1", replica_set);
    stage.api.hold_list("deployments", vec![workload("web", "false")]);
    stage.api.hold_list("statefulsets", vec![workload("db", "false"), workload("cache", "true")]);
    stage.workloads.lists_pods(&[
        made_by(pod("team-a", "web-1-x", "quay.io/acme/web:1", ""), "ReplicaSet", "web-1"),
        made_by(pod("team-a", "db-0", "quay.io/acme/db:1", ""), "StatefulSet", "db"),
        made_by(pod("team-a", "cache-0", "quay.io/acme/cache:1", ""), "StatefulSet", "cache"),
    ]);
    stage
}

/// A mirror that looks at pods alone: one of each of 401 `StatefulSets`. Only the image of the last one is not excluded, and that
/// StatefulSet has the annotation. A pass reads 400 of them.
async fn large_stage() -> Stage {
    let mut stage = Stage::new();
    stage.change(|spec| {
        spec.kinds = vec![WorkloadKind::Pod];
        spec.exclude.images = vec!["*/acme/app".to_owned()];
    });
    let of = |n: usize| {
        let image = if n == 400 { "quay.io/acme/last:1" } else { "quay.io/acme/app:1" };
        made_by(pod("team-a", &format!("db-{n:03}-0"), image, ""), "StatefulSet", &format!("db-{n:03}"))
    };
    stage.workloads.lists_pods(&(0..401).map(of).collect::<Vec<_>>());
    stage.api.hold_list("statefulsets", vec![workload("db-400", "false")]);
    for _ in 0..2 {
        stage.pass(11).await;
    }
    assert_eq!((asked(&stage), stage.copied().len()), (401, 0));
    stage
}

/// A user asks for a sync.
fn request_sync(stage: &mut Stage) {
    stage.mirror.metadata.annotations = Some([(REQUESTED_AT_ANNOTATION.to_owned(), "now".to_owned())].into());
}

/// How often workloads were asked for by their names.
fn asked(stage: &Stage) -> usize {
    let requests = stage.api.requests();
    requests.iter().filter(|line| line.contains("/deployments?") || line.contains("/statefulsets?")).count()
}

#[tokio::test(start_paused = true)]
async fn the_annotation_of_a_workload_counts_where_its_kind_is_not_watched_and_is_read_now_and_then() {
    let mut stage = stage();
    assert_eq!(stage.settle().await, 1);
    assert_eq!(stage.copied(), ["quay.io/acme/cache > r.example.com/mirror/acme/cache 1"]);
    assert_eq!(stage.status().counts.unwrap().excluded, 2);
    assert_eq!(asked(&stage), 3);
    stage.pass(70).await;
    assert_eq!(asked(&stage), 3, "what was said is remembered");
    stage.api.hold_list("deployments", Vec::new());
    tokio::time::advance(Duration::from_mins(30)).await;
    assert_eq!(stage.settle().await, 1);
    assert_eq!(asked(&stage), 6);
    assert_eq!(stage.copied().len(), 2, "{:?}", stage.copied());
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_is_asked_for_reads_at_once_what_workloads_say() {
    let mut stage = stage();
    stage.settle().await;
    stage.api.hold_list("deployments", Vec::new());
    tokio::time::advance(Duration::from_secs(2)).await;
    request_sync(&mut stage);
    stage.settle().await;
    assert_eq!(stage.copied().len(), 2, "the Deployment has no annotation any more: {:?}", stage.copied());
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_is_asked_for_is_handled_once_all_workloads_were_read_again_and_none_of_them_twice() {
    let mut stage = large_stage().await;
    stage.api.hold_list("statefulsets", Vec::new());
    tokio::time::advance(Duration::from_secs(10)).await;
    request_sync(&mut stage);
    let result = stage.pass(11).await;
    assert!(result.next.is_some_and(|wait| wait <= WRITE_INTERVAL), "{:?}", result.next);
    assert_eq!(asked(&stage), 401 + 400);
    assert_eq!(stage.status().last_handled_requested_at, None);
    // However long a pass takes, what it has read was read for this sync.
    tokio::time::advance(Duration::from_secs(10)).await;
    stage.pass(1).await;
    stage.images.watch(stage.now);
    stage.settle().await;
    assert_eq!(asked(&stage), 401 + 401);
    assert_eq!(stage.copied(), ["quay.io/acme/last > r.example.com/mirror/acme/last 1"]);
    assert_eq!(stage.status().last_handled_requested_at.as_deref(), Some("now"));
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_is_asked_for_is_not_handled_while_a_workload_cannot_be_read_again() {
    let mut stage = stage();
    stage.settle().await;
    stage.api.hold_list("deployments", Vec::new());
    stage.api.fail_with("GET", "/deployments", 500, "etcdserver: request timed out");
    tokio::time::advance(Duration::from_secs(10)).await;
    request_sync(&mut stage);
    stage.fails(11).await;
    assert_eq!(stage.status().last_handled_requested_at, None);
    stage.api.fail("GET", false);
    stage.settle().await;
    assert_eq!(stage.copied().len(), 2, "{:?}", stage.copied());
    assert_eq!(stage.status().last_handled_requested_at.as_deref(), Some("now"));
}

#[tokio::test(start_paused = true)]
async fn what_workloads_said_stands_while_the_api_server_fails_which_is_asked_little_and_soon_again() {
    let mut stage = large_stage().await;
    stage.api.hold_list("statefulsets", Vec::new());
    stage.api.fail_with("GET", "/statefulsets", 500, "etcdserver: request timed out");
    tokio::time::advance(Duration::from_mins(30)).await;
    let result = stage.pass(70).await;
    assert!(asked(&stage) < 401 + 8, "{}", asked(&stage));
    assert!(result.next.is_some_and(|wait| wait <= CORRECTION_INTERVAL), "{:?}", result.next);
    assert_eq!(stage.status().counts.unwrap().excluded, 2, "both images");
    stage.api.fail("GET", false);
    let before = asked(&stage);
    let result = stage.pass(70).await;
    assert_eq!(asked(&stage), before + 400);
    assert!(result.next.is_some_and(|wait| wait <= WRITE_INTERVAL), "{:?}", result.next);
    stage.pass(11).await;
    assert_eq!(asked(&stage), before + 401);
    assert_eq!(stage.status().counts.unwrap().excluded, 1, "the last StatefulSet has no annotation any more");
}

#[tokio::test(start_paused = true)]
async fn a_workload_that_can_never_be_read_again_keeps_no_other_one_from_being_read_again() {
    let mut stage = Stage::new();
    stage.change(|spec| spec.kinds = vec![WorkloadKind::Pod]);
    let of_daemon_set = |n: usize| {
        let pod = pod("team-a", &format!("log-{n}-x"), "quay.io/acme/log:1", "");
        made_by(pod, "DaemonSet", &format!("log-{n}"))
    };
    let mut pods: Vec<Value> = (0..20).map(of_daemon_set).collect();
    pods.push(made_by(pod("team-a", "db-0", "quay.io/acme/db:1", ""), "StatefulSet", "db"));
    stage.workloads.lists_pods(&pods);
    stage.settle().await;
    let asked = |stage: &Stage| {
        let requests = stage.api.requests();
        requests.iter().filter(|line| line.contains("/daemonsets?")).count()
    };
    assert_eq!(asked(&stage), 20);
    stage.api.fail_with("GET", "/statefulsets", 500, "etcdserver: request timed out");
    tokio::time::advance(Duration::from_mins(30)).await;
    stage.pass(70).await;
    assert_eq!(asked(&stage), 40, "the StatefulSet is the first that is read");
}

#[tokio::test(start_paused = true)]
async fn what_a_workload_said_is_read_again_before_it_is_older_than_half_an_hour() {
    let mut stage = stage();
    stage.change(|spec| spec.frequency = "1d".to_owned());
    stage.settle().await;
    tokio::time::advance(Duration::from_mins(20)).await;
    let result = stage.pass(70).await;
    assert_eq!(asked(&stage), 3);
    let minutes = Duration::from_mins(9)..=Duration::from_mins(10);
    assert!(result.next.is_some_and(|wait| minutes.contains(&wait)), "{:?}", result.next);
    tokio::time::advance(Duration::from_mins(6)).await;
    stage.pass(70).await;
    assert_eq!(asked(&stage), 6, "what is soon too old is read in a pass that is made anyway");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_of_workloads_that_are_watched() {
    let mut stage = stage();
    stage.change(|spec| spec.kinds = Vec::new());
    stage.settle().await;
    assert_eq!(asked(&stage), 0);
}

#[tokio::test(start_paused = true)]
async fn a_right_that_lacks_to_look_up_what_a_workload_says_is_said_with_what_grants_it() {
    let mut stage = stage();
    stage.api.deny("list", "statefulsets", "");
    stage.pass(11).await;
    let stalled = stage.condition(STALLED);
    assert_eq!(stalled.reason, reasons::WORKLOADS_NOT_ALLOWED);
    let (said, role) = ("may not list statefulsets", "imgop-agent-workloads");
    assert!(stalled.message.contains(said) && stalled.message.contains(role), "{}", stalled.message);
    assert!(stage.images.writes().is_empty());
}
