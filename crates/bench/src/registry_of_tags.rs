//! A registry that has everything already: it counts what it is asked, and answers at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use imgop_registry::reference::Digest;
use tokio::net::TcpListener;

/// Requests by registry, method, kind and, unless it is a success, status.
pub type Counts = BTreeMap<String, u64>;

/// What a registry has: the tags of each repository. A tag's digest is that of its name.
pub type Content = HashMap<String, Vec<String>>;

/// Starts a registry, and returns where it listens.
pub async fn serve(name: String, content: Content, counts: &Arc<Mutex<Counts>>) -> anyhow::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let state = Arc::new((name, content, counts.clone()));
    let router = Router::new().fallback(move |request: Request| {
        let state = state.clone();
        async move {
            let (name, content, counts) = &*state;
            let response = answer(content, &request);
            let mut kind = format!("{name}: {} {}", request.method(), what(request.uri().path()));
            if !response.status().is_success() {
                kind = format!("{kind} ({})", response.status().as_u16());
            }
            *counts.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default() += 1;
            response
        }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address.to_string())
}

fn what(path: &str) -> &str {
    match path {
        _ if path.ends_with("/tags/list") => "tags/list",
        _ if path.contains("/manifests/") => "manifests",
        _ if path.contains("/blobs/") => "blobs",
        path => path,
    }
}

fn answer(content: &Content, request: &Request) -> Response {
    let path = request.uri().path().trim_start_matches("/v2/");
    if let Some(repository) = path.strip_suffix("/tags/list") {
        return match content.get(repository) {
            Some(tags) => {
                let list = serde_json::json!({ "name": repository, "tags": tags }).to_string();
                ([(HeaderName::from_static("content-type"), "application/json")], list).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        };
    }
    let Some((repository, tag)) = path.split_once("/manifests/") else {
        return if path.is_empty() { StatusCode::OK } else { StatusCode::NOT_FOUND }.into_response();
    };
    if !content.get(repository).is_some_and(|tags| tags.iter().any(|one| one == tag)) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let headers = [
        (HeaderName::from_static("docker-content-digest"), Digest::of(tag.as_bytes()).to_string()),
        (HeaderName::from_static("content-type"), imgop_fakes::INDEX.to_owned()),
    ];
    (headers, "").into_response()
}
