use std::sync::{Arc, Mutex};
use std::time::Duration;

use imgop_core::api::OWNER_ANNOTATION;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::cluster::fixtures::{Asked, api_server, refusal};
use crate::cluster::rights::Rights;
use crate::jobs::Caps;
use crate::jobs::place_in;

fn owner() -> Owner {
    Owner {
        api_version: "skopeo.io/v1alpha1".into(),
        kind: "Image".into(),
        namespace: "team-a".into(),
        name: "argocd".into(),
        uid: "uid".into(),
    }
}

/// A Job with this UID, as it is in the namespace of those that use what is lent.
fn job(uid: &str) -> Value {
    let job = json!({ "metadata": { "name": "j", "uid": uid },
        "spec": { "template": { "spec": { "containers": [] } } } });
    serde_json::to_value(place_in(serde_json::from_value(job).unwrap(), &owner(), "imgop-system")).unwrap()
}

/// Its Secret.
fn secret(uid: &str) -> Value {
    json!({ "metadata": { "name": "s", "namespace": "imgop-system", "ownerReferences": [
        { "apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": uid, "controller": true }] } })
}

/// Creates the Job with its Secret; returns what was asked for with it.
async fn create(
    answer: impl Fn(&str) -> (u16, String) + Send + 'static,
) -> (Result<Created, JobError>, Asked) {
    let (client, asked) = api_server(answer);
    let rights = Arc::new(Rights::new(client.clone(), "imgop-system:imgop-agent".into()));
    let caps = Caps {
        in_all: 10,
        per_namespace: 10,
        per_owner: 10,
        of_kind: None,
        wake_timeout: Duration::from_mins(10),
    };
    let (pending, annotations) = (Duration::from_mins(10), &[OWNER_ANNOTATION]);
    let jobs = Jobs::new(client.clone(), rights, caps, pending, annotations, "imgop-system".into());
    let place = jobs.take(&owner(), 1, Timestamp::UNIX_EPOCH).places.remove(0);
    let wanted: Job = serde_json::from_value(job("uid of j")).unwrap();
    let secret: Secret = serde_json::from_value(secret("")).unwrap();
    let created = jobs.create_with_secret(&owner(), &wanted, place, &Secrets::new(client), secret).await;
    (created, asked)
}

fn deletions(asked: &Asked) -> usize {
    asked.lock().unwrap().iter().filter(|line| line.starts_with("DELETE")).count()
}

#[tokio::test]
async fn a_job_that_was_adopted_stays_though_its_secret_cannot_be_written() {
    let there = job("uid of j");
    let (created, asked) = create(move |line| match line {
        line if line.contains("/secrets") => refusal(403, "Forbidden", "exceeded quota"),
        line if line.starts_with("POST") => refusal(409, "AlreadyExists", "jobs.batch \"j\" already exists"),
        _ => (200, json!({ "metadata": { "resourceVersion": "1" }, "items": [there] }).to_string()),
    })
    .await;
    assert!(matches!(created, Err(JobError::Refused(_))), "{created:?}");
    assert_eq!(deletions(&asked), 0);
    let (created, asked) = create(|line| match line {
        line if line.contains("/secrets") => refusal(403, "Forbidden", "exceeded quota"),
        _ => (201, job("uid of j").to_string()),
    })
    .await;
    assert!(matches!(created, Err(JobError::Refused(_))), "{created:?}");
    assert_eq!(deletions(&asked), 1, "a new one is of no use");
}

#[tokio::test]
async fn the_secret_of_an_earlier_job_of_the_name_is_waited_for_and_that_of_another_owner_is_not() {
    for (there, is_waited_for) in
        [(secret("uid of an earlier one"), true), (json!({ "metadata": {} }), false)]
    {
        let is_first = Mutex::new(true);
        let (created, _) = create(move |line| match line {
            line if line.starts_with("POST") && line.contains("/secrets") => {
                refusal(409, "AlreadyExists", "secrets \"s\" already exists")
            }
            line if line.contains("/secrets") && std::mem::take(&mut *is_first.lock().unwrap()) => {
                refusal(404, "NotFound", "secrets \"s\" not found")
            }
            line if line.contains("/secrets") => (200, there.to_string()),
            _ => (201, job("uid of j").to_string()),
        })
        .await;
        match created {
            Err(JobError::StillDeleting(_)) if is_waited_for => {}
            Err(JobError::NameTaken(_)) if !is_waited_for => {}
            other => panic!("{other:?}"),
        }
    }
}
