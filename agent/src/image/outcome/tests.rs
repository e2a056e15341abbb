//! What is made of Jobs and pods as Kubernetes describes them.

use imgop_core::api::Mode;
use k8s_openapi::api::batch::v1::{JobCondition, JobStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::*;
use crate::image::tests::fixtures::{copy, image, now, subset};

/// A Job of two copies, `a` and `b`.
fn job(end: Option<(&str, &str)>) -> Job {
    let records: Vec<CopyRecord> = ["a", "b"].iter().map(|tag| CopyRecord::from(&copy(tag, 1))).collect();
    let mut job = Job::default();
    job.metadata.name = Some("j".into());
    job.metadata.namespace = image(Mode::OneShot).metadata.namespace;
    job.metadata.annotations =
        Some([(COPIES_ANNOTATION.to_owned(), serde_json::to_string(&records).unwrap())].into());
    job.status = Some(JobStatus {
        conditions: end.map(|(type_, reason)| {
            vec![JobCondition {
                type_: type_.to_owned(),
                status: "True".to_owned(),
                reason: Some(reason.to_owned()),
                last_transition_time: Some(Time(now())),
                ..JobCondition::default()
            }]
        }),
        ..JobStatus::default()
    });
    job
}

fn pod(status: impl Into<serde_json::Value>) -> Pod {
    let value: serde_json::Value = status.into();
    serde_json::from_value(json!({
        "metadata": {"name": "p", "creationTimestamp": "2026-11-21T11:00:00Z"}, "status": value
    }))
    .unwrap()
}

fn terminated(index: usize, code: i32, message: &str) -> serde_json::Value {
    json!({"name": container_name(index, 0), "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": code, "message": message, "finishedAt": "2026-11-21T11:30:00Z"}}})
}

fn outcomes(job: &Job, pods: &[Pod]) -> Vec<Outcome> {
    report(job, pods, pods.is_empty().then(long_ago), now()).runs.into_iter().map(|run| run.outcome).collect()
}

fn reason(outcome: &Outcome) -> Option<FailureReason> {
    match outcome {
        Outcome::Failed { reason, .. } => Some(*reason),
        _ => None,
    }
}

#[test]
fn b4_each_tag_has_the_result_of_its_own_container() {
    let digest = copy("b", 1).digest.to_string();
    let pods = [pod(json!({
        "initContainerStatuses": [terminated(0, 1, "level=fatal msg=\"manifest unknown\"")],
        "containerStatuses": [terminated(1, 0, &digest)]}))];
    let outcomes = outcomes(&job(Some(("Failed", "BackoffLimitExceeded"))), &pods);
    let Outcome::Failed { reason, message, at } = &outcomes[0] else { panic!() };
    assert_eq!(
        (*reason, message.as_str()),
        (FailureReason::CopyFailed, "level=fatal msg=\"manifest unknown\"")
    );
    assert_eq!(at.to_string(), "2026-11-21T11:30:00Z");
    assert_eq!(outcomes[1], Outcome::Succeeded);
}

#[test]
fn an_index_is_there_when_all_its_parts_are_and_fails_with_the_first_that_fails() {
    let made = subset("a");
    let mut job = job(None);
    let records = serde_json::to_string(&[CopyRecord::from(&made)]).unwrap();
    job.metadata.annotations = Some([(COPIES_ANNOTATION.to_owned(), records)].into());
    let part = |part: usize, code: i32, message: &str| {
        let mut status = terminated(0, code, message);
        status["name"] = container_name(0, part).into();
        status
    };
    let ended = |one: serde_json::Value, two: serde_json::Value| {
        let pods = [pod(json!({"initContainerStatuses": [one], "containerStatuses": [two]}))];
        outcomes(&job, &pods).remove(0)
    };
    let digests: Vec<String> = made.parts().iter().map(Digest::to_string).collect();
    assert_eq!(ended(part(0, 0, &digests[0]), part(1, 0, &digests[1])), Outcome::Succeeded);
    assert_eq!(
        ended(
            part(0, 0, &digests[0]),
            json!({"name": "x", "image": "", "imageID": "", "ready": false, "restartCount": 0})
        ),
        Outcome::Running
    );
    assert_eq!(
        reason(&ended(part(0, 0, &digests[0]), part(1, 0, &digests[0]))),
        Some(FailureReason::VerificationFailed),
        "each part has its own digest"
    );
    let Outcome::Failed { message, .. } = ended(part(0, 1, "one"), part(1, 1, "two")) else { panic!() };
    assert_eq!(message, "one");
}

#[test]
fn another_digest_than_planned_is_a_failure() {
    let other = Digest::of(b"other").to_string();
    let pods = [pod(json!({"containerStatuses": [terminated(0, 0, &other), terminated(1, 0, "")]}))];
    let outcomes = outcomes(&job(Some(("Complete", ""))), &pods);
    assert_eq!(reason(&outcomes[0]), Some(FailureReason::VerificationFailed));
    assert_eq!(outcomes[1], Outcome::Succeeded);
}

#[test]
fn a_container_that_never_ran_was_interrupted() {
    let pods = [pod(json!({"initContainerStatuses": [terminated(0, 1, "x")], "containerStatuses": [
        {"name": container_name(1, 0), "image": "", "imageID": "", "ready": false, "restartCount": 0,
         "state": {"waiting": {"reason": "PodInitializing"}}}]}))];
    assert_eq!(
        outcomes(&job(Some(("Failed", "BackoffLimitExceeded"))), &pods)[1],
        Outcome::Interrupted { at: now() }
    );
}

