//! What becomes of the parts of a build, read from what Kubernetes shows of their pods.

use imgop_core::api::{BUILD_ANNOTATION, BuildReason};
use imgop_core::build::step::{FailedStep, PushedImage};
use imgop_registry::reference::Digest;
use serde_json::{Value, json};

use super::*;
use crate::image_builder::tests::fixtures::now;
use crate::image_builder::tests::job_of_build;
use crate::jobs::testing::{report_of, without_known_pods};

const PLATFORM: &str = "linux/amd64";

/// A Job of build 7, whose containers stand like this and whose pod is `of_pod`.
fn job(states: [Value; 3], of_pod: &Value) -> JobReport {
    let record = PartRecord {
        number: 7,
        reason: BuildReason::Created,
        key: format!("v2-{}", Digest::of(b"own")),
        platform: PLATFORM.parse().unwrap(),
        attempt: 2,
        emulated: false,
    };
    let job = json!({
        "metadata": { "name": "b", "namespace": "team-a", "uid": "job", "creationTimestamp": now(),
            "annotations": { BUILD_ANNOTATION: serde_json::to_string(&record).unwrap() } },
        "spec": { "template": { "spec": {
            "initContainers": [{ "name": "prepare" }, { "name": "build" }], "containers": [{ "name": "push" }] } } },
        "status": { "active": 1, "startTime": now() },
    });
    let [prepare, build, push] = states;
    let mut shown = json!({
        "initContainerStatuses": [{ "name": "prepare", "state": prepare }, { "name": "build", "state": build }],
        "containerStatuses": [{ "name": "push", "state": push }],
    });
    shown.as_object_mut().unwrap().extend(of_pod.as_object().unwrap().clone());
    let pod = json!({ "metadata": { "name": "p", "creationTimestamp": now(),
        "ownerReferences": [{ "apiVersion": "batch/v1", "kind": "Job", "name": "b", "uid": "job", "controller": true }] },
        "status": shown });
    report_of(&job, &[pod], now())
}

fn ended(code: i32, report: &StepReport) -> Value {
    json!({ "terminated": { "exitCode": code, "reason": "Error", "message": report.to_message(), "finishedAt": now() } })
}

fn waiting() -> Value {
    json!({ "waiting": { "reason": "PodInitializing" } })
}

/// What becomes of build 7 with this Job.
fn try_of(states: [Value; 3], pod: &Value) -> Try {
    tries(&[job(states, pod)], (7, None), now(), now()).remove(0)
}

fn failed_step(code: i32) -> StepReport {
    let failure = StepFailure {
        reason: BuildFailure::StepFailed,
        message: "line 7: `RUN make` exited with 2".into(),
        step: Some(FailedStep { text: "RUN make".into(), line: Some(7), number: None }),
        exit_code: Some(code),
        last_lines: vec!["cc: not found".into()],
    };
    StepReport { failure: Some(failure), ..StepReport::default() }
}

#[test]
fn a_part_is_built_when_push_says_which_manifest_it_pushed() {
    let digest = Digest::of(b"m");
    let pushed =
        StepReport { image: Some(PushedImage { digest: digest.clone(), size: 7 }), ..StepReport::default() };
    let well = || ended(0, &StepReport::default());
    let built = try_of([well(), well(), ended(0, &pushed)], &json!({ "phase": "Succeeded" }));
    assert_eq!(built.run.state, PartState::Built(digest));
    let forged = try_of([well(), ended(0, &pushed), well()], &json!({ "phase": "Succeeded" }));
    assert!(
        matches!(forged.run.state, PartState::Failed(BuildFailure::VerificationFailed, _)),
        "build pushes nothing"
    );
    assert!(matches!(try_of([well(), waiting(), waiting()], &json!({})).run.state, PartState::Running));
}

#[test]
fn what_was_built_with_another_key_is_not_this_builds() {
    let pushed = StepReport {
        image: Some(PushedImage { digest: Digest::of(b"m"), size: 7 }),
        ..StepReport::default()
    };
    let well = || ended(0, &StepReport::default());
    let job = job([well(), well(), ended(0, &pushed)], &json!({ "phase": "Succeeded" }));
    let state = |key: &str| {
        let key = key.parse().unwrap();
        tries(std::slice::from_ref(&job), (7, Some(&key)), now(), now()).remove(0).run.state
    };
    let (own, other) = (Digest::of(b"own"), Digest::of(b"other"));
    assert!(matches!(state(&format!("v2-{own}")), PartState::Built(_)));
    let failed = PartState::Failed(BuildFailure::VerificationFailed, now());
    assert_eq!(state(&format!("v2-{other}")), failed);
    assert!(matches!(state(&format!("v3-{other}")), PartState::Built(_)), "another version of the agent");
}

