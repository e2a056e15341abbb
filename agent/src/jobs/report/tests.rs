//! What is read from Jobs and pods as Kubernetes describes them.

use serde_json::{Value, json};

use super::*;

/// How long a pod may wait for a node.
const PATIENCE: Duration = Duration::from_mins(10);

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn long_ago() -> Timestamp {
    now() - std::time::Duration::from_hours(1)
}

/// A Job of two containers, `a` and `b`, which ended a minute ago.
fn job(end: Option<(&str, &str)>) -> JobView {
    let conditions: Vec<Value> = end
        .map(|(type_, reason)| {
            json!({"type": type_, "status": "True", "reason": reason,
                "lastTransitionTime": "2026-11-21T11:59:00Z"})
        })
        .into_iter()
        .collect();
    serde_json::from_value(json!({
        "metadata": {"name": "j", "namespace": "team-a", "annotations": {"what": "it does"}},
        "spec": {"podFailurePolicy": {"rules": [{"action": "Ignore"}]},
            "template": {"spec": {"initContainers": [{"name": "a"}], "containers": [{"name": "b"}]}}},
        "status": {"conditions": conditions},
    }))
    .unwrap()
}

fn pod(status: impl Into<Value>) -> PodView {
    let status: Value = status.into();
    serde_json::from_value(json!({
        "metadata": {"name": "p", "creationTimestamp": "2026-11-21T11:00:00Z"}, "status": status
    }))
    .unwrap()
}

fn terminated(name: &str, code: i32, message: &str) -> Value {
    json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": code, "message": message, "finishedAt": "2026-11-21T11:30:00Z"}}})
}

fn report(job: &JobView, pods: &[PodView]) -> JobReport {
    let pods: Vec<&PodView> = pods.iter().collect();
    JobReport::of(job, Pods::Known(&pods, pods.is_empty().then(long_ago)), PATIENCE, now())
}

fn states(job: &JobView, pods: &[PodView]) -> [ContainerState; 2] {
    let report = report(job, pods);
    ["a", "b"].map(|name| report.container(name))
}

fn ended(code: i32, message: &str) -> ContainerState {
    let at = "2026-11-21T11:30:00Z".parse().unwrap();
    ContainerState::Ended(ContainerEnd {
        exit_code: code,
        reason: String::new(),
        message: message.into(),
        at,
        began: None,
        is_disrupted: false,
    })
}

fn failed() -> JobView {
    job(Some(("Failed", "BackoffLimitExceeded")))
}

#[test]
fn b4_each_container_has_a_result_of_its_own() {
    let pods = [pod(json!({
        "phase": "Failed",
        "initContainerStatuses": [terminated("a", 1, "manifest unknown")],
        "containerStatuses": [terminated("b", 0, "sha256:1")]}))];
    assert_eq!(states(&failed(), &pods), [ended(1, "manifest unknown"), ended(0, "sha256:1")]);
    assert_eq!(report(&failed(), &pods).annotations["what"], "it does");
}

#[test]
fn a_container_that_never_ran_was_interrupted() {
    let pods = [pod(json!({"phase": "Failed",
        "initContainerStatuses": [terminated("a", 1, "x")], "containerStatuses": [
        {"name": "b", "image": "", "imageID": "", "ready": false, "restartCount": 0,
         "state": {"waiting": {"reason": "PodInitializing"}}}]}))];
    let at = "2026-11-21T11:59:00Z".parse().unwrap();
    assert_eq!(states(&failed(), &pods)[1], ContainerState::Interrupted { at });
}

#[test]
fn a_drained_pod_has_not_failed() {
    let disrupted = pod(json!({
        "conditions": [{"type": "DisruptionTarget", "status": "True"}],
        "containerStatuses": [terminated("a", 137, "")]}));
    assert_eq!(states(&job(None), std::slice::from_ref(&disrupted))[0], ContainerState::Running);
    let second = pod(json!({"containerStatuses": [terminated("a", 0, "")]}));
    assert_eq!(states(&job(None), &[disrupted, second])[0], ended(0, ""));
}

