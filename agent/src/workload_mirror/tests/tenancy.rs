//! Whose workloads a mirror sees.

use std::sync::Arc;

use imgop_core::api::REQUESTED_AT_ANNOTATION;
use imgop_core::api::conditions::{READY, STALLED, reasons};
use imgop_core::api::{ImageMirror, ImageMirrorSpec, MirrorTarget};

use super::stage::Stage;
use crate::config::Namespaces;
use crate::image::tests::fixtures::agent_with;
use crate::workload_mirror::workloads::Workloads;
use crate::workload_mirror::workloads::testing::pod;

const NOT_THERE_OR_NOT_ALLOWED: &str = "is not there, or does not let this one mirror its pods";
const WHERE_ALLOWED: &str = "those are looked at that let this one mirror their pods";
const GROUP: &str = "system:serviceaccounts:team-a";

fn selecting(names: &[&str]) -> Stage {
    let mut stage = Stage::new();
    let names = names.iter().map(ToString::to_string).collect();
    stage.change(|spec| spec.namespaces.include = names);
    stage.workloads.lists_pods(&[
        pod("team-a", "own", "quay.io/acme/own:1", ""),
        pod("team-b", "other", "quay.io/acme/other:1", ""),
    ]);
    stage
}

#[tokio::test(start_paused = true)]
async fn nothing_of_another_namespace_is_seen_until_its_administrator_lets_it_and_withdrawn_nothing_leaves() {
    let mut stage = selecting(&["team-a", "team-b"]);
    stage.settle().await;
    let own = "quay.io/acme/own > r.example.com/mirror/acme/own 1";
    let other = "quay.io/acme/other > r.example.com/mirror/acme/other 1";
    assert_eq!(stage.copied(), [own]);
    let status = serde_json::to_string(stage.status()).unwrap();
    assert!(!status.contains("team-b") && !status.contains("other"), "{status}");
    assert!(stage.condition(READY).message.contains(NOT_THERE_OR_NOT_ALLOWED), "{status}");

    stage.api.grant(GROUP, "team-b", true);
    tokio::time::advance(std::time::Duration::from_secs(61)).await;
    stage.settle().await;
    assert_eq!(stage.copied(), [other, own]);

    stage.api.grant(GROUP, "team-b", false);
    tokio::time::advance(std::time::Duration::from_secs(301)).await;
    stage.workloads.lists_pods(&[pod("team-b", "other", "quay.io/acme/third:1", "")]);
    stage.change(|spec| spec.retention = "1m".into());
    for _ in 0..3 {
        assert_eq!(stage.settle().await, 0, "{:?}", stage.copied());
        stage.pass(120).await;
    }
    assert_eq!(stage.copied(), [other, own]);
    let ready = &stage.condition(READY).message;
    assert!(ready.contains("no image counts as unused"), "{ready}");
}