#[test]
fn phases_take_as_long_as_their_slowest_and_a_build_waits_until_its_first_job() {
    let seconds = PhaseSeconds { source: 2, bases: 3, ..PhaseSeconds::default() };
    let prepared = StepReport { storage_driver: Some("vfs".into()), seconds, ..StepReport::default() };
    let evil = StepReport { storage_driver: Some("evil".into()), ..StepReport::default() };
    let tried = try_of([ended(0, &prepared), ended(0, &evil), waiting()], &json!({ "phase": "Running" }));
    let drivers: Vec<&str> =
        tried.reports.iter().filter_map(|report| report.storage_driver.as_deref()).collect();
    assert_eq!(drivers, ["vfs"], "what runs the Dockerfile is not asked");
    let began = now() - std::time::Duration::from_secs(7);
    let took = crate::image_builder::part_status::duration(&[tried], began);
    assert_eq!((took.queued, took.source, took.bases, took.build), (7, 2, 3, 0));
}

#[test]
fn a_failing_run_is_named_with_its_line_its_exit_code_and_its_last_words() {
    let well = ended(0, &StepReport::default());
    let failed = try_of([well, ended(1, &failed_step(2)), waiting()], &json!({ "phase": "Failed" }));
    assert!(matches!(failed.run.state, PartState::Failed(BuildFailure::StepFailed, _)));
    insta::assert_snapshot!(failed.message.unwrap(), @"line 7: `RUN make` exited with 2");
    assert_eq!(failed.step.as_deref(), Some("RUN make (line 7)"));
    assert_eq!(failed.last_lines, ["cc: not found"]);
}

#[test]
fn of_many_lines_of_a_step_the_newest_are_kept() {
    let lines = |count: usize| (0..count).map(|n| format!("{n:0200}")).collect::<Vec<_>>();
    assert_eq!(newest(lines(2)), lines(2));
    assert_eq!(newest(lines(20)), lines(20)[18..]);
    assert_eq!(newest(vec!["x".repeat(MAX_LINES_BYTES + 1)]), [""; 0]);
}

#[test]
fn a_build_that_takes_too_long_names_its_step() {
    let well = ended(0, &StepReport::default());
    let pod =
        json!({ "phase": "Failed", "reason": "DeadlineExceeded", "message": "active longer than specified" });
    let failed = try_of([well, ended(143, &failed_step(143)), waiting()], &pod);
    assert!(matches!(failed.run.state, PartState::Failed(BuildFailure::TimedOut, _)));
    insta::assert_snapshot!(failed.message.unwrap(), @"it took longer than spec.timeout or spec.jobTemplate.activeDeadlineSeconds during RUN make (line 7)");
}

#[test]
fn a_container_that_was_killed_for_its_memory_says_which_limit_to_raise() {
    let killed = json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled", "finishedAt": now() } });
    let well = || ended(0, &StepReport::default());
    let failed = try_of([well(), killed, waiting()], &json!({ "phase": "Failed" }));
    assert!(matches!(failed.run.state, PartState::Failed(BuildFailure::OutOfMemory, _)));
    assert!(failed.message.unwrap().contains("spec.resources.limits.memory"));
    let killed = || json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled", "finishedAt": now() } });
    for states in [[killed(), waiting(), waiting()], [well(), well(), killed()]] {
        let message = try_of(states, &json!({ "phase": "Failed" })).message.unwrap();
        assert!(message.ends_with("limits.memory, or JOB_MEMORY_LIMIT of the agent"), "{message}");
    }
    let survived = json!({ "terminated": { "exitCode": 0, "reason": "OOMKilled", "finishedAt": now() } });
    let goes_on = try_of([well(), survived, waiting()], &json!({}));
    assert_eq!(goes_on.run.state, PartState::Running, "a RUN may survive what was killed in it");
}

#[test]
fn an_eviction_for_the_size_of_a_volume_is_no_interruption() {
    let well = || ended(0, &StepReport::default());
    let end = |message: &str| {
        let pod = json!({ "phase": "Failed", "reason": "Evicted", "message": message });
        try_of([well(), ended(137, &StepReport::default()), waiting()], &pod)
    };
    let full = end("Usage of EmptyDir volume \"work\" exceeds the limit \"20Gi\".");
    assert!(matches!(full.run.state, PartState::Failed(BuildFailure::OutOfDisk, _)));
    assert!(full.message.unwrap().ends_with("raise spec.storage.sizeLimit"));
    let evicted = end("The node was low on resource: memory.");
    assert!(matches!(evicted.run.state, PartState::Failed(BuildFailure::Interrupted, _)));
}

#[test]
fn a_report_that_is_none_is_the_end_of_the_output() {
    let garbage =
        json!({ "terminated": { "exitCode": 3, "message": "\u{1b}[31mboom", "finishedAt": now() } });
    let well = ended(0, &StepReport::default());
    let failed = try_of([well, waiting(), garbage], &json!({ "phase": "Failed" }));
    assert!(matches!(failed.run.state, PartState::Running), "build has not ended");
}