#[test]
fn what_a_drained_pod_reports_counts_where_its_job_does_not_replace_it() {
    let alone: JobView = serde_json::from_value(json!({
        "metadata": {"name": "j", "namespace": "team-a"},
        "spec": {"template": {"spec": {"containers": [{"name": "a"}]}}},
    }))
    .unwrap();
    let drained = pod(json!({"phase": "Failed",
        "conditions": [{"type": "DisruptionTarget", "status": "True"}],
        "containerStatuses": [terminated("a", 143, "the report")]}));
    let ContainerState::Ended(end) = states(&alone, &[drained])[0].clone() else { panic!("it goes on") };
    assert_eq!((end.message.as_str(), end.is_disrupted), ("the report", true));
}

#[test]
fn a_job_whose_pod_is_gone_tells_by_its_condition() {
    let at = "2026-11-21T11:59:00Z".parse().unwrap();
    assert_eq!(
        states(&job(Some(("Complete", ""))), &[])[1],
        ContainerState::Completed { at, are_pods_known: true }
    );
    let late = job(Some(("Failed", "DeadlineExceeded")));
    assert_eq!(states(&late, &[])[0], ContainerState::DeadlineExceeded { at });
    assert_eq!(states(&failed(), &[])[0], ContainerState::PodGone { at });
    assert_eq!(states(&job(None), &[])[0], ContainerState::Running);
}

#[test]
fn a_job_that_has_just_failed_is_judged_when_its_pods_are_known_to_have_ended() {
    let mut failed = failed();
    failed.status.conditions[0].last_transition_time =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()));
    let running = pod(json!({"phase": "Running"}));
    assert_eq!(states(&failed, std::slice::from_ref(&running))[1], ContainerState::Running);
    assert_eq!(
        JobReport::of(&failed, Pods::Unknown, PATIENCE, now()).container("a"),
        ContainerState::Running
    );
    let later = now() + std::time::Duration::from_secs(30);
    let state = JobReport::of(&failed, Pods::Known(&[&running], None), PATIENCE, later).container("a");
    assert_eq!(state, ContainerState::Interrupted { at: now() }, "it is not waited for without end");
}

#[test]
fn a_pod_that_does_not_start_is_given_up_before_its_deadline() {
    let waiting = pod(json!({"containerStatuses": [
        {"name": "a", "image": "", "imageID": "", "ready": false, "restartCount": 0,
         "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"x\""}}}]}));
    let report = report(&job(None), &[waiting]);
    assert!(report.is_to_be_deleted());
    let ContainerState::NotStarted { message, .. } = report.container("b") else { panic!() };
    assert_eq!(message, "the pod does not start: ImagePullBackOff: Back-off pulling image \"x\"");
}

/// A Job that Kubernetes has begun with a minute ago, and for which it could create no pod.
/// A pod of this age that has a node, and whose sandbox stands like this.
fn scheduled(age: u64, is_ready: &str) -> PodView {
    let created = now() - std::time::Duration::from_secs(age);
    let conditions = json!([
        { "type": "PodScheduled", "status": "True", "lastTransitionTime": created },
        { "type": "PodReadyToStartContainers", "status": is_ready, "lastTransitionTime": created } ]);
    let waiting = json!({ "name": "a", "state": { "waiting": { "reason": "ContainerCreating" } } });
    let mut pod =
        pod(json!({ "phase": "Pending", "conditions": conditions, "containerStatuses": [waiting] }));
    pod.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(created));
    pod
}

#[test]
fn a_pod_whose_volumes_cannot_be_mounted_is_given_up_within_a_minute_and_one_that_pulls_is_not() {
    let state = |pod| report(&job(None), &[pod]).state;
    let JobState::Stuck(message) = state(scheduled(61, "False")) else { panic!("it is waited for") };
    assert!(
        message.contains("a Secret, a ConfigMap") && message.contains("kubectl get events -n"),
        "{message}"
    );
    assert_eq!(state(scheduled(59, "False")), JobState::Unfinished);
    assert_eq!(state(scheduled(3000, "True")), JobState::Unfinished, "an image may be large");
}

