//! Lists for which no memory is left.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::LINK;
use futures::FutureExt as _;

use super::*;
use crate::{Access, Registries};

/// Two lists of [`repository`] and half of a third one.
const MEMORY: usize = 300 << 10;

/// A client for a repository of a registry.
fn repository(registries: &Registries, host: &str, path: &str) -> RepositoryClient {
    registries.repository(&format!("{host}/{path}").parse().unwrap(), &Access::default())
}

/// Starts a registry whose every repository has 400 tags of 100 characters on two pages, or on one if it is
/// called short; its host.
async fn registry() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let router = Router::new().fallback(async |request: Request| {
        let is_second = request.uri().query().is_some_and(|query| query.contains("last="));
        let is_first = !is_second && !request.uri().path().contains("/short/");
        let numbers = if is_second {
            200..400
        } else if is_first {
            0..200
        } else {
            0..400
        };
        let tags: Vec<String> = numbers.map(|n| format!("{n:0>100}")).collect();
        let link = if is_first { "<?last=x>; rel=next" } else { "" };
        ([(LINK, link)], serde_json::json!({ "tags": tags }).to_string())
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    host
}

fn settings(list_timeout: Duration) -> Settings {
    let tag_list_ttl = Duration::from_mins(1);
    Settings { max_tag_memory: MEMORY, tag_list_ttl, list_timeout, ..Settings::default() }
}

#[tokio::test]
async fn a_list_for_which_no_memory_is_left_waits_for_some_and_is_whole_then() {
    let (registries, host) = (Registries::new(settings(Settings::default().list_timeout)), registry().await);
    let client = |path: &str| repository(&registries, &host, path);
    let used = [client("a").listed_tags().await.unwrap(), client("b").listed_tags().await.unwrap()];
    let c = client("c");
    let mut waits = Box::pin(c.listed_tags());
    while c.shared().tag_lists.waiting() == 0 {
        assert!(waits.as_mut().now_or_never().is_none(), "it waits");
        tokio::task::yield_now().await;
    }
    let error = c.shared_tags().await.unwrap_err();
    assert!(error.to_string().contains(MAX_TAG_MEMORY_VARIABLE), "with a list in hand it fails: {error}");
    let [first, _second] = used;
    drop(first);
    assert_eq!(waits.await.unwrap().tags.len(), 400);
    assert_eq!(c.shared().tag_lists.waiting(), 0);
}

#[tokio::test]
async fn a_wait_for_memory_ends_with_the_time_of_the_list() {
    let (registries, host) = (Registries::new(settings(Duration::ZERO)), registry().await);
    let client = |path: &str| repository(&registries, &host, path);
    let used =
        [client("short/a").listed_tags().await.unwrap(), client("short/b").listed_tags().await.unwrap()];
    let error = client("short/c").listed_tags().await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains(MAX_TAG_MEMORY_VARIABLE), "{error}");
    drop(used);
    assert!(client("short/d").listed_tags().await.is_ok());
}
