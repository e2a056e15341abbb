//! What is made of Jobs and pods as Kubernetes describes them.

use serde_json::{Value, json};

use super::*;
use crate::image::tests::fixtures::{copy, now, subset};
use crate::jobs::testing::report_of;

/// A Job of these copies.
fn job_of(copies: &[Copy], end: Option<(&str, &str)>) -> Value {
    let records: Vec<CopyRecord> = copies.iter().map(CopyRecord::from).collect();
    let containers: Vec<Value> = copies
        .iter()
        .enumerate()
        .flat_map(|(index, copy)| (0..copy.parts().len()).map(move |part| container_name(index, part)))
        .map(|name| json!({ "name": name }))
        .collect();
    let condition = |(type_, reason): (&str, &str)| {
        json!([{"type": type_, "status": "True", "reason": reason,
        "lastTransitionTime": "2026-11-21T11:59:00Z"}])
    };
    json!({
        "metadata": {"name": "j", "namespace": "team-a",
            "annotations": {COPIES_ANNOTATION: serde_json::to_string(&records).unwrap(), ROUTE_ANNOTATION: "here"}},
        "spec": {"podFailurePolicy": {}, "template": {"spec": {"containers": containers}}},
        "status": {"conditions": end.map_or_else(|| json!([]), condition)}})
}

/// A Job of two copies, `a` and `b`.
fn job(end: Option<(&str, &str)>) -> Value {
    job_of(&[copy("a", 1), copy("b", 1)], end)
}

#[expect(clippy::needless_pass_by_value, reason = "each status is made for its pod")]
fn pod(status: Value) -> Value {
    json!({"metadata": {"name": "p", "creationTimestamp": "2026-11-21T11:00:00Z"}, "status": status})
}

fn terminated(name: &str, code: i32, message: &str) -> Value {
    json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": code, "message": message, "finishedAt": "2026-11-21T11:30:00Z"}}})
}

fn outcomes(job: &Value, pods: &[Value]) -> Vec<Outcome> {
    CopyJob::of(&report_of(job, pods, now())).runs.into_iter().map(|run| run.outcome).collect()
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
    let pods = [pod(json!({"phase": "Failed",
        "containerStatuses": [terminated(&container_name(0, 0), 1, "level=fatal msg=\"manifest unknown\""),
            terminated(&container_name(1, 0), 0, &digest)]}))];
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
    let job = job_of(std::slice::from_ref(&made), None);
    let part = |part: usize, code: i32, message: &str| terminated(&container_name(0, part), code, message);
    let ended =
        |one: Value, two: Value| outcomes(&job, &[pod(json!({"containerStatuses": [one, two]}))]).remove(0);
    let digests: Vec<String> = made.parts().iter().map(Digest::to_string).collect();
    assert_eq!(ended(part(0, 0, &digests[0]), part(1, 0, &digests[1])), Outcome::Succeeded);
    let runs = json!({"name": "x", "image": "", "imageID": "", "ready": false, "restartCount": 0});
    assert_eq!(ended(part(0, 0, &digests[0]), runs), Outcome::Running);
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
    let pods = [pod(json!({"phase": "Succeeded", "containerStatuses": [
        terminated(&container_name(0, 0), 0, &other), terminated(&container_name(1, 0), 0, "")]}))];
    let outcomes = outcomes(&job(Some(("Complete", ""))), &pods);
    assert_eq!(reason(&outcomes[0]), Some(FailureReason::VerificationFailed));
    assert_eq!(outcomes[1], Outcome::Succeeded);
}