#[test]
fn a_drained_pod_has_not_failed() {
    let disrupted = pod(json!({
        "conditions": [{"type": "DisruptionTarget", "status": "True"}],
        "containerStatuses": [terminated(0, 137, "")]}));
    assert_eq!(outcomes(&job(None), std::slice::from_ref(&disrupted))[0], Outcome::Running);
    let second = pod(json!({"containerStatuses": [terminated(0, 0, "")]}));
    assert_eq!(outcomes(&job(None), &[disrupted, second])[0], Outcome::Succeeded);
}

#[test]
fn a_job_whose_pod_is_gone_tells_by_its_condition() {
    assert_eq!(outcomes(&job(Some(("Complete", ""))), &[]), [Outcome::Succeeded, Outcome::Succeeded]);
    let failed = outcomes(&job(Some(("Failed", "DeadlineExceeded"))), &[]);
    let Outcome::Failed { message, at, .. } = &failed[0] else { panic!() };
    assert!(message.contains("deadline"));
    assert_eq!(*at, now());
    assert_eq!(outcomes(&job(None), &[]), [Outcome::Running, Outcome::Running]);
}

#[test]
fn a_pod_that_does_not_start_is_given_up_before_its_deadline() {
    let waiting = pod(json!({"containerStatuses": [
        {"name": container_name(0, 0), "image": "", "imageID": "", "ready": false, "restartCount": 0,
         "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"x\""}}}]}));
    let report = report(&job(None), &[waiting], None, now());
    assert!(report.stuck && !report.finished);
    let Outcome::Failed { reason, message, .. } = &report.runs[1].outcome else { panic!() };
    assert_eq!(*reason, FailureReason::PodNotStarted);
    assert_eq!(message, "the pod does not start: ImagePullBackOff: Back-off pulling image \"x\"");
}

/// A Job that Kubernetes has begun with a minute ago, and for which it could make no pod.
fn without_pods() -> Job {
    let mut job = job(None);
    job.status = Some(JobStatus {
        start_time: Some(Time(now() - std::time::Duration::from_mins(1))),
        ready: Some(0),
        terminating: Some(0),
        ..JobStatus::default()
    });
    job
}

#[test]
fn a_job_for_which_no_pod_can_be_made_is_given_up_before_its_deadline() {
    let report = report(&without_pods(), &[], Some(long_ago()), now());
    assert!(report.stuck && !report.finished);
    let Outcome::Failed { reason, message, .. } = &report.runs[1].outcome else { panic!() };
    assert_eq!(*reason, FailureReason::PodNotStarted);
    insta::assert_snapshot!(message, @"no pod could be made for the Job, as where a quota or a policy is against it; its events tell why, for an hour: kubectl get events -n team-a --field-selector involvedObject.name=j");
}

fn long_ago() -> Timestamp {
    now() - std::time::Duration::from_hours(1)
}

#[test]
fn a_job_that_may_get_a_pod_yet_is_waited_for() {
    let runs = |edit: fn(&mut Job, &mut JobStatus)| {
        let mut job = without_pods();
        let mut status = job.status.take().unwrap();
        edit(&mut job, &mut status);
        job.status = Some(status);
        outcomes(&job, &[]) == [Outcome::Running, Outcome::Running]
    };
    assert!(!runs(|_, _| ()));
    assert!(runs(|_, status| status.start_time = None), "Kubernetes has not begun with it");
    assert!(runs(|_, status| status.start_time = Some(Time(now()))));
    assert!(runs(|_, status| status.active = Some(1)), "its pod is on its way");
    assert!(runs(|_, status| status.terminating = Some(1)), "its pod is being replaced");
    assert!(runs(|_, status| {
        let suspended = json!({ "type": "Suspended", "status": "True", "lastTransitionTime": now() });
        status.conditions = Some(vec![serde_json::from_value(suspended).unwrap()]);
    }));
    let evicted = report(&without_pods(), &[], Some(now()), now());
    assert!(!evicted.stuck, "it had a pod a moment ago, and gets another one");
}

#[test]
fn a_young_pod_may_still_wait() {
    let mut waiting = pod(json!({"conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]}));
    assert!(report(&job(None), std::slice::from_ref(&waiting), None, now()).stuck);
    waiting.metadata.creation_timestamp = Some(Time(now()));
    assert!(!report(&job(None), &[waiting], None, now()).stuck);
}

#[test]
fn out_of_memory_is_said_as_such() {
    let mut status = terminated(0, 137, "");
    status["state"]["terminated"]["reason"] = json!("OOMKilled");
    let outcomes = outcomes(&job(Some(("Failed", ""))), &[pod(json!({"containerStatuses": [status]}))]);
    assert_eq!(reason(&outcomes[0]), Some(FailureReason::OutOfMemory));
}

#[test]
fn a_forged_annotation_makes_no_run_and_no_panic() {
    let mut forged = job(None);
    for text in [
        "",
        "{}",
        "[1]",
        "[{\"source\":\"--all\",\"destination\":\"x\",\"digest\":\"sha256:0\",\"attempt\":1}]",
    ] {
        forged.metadata.annotations = Some([(COPIES_ANNOTATION.to_owned(), text.to_owned())].into());
        assert!(report(&forged, &[], None, now()).runs.is_empty(), "{text}");
    }
}

#[test]
fn messages_are_printable_short_and_without_credentials() {
    assert_eq!(printable("a\u{1b}[31mred\u{7}\n\tb"), "a [31mred b");
    assert_eq!(printable("get https://user:pw@host/v2/?token=abc failed"), "get https://host/v2/ failed");
    let long = format!("{}é the end", "é".repeat(1000));
    assert_eq!(printable("https://host?token=abc a\u{202e}b"), "https://host ab");
    let short = printable(&long);
    assert!(short.len() <= MAX_MESSAGE && short.ends_with("the end"));
}
