//! Lists of an API server that has more than is good.

use imgop_fakes::{ApiServer, forbidden};
use serde_json::json;

use super::*;
use crate::image::tests::fixtures::listed_job;

async fn names(client: Client, pages: usize) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    let keep = |job: Job| {
        names.extend(job.metadata.name);
        ControlFlow::Continue(())
    };
    Lister::new(client).each(Some("team-a"), ListParams::default(), pages, keep).await?;
    Ok(names)
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let server = ApiServer::scripted(|path| {
        let (job, next) = if path.contains("continue=more") { ("b", "") } else { ("a", "more") };
        (200, json!({"metadata": {"continue": next}, "items": [listed_job(job, "uid", "uid")]}))
    });
    assert_eq!(names(server.client(), 10).await.unwrap(), ["a", "b"]);
    let asked = server.requests();
    assert!(asked.iter().all(|path| path.contains("/namespaces/team-a/jobs?") && path.contains("limit=20")));
    assert_eq!(asked.len(), 2);
}

#[tokio::test]
async fn of_an_object_only_what_is_read_is_kept() {
    let server = ApiServer::scripted(|_| {
        let mut job = listed_job("a", "uid", "owner");
        job["metadata"]["finalizers"] = json!(["x/y"]);
        let others = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "another"});
        job["metadata"]["ownerReferences"].as_array_mut().unwrap().push(others);
        (200, json!({"metadata": {}, "items": [job]}))
    });
    let mut found = None;
    let keep = |job: Job| {
        found = Some(job);
        ControlFlow::Break(())
    };
    Lister::new(server.client()).each(None, ListParams::default(), 1, keep).await.unwrap();
    let job = found.unwrap();
    insta::assert_snapshot!(serde_json::to_string(&job.metadata).unwrap(), @r#"{"annotations":{"imgop.skopeo.io/route":"here"},"labels":{"imgop.skopeo.io/image-uid":"uid"},"name":"a","namespace":"team-a","ownerReferences":[{"apiVersion":"","controller":true,"kind":"","name":"","uid":"owner"}],"uid":"uid of a"}"#);
    assert_eq!((job.spec, job.status.unwrap().active), (None, Some(1)));
}

#[tokio::test]
async fn a_list_without_end_ends() {
    let endless = |_: &str| (200, json!({"metadata": {"continue": "more"}, "items": null}));
    let server = ApiServer::scripted(endless);
    assert!(names(server.client(), 7).await.unwrap().is_empty());
    assert_eq!(server.requests().len(), 7);
}

#[tokio::test]
async fn a_page_that_is_too_large_is_asked_for_again_with_less() {
    let server = ApiServer::scripted(|path| {
        let padding = if path.contains("limit=20") { "x".repeat(LARGEST) } else { String::new() };
        (200, json!({"metadata": {}, "padding": padding, "items": [listed_job("a", "uid", "uid")]}))
    });
    assert_eq!(names(server.client(), 10).await.unwrap(), ["a"]);

    let server = ApiServer::scripted(|path| {
        let (next, size) = if path.contains("continue") { ("", LARGEST) } else { ("more", 1) };
        let items = [listed_job("a", "uid", "uid")];
        (200, json!({"metadata": {"continue": next}, "padding": "x".repeat(size), "items": items}))
    });
    assert_eq!(
        names(server.client(), 10).await.unwrap(),
        ["a"],
        "what comes behind too large an object is left out"
    );
    let limits = ["limit=20", "limit=20", "limit=5", "limit=1"];
    let asked = server.requests();
    assert!(
        asked.len() == limits.len() && asked.iter().zip(limits).all(|(path, limit)| path.contains(limit))
    );
}

#[tokio::test]
async fn a_refusal_is_told() {
    let server = ApiServer::scripted(|_| forbidden());
    assert!(matches!(names(server.client(), 1).await, Err(Error::Api(status)) if status.is_forbidden()));
}
