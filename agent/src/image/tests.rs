//! Whole passes over an Image.

mod cooldown;
mod counted_copies;
mod created_repository;
mod fixed_tag;
pub mod fixtures;
mod new_destination;
mod obsolete_jobs;
mod open_destination;
mod other_engine;
mod places;
mod pods;
mod pruned_tags;
mod refused_keys;
mod reported_failures;
mod resumed_uploads;
mod schedules;
mod secrets;
mod setting_tags;
pub mod stage;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use imgop_core::api::conditions::{READY, RECONCILING, find, reasons};
use imgop_core::api::{FailureReason, Publish, TagFailure};
use imgop_core::copy::{Content, Copy, MadeIndex, MadeOf, Observed, ObservedTag, Origin, Outcome, Seen};
use imgop_fakes::{ApiServer, IMAGE, INDEX};
use imgop_registry::Manifest;
use imgop_registry::oci::{Platforms, Subset, subset};
use imgop_registry::reference::{Digest, ManifestRef, Tag};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::image::memory::{Blocked, SyncInProgress};
use crate::image::tests::fixtures::now;
use crate::image::tests::stage::{Stage, copy_of};
use imgop_core::schedule::Schedule;

/// What both registries answered for copies whose tags are absent at the destination.
fn observed(copies: &[&Copy]) -> Observed {
    let tag = |copy: &&Copy| {
        let there = Seen::Present(copy.digest.clone());
        ObservedTag::whole(copy.source_ref.clone(), copy.destination_tag.clone(), there, Seen::Absent)
    };
    Observed { tags: copies.iter().map(tag).collect(), ..Observed::default() }
}

/// The memory of a sync whose Jobs for these copies run.
fn memory(started: &[&Copy], observed: (Timestamp, Observed)) -> Memory {
    let started: HashSet<Copy> = started.iter().copied().cloned().collect();
    let sync = SyncInProgress { observed: Some(observed), started, ..SyncInProgress::default() };
    Memory { generation: Some(1), sync: Some(Box::new(sync)), ..Memory::default() }
}

/// The memory of an Image whose next sync is due.
fn due_now() -> Memory {
    Memory { schedule: Schedule { next: Some(now()), ..Schedule::default() }, ..Memory::default() }
}

fn reason(result: &PassResult<ImageStatus>) -> &str {
    let status = &result.report.as_ref().unwrap().status;
    &find(&status.conditions, READY).unwrap().reason
}

#[tokio::test]
async fn a_job_that_is_stuck_gives_its_place_back_also_where_no_other_can_be_made() {
    let mut stage = Stage::of_a_synced_image().await;
    stage.is_reconciling(reasons::PROGRESSING);
    let (stuck, other) = (copy_of("v2.13.1", "{}"), copy_of("v2.13.2", "{ }"));
    stage.has_job(&stuck);
    stage.without_pod();
    stage.api.fail_with("POST", "/jobs", 403, "exceeded quota: few, requested: count/jobs.batch=1");
    let mut memory = memory(&[&stuck], (now(), observed(&[&stuck, &other])));
    stage.pass(&mut memory, now()).await.unwrap();
    assert_eq!(stage.api.bodies("DELETE").len(), 0, "its pod may have been evicted a moment ago");
    let result = stage.pass(&mut memory, now() + Duration::from_mins(1)).await.unwrap();
    assert_eq!(reason(&result), reasons::JOB_REFUSED);
    assert_eq!(stage.api.bodies("DELETE").len(), 1);
    assert!(matches!(memory.outcomes[&stuck], Outcome::Failed { reason: FailureReason::PodNotStarted, .. }));
}

#[tokio::test]
async fn a_job_of_which_only_the_existence_is_known_still_runs_and_is_not_created_again() {
    let mut stage = Stage::of_a_synced_image().await;
    stage.is_reconciling(reasons::PROGRESSING);
    let copy = copy_of("v2.13.1", "{}");
    stage.has_job(&copy);
    stage.is_too_large();
    let mut memory = memory(&[&copy], (now(), observed(&[&copy])));
    stage.pass(&mut memory, now()).await.unwrap();
    assert!(memory.outcomes.is_empty() && memory.sync().started.contains(&copy));
    assert_eq!(stage.api.bodies("POST").iter().filter(|body| body["kind"] == "Job").count(), 0);
    stage.end_job();
    stage.pass(&mut memory, now()).await.unwrap();
    assert!(!memory.sync.is_some_and(|sync| sync.started.contains(&copy)), "it has ended, however");
}

