//! Creating, adopting and deleting Jobs, and watching them, at an API server that does as it likes.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt as _;
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use super::*;
use crate::cluster::fixtures::{Asked, NO_ANSWER, api_server, refusal};

const CAPS: Caps = Caps {
    in_all: 10,
    per_namespace: 10,
    per_owner: 10,
    of_kind: None,
    wake_timeout: Duration::from_mins(10),
};

fn owner() -> Owner {
    Owner {
        api_version: "batch/v1".into(),
        kind: "Job".into(),
        namespace: "team-a".into(),
        name: "argocd".into(),
        uid: "uid".into(),
    }
}

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn job(name: &str, uid: &str) -> Value {
    let owner = Owner { uid: uid.into(), ..owner() }.controller_reference();
    json!({
        "metadata": {"name": name, "namespace": "team-a", "uid": format!("uid of {name}"),
            "labels": {OWNER_UID_LABEL: uid, "x": "y"}, "ownerReferences": [owner]},
        "spec": {"selector": {}, "template": {"spec": {"containers": [{"name": "c", "image": "x"}]}}},
    })
}

fn jobs(answer: impl Fn(&str) -> (u16, String) + Send + 'static) -> (Jobs, Asked) {
    let (client, asked) = api_server(answer);
    let rights = Arc::new(Rights::new(client.clone(), "imgop-system:imgop-agent".into()));
    (Jobs::new(client, rights, CAPS, Duration::from_mins(10), &[], "imgop-system".into()), asked)
}

async fn create(jobs: &Jobs) -> Result<Created, JobError> {
    let wanted: Job = serde_json::from_value(job("j", "uid")).unwrap();
    let place = jobs.take(&owner(), 1, now()).places.remove(0);
    jobs.create(&owner(), &wanted, place).await
}

fn list(items: &[Value]) -> (u16, String) {
    (200, json!({"metadata": {"resourceVersion": "1"}, "items": items}).to_string())
}

#[tokio::test]
async fn a_job_that_was_created_is_its_owners_at_once_and_holds_its_place() {
    let (jobs, asked) = jobs(|_| (201, job("j", "uid").to_string()));
    assert_eq!(create(&jobs).await.unwrap(), Created::New);
    let reports = jobs.of_owner(&owner(), now());
    assert_eq!((reports.len(), reports[0].name.as_str()), (1, "j"));
    assert_eq!(jobs.count(&owner()), Count { total: 1, unfinished: 1 });
    assert_eq!(jobs.room(&owner(), 10, now()), 9);
    assert_eq!(asked.lock().unwrap().len(), 1, "nothing is listed");
}

#[tokio::test]
async fn a_job_that_exists_is_adopted_only_by_its_owner_and_only_while_it_stays() {
    let exists = || refusal(409, "AlreadyExists", "jobs.batch \"j\" already exists");
    let with = async |there: Option<Value>| {
        let (jobs, asked) = jobs(move |line| match line {
            line if line.starts_with("POST") => exists(),
            _ => list(there.as_slice()),
        });
        (create(&jobs).await, jobs, asked)
    };
    let (created, jobs, _) = with(Some(job("j", "uid"))).await;
    assert_eq!(created.unwrap(), Created::Adopted);
    assert_eq!((jobs.of_owner(&owner(), now()).len(), jobs.room(&owner(), 10, now())), (1, 9));
    let (created, jobs, _) = with(Some(job("j", "another"))).await;
    assert!(matches!(created, Err(JobError::NameTaken(name)) if name == "j"));
    assert_eq!(jobs.room(&owner(), 10, now()), 10, "its place is free again");
    let mut deleted = job("j", "uid");
    deleted["metadata"]["deletionTimestamp"] = "2026-11-21T12:00:00Z".into();
    assert!(matches!(with(Some(deleted)).await.0, Err(JobError::StillDeleting(_))));
    assert!(matches!(with(None).await.0, Err(JobError::StillDeleting(_))));
}

