//! Tags that keep failing, and what ends their cooldown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgop_core::api::{COPIES_ANNOTATION, Credentials, RESET_ANNOTATION};
use imgop_core::copy::CopyRecord;
use serde_json::json;

use super::*;

/// A tag whose manifest is `{}`, after this number of tries.
fn failure(tag: &str, attempts: u32, next_attempt: Timestamp) -> TagFailure {
    TagFailure {
        tag: tag.into(),
        reason: FailureReason::CopyFailed,
        message: "disk full".into(),
        digest: Some(Digest::of(b"{}").to_string()),
        attempts,
        attempts_before_reset: 0,
        next_attempt: Some(Time(next_attempt)),
    }
}

/// The source has these tags, the destination has none of them, and those that are named have failed five times: they are
/// in the cooldown for an hour.
async fn in_cooldown(tags: &[&str], failed: &[&str]) -> Stage {
    let mut stage = Stage::of_a_synced_image().await;
    stage.registry.hold("/v2/source/tags/list", &json!({ "tags": tags }).to_string());
    stage.registry.hold("/v2/target/tags/list", r#"{"tags":[]}"#);
    for tag in tags {
        stage.registry.hold_manifest("source", tag, "{}");
    }
    stage.is_reconciling(reasons::PROGRESSING_WITH_RETRY);
    let status = stage.image.status.as_mut().unwrap();
    status.phase = Some(imgop_core::api::Phase::Failed);
    status.failures = failed.iter().map(|tag| failure(tag, 5, hour())).collect();
    stage
}

fn hour() -> Timestamp {
    now() + Duration::from_hours(1)
}

/// One pass of a process that has just begun; its status is the Image's from then on. A new agent knows no Job.
async fn restarted(stage: &mut Stage, at: Timestamp) -> ImageStatus {
    stage.images = Images::new(fixtures::agent(stage.api.client()), Objects::new([]));
    stage.image.status = Some(reported(stage, &mut due_at(at), at).await);
    stage.image.status.clone().unwrap()
}

fn due_at(at: Timestamp) -> Memory {
    Memory {
        schedule: Schedule { next: Some(at), ..Schedule::default() },
        generation: Some(1),
        ..Memory::default()
    }
}

async fn reported(stage: &Stage, memory: &mut Memory, at: Timestamp) -> ImageStatus {
    let report = stage.pass(memory, at).await.unwrap().report;
    report.map_or_else(|| stage.image.status.clone().unwrap(), |report| report.status)
}

/// The tags that Jobs were created for, and which try of each it is.
fn tries(stage: &Stage) -> Vec<(String, u32)> {
    let jobs = stage.api.bodies("POST").into_iter().filter(|body| body["kind"] == "Job");
    let copies = jobs.flat_map(|job| {
        let copies = job["metadata"]["annotations"][COPIES_ANNOTATION].as_str().unwrap().to_owned();
        serde_json::from_str::<Vec<CopyRecord>>(&copies).unwrap()
    });
    copies.map(|copy| (copy.destination.to_string(), copy.attempt)).collect()
}

fn of(tag: &str, attempt: u32) -> (String, u32) {
    (tag.to_owned(), attempt)
}

fn annotate(stage: &mut Stage, name: &str, value: &str) {
    stage.image.metadata.annotations = Some([(name.to_owned(), value.to_owned())].into());
}

#[tokio::test]
async fn a_cooldown_and_the_tries_before_it_survive_restarts_and_it_ends_by_itself() {
    let mut stage = in_cooldown(&["v2.13.1"], &["v2.13.1"]).await;
    for minutes in [0, 30, 59] {
        let status = restarted(&mut stage, now() + Duration::from_mins(minutes)).await;
        assert_eq!(status.failures, [failure("v2.13.1", 5, hour())], "after {minutes} minutes");
    }
    assert_eq!(tries(&stage), []);
    restarted(&mut stage, hour()).await;
    assert_eq!(tries(&stage), [of("v2.13.1", 6)]);
}

#[tokio::test]
async fn other_tags_of_the_image_go_on() {
    let mut stage = in_cooldown(&["v2.13.1", "v2.13.2"], &["v2.13.1"]).await;
    let status = restarted(&mut stage, now()).await;
    assert_eq!((tries(&stage), status.failures.len()), (vec![of("v2.13.2", 1)], 1));
}

#[tokio::test]
async fn a_request_alone_leaves_the_cooldown_and_the_message_says_what_ends_it() {
    let mut stage = in_cooldown(&["v2.13.1"], &["v2.13.1"]).await;
    annotate(&mut stage, REQUESTED_AT_ANNOTATION, "now");
    let status = restarted(&mut stage, now()).await;
    assert_eq!((tries(&stage), status.last_handled_requested_at.as_deref()), (vec![], Some("now")));
    let ready = find(&status.conditions, READY).unwrap();
    insta::assert_snapshot!(ready.message.replace(&stage.registry.address.port().to_string(), "PORT"), @"0 of 1 tag is at localhost:PORT/target; 1 failed: v2.13.1: disk full (5 tries, the next one at 2026-11-21T13:00:00Z); 1 tag that keeps failing is left alone for a while (FAILURE_COOLDOWN_MINUTES of the agent); to try at once: kubectl imgop sync argocd -n team-a --retry");
    let metrics = stage.images.agent.metrics.text().unwrap();
    assert!(metrics.contains("imgop_tags_in_cooldown 1\n"), "{metrics}");
    stage.images.evict(&|_| false);
    assert!(stage.images.agent.metrics.text().unwrap().contains("imgop_tags_in_cooldown 0\n"));
}

#[tokio::test]
async fn a_reset_tries_all_at_once_and_is_acted_on_once() {
    let mut stage = in_cooldown(&["v2.13.1", "v2.13.2"], &["v2.13.1", "v2.13.2"]).await;
    annotate(&mut stage, RESET_ANNOTATION, "now");
    let status = restarted(&mut stage, now()).await;
    assert_eq!(tries(&stage), [of("v2.13.2", 6), of("v2.13.1", 6)]);
    assert_eq!(status.last_handled_reset.as_deref(), Some("now"));
    let known: Vec<_> = status.failures.iter().map(|f| (f.attempts, f.attempts_before_reset)).collect();
    assert_eq!(known, [(0, 5), (0, 5)]);
    // They have failed again, and that was recorded.
    let again =
        |tag| TagFailure { attempts_before_reset: 5, ..failure(tag, 1, now() + Duration::from_secs(10)) };
    stage.image.status.as_mut().unwrap().failures = vec![again("v2.13.1"), again("v2.13.2")];
    let status = restarted(&mut stage, now() + Duration::from_secs(9)).await;
    assert_eq!((tries(&stage).len(), status.failures[0].attempts), (2, 1));
}

#[tokio::test]
async fn a_reset_of_one_tag_leaves_the_others_alone() {
    let mut stage = in_cooldown(&["v2.13.1", "v2.13.2"], &["v2.13.1", "v2.13.2"]).await;
    annotate(&mut stage, RESET_ANNOTATION, "v2.13.1@now");
    let status = restarted(&mut stage, now()).await;
    assert_eq!((tries(&stage), status.failures.len()), (vec![of("v2.13.1", 6)], 2));
}

#[tokio::test]
async fn a_reset_is_not_lost_where_the_registry_does_not_answer_then() {
    let mut stage = in_cooldown(&["v2.13.1"], &["v2.13.1"]).await;
    annotate(&mut stage, RESET_ANNOTATION, "now");
    stage.registry.refuse(401);
    let status = restarted(&mut stage, now()).await;
    assert_eq!((status.last_handled_reset.as_deref(), status.failures[0].attempts), (Some("now"), 0));
    stage.registry.refuse_nothing();
    restarted(&mut stage, now() + Duration::from_mins(1)).await;
    assert_eq!(tries(&stage), [of("v2.13.1", 6)]);
}

#[tokio::test]
async fn a_suspended_image_keeps_its_reset_until_it_is_resumed() {
    let mut stage = in_cooldown(&["v2.13.1"], &["v2.13.1"]).await;
    annotate(&mut stage, RESET_ANNOTATION, "now");
    stage.image.spec.suspend = true;
    let status = restarted(&mut stage, now()).await;
    assert_eq!((status.last_handled_reset, tries(&stage)), (None, vec![]));
    stage.image.spec.suspend = false;
    restarted(&mut stage, now() + Duration::from_mins(1)).await;
    assert_eq!(tries(&stage), [of("v2.13.1", 6)]);
}

#[tokio::test]
async fn another_spec_ends_a_cooldown() {
    let mut stage = in_cooldown(&["v2.13.1"], &["v2.13.1"]).await;
    stage.image.metadata.generation = Some(2);
    let status = restarted(&mut stage, now()).await;
    assert_eq!((tries(&stage), status.failures[0].attempts), (vec![of("v2.13.1", 6)], 0));
}

#[tokio::test]
async fn another_secret_ends_a_cooldown() {
    let mut stage = in_cooldown(&["v2.13.1"], &["v2.13.1"]).await;
    let host = format!("localhost:{}", stage.registry.address.port());
    stage.image.spec.destination.credentials = Some(Credentials { secret_name: "target".into() });
    let has_version = |stage: &Stage, version: &str| {
        let config = json!({ "auths": { &host: { "auth": STANDARD.encode("user:password") } } });
        stage.api.hold(
            "/api/v1/namespaces/team-a/secrets/target",
            json!({ "metadata": { "name": "target", "resourceVersion": version },
                "data": { imgop_core::api::DOCKER_CONFIG_KEY: STANDARD.encode(config.to_string()) } }),
        );
    };
    has_version(&stage, "1");
    for minutes in [0, 5] {
        restarted(&mut stage, now() + Duration::from_mins(minutes)).await;
        assert_eq!(tries(&stage), [], "with the same Secret");
    }
    has_version(&stage, "2");
    restarted(&mut stage, now() + Duration::from_mins(10)).await;
    assert_eq!(tries(&stage), [of("v2.13.1", 6)]);
}

#[tokio::test]
async fn another_secret_ends_a_cooldown_of_a_suspended_image_once_it_is_resumed() {
    let mut stage = in_cooldown(&["v2.13.1", "v2.13.2"], &["v2.13.1"]).await;
    stage.image.status.as_mut().unwrap().credentials = Some("of another Secret".to_owned());
    stage.image.spec.suspend = true;
    // What is under way is ended also while it is suspended.
    stage.has_job(&copy_of("v2.13.2", "{}"));
    let status = reported(&stage, &mut due_at(now()), now()).await;
    assert_eq!(tries(&stage), []);
    stage.image.status = Some(status);
    stage.image.spec.suspend = false;
    restarted(&mut stage, now() + Duration::from_mins(1)).await;
    assert!(tries(&stage).contains(&of("v2.13.1", 6)), "{:?}", tries(&stage));
}

#[tokio::test]
async fn a_next_attempt_in_the_far_future_silences_no_tag_for_longer_than_its_pause() {
    let mut stage = Stage::of_a_synced_image().await;
    for (attempts, seconds) in [(1, 10), (9, 3600)] {
        let far = failure("v2.13.1", attempts, now() + Duration::from_hours(9_000));
        stage.image.status.as_mut().unwrap().failures = vec![far];
        let memory = Memory::default();
        let failures = Pass::new(&stage.images, &stage.image, &memory, now()).recorded_failures(&memory);
        assert_eq!(failures[0].next_attempt, Some(Time(now() + Duration::from_secs(seconds))));
    }
}

#[tokio::test]
async fn how_often_a_tag_could_not_be_set_is_known_to_a_new_process() {
    let mut stage = in_cooldown(&["v2.13.1"], &[]).await;
    stage.registry.hold_content("target", "{}");
    stage.registry.refuse_put_to("/v2/target/manifests/v2.13.1", Some(("TAG_INVALID", "reserved")));
    let mut at = now();
    for (attempts, seconds) in [(1, 10), (2, 20), (3, 40), (4, 80), (5, 3600), (6, 3600)] {
        let status = restarted(&mut stage, at).await;
        let [failure] = &status.failures[..] else { panic!("{:?}", status.failures) };
        let next = at + Duration::from_secs(seconds);
        assert_eq!((failure.attempts, failure.next_attempt.clone()), (attempts, Some(Time(next))));
        restarted(&mut stage, next - Duration::from_secs(1)).await;
        at = next;
    }
    assert_eq!((tries(&stage), stage.registry.count("PUT")), (vec![], 6), "at no other time");
}