/// The source has said that it is left alone for an hour, while a Job copied `v2.13.1`.
async fn left_alone() -> (Stage, Memory) {
    let mut stage = Stage::of_a_synced_image().await;
    stage.is_reconciling(reasons::PROGRESSING_WITH_RETRY);
    let copy = copy_of("v2.13.1", "{}");
    stage.has_job(&copy);
    let mut memory = memory(&[&copy], (now() - Duration::from_hours(2), observed(&[&copy])));
    memory.schedule.next = Some(now() + Duration::from_hours(1));
    // As a Job has pushed it.
    stage.registry.hold_manifest("target", Digest::of(b"{}").as_str(), "{}");
    (stage, memory)
}

#[tokio::test]
async fn a_job_that_ends_while_the_source_is_left_alone_gets_its_tag_and_the_source_no_request() {
    let (stage, mut memory) = left_alone().await;
    stage.pass(&mut memory, now()).await.unwrap();
    assert_eq!(stage.registry.requests(), Vec::<String>::new(), "it still runs");
    assert!(memory.has_started());

    stage.end_job();
    let result = stage.pass(&mut memory, now()).await.unwrap();
    let asked = stage.registry.requests();
    assert!(asked.contains(&"PUT /v2/target/manifests/v2.13.1".to_owned()), "{asked:?}");
    assert!(asked.iter().all(|request| request.contains("/v2/target/")), "{asked:?}");
    assert_eq!((memory.sync().published.len(), memory.has_started()), (1, false));
    assert!(result.report.is_none(), "it is left alone as before");

    stage.pass(&mut memory, now()).await.unwrap();
    assert_eq!(stage.registry.requests(), asked, "once");
}

