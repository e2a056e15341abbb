use imgop_core::api::conditions::{NewCondition, merge, reasons};
use imgop_fakes::ApiServer;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use serde_json::json;

use super::*;
use crate::cluster::fixtures::{api_server, refusal};

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Status {
    number: u32,
    conditions: Vec<Condition>,
}

impl WithConditions for Status {
    fn conditions(&mut self) -> &mut Vec<Condition> {
        &mut self.conditions
    }
}

fn status(number: u32) -> Status {
    let ready =
        NewCondition { type_: READY, status: Some(true), reason: reasons::SUCCEEDED, message: String::new() };
    Status { number, conditions: merge(&[], vec![ready], Some(1), Timestamp::UNIX_EPOCH) }
}

fn object() -> Job {
    serde_json::from_value(json!({"metadata": {"name": "j", "namespace": "team-a", "uid": "u"}})).unwrap()
}

#[tokio::test]
async fn a_foreign_condition_is_no_reason_to_write() {
    let (client, asked) = api_server(|_| (200, "{}".to_owned()));
    let mut there = status(1);
    let mut foreign = there.conditions[0].clone();
    foreign.type_ = "example.com/Approved".to_owned();
    there.conditions.insert(0, foreign);
    assert_eq!(write_status(&client, &object(), Some(&there), &status(1)).await.unwrap(), None);
    assert!(asked.lock().unwrap().is_empty());
    assert!(write_status(&client, &object(), Some(&there), &status(2)).await.unwrap().is_some());
    let mut silent = status(1);
    silent.conditions.clear();
    let written = write_status(&client, &object(), Some(&there), &silent).await.unwrap();
    assert!(written.is_some(), "its own is another one");
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].starts_with("PATCH /apis/batch/v1/namespaces/team-a/jobs/j/status?"), "{asked:?}");
}

#[tokio::test]
async fn an_object_that_is_gone_needs_no_status() {
    for (code, reason) in [(404, "NotFound"), (409, "Conflict")] {
        let (client, _) = api_server(move |_| refusal(code, reason, "x"));
        assert_eq!(write_status(&client, &object(), None, &status(1)).await.unwrap(), None);
    }
    let (client, _) = api_server(|_| refusal(500, "InternalError", "etcdserver: request timed out"));
    let error = write_status(&client, &object(), None, &status(1)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot write the status of Job \"team-a/j\": etcdserver: request timed out"
    );
}

#[tokio::test]
async fn the_version_of_an_object_with_its_new_status_is_that_of_the_answer() {
    for (answer, version) in [
        (
            r#"{"metadata":{"resourceVersion":"8","uid":"u","managedFields":[{}]},"status":{"number":1}}"#,
            Some("8"),
        ),
        (r#"{"metadata":{"uid":"u"}}"#, None),
        ("no object", None),
    ] {
        let (client, _) = api_server(move |_| (200, answer.to_owned()));
        let written = write_status(&client, &object(), None, &status(1)).await.unwrap().unwrap();
        assert_eq!(written.version.as_deref(), version, "{answer}");
    }
}

#[tokio::test]
async fn b15_a_status_is_written_whatever_others_have_written_meanwhile() {
    let api = ApiServer::scripted(|_| (200, json!({})));
    let mut object = object();
    object.metadata.resource_version = Some("5".to_owned());
    assert!(write_status(&api.client(), &object, None, &status(1)).await.unwrap().is_some());
    // Without a resource version, and by force: an API server has nothing to call a conflict.
    assert_eq!(api.bodies("PATCH")[0]["metadata"], json!({ "uid": "u" }));
    assert!(api.requests()[0].contains("force=true"), "{:?}", api.requests());
}