fn without_pods() -> JobView {
    let mut job = job(None);
    job.status =
        serde_json::from_value(json!({"startTime": "2026-11-21T11:59:00Z", "ready": 0, "terminating": 0}))
            .unwrap();
    job
}

#[test]
fn a_job_for_which_no_pod_can_be_made_is_given_up_before_its_deadline() {
    let report = report(&without_pods(), &[]);
    let JobState::Stuck(message) = &report.state else { panic!("{report:?}") };
    insta::assert_snapshot!(message, @"no pod could be created for the Job, as where a quota or a policy forbids it; its events give the reason, for an hour: kubectl get events -n team-a --field-selector involvedObject.name=j");
    assert_eq!(report.container("b"), ContainerState::NotStarted { message: message.clone(), at: now() });
}

#[test]
fn a_job_that_may_get_a_pod_yet_is_waited_for() {
    let runs = |edit: fn(&mut JobView)| {
        let mut job = without_pods();
        edit(&mut job);
        states(&job, &[]) == [ContainerState::Running, ContainerState::Running]
    };
    let time = || Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()));
    assert!(!runs(|_| ()));
    assert!(runs(|job| job.status.start_time = None), "Kubernetes has not begun with it");
    let mut young = without_pods();
    young.status.start_time = time();
    assert_eq!(states(&young, &[])[0], ContainerState::Running);
    assert!(runs(|job| job.status.active = Some(1)), "its pod is on its way");
    assert!(runs(|job| job.status.terminating = Some(1)), "its pod is being replaced");
    assert!(runs(|job| {
        let suspended = json!({ "type": "Suspended", "status": "True" });
        job.status.conditions = vec![serde_json::from_value(suspended).unwrap()];
    }));
    let evicted = JobReport::of(&without_pods(), Pods::Known(&[], Some(now())), PATIENCE, now());
    assert_eq!(evicted.state, JobState::Unfinished, "it had a pod a moment ago, and gets another one");
    let unknown = JobReport::of(&without_pods(), Pods::Unknown, PATIENCE, now());
    assert_eq!(unknown.state, JobState::Unfinished, "its pods are not listed yet");
}