#[tokio::test]
async fn a_job_that_is_known_is_adopted_without_another_request() {
    let (jobs, asked) = jobs(|line| match line {
        line if line.starts_with("POST") => refusal(409, "AlreadyExists", "exists"),
        _ => (500, String::new()),
    });
    jobs.0.store.insert(serde_json::from_value(job("j", "uid")).unwrap());
    assert_eq!(create(&jobs).await.unwrap(), Created::Adopted);
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_api_server_cannot_do_ends_after_a_few_tries_with_its_words() {
    let webhook = "Internal error occurred: failed calling webhook \"x.example.com\"";
    let quota = "Operation cannot be fulfilled on resourcequotas \"few\"";
    let cases = [
        (500, "InternalError", webhook, 3, "the API server cannot create the Job: "),
        (503, "ServiceUnavailable", "shutting down", 3, "the API server cannot create the Job: "),
        (409, "Conflict", quota, 3, "the API server cannot create the Job: "),
        (404, "NotFound", "namespaces \"team-a\" not found", 1, "the API server cannot create the Job: "),
        (413, "RequestEntityTooLarge", "request is too large", 1, "the API server refuses the Job: "),
        (422, "Invalid", "spec.template: Invalid value", 1, "the API server refuses the Job: "),
        (403, "Forbidden", "exceeded quota: few", 1, "the API server refuses the Job: "),
    ];
    for (code, reason, message, tries, prefix) in cases {
        let (jobs, asked) = jobs(move |_| refusal(code, reason, message));
        assert_eq!(create(&jobs).await.unwrap_err().to_string(), format!("{prefix}{message}"));
        assert_eq!(asked.lock().unwrap().len(), tries, "{code}");
        assert_eq!(jobs.room(&owner(), 10, now()), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_passes_is_not_noticed() {
    let tries = AtomicUsize::default();
    let (jobs, _) = jobs(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => refusal(500, "InternalError", "etcdserver: leader changed"),
        _ => (201, job("j", "uid").to_string()),
    });
    assert_eq!(create(&jobs).await.unwrap(), Created::New);
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_with_what_grants_it() {
    let message =
        "jobs.batch is forbidden: User \"agent\" cannot create resource \"jobs\" in API group \"batch\"";
    let (jobs, _) = jobs(move |_| refusal(403, "Forbidden", message));
    let error = create(&jobs).await.unwrap_err().to_string();
    assert!(error.contains("kubectl create rolebinding imgop-agent -n team-a"), "{error}");
}

#[tokio::test]
async fn a_job_that_is_deleted_is_no_longer_its_owners_and_one_that_was_gone_is_as_well() {
    for answer in [(200, "{}".to_owned()), refusal(404, "NotFound", "jobs.batch \"j\" not found")] {
        let (jobs, asked) = jobs(move |_| answer.clone());
        jobs.0.store.insert(serde_json::from_value(job("j", "uid")).unwrap());
        jobs.delete(&jobs.of_owner(&owner(), now())[0]).await.unwrap();
        assert!(jobs.of_owner(&owner(), now()).is_empty());
        assert!(asked.lock().unwrap()[0].starts_with("DELETE /apis/batch/v1/namespaces/team-a/jobs/j"));
    }
    let (jobs, _) = jobs(|_| refusal(500, "InternalError", "no"));
    jobs.0.store.insert(serde_json::from_value(job("j", "uid")).unwrap());
    assert!(jobs.delete(&jobs.of_owner(&owner(), now())[0]).await.is_err());
    assert_eq!(jobs.of_owner(&owner(), now()).len(), 1);
}

/// Answers as an API server with these Jobs, no pods, and watches on which nothing happens.
fn server_of(items: Vec<Value>) -> impl Fn(&str) -> (u16, String) + Send + 'static {
    move |line| match line {
        line if line.contains("selfsubjectaccessreviews") => {
            (201, json!({"metadata": {}, "spec": {}, "status": {"allowed": true}}).to_string())
        }
        line if line.contains("watch=true") => (200, String::new()),
        line if line.contains("/namespaces/b/") => refusal(403, "Forbidden", "cannot list resource"),
        line if line.contains("/jobs?") => list(&items),
        _ => list(&[]),
    }
}

#[tokio::test(start_paused = true)]
async fn thousands_of_kept_jobs_are_listed_once_and_no_pass_lists_anything() {
    let all = (0..4000).map(|n| job(&format!("j{n}"), &format!("uid{}", n % 1000))).collect();
    let (jobs, asked) = jobs(server_of(all));
    let stop = CancellationToken::new();
    let running = tokio::spawn(jobs.clone().run(Namespaces::All, ReadyGate::default(), stop.clone()));
    jobs.wait_until_known(&Namespaces::All, Duration::from_mins(1)).await;
    sleep(Duration::from_secs(2)).await;
    for number in 0..1000 {
        assert_eq!(jobs.of_owner(&Owner { uid: format!("uid{number}"), ..owner() }, now()).len(), 4);
    }
    stop.cancel();
    running.await.unwrap();
    let asked = asked.lock().unwrap();
    let lists =
        |what: &str| asked.iter().filter(|line| line.contains(what) && !line.contains("watch=true")).count();
    assert_eq!((lists("/jobs?"), lists("/pods?")), (1, 1), "this server has one page");
}

#[tokio::test(start_paused = true)]
async fn a_namespace_whose_jobs_cannot_be_listed_stops_no_other() {
    let (jobs, _) = jobs(server_of(vec![job("j", "uid")]));
    let both = Namespaces::Named(["b".to_owned(), "team-a".to_owned()].into());
    let running =
        tokio::spawn(jobs.clone().run(both.clone(), ReadyGate::default(), CancellationToken::new()));
    jobs.wait_until_known(&both, Duration::from_secs(5)).await;
    assert!(jobs.are_known("team-a") && !jobs.are_known("b"));
    assert_eq!(jobs.count(&owner()).unfinished, 1);
    running.abort();

    let (nowhere, _) = super::tests::jobs(server_of(Vec::new()));
    let only = Namespaces::Named(["b".to_owned()].into());
    let running =
        tokio::spawn(nowhere.clone().run(only.clone(), ReadyGate::default(), CancellationToken::new()));
    let waiting = nowhere.wait_until_known(&only, Duration::from_secs(1));
    assert!(tokio::time::timeout(Duration::from_mins(2), waiting).await.is_err(), "it may list nowhere");
    running.abort();
}

#[tokio::test]
async fn an_owner_is_woken_when_its_job_changes_and_only_on_the_stream_of_its_kind() {
    let (jobs, _) = jobs(|_| list(&[]));
    let mut own = jobs.wake_ups::<Job>();
    let mut other = jobs.wake_ups::<k8s_openapi::api::core::v1::Pod>();
    let changed = serde_json::from_value(job("j", "uid")).unwrap();
    let changed = kube::core::DeserializeGuard(Ok(changed));
    jobs.0.store.apply_job(&None, kube::runtime::watcher::Event::Apply(changed));
    let woken = own.next().now_or_never().flatten().unwrap();
    assert_eq!((woken.name.as_str(), woken.namespace.as_deref()), ("argocd", Some("team-a")));
    assert!(other.next().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_create_that_is_not_answered_is_tried_again_and_adopts_what_it_created() {
    let tries = AtomicUsize::default();
    let (jobs, _) = jobs(move |line| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => (NO_ANSWER, String::new()),
        _ if line.starts_with("POST") => refusal(409, "AlreadyExists", "exists"),
        _ => list(&[job("j", "uid")]),
    });
    assert_eq!(create(&jobs).await.unwrap(), Created::Adopted);
    let (silent, _) = super::tests::jobs(|_| (NO_ANSWER, String::new()));
    let began = Instant::now();
    let error = create(&silent).await.unwrap_err().to_string();
    assert_eq!(error, "the API server cannot create the Job: no answer within 5 seconds");
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_job_is_deleted_only_if_it_is_still_the_one_that_was_judged() {
    let (jobs, asked) = jobs(|_| refusal(409, "Conflict", "Precondition failed: UID in precondition"));
    jobs.0.store.insert(serde_json::from_value(job("j", "uid")).unwrap());
    let judged = jobs.of_owner(&owner(), now()).remove(0);
    let mut another = job("j", "uid");
    another["metadata"]["uid"] = "another".into();
    jobs.0.store.insert(serde_json::from_value(another).unwrap());
    jobs.delete(&judged).await.unwrap();
    assert_eq!(jobs.of_owner(&owner(), now())[0].uid.as_deref(), Some("another"));
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_jobs_that_fails_for_a_while_makes_the_agent_blind() {
    let (jobs, _) = jobs(|_| refusal(403, "Forbidden", "cannot list resource"));
    let gate = ReadyGate::default();
    let running = tokio::spawn(jobs.run(Namespaces::All, gate.clone(), CancellationToken::new()));
    sleep(Duration::from_mins(5)).await;
    assert!(gate.is_blind() && gate.longest_failing() > Duration::from_mins(4));
    assert!(!gate.is_open());
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn the_agent_is_ready_once_its_jobs_are_listed() {
    let (jobs, _) = jobs(server_of(Vec::new()));
    let gate = ReadyGate::default();
    let running = tokio::spawn(jobs.clone().run(Namespaces::All, gate.clone(), CancellationToken::new()));
    jobs.wait_until_known(&Namespaces::All, Duration::from_mins(1)).await;
    sleep(Duration::from_secs(1)).await;
    assert!(gate.is_open() && !gate.is_blind());
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn the_watches_of_jobs_end_together_if_one_of_them_panics() {
    let (jobs, _) = jobs(server_of(vec![job("j", "uid")]));
    jobs.are_listed();
    let (sender, _owners) = mpsc::unbounded();
    jobs.0.wake_ups.0.lock().push((|_| panic!("a bug"), sender));
    let running = jobs.run(Namespaces::All, ReadyGate::default(), CancellationToken::new());
    tokio::time::timeout(Duration::from_mins(1), running).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn rights_that_are_not_answered_in_one_namespace_stop_the_pods_of_no_other() {
    let review = |namespace: &str| {
        let mut review = job(namespace, namespace);
        review["metadata"]["namespace"] = namespace.into();
        review
    };
    let of_all = server_of(vec![review("a"), review("c")]);
    let reviews = AtomicUsize::default();
    let (jobs, asked) = jobs(move |line| match line {
        _ if line.contains("selfsubjectaccessreviews") && reviews.fetch_add(1, Ordering::Relaxed) == 0 => {
            (NO_ANSWER, String::new())
        }
        _ => of_all(line),
    });
    let running =
        tokio::spawn(jobs.clone().run(Namespaces::All, ReadyGate::default(), CancellationToken::new()));
    sleep(Duration::from_secs(5)).await;
    let asked = asked.lock().unwrap();
    let lists = asked.iter().filter(|line| line.contains("/pods?") && !line.contains("watch=true"));
    assert_eq!(lists.count(), 1, "{asked:?}");
    running.abort();
}
