//! Tags that an Image has put and no longer selects.

use std::collections::BTreeMap;

use imgop_core::api::{Prune, PrunePolicy, PruneStatus};
use kube::api::ObjectMeta;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::reflector;
use kube::runtime::watcher::Event;
use serde_json::json;

use super::*;
use crate::controller::{Object, Stored};

const OLD: [&str; 2] = ["v2.12.8", "v2.12.9"];

/// An Image of `v2.13.x` that has put `v2.12.8` and `v2.12.9` two hours before, which both sides have; `v2.11.0` is only at
/// the destination.
async fn with(policy: PrunePolicy) -> Stage {
    let mut stage = Stage::of_a_synced_image().await;
    let lists = [("source", ""), ("target", r#","v2.11.0""#)];
    for (repository, more) in lists {
        let tags = format!(r#"{{"tags":["v2.12.8","v2.12.9","v2.13.1"{more}]}}"#);
        stage.registry.hold(&format!("/v2/{repository}/tags/list"), &tags);
        stage.registry.hold_manifest(repository, "v2.13.1", "{}");
        for tag in OLD {
            stage.registry.hold_manifest(repository, tag, &content(tag));
        }
    }
    let min_age = Some("1h".to_owned());
    stage.image.spec.destination.prune = Some(Box::new(Prune { policy, min_age, keep: None }));
    let made = ["v2.11.0", "v2.12.8", "v2.12.9"];
    let since = Time(now() - Duration::from_hours(2));
    stage.image.status.as_mut().unwrap().prune = Some(Box::new(PruneStatus {
        destination: stage.image.spec.destination.name.clone(),
        made: made.iter().map(|tag| ((*tag).to_owned(), digits(tag))).collect(),
        unselected: made.iter().map(|tag| ((*tag).to_owned(), since.clone())).collect(),
        ..PruneStatus::default()
    }));
    stage
}

/// The same with these tags in the place of the old ones, at both sides.
async fn with_all(policy: PrunePolicy, tags: &[String]) -> Stage {
    let mut stage = with(policy).await;
    let list = json!({ "tags": tags.iter().map(String::as_str).chain(["v2.13.1"]).collect::<Vec<_>>() });
    for repository in ["source", "target"] {
        stage.registry.hold(&format!("/v2/{repository}/tags/list"), &list.to_string());
        for tag in tags {
            stage.registry.hold_manifest(repository, tag, &content(tag));
        }
    }
    let since = Time(now() - Duration::from_hours(2));
    let status = stage.image.status.as_mut().unwrap().prune.as_mut().unwrap();
    status.made = tags.iter().map(|tag| (tag.clone(), digits(tag))).collect();
    status.unselected = tags.iter().map(|tag| (tag.clone(), since.clone())).collect();
    stage
}

fn digits(tag: &str) -> String {
    Digest::of(content(tag).as_bytes()).hex()[..12].to_owned()
}

/// A manifest of its own for each tag.
fn content(tag: &str) -> String {
    format!(r#"{{"of":"{tag}"}}"#)
}

async fn prune(stage: &Stage) -> PruneStatus {
    let result = stage.pass(&mut due_now(), now()).await.unwrap();
    *result.report.unwrap().status.prune.unwrap()
}

fn deleted(stage: &Stage) -> Vec<String> {
    stage.registry.requests().into_iter().filter(|line| line.starts_with("DELETE")).collect()
}

fn names<T>(tags: &BTreeMap<String, T>) -> Vec<&str> {
    tags.keys().map(String::as_str).collect()
}

#[tokio::test]
async fn what_the_image_put_and_no_longer_selects_is_deleted_by_its_tag_and_each_has_an_event() {
    let stage = with(PrunePolicy::Delete).await;
    let status = prune(&stage).await;
    assert_eq!(deleted(&stage), OLD.map(|tag| format!("DELETE /v2/target/manifests/{tag}")));
    assert_eq!((names(&status.made), status.due, status.message), (vec!["v2.11.0"], 0, None));
    let bodies = stage.api.bodies("POST");
    let notes: Vec<&str> = bodies
        .iter()
        .filter(|body| body["reason"] == reasons::TAG_DELETED)
        .map(|body| body["note"].as_str().unwrap())
        .collect();
    assert!(notes.len() == 2 && notes[0].contains("/target:v2.12.8 is deleted"), "{notes:?}");
}

/// A pod, or what makes pods, that names an image; `running` is what the node reports.
fn uses(image: &str, running: &str) -> serde_json::Value {
    let spec = json!({ "containers": [{ "name": "app", "image": image }] });
    let mut status = json!({ "phase": "Running" });
    status["containerStatuses"] = json!([{ "name": "app", "imageID": running }]);
    let mut object = json!({ "metadata": { "name": "web", "namespace": "team", "uid": "web" },
        "spec": spec, "status": status });
    object["spec"]["template"] = json!({ "spec": spec });
    object["spec"]["jobTemplate"] = json!({ "spec": { "template": { "spec": spec } } });
    object
}

#[tokio::test]
async fn what_a_pod_or_a_workload_that_is_scaled_to_zero_uses_stays() {
    let destination = with(PrunePolicy::Delete).await.image.spec.destination.name;
    let digest = Digest::of(content("v2.12.8").as_bytes());
    let by_tag = format!("{destination}:v2.12.8");
    let used = [
        ("pods", by_tag.clone(), String::new()),
        ("pods", format!("{destination}@{digest}"), String::new()),
        ("pods", format!("{destination}:v2.12.x"), format!("{destination}@{digest}")),
        ("deployments", by_tag.clone(), String::new()),
        ("statefulsets", by_tag.clone(), String::new()),
        ("daemonsets", by_tag.clone(), String::new()),
        ("replicasets", by_tag.clone(), String::new()),
        ("jobs", by_tag.clone(), String::new()),
        ("cronjobs", by_tag, String::new()),
    ];
    for (resource, image, running) in used {
        let stage = with(PrunePolicy::Delete).await;
        let own = stage.image.spec.destination.name.clone();
        let (image, running) = (image.replace(&destination, &own), running.replace(&destination, &own));
        let mut object = uses(&image, &running);
        if resource != "pods" {
            object["spec"]["containers"] = json!([]);
        }
        // Jobs of the agent's own are read from the same list.
        stage.api.change_list(resource, |list| list.push(object));
        let status = prune(&stage).await;
        assert_eq!(deleted(&stage), ["DELETE /v2/target/manifests/v2.12.9"], "{resource} {image} {running}");
        assert_eq!((names(&status.made), status.message), (vec!["v2.11.0", "v2.12.8"], None));
    }
}

#[tokio::test]
async fn a_list_of_pods_that_breaks_off_or_has_one_that_cannot_be_read_deletes_nothing_and_is_said() {
    let lists: [fn(&Stage); 4] = [
        |stage| stage.api.fail_with("GET", "/api/v1/pods", 500, "etcdserver: request timed out"),
        |stage| {
            // There is another page.
            let page = json!({ "kind": "PodList", "apiVersion": "v1", "items": [],
                "metadata": { "resourceVersion": "1", "continue": "next" } });
            stage.api.hold("/api/v1/pods", page);
            stage.api.fail_from(2, "GET", "/api/v1/pods", 410, "the continue parameter is too old");
        },
        |stage| stage.api.fail_with("GET", "/cronjobs", 503, "not now"),
        |stage| {
            let mut unreadable = uses("x:1", "");
            unreadable["spec"]["containers"] = "none".into();
            stage.api.change_list("pods", |list| list.push(unreadable));
        },
    ];
    for (n, break_off) in lists.into_iter().enumerate() {
        for policy in [PrunePolicy::Delete, PrunePolicy::DryRun] {
            let stage = with(policy).await;
            break_off(&stage);
            let result = stage.pass(&mut due_now(), now()).await.unwrap().report.unwrap().status;
            let status = result.prune.unwrap();
            assert!(deleted(&stage).is_empty() && status.due == 0 && status.made.len() == 3, "{n}");
            let message = status.message.unwrap();
            assert!(message.starts_with("no tag is deleted: cannot "), "{n}: {message}");
            let ready = find(&result.conditions, READY).unwrap();
            assert!(ready.message.contains("no tag is deleted (spec.destination.prune)"), "{n}: {ready:?}");
        }
    }
}

#[tokio::test]
async fn without_the_right_to_see_what_runs_nothing_is_deleted_and_the_condition_says_what_grants_it() {
    for resource in ["pods", "cronjobs"] {
        let stage = with(PrunePolicy::Delete).await;
        // In the Image's own namespace it may.
        stage.api.deny("list", resource, "");
        let result = stage.pass(&mut due_now(), now()).await.unwrap().report.unwrap().status;
        assert!(deleted(&stage).is_empty());
        let ready = find(&result.conditions, READY).unwrap();
        let wanted = format!(
            "the agent may not list {resource} of the cluster; to allow it: kubectl create clusterrolebinding \
             imgop-agent-workloads --clusterrole=imgop-agent-workloads"
        );
        assert!(ready.message.contains(&wanted), "{}", ready.message);
        assert!(result.prune.unwrap().message.unwrap().contains(&wanted));
    }
}

/// Objects of which one cannot be read.
fn one_unreadable<K: Object>() -> Objects<K> {
    let name = |text: &str| Some(text.to_owned());
    let metadata = ObjectMeta { name: name("other"), namespace: name("b"), ..ObjectMeta::default() };
    let object: DeserializeGuard<K> =
        DeserializeGuard(Err(InvalidObject { error: "there is no room for it".into(), metadata }));
    let (store, mut writer) = reflector::store();
    writer.apply_watcher_event(&Event::Init);
    writer.apply_watcher_event(&Event::InitApply(Stored::of(&object)));
    writer.apply_watcher_event(&Event::InitDone);
    Objects::new([store])
}

#[tokio::test]
async fn an_image_or_a_builder_that_cannot_be_read_may_put_any_tag_and_nothing_is_deleted() {
    let mut stage = with(PrunePolicy::Delete).await;
    stage.images = Images::new(stage.images.agent.clone(), one_unreadable());
    prune(&stage).await;
    let mut other = with(PrunePolicy::Delete).await;
    let images = Images::new(other.images.agent.clone(), Objects::new([]));
    other.images = images.beside(one_unreadable());
    prune(&other).await;
    assert!(deleted(&stage).is_empty() && deleted(&other).is_empty());
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_deleted_and_deletes_nothing() {
    let stage = with(PrunePolicy::DryRun).await;
    let status = prune(&stage).await;
    assert_eq!((status.due, status.next, status.made.len()), (2, OLD.map(str::to_owned).to_vec(), 3));
    assert!(deleted(&stage).is_empty());
}

#[tokio::test]
async fn where_a_registry_deletes_no_tags_nothing_is_deleted_by_its_digest_and_the_status_says_so() {
    let stage = with(PrunePolicy::Delete).await;
    stage.registry.refuse_deletions();
    let status = prune(&stage).await;
    assert_eq!(deleted(&stage), OLD.map(|tag| format!("DELETE /v2/target/manifests/{tag}")));
    assert_eq!((status.due, status.made.len()), (2, 3));
    assert!(status.message.unwrap().starts_with("v2.12.8: the registry deletes no tags"));
}

#[tokio::test]
async fn a_tag_that_cannot_be_deleted_keeps_no_other_one_and_is_tried_again_after_a_day() {
    let mut stage = with(PrunePolicy::Delete).await;
    stage.registry.refuse_deletion_of("/v2/target/manifests/v2.12.8", 403);
    let mut memory = due_now();
    for (hours, tries) in [(0, 2), (1, 2), (25, 3)] {
        let at = now() + Duration::from_hours(hours);
        memory.schedule.next = Some(at);
        let status = stage.pass(&mut memory, at).await.unwrap().report.unwrap().status;
        let pruned = status.prune.as_deref().unwrap();
        assert_eq!((names(&pruned.made), pruned.due), (vec!["v2.11.0", "v2.12.8"], 1), "{hours}");
        assert!(pruned.message.as_deref().unwrap().contains("v2.12.8"), "{pruned:?}");
        assert_eq!(deleted(&stage).len(), tries, "{hours}");
        stage.image.status = Some(status);
    }
}

#[tokio::test]
async fn a_registry_that_refuses_all_is_asked_three_times_in_a_pass_and_each_pass_for_others() {
    let tags: Vec<String> = (0..5).map(|n| format!("v2.12.{n}")).collect();
    let mut stage = with_all(PrunePolicy::Delete, &tags).await;
    stage.registry.refuse_deletions();
    let mut memory = due_now();
    for (minutes, tries) in [(0, 3), (5, 5), (10, 5)] {
        let at = now() + Duration::from_mins(minutes);
        memory.schedule.next = Some(at);
        let status = stage.pass(&mut memory, at).await.unwrap().report.unwrap().status;
        assert_eq!((status.prune.as_ref().unwrap().due, deleted(&stage).len()), (5, tries));
        stage.image.status = Some(status);
    }
}

#[tokio::test]
async fn tags_that_others_have_overwritten_are_forgotten_and_neither_named_nor_in_the_way_of_the_rest() {
    let tags: Vec<String> = (0..25).map(|n| format!("v2.12.{n}")).collect();
    let overwritten = |stage: &Stage| {
        let (first, _) = tags.split_at(20);
        for tag in first {
            stage.registry.hold_manifest("target", tag, r#"{"of":"others"}"#);
        }
    };
    let stage = with_all(PrunePolicy::Delete, &tags).await;
    overwritten(&stage);
    let status = prune(&stage).await;
    assert_eq!((deleted(&stage).len(), status.due, status.made.len()), (5, 0, 0));

    let stage = with_all(PrunePolicy::DryRun, &tags).await;
    overwritten(&stage);
    let status = prune(&stage).await;
    assert_eq!((status.due, status.next.as_slice()), (5, &tags[20..]));
    assert!(deleted(&stage).is_empty());
}

#[tokio::test]
async fn a_pod_that_came_since_the_cluster_was_listed_for_others_keeps_its_tag() {
    let mut stage = with(PrunePolicy::DryRun).await;
    assert_eq!(prune(&stage).await.due, 2);
    let image = format!("{}:v2.12.8", stage.image.spec.destination.name);
    stage.api.change_list("pods", |list| list.push(uses(&image, "")));
    stage.image.spec.destination.prune.as_mut().unwrap().policy = PrunePolicy::Delete;
    prune(&stage).await;
    assert_eq!(deleted(&stage), ["DELETE /v2/target/manifests/v2.12.9"]);
}

#[tokio::test]
async fn before_all_builders_are_known_nothing_is_deleted() {
    let mut stage = with(PrunePolicy::Delete).await;
    // It no longer waits for a namespace that cannot be listed.
    let mut agent = Arc::into_inner(fixtures::agent(stage.api.client())).unwrap();
    agent.started = now() - Duration::from_hours(1);
    let images = Images::new(Arc::new(agent), Objects::new([]));
    stage.images = images.beside(Objects::new([reflector::store().0]));
    prune(&stage).await;
    assert!(deleted(&stage).is_empty());
}

#[tokio::test]
async fn a_tag_that_others_have_overwritten_or_that_shows_what_a_selected_one_shows_stays() {
    let stage = with(PrunePolicy::Delete).await;
    stage.registry.hold_manifest("target", "v2.12.8", r#"{"of":"others"}"#);
    prune(&stage).await;
    assert_eq!(deleted(&stage), ["DELETE /v2/target/manifests/v2.12.9"]);

    let mut stage = with(PrunePolicy::Delete).await;
    for repository in ["source", "target"] {
        stage.registry.hold_manifest(repository, "v2.12.9", "{}");
    }
    let made = &mut stage.image.status.as_mut().unwrap().prune.as_mut().unwrap().made;
    made.insert("v2.12.9".to_owned(), Digest::of(b"{}").hex()[..12].to_owned());
    prune(&stage).await;
    assert_eq!(deleted(&stage), ["DELETE /v2/target/manifests/v2.12.8"]);
}

#[tokio::test]
async fn a_sync_in_which_a_tag_failed_or_that_selects_nothing_deletes_nothing() {
    let stage = with(PrunePolicy::Delete).await;
    stage.registry.refuse_one("/v2/source/manifests/v2.13.1", 500);
    stage.pass(&mut due_now(), now()).await.unwrap();
    let mut other = with(PrunePolicy::Delete).await;
    other.image.spec.source.version = "v3.x".to_owned();
    other.pass(&mut due_now(), now()).await.unwrap();
    assert!(deleted(&stage).is_empty() && deleted(&other).is_empty());
}

#[tokio::test]
async fn a_tag_that_a_sync_puts_is_recorded_and_one_that_was_there_before_is_not() {
    let mut stage = with(PrunePolicy::Delete).await;
    stage.image.status.as_mut().unwrap().prune = None;
    let tags = r#"{"tags":["v2.12.9","v2.13.1","v2.13.2"]}"#;
    stage.registry.hold("/v2/source/tags/list", tags);
    stage.registry.hold_manifest("source", "v2.13.2", "{ }");
    stage.registry.hold_content("target", "{ }");
    let status = prune(&stage).await;
    assert_eq!(names(&status.made), ["v2.13.2"]);
    assert!(status.unselected.is_empty() && deleted(&stage).is_empty());
}
