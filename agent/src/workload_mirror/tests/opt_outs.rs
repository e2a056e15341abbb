//! What workloads say of themselves whose kind is not watched.

use std::time::Duration;

use imgop_core::api::conditions::{STALLED, reasons};
use imgop_core::api::{REQUESTED_AT_ANNOTATION, WorkloadKind};
use serde_json::{Value, json};

use super::stage::Stage;
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
    tokio::time::advance(Duration::from_secs(5)).await;
    stage.mirror.metadata.annotations = Some([(REQUESTED_AT_ANNOTATION.to_owned(), "now".to_owned())].into());
    stage.settle().await;
    assert_eq!(stage.copied().len(), 2, "the Deployment has no annotation any more: {:?}", stage.copied());
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
