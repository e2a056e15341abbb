use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::cluster::api_error::ApiCause;
use crate::cluster::fixtures::{api_server, refusal};

fn secret(path: &str, padding: usize) -> (u16, String) {
    let name = path.rsplit('/').next().unwrap_or_default();
    let config =
        json!({"auths": {"quay.io": {"username": "u", "password": "p".repeat(padding)}}}).to_string();
    let data =
        json!({DOCKER_CONFIG_KEY: STANDARD.encode(config), "other": STANDARD.encode("x".repeat(padding))});
    (200, json!({"metadata": {"name": name, "resourceVersion": "1"}, "data": data}).to_string())
}

#[tokio::test]
async fn one_secret_is_read_once_a_period_however_many_objects_name_it() {
    let (client, asked) = api_server(|path| secret(path, 1));
    let secrets = Secrets::new(client);
    for freshness in [Freshness::Cached, Freshness::Rechecked, Freshness::Now] {
        let all = (0..500).map(|_| secrets.get("team-a", "target", freshness));
        for content in futures::future::join_all(all).await {
            assert_eq!(content.unwrap().version, "target/1");
        }
    }
    assert_eq!(asked.lock().unwrap().len(), 1);
    secrets.get("team-b", "target", Freshness::Cached).await.unwrap();
    assert_eq!(asked.lock().unwrap().len(), 2, "another namespace has another Secret");
}

#[tokio::test]
async fn a_secret_that_was_missing_is_read_again_when_a_sync_is_requested() {
    let exists = Arc::new(AtomicBool::new(false));
    let there = exists.clone();
    let (client, asked) = api_server(move |path| {
        if there.load(Ordering::Relaxed) {
            return secret(path, 1);
        }
        refusal(404, "NotFound", "secrets \"target\" not found")
    });
    let secrets = Secrets::new(client);
    let get = async |freshness| secrets.get("team-a", "target", freshness).await;
    assert_eq!(get(Freshness::Cached).await.unwrap_err().cause, ApiCause::NotFound);
    exists.store(true, Ordering::Relaxed);
    assert!(get(Freshness::Rechecked).await.is_err());
    assert_eq!(asked.lock().unwrap().len(), 1);
    assert!(get(Freshness::Now).await.is_ok());
}

#[tokio::test]
async fn a_failure_of_the_api_server_is_not_remembered() {
    let (client, asked) = api_server(|_| refusal(500, "InternalError", "etcdserver: request timed out"));
    let secrets = Secrets::new(client);
    for _ in 0..2 {
        assert!(secrets.get("team-a", "target", Freshness::Cached).await.is_err());
    }
    assert_eq!(asked.lock().unwrap().len(), 2);
    assert!(secrets.cached.lock().is_empty());
}

#[tokio::test]
async fn large_secrets_take_no_more_memory_than_the_cache_has() {
    let (client, _) = api_server(|path| secret(path, 20_000));
    let secrets = Secrets { cached: Mutex::new(Bounded::new(100_000)), ..Secrets::new(client) };
    for number in 0..50 {
        let content = secrets.get("team-a", &format!("s{number}"), Freshness::Cached).await.unwrap();
        assert!((20_000..21_000).contains(&content.bytes()), "what is not read is not kept");
        assert!(content.value("other").is_none());
    }
    let cached = secrets.cached.lock();
    assert_eq!(cached.len(), 4);
    assert!(cached.get(&("team-a".to_owned(), "s49".to_owned())).is_some(), "the newest stay");
}

#[tokio::test]
async fn a_value_that_is_too_long_is_not_read() {
    let (client, _) = api_server(|path| secret(path, MAX_VALUE_BYTES));
    let content = Secrets::new(client).get("team-a", "target", Freshness::Cached).await.unwrap();
    assert!(content.value(DOCKER_CONFIG_KEY).is_none() && content.bytes() < 1_000);
    assert!(content.too_long(DOCKER_CONFIG_KEY).is_some_and(|bytes| bytes > MAX_VALUE_BYTES));
}

#[test]
fn only_names_that_objects_can_have_are_names() {
    for name in ["a", "target", "a-b.c-1", "9", &"a".repeat(253)] {
        assert!(is_name(name), "{name}");
    }
    for bad in ["", "../configmaps/x", "a/b", "A", "a_b", "-a", "a.", "a?b", "a%2fb", "ä", &"a".repeat(254)]
    {
        assert!(!is_name(bad), "{bad}");
    }
}

#[tokio::test]
async fn no_value_is_ever_shown() {
    let (client, _) = api_server(|path| secret(path, 1));
    let content = Secrets::new(client).get("team-a", "target", Freshness::Cached).await.unwrap();
    assert_eq!(format!("{content:?}"), "SecretContent { version: \"target/1\", .. }");
}

fn wanted(owner: &str, data: &str) -> Secret {
    let value = k8s_openapi::ByteString(data.into());
    Secret {
        metadata: serde_json::from_value(json!({
            "name": "imgop-aws-1", "namespace": "team-a", "ownerReferences": [
                {"apiVersion": "v1", "kind": "Kind", "name": "x", "uid": owner, "controller": true}]
        }))
        .unwrap(),
        data: Some([(DOCKER_CONFIG_KEY.to_owned(), value)].into()),
        ..Secret::default()
    }
}

#[tokio::test]
async fn a_secret_of_jobs_is_written_only_when_it_holds_something_else() {
    for (there, methods) in [
        (Some(wanted("uid", "new")), vec!["GET"]),
        (Some(wanted("uid", "old")), vec!["GET", "PUT"]),
        (None, vec!["GET", "POST"]),
    ] {
        let (client, asked) = api_server(move |path| match &there {
            None if path.starts_with("GET") => refusal(404, "NotFound", "not found"),
            found => (200, serde_json::to_string(&found.clone().unwrap_or_default()).unwrap()),
        });
        Secrets::new(client).ensure(&wanted("uid", "new")).await.unwrap();
        let asked: Vec<String> =
            asked.lock().unwrap().iter().map(|line| line[..4].trim().to_owned()).collect();
        assert_eq!(asked, methods);
    }
    let (client, _) = api_server(|_| (200, serde_json::to_string(&wanted("another", "new")).unwrap()));
    let result = Secrets::new(client).ensure(&wanted("uid", "new")).await;
    assert!(matches!(result, Err(EnsureError::Taken(name)) if name == "imgop-aws-1"));
}