#[tokio::test]
async fn where_credentials_are_refused_nothing_is_set() {
    let (stage, mut memory) = left_alone().await;
    let until = now() + Duration::from_hours(1);
    memory.blocked = Some(Blocked { secrets: Vec::new(), until });
    stage.end_job();
    stage.pass(&mut memory, now()).await.unwrap();
    assert_eq!(stage.registry.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn what_was_observed_is_kept_for_the_jobs_that_run_while_it_cannot_be_observed_anew() {
    let (stage, mut memory) = left_alone().await;
    stage.registry.refuse(401);
    memory.schedule.next = Some(now());
    stage.pass(&mut memory, now()).await.unwrap();
    assert!(memory.sync().observed.is_some());
    memory.sync().started.clear();
    (memory.schedule.next, memory.blocked) = (Some(now()), None);
    stage.pass(&mut memory, now()).await.unwrap();
    assert!(memory.sync().observed.is_none(), "it is not needed");
}

/// Source and target hold `v2.13.1`, alike.
fn in_sync(stage: &Stage) {
    for repository in ["source", "target"] {
        stage.registry.hold(&format!("/v2/{repository}/tags/list"), r#"{"tags":["v2.13.1"]}"#);
        stage.registry.hold_manifest(repository, "v2.13.1", "{}");
    }
}

#[tokio::test]
async fn a_sync_that_finds_nothing_to_do_ends_without_a_trace_and_asks_for_each_moving_tag_once() {
    let stage = Stage::of_a_synced_image().await;
    in_sync(&stage);
    let mut memory = due_now();
    stage.pass(&mut memory, now()).await.unwrap();
    assert!(memory.sync.is_none(), "what belongs to one sync goes with it");
    let before = stage.registry.count("HEAD");
    memory.schedule.next = Some(now() + Duration::from_mins(5));
    stage.pass(&mut memory, now() + Duration::from_mins(5)).await.unwrap();
    assert_eq!(stage.registry.count("HEAD") - before, 1);
    assert_eq!(stage.api.bodies("DELETE").len() + stage.api.bodies("PUT").len(), 0);
}

#[tokio::test]
async fn what_registries_answered_is_dropped_once_an_image_is_done() {
    let mut stage = Stage::of_a_synced_image().await;
    in_sync(&stage);
    let mut memory = due_now();
    stage.pass(&mut memory, now()).await.unwrap();
    assert_eq!(memory.known(now()).at_destination.len(), 1);
    stage.image.spec.mode = Mode::OneShot;
    let done = stage.pass(&mut memory, now()).await.unwrap();
    assert!(done.report.is_none() && memory.known(now()).at_destination.is_empty());
}

#[tokio::test]
async fn a_suspended_image_observes_its_spec_and_stays_as_ready_as_it_was() {
    let mut stage = Stage::of_a_synced_image().await;
    in_sync(&stage);
    let mut memory = due_now();
    let result = stage.pass(&mut memory, now()).await.unwrap();
    stage.image.status = Some(result.report.unwrap().status);
    stage.image.spec.suspend = true;
    stage.image.metadata.generation = Some(2);
    let result = stage.pass(&mut memory, now()).await.unwrap();
    let status = result.report.unwrap().status;
    let ready = find(&status.conditions, READY).unwrap();
    assert_eq!((status.observed_generation, ready.observed_generation), (Some(2), Some(1)));
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("True", reasons::SUSPENDED));
    // Once more, with nothing new.
    stage.image.status = Some(status.clone());
    let again = stage.pass(&mut memory, now()).await.unwrap();
    assert_eq!(again.report.unwrap().status, status);
}

#[tokio::test]
async fn a_source_that_does_not_exist_is_not_reported_as_a_missing_tag() {
    let mut stage = Stage::of_a_synced_image().await;
    stage.image.spec.source.version = "v2.13.1".into();
    stage.image.metadata.generation = Some(2);
    let result = stage.pass(&mut Memory::default(), now()).await.unwrap();
    assert_eq!(reason(&result), reasons::REPOSITORY_NOT_FOUND);
    let ready = &result.report.as_ref().unwrap().status.conditions;
    let message = &find(ready, READY).unwrap().message;
    assert!(message.ends_with("; check the name in spec.source.name"), "{message}");
    stage.registry.hold("/v2/source/tags/list", r#"{"tags":["v2.13.0"]}"#);
    let result = stage.pass(&mut Memory::default(), now()).await.unwrap();
    assert_eq!(reason(&result), reasons::TAG_NOT_FOUND);
}

#[tokio::test]
async fn only_a_tag_that_was_put_proves_that_an_image_may_write() {
    for (publish, is_proof) in [(Publish::Staged, true), (Publish::Direct, false)] {
        let (mut stage, mut memory) = left_alone().await;
        stage.image.spec.destination.publish = publish;
        stage.registry.hold_manifest("target", "v2.13.1", if is_proof { "before" } else { "{}" });
        stage.has_job(&copy_of("v2.13.1", "{}"));
        stage.end_job();
        stage.pass(&mut memory, now()).await.unwrap();
        assert_eq!(memory.sync().published.len(), 1);
        assert_eq!(stage.registry.count("PUT") > 0, is_proof);
        let uid = stage.image.metadata.uid.as_deref().unwrap();
        let destination = stage.image.spec.destination.name.parse().ok().filter(|_| is_proof);
        assert_eq!(stage.images.conflicts.written_to(uid), destination, "who put the tag is not known");
    }
}

#[tokio::test]
async fn a_job_that_the_api_server_cannot_create_is_reported_in_its_words() {
    let mut stage = Stage::of_a_synced_image().await;
    stage.is_reconciling(reasons::PROGRESSING);
    let copy = copy_of("v2.13.1", "{}");
    let message = "failed calling webhook \"policy.example.com\": connection refused";
    stage.api.fail_with("POST", "/jobs", 500, message);
    let mut memory = memory(&[], (now(), observed(&[&copy])));
    let result = stage.pass(&mut memory, now()).await.unwrap();
    assert_eq!(reason(&result), reasons::JOB_REFUSED);
    let status = result.report.unwrap().status;
    let ready = find(&status.conditions, READY).unwrap();
    assert!(ready.message.contains(message), "{}", ready.message);
    assert!(find(&status.conditions, RECONCILING).is_some(), "it is tried again");
    assert_eq!(memory.schedule.retries, 1);
}

#[tokio::test]
async fn an_image_without_a_place_for_its_job_waits_to_be_woken() {
    let mut stage = Stage::of_a_synced_image().await;
    stage.is_reconciling(reasons::PROGRESSING);
    let owner = |n: usize| Owner { uid: n.to_string(), ..Owner::of(&stage.image) };
    let others: Vec<_> = (0..10).map(|n| stage.images.agent.jobs.take(&owner(n), 1, now())).collect();
    assert!(others.iter().all(|granted| granted.places.len() == 1), "as many as one namespace may have");
    stage.registry.hold("/v2/source/tags/list", r#"{"tags":["v2.13.1"]}"#);
    stage.registry.hold_manifest("source", "v2.13.1", "{}");
    let mut memory = Memory { generation: Some(1), ..Memory::default() };
    let result = stage.pass(&mut memory, now()).await.unwrap();
    assert_eq!((reason(&result), &result.next), (reasons::PROGRESSING, &Some(JOB_INTERVAL)));
    // The status brings another pass.
    let asked = stage.registry.requests();
    let result = stage.pass(&mut memory, now()).await.unwrap();
    assert_eq!(stage.registry.requests(), asked, "nothing is asked again");
    assert_eq!(result.next, None);
    assert!(memory.sync.is_none(), "what is too old by then takes no memory");
}

#[tokio::test]
async fn a_namespace_that_was_enabled_a_moment_ago_is_synced_once_that_is_requested() {
    let is_enabled = Arc::new(AtomicBool::new(false));
    let answer = is_enabled.clone();
    let server = ApiServer::scripted(move |_| {
        (
            201,
            serde_json::json!({"metadata": {}, "spec": {}, "status": {"allowed": answer.load(Ordering::Relaxed)}}),
        )
    });
    let mut stage = Stage::of_a_synced_image().await;
    stage.images = Images::new(fixtures::agent(server.client()), Objects::new([]));
    in_sync(&stage);
    let mut memory = due_now();
    let result = stage.pass(&mut memory, now()).await.unwrap();
    assert_eq!(reason(&result), reasons::NAMESPACE_NOT_ENABLED);
    is_enabled.store(true, Ordering::Relaxed);
    let request = [(REQUESTED_AT_ANNOTATION.to_owned(), "now".to_owned())];
    stage.image.metadata.annotations = Some(request.into());
    let result = stage.pass(&mut memory, now()).await.unwrap();
    assert_eq!(reason(&result), reasons::SUCCEEDED);
    let status = result.report.unwrap().status;
    assert_eq!(status.last_handled_requested_at.as_deref(), Some("now"));
}

#[tokio::test]
async fn a_request_that_comes_too_soon_after_another_one_is_acted_on_in_a_moment() {
    let mut stage = Stage::of_a_synced_image().await;
    in_sync(&stage);
    let mut memory = Memory::default();
    let mut request = async |token: &str, seconds| {
        let request = [(REQUESTED_AT_ANNOTATION.to_owned(), token.to_owned())];
        stage.image.metadata.annotations = Some(request.into());
        let result = stage.pass(&mut memory, now() + Duration::from_secs(seconds)).await.unwrap();
        if let Some(report) = &result.report {
            stage.image.status = Some(report.status.clone());
        }
        let status = stage.image.status.as_ref().unwrap();
        (status.last_handled_requested_at.clone(), result.next)
    };
    assert_eq!(request("a", 0).await.0.as_deref(), Some("a"));
    let (handled, next) = request("b", 1).await;
    assert_eq!((handled.as_deref(), next), (Some("a"), Some(Duration::from_secs(4))));
    assert_eq!(request("c", 5).await.0.as_deref(), Some("c"));
}

#[tokio::test]
async fn a_job_that_does_not_start_is_given_up_also_where_its_sync_has_ended() {
    let mut stage = Stage::of_a_synced_image().await;
    stage.is_reconciling(reasons::PROGRESSING);
    in_sync(&stage);
    let of_before = copy_of("v2.13.1", "before");
    stage.has_job(&of_before);
    stage.without_pod();
    let mut memory = memory(&[&of_before], (now() - Duration::from_hours(2), Observed::default()));
    memory.schedule.next = Some(now());
    let result = stage.pass(&mut memory, now()).await.unwrap();
    assert_eq!(reason(&result), reasons::SUCCEEDED, "the tag moved, and shows what it should");
    assert_eq!(result.next, Some(JOB_INTERVAL));
    stage.image.status = Some(result.report.unwrap().status);
    stage.pass(&mut memory, now() + Duration::from_mins(1)).await.unwrap();
    assert_eq!(stage.api.bodies("DELETE").len(), 1);
    assert!(!memory.has_started(), "and is not followed any more");
}

/// Lets the source have an index of which the Image wants one platform, and the destination that platform's
/// image. Returns what was observed of the tag before it was there.
fn one_platform_is_at_the_destination(stage: &mut Stage) -> Observed {
    stage.image.spec.platforms = vec!["linux/amd64".to_owned()];
    let entry = |architecture: &str| {
        let image = format!("{{\"is\": \"{architecture}\"}}");
        let digest = stage.registry.hold_content("target", &image);
        let platform = serde_json::json!({ "os": "linux", "architecture": architecture });
        serde_json::json!({ "mediaType": IMAGE, "digest": digest, "size": image.len(), "platform": platform })
    };
    let manifests = ["amd64", "arm64"].map(entry);
    let whole = serde_json::json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
    let (whole, wanted) = (whole.to_string(), Platforms::parse(&stage.image.spec.platforms).unwrap());
    let digest = stage.registry.hold_content("source", &whole);
    let Ok(Subset::Narrowed(made)) = subset(&Manifest::new(INDEX, whole.into()), &wanted) else {
        panic!("nothing to narrow")
    };
    let of = MadeOf { origin: Origin::PlatformsOf(digest.clone()), parts: made.parts };
    let made = MadeIndex { digest: made.manifest.digest, of, platforms: made.platforms };
    let tag: Tag = "v2.13.1".parse().unwrap();
    let whole = ObservedTag::whole(ManifestRef::Tag(tag.clone()), tag, Seen::Present(digest), Seen::Absent);
    Observed { tags: vec![ObservedTag { content: Content::Made(made), ..whole }], ..Observed::default() }
}

#[tokio::test]
async fn a_tag_that_turns_out_to_show_another_content_is_set_in_the_same_pass() {
    let mut stage = Stage::of_a_synced_image().await;
    stage.is_reconciling(reasons::PROGRESSING);
    let observed = one_platform_is_at_the_destination(&mut stage);
    stage.registry.hold_manifest("target", "v2.13.1", "other");
    let mut memory = memory(&[], (now(), observed));
    let result = stage.pass(&mut memory, now()).await.unwrap();
    let there = stage.registry.manifest("target", "v2.13.1").unwrap();
    assert!(there.contains("amd64") && !there.contains("arm64"), "{there}");
    assert_eq!(reason(&result), reasons::SUCCEEDED);
}

#[tokio::test]
async fn the_right_to_read_secrets_is_needed_only_where_a_secret_is_named() {
    for names_a_secret in [false, true] {
        let mut stage = Stage::of_a_synced_image().await;
        in_sync(&stage);
        let credentials = imgop_core::api::Credentials { secret_name: "target".into() };
        stage.image.spec.destination.credentials = names_a_secret.then_some(credentials);
        stage.pass(&mut due_now(), now()).await.unwrap();
        let reviews = stage.api.bodies("POST");
        let resource = |review: &serde_json::Value| {
            review["spec"]["resourceAttributes"]["resource"].as_str().unwrap_or_default().to_owned()
        };
        let asked: Vec<String> = reviews.iter().map(resource).collect();
        assert_eq!(asked.contains(&"secrets".to_owned()), names_a_secret, "{asked:?}");
    }
}
