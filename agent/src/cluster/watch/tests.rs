//! Watches of an API server that has more than is good, or that fails.

use futures::StreamExt as _;
use k8s_openapi::api::batch::v1::Job;
use kube::core::DeserializeGuard;
use serde_json::{Value, json};

use super::*;
use crate::cluster::fixtures::{api_server, forbidden};

const KEEP: Keep = Keep { fields: &["status"], labels: &["l"], annotations: &["a"], max_bytes: 4096 };

fn jobs(client: Client) -> impl Stream<Item = watcher::Result<Event<Guarded<Job>>>> + Send {
    let selector = Some("l=x".to_owned());
    watch(
        client,
        Watch {
            namespace: Some("team-a".into()),
            label_selector: selector,
            field_selector: None,
            keep: KEEP,
        },
    )
}

fn job(name: &str) -> Value {
    json!({
        "metadata": {
            "name": name, "namespace": "team-a", "uid": format!("uid of {name}"), "resourceVersion": "7",
            "labels": {"l": "x", "other": "y"}, "annotations": {"a": "b", "other": "text"},
            "finalizers": ["x/y"], "managedFields": [{}],
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "another"},
                {"apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "name": "argocd", "uid": "owner",
                    "controller": true}],
        },
        "spec": {"template": {"spec": {"containers": "this is not read"}}},
        "status": {"active": 1},
    })
}

/// What happens, in short.
fn short(event: &watcher::Result<Event<Guarded<Job>>>) -> String {
    let name = |job: &Guarded<Job>| {
        let name = job.meta().name.clone().unwrap_or_default();
        if job.0.is_ok() { name } else { format!("({name})") }
    };
    match event {
        Ok(Event::Init) => "init".to_owned(),
        Ok(Event::InitApply(job)) => name(job),
        Ok(Event::InitDone) => "done".to_owned(),
        Ok(Event::Apply(job)) => format!("+{}", name(job)),
        Ok(Event::Delete(job)) => format!("-{}", name(job)),
        Err(_) => "error".to_owned(),
    }
}

async fn first(client: Client, count: usize) -> String {
    let events: Vec<_> = jobs(client).take(count).collect().await;
    events.iter().map(short).collect::<Vec<_>>().join(" ")
}

fn list(items: &[Value], next: &str) -> (u16, String) {
    let list = json!({"items": items, "metadata": {"resourceVersion": "5", "continue": next}});
    (200, list.to_string())
}

#[tokio::test]
async fn a_list_is_read_page_by_page_and_then_its_changes() {
    let (client, asked) = api_server(|path| match path {
        path if path.contains("watch=true") => {
            let event =
                |type_: &str, name: &str| format!("{}\n", json!({"type": type_, "object": job(name)}));
            (200, event("MODIFIED", "a") + &event("BOOKMARK", "x") + &event("DELETED", "b"))
        }
        path if path.contains("continue=more") => list(&[job("b")], ""),
        _ => list(&[job("a")], "more"),
    });
    assert_eq!(first(client, 6).await, "init a b done +a -b");
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|path| path.contains("/namespaces/team-a/jobs?") && path.contains("l%3Dx")));
    assert!(
        asked[2].contains("resourceVersion=5") && asked[2].contains("allowWatchBookmarks=true"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn of_an_object_only_what_is_read_is_kept() {
    let (client, _) = api_server(|_| list(&[job("a")], ""));
    let events: Vec<_> = jobs(client).take(2).collect().await;
    let Ok(Event::InitApply(DeserializeGuard(Ok(job)))) = &events[1] else { panic!("{events:?}") };
    insta::assert_snapshot!(serde_json::to_string(&job.metadata).unwrap(), @r#"{"annotations":{"a":"b"},"labels":{"l":"x"},"name":"a","namespace":"team-a","ownerReferences":[{"apiVersion":"skopeo.io/v1alpha1","controller":true,"kind":"Image","name":"argocd","uid":"owner"}],"resourceVersion":"7","uid":"uid of a"}"#);
    assert_eq!((&job.spec, job.status.as_ref().unwrap().active), (&None, Some(1)));
}

#[tokio::test]
async fn giants_are_skipped_and_named_and_keep_no_other_from_being_seen() {
    let (client, _) = api_server(|_| {
        let mut labels = job("labels");
        labels["metadata"]["labels"]["other"] = "x".repeat(1_200_000).into();
        let mut status = job("status");
        let long = json!({"type": "x", "status": "True", "message": "x".repeat(100_000)});
        status["status"]["conditions"] = json!([long]);
        let mut unreadable = job("unreadable");
        unreadable["status"] = json!("text");
        list(&[labels, status, unreadable, job("c")], "")
    });
    assert_eq!(first(client, 6).await, "init labels (status) (unreadable) c done");
}

#[tokio::test]
async fn an_error_in_a_list_begins_it_again() {
    let answers =
        std::sync::Mutex::new(vec![list(&[job("a")], ""), (200, r#"{"items":[{"meta"#.into()), forbidden()]);
    let (client, _) = api_server(move |_| answers.lock().unwrap().pop().unwrap_or_else(forbidden));
    assert_eq!(first(client, 7).await, "init error init error init a done");
}

#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_where_it_ended_and_lists_again_only_when_that_is_too_old() {
    let gone = json!({"type": "ERROR", "object": {"kind": "Status", "status": "Failure", "code": 410, "message": "too old", "reason": "Expired"}});
    let answers = std::sync::Mutex::new(vec![
        (200, gone.to_string()),
        (200, String::new()),
        (
            503,
            json!({"kind": "Status", "code": 503, "message": "x", "reason": "x", "status": "Failure"})
                .to_string(),
        ),
        (200, json!({"type": "ADDED", "object": job("b")}).to_string()),
    ]);
    let (client, asked) = api_server(move |path| match path {
        path if path.contains("watch=true") => answers.lock().unwrap().pop().unwrap_or_else(forbidden),
        _ => list(&[], ""),
    });
    assert_eq!(first(client, 7).await, "init done +b error error init done");
    let asked = asked.lock().unwrap();
    assert!(asked[1].ends_with("resourceVersion=5") && asked[2].ends_with("resourceVersion=7"), "{asked:?}");
}

#[tokio::test]
async fn an_object_is_found_by_its_name_in_a_list() {
    let (client, asked) = api_server(|_| list(&[job("a")], ""));
    let what =
        Watch { namespace: Some("team-a".into()), label_selector: None, field_selector: None, keep: KEEP };
    let found = find::<Job>(client, what, "a").await.unwrap().unwrap();
    assert_eq!(found.meta().uid.as_deref(), Some("uid of a"));
    assert!(asked.lock().unwrap()[0].contains("fieldSelector=metadata.name%3Da"));
}
