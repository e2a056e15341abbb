//! What a mirror does not see, and what is said of it.

use std::sync::Arc;
use std::time::Duration;

use imgop_core::api::conditions::{READY, STALLED, reasons};
use imgop_core::api::{REQUESTED_AT_ANNOTATION, WorkloadKind};
use imgop_core::workloads::SeenBefore;
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

#[tokio::test(start_paused = true)]
async fn a_namespace_that_a_status_has_no_room_for_is_missed_too_although_nothing_runs_there_any_more() {
    let mut stage = Stage::new();
    stage.change(|spec| {
        spec.namespaces.include = vec!["*".to_owned()];
        spec.retention = "1m".into();
    });
    let names: Vec<String> = (0..310).map(|n| format!("n{n}")).collect();
    for name in &names {
        stage.api.grant(GROUP, name, true);
    }
    let pods = |with_other: Option<&str>| -> Vec<Value> {
        let image = |name: &str| match with_other {
            Some(other) if other == name => "quay.io/acme/other:1",
            _ => "quay.io/acme/app:1",
        };
        names.iter().map(|name| pod(name, "web", image(name), "")).collect()
    };
    // A pass asks for a hundred rights.
    let come_to_rest = async |stage: &mut Stage| {
        for _ in 0..5 {
            stage.settle().await;
        }
        stage.pass(70).await;
    };
    stage.workloads.lists_pods(&pods(None));
    come_to_rest(&mut stage).await;
    let marks = stage.status().seen_namespaces.clone();
    let recorded = SeenBefore { marks: &marks, has_images: true };
    let left_out = names.iter().find(|name| !recorded.has(name)).unwrap().clone();
    stage.api.hold(&format!("/api/v1/namespaces/{left_out}"), json!({ "metadata": { "name": left_out } }));
    let mut running = pods(Some(&left_out));
    stage.workloads.lists_pods(&running);
    stage.settle().await;
    stage.api.grant(GROUP, &left_out, false);
    tokio::time::advance(Duration::from_secs(301)).await;
    come_to_rest(&mut stage).await;
    running.retain(|pod| pod["metadata"]["namespace"] != left_out.as_str());
    stage.workloads.lists_pods(&running);
    for _ in 0..3 {
        assert_eq!(stage.settle().await, 0);
        stage.pass(120).await;
    }
    assert_eq!(stage.copied().len(), 2);
    let ready = &stage.condition(READY).message;
    assert!(ready.contains("no image counts as unused"), "{ready}");
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_is_asked_for_is_handled_once_all_rights_were_asked_for_again() {
    let mut stage = Stage::new();
    stage.change(|spec| spec.namespaces.include = vec!["*".to_owned()]);
    let names: Vec<String> = (0..120).map(|n| format!("n{n}")).collect();
    for name in &names {
        stage.api.grant(GROUP, name, true);
    }
    let mut pods: Vec<Value> = names.iter().map(|name| pod(name, "web", "quay.io/acme/app:1", "")).collect();
    pods.push(pod("late", "web", "quay.io/acme/late:1", ""));
    stage.workloads.lists_pods(&pods);
    for _ in 0..3 {
        stage.settle().await;
    }
    assert_eq!(stage.images.all().len(), 1);
    stage.api.grant(GROUP, "late", true);
    stage.mirror.metadata.annotations = Some([(REQUESTED_AT_ANNOTATION.to_owned(), "now".to_owned())].into());
    stage.pass(11).await;
    assert_eq!(stage.status().last_handled_requested_at, None, "a hundred of 121 were asked for");
    stage.images.watch(stage.now);
    stage.settle().await;
    assert_eq!(stage.images.all().len(), 2);
    assert_eq!(stage.status().last_handled_requested_at.as_deref(), Some("now"));
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
    stage
}

#[tokio::test(start_paused = true)]
async fn of_namespaces_that_are_watched_by_name_the_rights_of_these_are_enough() {
    let mut stage = watched_by_name();
    for (verb, resource) in [("get", "replicasets"), ("get", "jobs"), ("list", "statefulsets")] {
        stage.api.deny(verb, resource, "");
    }
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
async fn a_right_that_is_granted_in_all_namespaces_is_not_asked_for_in_each_of_them() {
    let mut stage = watched_by_name();
    stage.workloads.lists_namespace("team-a", &[own()]);
    assert_eq!(stage.settle().await, 1);
    let bodies = stage.api.bodies("POST");
    let asked = bodies.iter().map(|body| &body["spec"]["resourceAttributes"]);
    let of_replica_sets = asked.filter(|asked| asked["resource"] == "replicasets");
    let namespaces: Vec<&Value> = of_replica_sets.map(|asked| &asked["namespace"]).collect();
    assert_eq!(namespaces, [""]);
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

#[tokio::test(start_paused = true)]
async fn how_long_a_list_takes_counts_anew_after_a_pass_that_had_it_or_that_something_else_kept_from_its_end()
{
    let mut stage = Stage::new();
    stage.change(|spec| spec.namespaces.include = vec!["team-a".to_owned(), "team-b".to_owned()]);
    stage.workloads.lists_pods(&[own()]);
    stage.settle().await;
    let is_unknown = |stage: &Stage| stage.condition(READY).reason == reasons::WORKLOADS_UNKNOWN;
    stage.mirrors.workloads = Workloads::default();
    stage.pass(11).await;
    // Everything is listed, and only what is asked then fails.
    stage.mirrors.workloads = stage.workloads.clone();
    stage.api.fail_with("POST", "/subjectaccessreviews", 500, "etcdserver: request timed out");
    tokio::time::advance(Duration::from_secs(301)).await;
    stage.fails(130).await;
    stage.mirrors.workloads = Workloads::default();
    stage.pass(11).await;
    assert!(!is_unknown(&stage), "{:?}", stage.condition(READY));
    // For a while the spec cannot be acted on.
    stage.change(|spec| {
        spec.job_template.labels = [("aadpodidbinding".into(), "admin".into())].into();
    });
    stage.pass(130).await;
    assert_eq!(stage.condition(STALLED).reason, reasons::INVALID_SPEC);
    stage.change(|spec| spec.job_template.labels.clear());
    stage.pass(11).await;
    assert!(!is_unknown(&stage), "{:?}", stage.condition(READY));
}