#[test]
fn what_kubernetes_did_to_a_container_is_not_blamed_on_its_copy() {
    let (first, second) = (container_name(0, 0), container_name(1, 0));
    let waiting = json!({"name": second, "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "PodInitializing"}}});
    let failed = pod(json!({"phase": "Failed", "initContainerStatuses": [terminated(&first, 1, "x")],
        "containerStatuses": [waiting]}));
    let at = "2026-11-21T11:59:00Z".parse().unwrap();
    assert_eq!(
        outcomes(&job(Some(("Failed", "BackoffLimitExceeded"))), &[failed])[1],
        Outcome::Interrupted { at }
    );
    let drained = pod(json!({"conditions": [{"type": "DisruptionTarget", "status": "True"}],
        "containerStatuses": [terminated(&first, 137, "")]}));
    assert_eq!(outcomes(&job(None), &[drained])[0], Outcome::Running);
}

#[test]
fn a_job_whose_pod_is_gone_tells_by_its_condition() {
    assert_eq!(outcomes(&job(Some(("Complete", ""))), &[]), [Outcome::Succeeded, Outcome::Succeeded]);
    let failed = outcomes(&job(Some(("Failed", "DeadlineExceeded"))), &[]);
    let Outcome::Failed { message, at, .. } = &failed[0] else { panic!() };
    assert!(message.contains("deadline"));
    assert_eq!(at.to_string(), "2026-11-21T11:59:00Z");
    let failed = outcomes(&job(Some(("Failed", "BackoffLimitExceeded"))), &[]);
    let Outcome::Failed { message, .. } = &failed[0] else { panic!() };
    assert_eq!(message, "the Job failed and its pod is gone");
    assert_eq!(outcomes(&job(None), &[]), [Outcome::Running, Outcome::Running]);
}

#[test]
fn a_pod_that_does_not_start_is_given_up_before_its_deadline() {
    let name = container_name(0, 0);
    let waiting = pod(json!({"containerStatuses": [
        {"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
         "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"x\""}}}]}));
    let jobs =
        JobResults::new(&[report_of(&job(None), std::slice::from_ref(&waiting), now())], "here".to_owned());
    assert!(report_of(&job(None), &[waiting], now()).is_to_be_deleted());
    let given_up: Vec<(&Copy, &Outcome)> = jobs.given_up().collect();
    let Outcome::Failed { reason, message, .. } = given_up[1].1 else { panic!() };
    assert_eq!(*reason, FailureReason::PodNotStarted);
    assert_eq!(
        message,
        "the pod does not start: ImagePullBackOff: Back-off pulling image \"x\"; it is the agent's setting SKOPEO_IMAGE"
    );
}

#[test]
fn out_of_memory_is_reported_as_such() {
    let mut status = terminated(&container_name(0, 0), 137, "");
    status["state"]["terminated"]["reason"] = json!("OOMKilled");
    let pods = [pod(json!({"phase": "Failed", "containerStatuses": [status]}))];
    assert_eq!(reason(&outcomes(&job(Some(("Failed", ""))), &pods)[0]), Some(FailureReason::OutOfMemory));
}

