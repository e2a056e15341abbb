//! `logs` of Jobs that use what an administrator lends, which are in a namespace of the agent.

use serde_json::{Value, json};

use crate::fake_cluster::{image, list, refused};
use crate::logs::{cluster_with, waiting};
use crate::program::Run;

/// Answers for an Image that has no Job in its own namespace, so that agents are looked for.
fn without_jobs_of_its_own(request: &str, agents: (u16, Value)) -> Option<(u16, Value)> {
    match request.split('?').next().unwrap_or_default() {
        "GET /apis/apps/v1/deployments" => Some(agents),
        path if path.contains("/namespaces/ci/jobs") => Some(list("JobList", "batch/v1", &[])),
        _ => None,
    }
}

/// An agent that runs what is lent in namespace `lent`.
fn agent() -> (u16, Value) {
    let env = json!([{ "name": "JOB_NAMESPACE", "value": "lent" }]);
    let pod = json!({ "containers": [{ "name": "agent", "env": env }] });
    let agent = json!({ "metadata": { "name": "imgop-agent", "namespace": "imgop-system" },
        "spec": { "selector": {}, "template": { "spec": pod } } });
    list("DeploymentList", "apps/v1", &[agent])
}

#[test]
fn a_job_that_uses_what_is_lent_is_found_in_the_agents_namespace() {
    let log = |_: &str| (200, json!("Copying blob 1.0"));
    let elsewhere = |request: &str| without_jobs_of_its_own(request, agent());
    let cluster = cluster_with(false, &["p"], log, elsewhere);
    insta::assert_snapshot!(cluster.program.run("logs a --tag 1.0"), @r#"
    exit code: 0
    ----- stdout -----
    ==> 1.0 (pod p, container copy-0) <==
    "Copying blob 1.0"
    ----- stderr -----
    the Job is in namespace lent, since it uses what an administrator lends
    "#);
    let requests = cluster.requests();
    let mut logs = requests.iter().filter(|request| request.contains("/log?"));
    assert!(logs.all(|request| request.contains("/namespaces/lent/pods/p/log")), "{requests:?}");
}

#[test]
fn where_a_job_may_be_that_the_user_may_not_see_is_said() {
    let forbidden = || refused(403, "Forbidden", "no");
    let run = |agents: (u16, Value)| {
        let otherwise = move |request: &str| {
            let is_hidden = request.contains("/namespaces/lent/");
            without_jobs_of_its_own(request, agents.clone()).or_else(|| is_hidden.then(forbidden))
        };
        cluster_with(false, &["p"], |_| waiting(), otherwise).program.run("logs a")
    };
    insta::assert_snapshot!(run(forbidden()), @"
    exit code: 1
    ----- stderr -----
    error: a has no Job

    hint: kubectl imgop describe a -n ci shows what became of it
    hint: Jobs that use what an administrator lends (RegistryAccess) are in a namespace of the agent: whoever may list Jobs and pods and read the logs of pods there, and list Deployments in all namespaces, can print them
    ");
    let named = run(agent());
    assert!(named.code == 1 && named.stderr.contains(" are in namespace lent: whoever may"), "{named}");
}

#[test]
fn where_the_job_before_may_be_that_the_user_may_not_see_is_said() {
    let hidden = |request: &str| {
        let is_asked = request.contains("/deployments?");
        is_asked.then(|| refused(403, "Forbidden", "no"))
    };
    let run = cluster_with(true, &["p"], |_| waiting(), hidden).program.run("logs a --previous");
    assert!(run.code == 1 && run.stderr.contains("error: a has no earlier pod"), "{run}");
    assert!(run.stderr.contains(" are in a namespace of the agent: whoever may"), "{run}");
}

/// A Job that copies a tag, in a namespace.
fn job(namespace: &str, created: &str, tag: &str) -> Value {
    let digest = format!("sha256:{}", "0".repeat(64));
    let copies = json!([{ "source": tag, "destination": tag, "attempt": 1, "digest": digest }]).to_string();
    json!({ "metadata": { "name": "j", "namespace": namespace, "creationTimestamp": created,
        "annotations": { "imgop.skopeo.io/copies": copies } } })
}

/// Runs `logs` of an Image that has a Job in its own namespace and one in the agent's, each created at its time and with a tag
/// of its own, and one pod each. What is printed is what was asked for.
fn run_with(own: (&'static str, &'static str), lent: (&'static str, &'static str), arguments: &str) -> Run {
    run_where(own, lent, |_| None, arguments)
}

/// The same, but for what is answered otherwise.
fn run_where(
    own: (&'static str, &'static str),
    lent: (&'static str, &'static str),
    answer: fn(&str) -> Option<(u16, Value)>,
    arguments: &str,
) -> Run {
    let jobs = |job: Value| Some(list("JobList", "batch/v1", &[job]));
    let otherwise = move |request: &str| match request.split('?').next().unwrap_or_default() {
        _ if let Some(answer) = answer(request) => Some(answer),
        "GET /apis/apps/v1/deployments" => Some(agent()),
        path if path.ends_with("/namespaces/ci/jobs") => jobs(job("ci", own.0, own.1)),
        path if path.ends_with("/namespaces/lent/jobs") => jobs(job("lent", lent.0, lent.1)),
        _ => None,
    };
    let log = |request: &str| (200, json!(request.split('?').next()));
    cluster_with(false, &["p"], log, otherwise).program.run(arguments)
}

const OLD: &str = "2026-01-01T00:00:00Z";
const NEW: &str = "2026-01-02T00:00:00Z";

#[test]
fn the_newest_job_is_printed_whichever_namespace_it_is_in() {
    for (arguments, namespace) in
        [("logs a", "lent"), ("logs a --tag 1.1", "lent"), ("logs a --tag 1.0", "ci")]
    {
        let run = run_with((OLD, "1.0"), (NEW, "1.1"), arguments);
        let from = format!("/namespaces/{namespace}/pods/p/log");
        assert!(run.code == 0 && run.stdout.contains(&from), "{arguments}: {run}");
    }
}

#[test]
fn the_job_before_is_printed_whichever_namespace_it_is_in() {
    for (own, lent, namespace) in [(OLD, NEW, "ci"), (NEW, OLD, "lent")] {
        let run = run_with((own, "1.0"), (lent, "1.0"), "logs a --previous");
        let from = format!("/namespaces/{namespace}/pods/p/log");
        assert!(run.code == 0 && run.stdout.contains(&from), "{namespace}: {run}");
        let is_said = run.stderr.contains("the Job is in namespace lent");
        assert_eq!(is_said, namespace == "lent", "of the one that is printed: {run}");
    }
}

/// Refuses the pods of the agent's namespace, whose Jobs may be listed.
fn without_lent_pods(request: &str) -> Option<(u16, Value)> {
    request.contains("/namespaces/lent/pods?").then(|| refused(403, "Forbidden", "no"))
}

#[test]
fn the_job_before_is_printed_where_the_pods_of_the_newest_one_may_not_be_listed_and_that_is_said() {
    let run = run_where((OLD, "1.0"), (NEW, "1.0"), without_lent_pods, "logs a --previous");
    assert!(run.code == 0 && run.stdout.contains("/namespaces/ci/pods/p/log"), "{run}");
    let said = "there may be a newer log: Jobs that use what an administrator lends (RegistryAccess) are in namespace lent: \
                whoever may";
    assert!(run.stderr.starts_with(said), "{run}");
}

#[test]
fn pods_that_may_not_be_listed_in_the_agents_namespace_are_spoken_of_where_nothing_is_printed() {
    for (own, lent, arguments, error) in [
        (NEW, OLD, "logs a --previous", "error: a has no earlier pod"),
        (OLD, NEW, "logs a", "error: no\n"),
        (OLD, NEW, "logs a -f", "error: no\n"),
    ] {
        let run = run_where((own, "1.0"), (lent, "1.0"), without_lent_pods, arguments);
        assert!(run.code == 1 && run.stderr.contains(error), "{run}");
        assert!(run.stderr.contains(" are in namespace lent: whoever may"), "{arguments}: {run}");
    }
}

#[test]
fn an_old_log_is_not_taken_for_the_newest_where_a_newer_one_may_be_hidden() {
    let run = |last_sync: &'static str| {
        let otherwise = move |request: &str| match request.split('?').next().unwrap_or_default() {
            "GET /apis/apps/v1/deployments" => Some(refused(403, "Forbidden", "no")),
            path if path.ends_with("/namespaces/ci/jobs") => {
                let mut job = job("ci", OLD, "1.0");
                let complete = json!({ "type": "Complete", "status": "True", "lastTransitionTime": OLD });
                job["status"] = json!({ "conditions": [complete] });
                Some(list("JobList", "batch/v1", &[job]))
            }
            path if path.ends_with("/images/a") => {
                let mut image = image("a", "True", "there");
                image["status"]["lastSyncTime"] = last_sync.into();
                Some((200, image))
            }
            _ => None,
        };
        cluster_with(true, &["p"], |_| (200, json!("Copying blob 1.0")), otherwise).program.run("logs a")
    };
    let (old, newest) = (run(NEW), run("2026-01-01T00:00:20Z"));
    for run in [&old, &newest] {
        assert!(run.code == 0 && run.stdout.contains("Copying blob 1.0"), "{run}");
    }
    let said = "there may be a newer log: Jobs that use what an administrator lends (RegistryAccess) are in a namespace of \
                the agent";
    assert!(old.stderr.contains(said), "{old}");
    assert_eq!(newest.stderr, "", "{newest}");
}
