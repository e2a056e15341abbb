//! A fake of Docker Hub's own API, as far as it lists the repositories of namespaces.
//!
//! As documented and observed: `GET /v2/namespaces/NAMESPACE/repositories` has at most 100 a page, and `next` is the address
//! of the next page or null. Without an account only what everyone may see is listed. A namespace that does not exist is
//! answered with 404.

use std::collections::BTreeMap;

use axum::response::Response;
use serde_json::{Value, json};

use super::{ScriptedRegistry, Seen, json as answer};

/// A fake of hub.docker.com with some namespaces.
#[derive(Debug)]
pub struct FakeHubNamespaces {
    /// The API.
    pub api: ScriptedRegistry,
}

impl FakeHubNamespaces {
    /// Starts it with the repositories of its namespaces.
    pub async fn start(namespaces: BTreeMap<String, Vec<String>>) -> Self {
        Self { api: ScriptedRegistry::start(move |seen| page(&namespaces, seen)).await }
    }
}

fn page(namespaces: &BTreeMap<String, Vec<String>>, seen: &Seen) -> Response {
    let path = seen.target.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let repositories = match parts[..] {
        ["v2", "namespaces", namespace, "repositories"] => namespaces.get(namespace),
        _ => None,
    };
    let Some(repositories) = repositories.filter(|_| seen.method == "GET") else {
        return answer(404, r#"{"message":"object not found","errinfo":{"namespace":""}}"#);
    };
    let number = |name, default| seen.query(name).and_then(|n| n.parse().ok()).unwrap_or(default);
    let (page, size): (usize, usize) = (number("page", 1), number("page_size", 10).min(100));
    let entry = |name: &String| {
        json!({ "name": name, "namespace": parts[2], "repository_type": "image", "status": 1, "is_private": false,
            "star_count": 0, "pull_count": 7, "last_updated": "2026-09-01T10:00:00.123456Z" })
    };
    let results: Vec<Value> = repositories.iter().skip((page - 1) * size).take(size).map(entry).collect();
    let next = (page * size < repositories.len())
        .then(|| format!("https://hub.docker.com{path}?page={}&page_size={size}", page + 1));
    let body = json!({ "count": repositories.len(), "next": next, "previous": null, "results": results });
    answer(200, body.to_string())
}
