//! Tag lists that several callers share: how many requests that leaves, and who gets a list of their own.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use imgop_fakes::{INDEX, ScriptedRegistry, basic, json, settings};
use imgop_registry::reference::ManifestRef;
use imgop_registry::{Access, Manifest, Reason, Registries, Settings};

const SHARED: Duration = Duration::from_mins(1);

fn sharing(tag_list_ttl: Duration) -> Registries {
    Registries::new(Settings { tag_list_ttl, ..settings() })
}

/// A registry whose every repository holds these tags.
async fn registry(tags: &[&str]) -> ScriptedRegistry {
    let list = serde_json::json!({ "tags": tags }).to_string();
    ScriptedRegistry::start(move |_| json(200, list.clone())).await
}

#[tokio::test]
async fn one_list_answers_all_who_ask_at_once_and_a_moment_later() {
    let registry = registry(&["1", "2"]).await;
    let client = sharing(SHARED).repository(&registry.repository("a"), &Access::default());
    let lists = join_all((0..20).map(|_| client.shared_tags())).await;
    assert_eq!(lists.iter().filter(|list| list.as_ref().unwrap().is_new).count(), 1);
    assert!(!client.shared_tags().await.unwrap().is_new);
    assert_eq!(registry.seen().len(), 1);
    client.tags().await.unwrap();
    assert_eq!(registry.seen().len(), 2, "who asks for a list of their own gets one");
}

#[tokio::test]
async fn by_default_nothing_is_shared() {
    let registry = registry(&["1"]).await;
    let client = sharing(Duration::ZERO).repository(&registry.repository("a"), &Access::default());
    let lists = join_all((0..5).map(|_| client.shared_tags())).await;
    assert!(lists.iter().all(|list| list.as_ref().unwrap().is_new));
    assert_eq!(registry.seen().len(), 5);
}

#[tokio::test]
async fn a_list_is_not_shared_with_other_repositories_credentials_or_later_times() {
    let registry = registry(&["1"]).await;
    let registries = sharing(SHARED);
    let app = registry.repository("app");
    for (repository, access) in [
        (&app, Access::default()),
        (&app, basic("me", "secret")),
        (&app, basic("me", "other")),
        (&registry.repository("other"), Access::default()),
    ] {
        assert!(registries.repository(repository, &access).shared_tags().await.unwrap().is_new);
    }
    assert!(!registries.repository(&app, &Access::default()).shared_tags().await.unwrap().is_new);
    tokio::time::pause();
    tokio::time::advance(SHARED).await;
    tokio::time::resume();
    assert!(registries.repository(&app, &Access::default()).shared_tags().await.unwrap().is_new);
    assert_eq!(registry.seen().len(), 5);
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_an_empty_list_and_a_refusal_is_shared() {
    let body = r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#;
    let registry = ScriptedRegistry::start(move |_| json(404, body)).await;
    let client = sharing(SHARED).repository(&registry.repository("a"), &Access::default());
    assert!(client.shared_tags().await.unwrap().tags.is_empty());

    let closed = ScriptedRegistry::start(|_| json(403, r#"{"errors":[{"code":"DENIED"}]}"#)).await;
    let client = sharing(SHARED).repository(&closed.repository("a"), &Access::default());
    for error in join_all((0..5).map(|_| client.shared_tags())).await {
        assert_eq!(*error.unwrap_err().reason(), Reason::Forbidden);
    }
    assert_eq!(closed.seen().len(), 1);
}

#[tokio::test]
async fn a_write_whose_caller_goes_away_makes_the_lists_old_as_well() {
    let registry = ScriptedRegistry::start_async(|seen| async move {
        if seen.method == "PUT" {
            std::future::pending::<()>().await;
        }
        json(200, r#"{"tags":["1"]}"#)
    })
    .await;
    let client = sharing(SHARED).repository(&registry.repository("a"), &Access::default());
    let (tag, manifest) = (ManifestRef::Tag("2".parse().unwrap()), Manifest::new(INDEX, "{}".into()));
    let mut put = Box::pin(client.put_manifest(&tag, &manifest));
    while registry.count("PUT ") == 0 {
        assert!(put.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    // While it is under way, a list may lack what it writes.
    client.shared_tags().await.unwrap();
    drop(put);
    assert!(client.shared_tags().await.unwrap().is_new);
    assert_eq!(registry.count("GET "), 2);
}

#[tokio::test]
async fn a_source_that_is_not_there_is_an_error_for_all_who_share_it() {
    let body = r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#;
    let registry = ScriptedRegistry::start(move |_| json(404, body)).await;
    let client = sharing(SHARED).repository(&registry.repository("a"), &Access::default());
    for _ in 0..3 {
        assert_eq!(*client.listed_tags().await.unwrap_err().reason(), Reason::RepositoryNotFound);
        assert!(client.shared_tags().await.unwrap().tags.is_empty());
    }
    assert_eq!(registry.seen().len(), 1);
}

#[tokio::test]
async fn all_lists_together_take_no_more_memory_than_the_setting_says() {
    let registry = ScriptedRegistry::start(|seen| {
        let number = if seen.target.contains("/huge/") { 900 } else { 400 };
        let tags: Vec<String> = (0..number).map(|n| format!("{n:0>100}")).collect();
        json(200, serde_json::json!({ "tags": tags }).to_string())
    })
    .await;
    // A list may have a quarter, and all lists of one account half.
    let max_tag_memory = 250 << 10;
    let registries =
        Registries::new(Settings { max_tag_memory, tag_list_ttl: SHARED, retries: 0, ..settings() });
    let client = |path: &str| registries.repository(&registry.repository(path), &Access::default());
    let error = client("huge").shared_tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::TooLarge { limit: max_tag_memory / 4 });
    assert!(error.to_string().contains("REGISTRY_MAX_TAG_MEMORY"), "{error}");
    let (first, used) = (client("a").shared_tags().await.unwrap(), client("b").shared_tags().await.unwrap());
    let error = client("c").shared_tags().await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("beside others"), "{error}");
    drop((first, used));
    assert!(client("d").shared_tags().await.is_ok(), "what is only cached makes room");
}