/// A pod without a node, of this age in seconds.
fn without_node(age: u64) -> PodView {
    let mut waiting = pod(json!({"conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]}));
    let created = now() - Duration::from_secs(age);
    waiting.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(created));
    waiting
}

#[test]
fn a_pod_may_wait_for_a_node_while_an_autoscaler_may_add_one_and_that_is_reported() {
    let of_age = |age| report(&job(None), &[without_node(age)]);
    assert_eq!(
        (of_age(59).state, of_age(59).waits_for_node),
        (JobState::Unfinished, None),
        "it may be on its way"
    );
    let waits = of_age(599);
    assert_eq!(waits.state, JobState::Unfinished);
    assert_eq!(waits.waits_for_node.unwrap(), "the pod does not start: Unschedulable: 0/1 nodes");
    assert!(of_age(600).is_to_be_deleted());
    let pods = [&without_node(60)];
    let impatient = JobReport::of(&job(None), Pods::Known(&pods, None), Duration::from_mins(1), now());
    assert!(impatient.is_to_be_deleted(), "as long as an administrator wants");
}

#[test]
fn a_job_whose_node_is_lost_is_given_up_within_minutes() {
    let ending = |seconds: u64| {
        let mut pod = pod(json!({"phase": "Running", "containerStatuses": [
            terminated("a", 0, "x"), {"name": "b", "state": {"running": {}}}]}));
        let end = now() - Duration::from_secs(seconds);
        pod.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(end));
        report(&job(None), &[pod])
    };
    assert_eq!(ending(119).state, JobState::Unfinished, "it may end yet");
    let lost = ending(120);
    assert!(lost.is_to_be_deleted());
    assert_eq!(lost.container("a"), ended(0, "x"), "what was done is done");
    assert!(matches!(lost.container("b"), ContainerState::Interrupted { .. }));
}

#[test]
fn a_job_that_an_injected_container_keeps_from_ending_is_judged_by_ours_and_is_to_be_deleted() {
    let with_sidecar = |ours: Value| {
        pod(json!({"phase": "Running", "initContainerStatuses": [terminated("a", 0, "x")],
            "containerStatuses": [ours, {"name": "istio-proxy", "state": {"running": {}}}]}))
    };
    let done = report(&job(None), &[with_sidecar(terminated("b", 0, "y"))]);
    assert_eq!((done.container("b"), &done.state), (ended(0, "y"), &JobState::Abandoned));
    assert!(done.is_to_be_deleted());
    let running = report(&job(None), &[with_sidecar(json!({"name": "b", "state": {"running": {}}}))]);
    assert_eq!(running.state, JobState::Unfinished);
    let just_now = JobReport::of(
        &job(None),
        Pods::Known(&[&with_sidecar(terminated("b", 0, "y"))], None),
        PATIENCE,
        "2026-11-21T11:30:30Z".parse().unwrap(),
    );
    assert_eq!(just_now.state, JobState::Unfinished, "Kubernetes may be about to end it");
}

#[test]
fn a_node_whose_clock_is_ahead_does_not_end_a_container_in_the_future() {
    let mut ahead = terminated("a", 1, "x");
    ahead["state"]["terminated"]["finishedAt"] = json!("2027-01-01T00:00:00Z");
    let ContainerState::Ended(end) =
        report(&failed(), &[pod(json!({"containerStatuses": [ahead]}))]).container("a")
    else {
        panic!()
    };
    assert!(end.at <= now());
}

/// A Job whose failed pods are replaced twice, of which this many have failed.
fn replacing(failed: i32) -> JobView {
    serde_json::from_value(json!({
        "metadata": {"name": "j", "namespace": "team-a"},
        "spec": {"backoffLimit": 2,
            "template": {"spec": {"initContainers": [{"name": "a"}], "containers": [{"name": "b"}]}}},
        "status": {"failed": failed},
    }))
    .unwrap()
}

#[test]
fn what_failed_in_a_pod_that_is_replaced_is_not_over_and_what_succeeded_is() {
    let pods = [pod(json!({
        "phase": "Failed",
        "initContainerStatuses": [terminated("a", 0, "done")],
        "containerStatuses": [terminated("b", 1, "timeout")]}))];
    assert_eq!(states(&replacing(1), &pods), [ended(0, "done"), ContainerState::Running]);
    assert_eq!(states(&replacing(2), &pods), [ended(0, "done"), ContainerState::Running]);
    assert_eq!(states(&replacing(3), &pods), [ended(0, "done"), ended(1, "timeout")]);
    assert_eq!(states(&failed(), &pods), [ended(0, "done"), ended(1, "timeout")]);
}

#[test]
fn a_job_that_waits_for_a_node_as_another_template_says_is_known_by_its_hash() {
    let of = |annotations: Value, pod_status: &Value| {
        let mut job = job(None);
        job.metadata.annotations = serde_json::from_value(annotations).unwrap();
        let (pods, patience) = ([&pod(pod_status.clone())], Duration::from_hours(2));
        JobReport::of(&job, Pods::Known(&pods, None), patience, now()).waits_with_other_template("new")
    };
    let unscheduled = json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]});
    assert!(of(json!({TEMPLATE_ANNOTATION: "old"}), &unscheduled));
    assert!(!of(json!({TEMPLATE_ANNOTATION: "new"}), &unscheduled));
    assert!(!of(json!({TEMPLATE_ANNOTATION: "old"}), &json!({"phase": "Running"})), "what runs goes on");
    assert!(!of(json!({}), &unscheduled), "it is of an agent that wrote none");
}