#[test]
fn a_part_without_a_job_is_as_the_status_says() {
    let part = |state, digest: Option<String>| PlatformStatus {
        platform: PLATFORM.into(),
        state,
        digest,
        attempts: 3,
        ..PlatformStatus::default()
    };
    let state = |part: PlatformStatus| {
        let status = ImageBuilderStatus { platforms: vec![part], ..ImageBuilderStatus::default() };
        runs(&[], &status, now()).pop().map(|run| (run.attempt, run.state))
    };
    let digest = Digest::of(b"m");
    let built = state(part(PlatformState::Built, Some(digest.to_string())));
    assert_eq!(built, Some((3, PartState::Built(digest.clone()))));
    let vanished = state(part(PlatformState::Running, None));
    assert_eq!(vanished, Some((3, PartState::Failed(BuildFailure::Interrupted, now()))));
    let failed = PlatformStatus { reason: Some("PodNotStarted".into()), ..part(PlatformState::Failed, None) };
    assert_eq!(state(failed), Some((3, PartState::Gone(BuildFailure::PodNotStarted, None))));
    let waiting =
        PlatformStatus { reason: Some("PodNotStarted".into()), ..part(PlatformState::Pending, None) };
    let due = PartState::Gone(BuildFailure::PodNotStarted, Some(now()));
    assert_eq!(state(waiting), Some((3, due)), "it waits for a place for its fourth try");
    let new = PlatformStatus { attempts: 0, ..part(PlatformState::Pending, None) };
    assert_eq!(state(new), None);
}

#[test]
fn a_manifest_that_the_registry_lost_is_built_again_though_its_job_ended_well() {
    let pushed = StepReport {
        image: Some(PushedImage { digest: Digest::of(b"m"), size: 7 }),
        ..StepReport::default()
    };
    let well = || ended(0, &StepReport::default());
    let tried = try_of([well(), well(), ended(0, &pushed)], &json!({ "phase": "Succeeded" }));
    let lost = PlatformStatus {
        platform: PLATFORM.into(),
        state: PlatformState::Failed,
        reason: Some("Interrupted".into()),
        attempts: 2,
        ..PlatformStatus::default()
    };
    let status = ImageBuilderStatus { platforms: vec![lost], ..ImageBuilderStatus::default() };
    let runs = runs(&[tried], &status, now());
    assert_eq!(runs[0].state, PartState::Gone(BuildFailure::Interrupted, None));
}

#[test]
fn a_part_that_is_built_stays_built_when_its_pod_is_gone() {
    let gone = job_of_build(7, true, now() - std::time::Duration::from_mins(1));
    let tried = tries(std::slice::from_ref(&gone), (7, None), now(), now());
    assert!(matches!(tried[0].run.state, PartState::Failed(BuildFailure::Interrupted, _)));
    let digest = Digest::of(b"m");
    let built = PlatformStatus {
        platform: PLATFORM.into(),
        state: PlatformState::Built,
        digest: Some(digest.to_string()),
        attempts: 1,
        ..PlatformStatus::default()
    };
    let status = ImageBuilderStatus { platforms: vec![built], ..ImageBuilderStatus::default() };
    assert_eq!(runs(&tried, &status, now())[0].state, PartState::Built(digest));
    let failed = PlatformStatus {
        state: PlatformState::Failed,
        reason: Some("StepFailed".into()),
        ..status.platforms[0].clone()
    };
    let status = ImageBuilderStatus { platforms: vec![failed], ..ImageBuilderStatus::default() };
    let gone = PartState::Gone(BuildFailure::StepFailed, None);
    assert_eq!(runs(&tried, &status, now())[0].state, gone, "and a failed one failed");
}

#[test]
fn after_a_restart_a_job_whose_pod_is_not_listed_yet_is_waited_for() {
    let job = job_of_build(7, true, now() - std::time::Duration::from_mins(1));
    let later = now() + std::time::Duration::from_mins(1);
    let state = |pods_known_by| {
        tries(std::slice::from_ref(&job), (7, None), pods_known_by, now()).remove(0).run.state
    };
    assert_eq!(state(later), PartState::Running);
    assert!(matches!(state(now()), PartState::Failed(BuildFailure::Interrupted, _)));
}

#[test]
fn a_job_that_is_complete_before_its_pod_is_seen_is_waited_for_and_not_built_twice() {
    let ended = |seconds: u64| {
        let job = job_of_build(7, true, now() - std::time::Duration::from_secs(seconds));
        tries(&[job], (7, None), now(), now()).remove(0).run.state
    };
    assert_eq!(ended(2), PartState::Running);
    assert!(matches!(ended(60), PartState::Failed(BuildFailure::Interrupted, _)));
}

#[test]
fn a_complete_job_whose_pods_cannot_be_watched_for_a_while_is_waited_for() {
    let ended = |seconds: u64| {
        let at = now() - std::time::Duration::from_secs(seconds);
        let job = without_known_pods(job_of_build(7, true, at), at);
        tries(&[job], (7, None), now(), now()).remove(0).run.state
    };
    assert_eq!(ended(60), PartState::Running, "its pod may say what it pushed");
    assert!(matches!(ended(600), PartState::Failed(BuildFailure::Interrupted, _)), "not without end");
}