#[test]
fn a_container_without_a_message_is_reported_with_its_exit_code_and_any_message_is_safe_to_show() {
    let message = |text: &str| {
        let pods = [pod(json!({"containerStatuses": [terminated(&container_name(0, 0), 2, text)]}))];
        match outcomes(&job(None), &pods).remove(0) {
            Outcome::Failed { message, .. } => message,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(message(""), "Skopeo ended with exit code 2");
    assert_eq!(
        message("a\u{1b}[31mred\nget https://user:pw@host/v2/?token=abc"),
        "a [31mred get https://host/v2/"
    );
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
        forged["metadata"]["annotations"][COPIES_ANNOTATION] = text.into();
        assert!(outcomes(&forged, &[]).is_empty(), "{text}");
    }
}

#[test]
fn jobs_of_another_route_are_not_of_this_spec_and_what_became_of_copies_later_counts() {
    let reports = || vec![report_of(&job(Some(("Complete", ""))), &[], now())];
    assert!(JobResults::new(&reports(), "elsewhere".to_owned()).runs(&HashMap::new()).is_empty());
    let jobs = JobResults::new(&reports(), "here".to_owned());
    let gone = Outcome::ContentGone { at: now() };
    let later = HashMap::from([(copy("a", 1), gone.clone()), (copy("c", 1), gone.clone())]);
    let runs: Vec<Outcome> = jobs.runs(&later).into_iter().map(|run| run.outcome).collect();
    assert_eq!(runs, [gone.clone(), Outcome::Succeeded, gone]);
}

/// A Job of the agent's own program that copies these.
fn native_job(copies: &[Copy]) -> Value {
    let mut job = job_of(copies, None);
    job["spec"] = json!({ "template": { "spec": { "containers": [{ "name": NATIVE_CONTAINER }] } } });
    job
}

/// What became of these in such a Job.
fn native_outcomes(copies: &[Copy], status: &Value) -> (Vec<Outcome>, Vec<OpenUpload>) {
    let pod = pod(json!({ "containerStatuses": [status] }));
    let job = CopyJob::of(&report_of(&native_job(copies), &[pod], now()));
    (job.runs.into_iter().map(|run| run.outcome).collect(), job.uploads)
}

#[test]
fn each_tag_of_one_container_has_its_own_result_and_an_index_that_of_its_parts() {
    let copies = [copy("a", 1), subset("b"), subset("c"), copy("d", 1)];
    let message = r#"{"done":"0-4","failed":[{"items":"5","message":"403 denied"}]}"#;
    let (ended, _) = native_outcomes(&copies, &terminated(NATIVE_CONTAINER, 1, message));
    let denied = ended.iter().filter_map(|outcome| match outcome {
        Outcome::Failed { reason: FailureReason::CopyFailed, message, .. } => Some(message.as_str()),
        _ => None,
    });
    assert_eq!(denied.collect::<Vec<_>>(), ["403 denied"]);
    assert_eq!([&ended[0], &ended[1], &ended[2]], [&Outcome::Succeeded; 3]);
}

#[test]
fn what_a_container_had_not_reached_when_it_was_killed_is_tried_again_and_goes_on_with_its_uploads() {
    let copies = [copy("a", 1), copy("b", 1)];
    let upload = format!(r#"{{"blob":"{}","place":"https://r/u/1"}}"#, Digest::of(b"layer"));
    let message = format!(r#"{{"done":"0","uploads":[{upload}]}}"#);
    let mut killed = terminated(NATIVE_CONTAINER, 137, &message);
    let (ended, uploads) = native_outcomes(&copies, &killed);
    assert_eq!((&ended[0], reason(&ended[1])), (&Outcome::Succeeded, Some(FailureReason::CopyFailed)));
    assert_eq!(uploads.iter().map(|upload| upload.place.as_str()).collect::<Vec<_>>(), ["https://r/u/1"]);
    killed["state"]["terminated"]["reason"] = json!("OOMKilled");
    let (ended, _) = native_outcomes(&copies, &killed);
    assert_eq!((&ended[0], reason(&ended[1])), (&Outcome::Succeeded, Some(FailureReason::OutOfMemory)));
}

#[test]
fn what_a_drained_pod_has_reported_is_done_and_its_rest_is_begun_anew_with_its_uploads() {
    let copies = [copy("a", 1), copy("b", 1)];
    let upload = format!(r#"{{"blob":"{}","place":"https://r/u/1"}}"#, Digest::of(b"layer"));
    let message = format!(r#"{{"done":"0","uploads":[{upload}]}}"#);
    for (code, conditions) in [
        (143, json!([{ "type": "DisruptionTarget", "status": "True" }])),
        (137, json!([{ "type": "DisruptionTarget", "status": "True" }])),
        // As where a person deletes it.
        (143, json!([])),
    ] {
        let status = terminated(NATIVE_CONTAINER, code, &message);
        let pod = pod(json!({ "phase": "Failed", "conditions": conditions, "containerStatuses": [status] }));
        let job = CopyJob::of(&report_of(&native_job(&copies), &[pod], now()));
        let [done, open] = &job.runs[..] else { panic!("{job:?}") };
        assert_eq!((&done.outcome, job.uploads.len()), (&Outcome::Succeeded, 1), "{code}");
        assert!(matches!(open.outcome, Outcome::Interrupted { .. }), "{open:?}");
    }
}

#[test]
fn tags_whose_turn_did_not_come_have_not_failed() {
    let copies = [copy("a", 1), copy("b", 1), copy("c", 1)];
    let message = r#"{"done":"0","left":"2","failed":[{"items":"1","message":"the time was over"}]}"#;
    let (ended, _) = native_outcomes(&copies, &terminated(NATIVE_CONTAINER, 1, message));
    assert_eq!((&ended[0], reason(&ended[1])), (&Outcome::Succeeded, Some(FailureReason::CopyFailed)));
    assert!(matches!(ended[2], Outcome::NotBegun { .. }), "{:?}", ended[2]);
}

#[test]
fn a_job_goes_on_with_uploads_of_its_own_namespace_alone() {
    let upload = format!(r#"{{"blob":"{}","place":"https://r/u/1"}}"#, Digest::of(b"layer"));
    let ended = terminated(NATIVE_CONTAINER, 1, &format!(r#"{{"done":"","uploads":[{upload}]}}"#));
    let report = report_of(
        &native_job(&[copy("a", 1)]),
        &[pod(json!({ "phase": "Failed", "containerStatuses": [ended] }))],
        now(),
    );
    let jobs = JobResults::new(&[report], "here".to_owned());
    assert_eq!(jobs.uploads("team-a").len(), 1);
    assert!(jobs.uploads("imgop-system").is_empty(), "a tenant may have written it");
}

#[test]
fn a_container_that_leaves_no_report_is_told_by_its_exit_code_and_its_last_words() {
    let copies = [copy("a", 1)];
    let outcome =
        |code, message| native_outcomes(&copies, &terminated(NATIVE_CONTAINER, code, message)).0.remove(0);
    assert_eq!(outcome(0, ""), Outcome::Succeeded);
    let failed = |outcome| match outcome {
        Outcome::Failed { message, .. } => message,
        other => panic!("{other:?}"),
    };
    assert_eq!(failed(outcome(1, "cannot read /imgop/x")), "cannot read /imgop/x");
    assert_eq!(failed(outcome(137, "")), "its container ended with exit code 137 before it was copied");
    let waiting = json!({ "name": NATIVE_CONTAINER, "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": { "waiting": { "reason": "ErrImagePull", "message": "x" } } });
    let message = failed(native_outcomes(&copies, &waiting).0.remove(0));
    assert!(message.ends_with("the agent's setting NATIVE_IMAGE"), "{message}");
}