#[tokio::test(start_paused = true)]
async fn no_name_and_no_pattern_tells_which_namespaces_there_are() {
    let message = async |names: &[&str], has_other: bool| {
        let mut stage = selecting(names);
        if !has_other {
            stage.workloads.lists_pods(&[pod("team-a", "own", "quay.io/acme/own:1", "")]);
        }
        stage.settle().await;
        let says: Vec<String> =
            stage.status().conditions.iter().map(|condition| condition.message.clone()).collect();
        let status = serde_json::to_value(stage.status()).unwrap();
        (says, status["counts"].clone(), status["seenNamespaces"].clone())
    };
    for (names, said) in [
        (["team-a", "team-b"], NOT_THERE_OR_NOT_ALLOWED),
        (["team-a", "team-b*"], WHERE_ALLOWED),
        (["team-a", "*"], WHERE_ALLOWED),
    ] {
        let there = message(&names, true).await;
        assert!(there.0.iter().any(|text| text.contains(said)), "{there:?}");
        assert_eq!(there, message(&names, false).await);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_granted_everywhere_is_one_review_however_many_namespaces_there_are() {
    let mut stage = selecting(&["*"]);
    stage.api.grant(GROUP, "", true);
    let pods: Vec<_> =
        (0..50).map(|n| pod(&format!("n{n}"), "web", &format!("quay.io/acme/a{n}:1"), "")).collect();
    stage.workloads.lists_pods(&pods);
    assert_eq!(stage.settle().await, 50);
    let reviews = stage.api.requests().into_iter().filter(|line| line.contains("/subjectaccessreviews"));
    assert_eq!(reviews.count(), 1);
    assert!(!stage.condition(READY).message.contains("imgop-workload-mirror"));
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_has_just_allowed_it_is_seen_at_once_where_a_sync_is_requested() {
    let mut stage = selecting(&["team-a", "team-b"]);
    assert_eq!(stage.settle().await, 1);
    stage.api.grant(GROUP, "team-b", true);
    assert_eq!(stage.settle().await, 0, "it was asked a moment ago");
    stage.mirror.metadata.annotations = Some([(REQUESTED_AT_ANNOTATION.to_owned(), "now".to_owned())].into());
    stage.settle().await;
    assert_eq!(stage.images.all().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn more_namespaces_than_a_pass_may_ask_for_are_not_missed_before_they_are_asked_for() {
    let mut stage = selecting(&["*"]);
    stage.change(|spec| spec.retention = "1m".into());
    let pods: Vec<_> =
        (0..120).map(|n| pod(&format!("n{n}"), "web", &format!("quay.io/acme/a{n}:1"), "")).collect();
    for n in 0..120 {
        stage.api.grant(GROUP, &format!("n{n}"), true);
    }
    stage.workloads.lists_pods(&pods);
    stage.pass(11).await;
    let requests = stage.api.requests();
    let reviews = requests.iter().filter(|line| line.contains("/subjectaccessreviews")).count();
    assert_eq!(reviews, 101, "everywhere, and a hundred namespaces");
    for _ in 0..3 {
        stage.settle().await;
    }
    assert_eq!(stage.images.all().len(), 120);
    // Everything is to be asked anew, a part of it in each pass.
    let images = stage.images.all().len();
    tokio::time::advance(std::time::Duration::from_mins(15)).await;
    for _ in 0..3 {
        stage.pass(70).await;
        stage.images.watch(stage.now);
        assert_eq!(stage.images.all().len(), images);
    }
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_never_let_itself_be_seen_keeps_no_image_from_leaving() {
    let mut stage = selecting(&["*"]);
    stage.change(|spec| spec.retention = "1m".into());
    assert_eq!(stage.settle().await, 1);
    stage.workloads.lists_pods(&[pod("team-b", "other", "quay.io/acme/other:1", "")]);
    stage.settle().await;
    stage.pass(120).await;
    stage.images.watch(stage.now);
    stage.settle().await;
    assert_eq!(stage.copied(), Vec::<String>::new());
    let ready = &stage.condition(READY).message;
    assert!(ready.contains(WHERE_ALLOWED) && !ready.contains("no image counts as unused"), "{ready}");
}

#[tokio::test(start_paused = true)]
async fn where_it_is_not_recorded_who_was_seen_or_the_record_is_full_no_image_leaves() {
    let full: Vec<String> = (0..300).map(|n| format!("{n:08}")).collect();
    for recorded in [Vec::new(), full] {
        let mut stage = selecting(&["*"]);
        stage.change(|spec| spec.retention = "1m".into());
        assert_eq!(stage.settle().await, 1);
        stage.mirror.status.as_mut().unwrap().seen_namespaces = recorded;
        stage.workloads.lists_pods(&[pod("team-b", "other", "quay.io/acme/other:1", "")]);
        for _ in 0..3 {
            assert_eq!(stage.settle().await, 0);
            stage.pass(120).await;
        }
        assert_eq!(stage.copied().len(), 1);
        let ready = &stage.condition(READY).message;
        assert!(ready.contains("no image counts as unused"), "{ready}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_seen_is_not_forgotten_while_a_watch_shows_nothing_of_it() {
    let mut stage = selecting(&["team-a", "team-b"]);
    stage.api.grant(GROUP, "team-b", true);
    stage.settle().await;
    assert_eq!(stage.status().seen_namespaces.len(), 2);
    stage.workloads.lists_pods(&[pod("team-a", "own", "quay.io/acme/own:1", "")]);
    stage.workloads.pods_have_failed();
    stage.settle().await;
    assert_eq!(stage.status().seen_namespaces.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_target_of_a_mirror_of_another_namespace_excludes_what_runs_there_alone() {
    let repository = "docker.io".to_owned();
    let target = MirrorTarget { repository, ..MirrorTarget::default() };
    let spec = ImageMirrorSpec { targets: vec![target], ..ImageMirrorSpec::default() };
    let mut inventory = ImageMirror::new("theirs", spec);
    inventory.metadata.namespace = Some("team-b".into());
    let mut stage = Stage::to("r.example.com/mirror", &[inventory]);
    stage.change(|spec| spec.namespaces.include = vec!["team-*".into()]);
    stage.api.grant(GROUP, "team-b", true);
    stage.workloads.lists_pods(&[pod("team-a", "own", "nginx:1", ""), pod("team-b", "other", "redis:1", "")]);
    stage.settle().await;
    assert_eq!(stage.copied(), ["docker.io/library/nginx > r.example.com/mirror/library/nginx 1"]);
    assert_eq!(stage.status().counts.unwrap().excluded, 1);
}

/// A mirror of these namespaces, whose agent watches team-a and team-b alone, and may list nothing in team-b.
fn watched_by_name(include: &[&str]) -> Stage {
    let mut stage = selecting(include);
    let mut agent = Arc::into_inner(agent_with(stage.api.client(), &[])).unwrap();
    agent.config.watch_namespaces = Namespaces::Named(["team-a".to_owned(), "team-b".to_owned()].into());
    stage.mirrors.agent = Arc::new(agent);
    stage.workloads = Workloads::default();
    stage.workloads.lose_right_in("team-b");
    stage.mirrors.workloads = stage.workloads.clone();
    stage.workloads.lists_namespace("team-a", &[pod("team-a", "own", "quay.io/acme/own:1", "")]);
    stage
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_a_mirror_cannot_select_needs_no_right_and_one_that_is_not_watched_makes_nothing_unused()
 {
    let mut own = watched_by_name(&[]);
    assert_eq!(own.settle().await, 1);
    let mut both = watched_by_name(&["team-*"]);
    both.pass(11).await;
    assert_eq!(both.condition(STALLED).reason, reasons::WORKLOADS_NOT_ALLOWED);

    let mut unwatched = watched_by_name(&["team-a", "team-c"]);
    unwatched.change(|spec| spec.retention = "1m".into());
    assert_eq!(unwatched.settle().await, 1);
    let ready = unwatched.condition(READY).message.clone();
    assert!(ready.contains("namespaces that the agent does not watch (its WATCH_NAMESPACES)"), "{ready}");
    for stage in [&mut own, &mut unwatched] {
        stage.workloads.lists_namespace("team-a", &[]);
        stage.change(|spec| spec.retention = "1m".into());
        stage.settle().await;
        stage.pass(120).await;
        stage.images.watch(stage.now);
        stage.settle().await;
    }
    assert_eq!((own.copied().len(), unwatched.copied().len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_pattern_that_fits_no_namespace_selects_none_and_a_new_namespace_counts_at_once() {
    // In copycat an include list that fits nothing selected everything.
    let mut stage = selecting(&["prod-*"]);
    assert_eq!(stage.settle().await, 0);
    stage.api.grant(GROUP, "prod-1", true);
    stage.workloads.lists_pods(&[pod("prod-1", "new", "quay.io/acme/new:1", "")]);
    assert_eq!(stage.settle().await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_changes_nothing() {
    let mut stage = selecting(&["*"]);
    stage.api.fail_with("POST", "subjectaccessreviews", 500, "etcdserver: request timed out");
    let now = stage.now;
    let failed =
        Box::pin(crate::controller::Reconcile::pass(&stage.mirrors, &stage.mirror, &mut stage.memory, now));
    assert!(failed.await.is_err());
    assert!(stage.images.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_made_a_pod_keeps_it_from_being_mirrored_where_that_cannot_be_read() {
    use crate::workload_mirror::workloads::testing::made_by;
    let mut stage = Stage::new();
    stage.workloads.lists_pods(&[made_by(
        pod("team-a", "own", "quay.io/acme/own:1", ""),
        "ReplicaSet",
        "web-1",
    )]);
    // It is gone: that keeps nothing from being mirrored.
    assert_eq!(stage.settle().await, 1);
    let mut stage = Stage::new();
    stage.api.fail_with(
        "GET",
        "web-2",
        403,
        "replicasets.apps is forbidden: User \"agent\" cannot get resource",
    );
    stage.workloads.lists_pods(&[made_by(
        pod("team-a", "own", "quay.io/acme/own:1", ""),
        "ReplicaSet",
        "web-2",
    )]);
    let now = stage.now;
    let failed =
        Box::pin(crate::controller::Reconcile::pass(&stage.mirrors, &stage.mirror, &mut stage.memory, now));
    assert!(failed.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_see_workloads_it_says_what_grants_it() {
    let mut stage = Stage::new();
    let workloads = Workloads::lacking_pods();
    stage.mirrors.workloads = workloads;
    stage.pass(11).await;
    let stalled = stage.condition(STALLED);
    assert_eq!(stalled.reason, reasons::WORKLOADS_NOT_ALLOWED);
    let command =
        "kubectl create clusterrolebinding imgop-agent-workloads --clusterrole=imgop-agent-workloads";
    assert!(stalled.message.contains(command), "{}", stalled.message);
}

#[tokio::test(start_paused = true)]
async fn a_right_that_lacks_to_look_up_what_made_a_pod_is_said_with_what_grants_it() {
    for (verb, resource) in [("get", "replicasets"), ("get", "jobs"), ("create", "subjectaccessreviews")] {
        let mut stage = selecting(&["team-a", "team-b"]);
        stage.api.deny(verb, resource, "");
        stage.pass(11).await;
        let stalled = stage.condition(STALLED);
        assert_eq!(stalled.reason, reasons::WORKLOADS_NOT_ALLOWED, "{resource}");
        let said = format!("may not {verb} {resource}");
        let is_said = stalled.message.contains(&said) && stalled.message.contains("imgop-agent-workloads");
        assert!(is_said, "{}", stalled.message);
        assert!(stage.images.writes().is_empty());
    }
}
