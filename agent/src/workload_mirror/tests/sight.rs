//! What a mirror does not see, and what is said of it.

use std::sync::Arc;
use std::time::Duration;

use imgop_core::api::WorkloadKind;
use imgop_core::api::conditions::{READY, STALLED, reasons};
use serde_json::{Value, json};

use super::stage::Stage;
use crate::config::Namespaces;
use crate::image::tests::fixtures::agent_with;
use crate::workload_mirror::Memory;
use crate::workload_mirror::workloads::Workloads;
use crate::workload_mirror::workloads::testing::{made_by, pod};

const GROUP: &str = "system:serviceaccounts:team-a";

fn own() -> Value {
    pod("team-a", "own", "quay.io/acme/own:1", "")
}

fn other() -> Value {
    pod("team-b", "other", "quay.io/acme/other:1", "")
}

#[tokio::test(start_paused = true)]
async fn a_namespace_in_which_only_other_mirrors_see_something_is_not_asked_for() {
    let mut stage = Stage::new();
    stage.change(|spec| {
        spec.kinds = vec![WorkloadKind::Pod];
        spec.namespaces.include = vec!["*".to_owned()];
    });
    let idle = json!({ "metadata": { "name": "idle", "namespace": "team-b", "uid": "idle" },
        "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": "idle:1" }] } } } });
    stage.workloads.lists_workloads(WorkloadKind::Deployment, &[idle]);
    stage.workloads.lists_pods(&[own()]);
    assert_eq!(stage.settle().await, 1);
    let asked = stage.api.bodies("POST");
    let is_of_other = |body: &&Value| body["spec"]["resourceAttributes"]["namespace"] == "team-b";
    assert_eq!(asked.iter().find(is_of_other), None);
}

#[tokio::test(start_paused = true)]
async fn while_a_namespace_is_withdrawn_nothing_becomes_unused_although_nothing_runs_there_for_a_while() {
    for include in [["team-a", "team-b"], ["team-a", "*"]] {
        let mut stage = Stage::new();
        stage.change(|spec| {
            spec.namespaces.include = include.map(str::to_owned).into();
            spec.retention = "1m".into();
        });
        stage.api.hold("/api/v1/namespaces/team-b", json!({ "metadata": { "name": "team-b" } }));
        stage.api.grant(GROUP, "team-b", true);
        stage.workloads.lists_pods(&[own(), other()]);
        assert_eq!(stage.settle().await, 2);
        stage.api.grant(GROUP, "team-b", false);
        tokio::time::advance(Duration::from_secs(301)).await;
        for pods in [vec![own()], vec![own(), other()], vec![own()]] {
            stage.workloads.lists_pods(&pods);
            for _ in 0..2 {
                assert_eq!(stage.settle().await, 0, "{include:?}");
                stage.pass(120).await;
            }
            let ready = &stage.condition(READY).message;
            assert!(ready.contains("no image counts as unused"), "{ready}");
        }
        assert_eq!((stage.copied().len(), stage.status().seen_namespaces.len()), (2, 2));
        // It is deleted.
        stage.api.fail_with("GET", "/namespaces/team-b", 404, "namespaces \"team-b\" not found");
        tokio::time::advance(Duration::from_secs(61)).await;
        stage.settle().await;
        stage.pass(120).await;
        stage.images.watch(stage.now);
        stage.settle().await;
        assert_eq!(stage.copied(), ["quay.io/acme/own > r.example.com/mirror/acme/own 1"]);
        assert_eq!(stage.status().seen_namespaces.len(), 1);
    }
}

/// A mirror that looks at pods alone, whose agent watches team-a and team-b.
fn watched_by_name() -> Stage {
    let mut stage = Stage::new();
    stage.change(|spec| spec.kinds = vec![WorkloadKind::Pod]);
    let mut agent = Arc::into_inner(agent_with(stage.api.client(), &[])).unwrap();
    agent.config.watch_namespaces = Namespaces::Named(["team-a".to_owned(), "team-b".to_owned()].into());
    stage.mirrors.agent = Arc::new(agent);
    stage.workloads = Workloads::default();
    stage.mirrors.workloads = stage.workloads.clone();
    for (verb, resource) in [("get", "replicasets"), ("get", "jobs"), ("list", "statefulsets")] {
        stage.api.deny(verb, resource, "");
    }
    stage
}

#[tokio::test(start_paused = true)]
async fn of_namespaces_that_are_watched_by_name_the_rights_of_these_are_enough() {
    let mut stage = watched_by_name();
    let of_stateful_set = made_by(pod("team-a", "db-0", "quay.io/acme/db:1", ""), "StatefulSet", "db");
    stage.workloads.lists_namespace("team-a", &[of_stateful_set]);
    assert_eq!(stage.settle().await, 1);
    for (verb, resource) in [("list", "statefulsets"), ("get", "jobs")] {
        stage.api.deny(verb, resource, "team-a");
        tokio::time::advance(Duration::from_secs(301)).await;
        stage.pass(31).await;
        let stalled = stage.condition(STALLED);
        assert_eq!(stalled.reason, reasons::WORKLOADS_NOT_ALLOWED);
        let is_said = stalled.message.contains(&format!("may not {verb} {resource}"))
            && stalled.message.contains("rolebinding imgop-agent-workloads -n team-a");
        assert!(is_said, "{}", stalled.message);
    }
}

#[tokio::test(start_paused = true)]
async fn a_right_that_a_clusterrolebinding_alone_grants_is_said_before_those_of_namespaces() {
    let mut stage = watched_by_name();
    stage.change(|spec| spec.namespaces.include = vec!["team-a".to_owned(), "team-b".to_owned()]);
    stage.api.deny("create", "subjectaccessreviews", "");
    stage.workloads.lose_right_in("team-a");
    stage.pass(11).await;
    let message = &stage.condition(STALLED).message;
    assert!(message.contains("create clusterrolebinding imgop-agent-workloads"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn what_the_api_server_does_not_list_for_minutes_is_said_and_a_start_changes_nothing() {
    let mut stage = Stage::new();
    stage.workloads.lists_pods(&[own()]);
    stage.settle().await;
    stage.images.say(true, reasons::SUCCEEDED, stage.now);
    stage.settle().await;
    let before = stage.status().clone();
    assert_eq!(stage.condition(READY).status, "True");
    // Another process begins.
    stage.memory = Memory::default();
    stage.mirrors.workloads = Workloads::default();
    for seconds in [11, 60, 59] {
        stage.pass(seconds).await;
        assert_eq!(*stage.status(), before);
    }
    stage.pass(6).await;
    let ready = stage.condition(READY);
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", reasons::WORKLOADS_UNKNOWN));
    assert!(ready.message.contains("has not listed the deployments of all namespaces"), "{ready:?}");
    let said = stage.status().clone();
    stage.pass(70).await;
    assert_eq!(*stage.status(), said, "nothing is written for that");
    // What was listed counts, and the next gap begins anew.
    for workloads in [stage.workloads.clone(), Workloads::default()] {
        stage.mirrors.workloads = workloads;
        stage.pass(11).await;
        assert_eq!(stage.condition(READY).status, "True");
    }
}
