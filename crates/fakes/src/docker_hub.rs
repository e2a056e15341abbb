//! Docker Hub without an account: the distribution API of registry-1.docker.io and the tag pages of
//! hub.docker.com's own API.
//!
//! As observed: the API gives at most 100 tags a page, newest first, filters by `name` and refuses pages
//! behind a wall. A GET of a manifest counts as a pull and a HEAD does not; both answers carry
//! `ratelimit-remaining`. Too many pulls are answered with 429.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::response::Response;
use imgop_registry::reference::Digest;

use super::{ScriptedRegistry, Seen, Tags, distribution, json, reply};

/// Pulls of a network without an account in six hours.
const PULLS: usize = 100;
/// Whose pulls are counted.
const SOURCE: &str = "192.0.2.1";

/// Docker Hub with one repository, `team/app`.
#[derive(Debug)]
pub struct DockerHub {
    /// registry-1.docker.io.
    pub registry: ScriptedRegistry,
    /// hub.docker.com.
    pub website: ScriptedRegistry,
    pulls: Arc<AtomicUsize>,
}

impl DockerHub {
    /// With a website that says what the registry says.
    pub async fn start(tags: Tags) -> Self {
        Self::telling(tags, 1000, |_, digest| Some(digest.clone())).await
    }

    /// With a website that refuses pages beyond `wall` tags, and says for each tag what `told` says.
    pub async fn telling(
        tags: Tags,
        wall: usize,
        told: impl Fn(&str, &Digest) -> Option<Digest> + Send + Sync + 'static,
    ) -> Self {
        let shown: Vec<_> = tags.iter().map(|(name, digest)| (name.clone(), told(name, digest))).collect();
        Self::answering(tags, move |seen| page(&shown, wall, seen)).await
    }

    /// With a website that answers like this.
    pub async fn answering(tags: Tags, website: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Self {
        let pulls: Arc<AtomicUsize> = Arc::default();
        let count = pulls.clone();
        let registry = ScriptedRegistry::start(move |seen| {
            let is_pull = seen.method == "GET" && seen.target.contains("/manifests/");
            if is_pull && count.fetch_add(1, Ordering::Relaxed) >= PULLS {
                count.store(PULLS, Ordering::Relaxed);
                let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your unauthenticated pull rate limit."}]}"#;
                let headers = [("ratelimit-remaining", "0;w=21600"), ("docker-ratelimit-source", SOURCE)];
                return reply(429, &headers, body);
            }
            let mut answer = distribution(&tags, "team/app", seen);
            if seen.target.contains("/manifests/") {
                let left = PULLS.saturating_sub(count.load(Ordering::Relaxed));
                for (name, number) in [("ratelimit-limit", PULLS), ("ratelimit-remaining", left)] {
                    answer.headers_mut().insert(name, format!("{number};w=21600").parse().unwrap());
                }
                answer.headers_mut().insert("docker-ratelimit-source", SOURCE.parse().unwrap());
            }
            answer
        })
        .await;
        Self { registry, website: ScriptedRegistry::start(website).await, pulls }
    }

    /// This number of pulls is left now: others on the same network have pulled, or their pulls are over.
    pub fn leave(&self, pulls: usize) {
        self.pulls.store(PULLS - pulls, Ordering::Relaxed);
    }

    /// How many requests counted as pulls.
    pub fn pulls(&self) -> usize {
        self.pulls.load(Ordering::Relaxed)
    }
}

fn page(tags: &[(String, Option<Digest>)], wall: usize, seen: &Seen) -> Response {
    let path = "/v2/repositories/team/app/tags";
    if seen.method != "GET" || seen.target.split('?').next() != Some(path) {
        return json(404, r#"{"message":"object not found","errinfo":{}}"#);
    }
    let number = |name, default| seen.query(name).and_then(|n| n.parse().ok()).unwrap_or(default);
    let (page, size): (usize, usize) = (number("page", 1), number("page_size", 10).min(100));
    if page * size > wall {
        let message = "pagination offset too large for anonymous requests; sign in to page further";
        return json(403, format!(r#"{{"message":"{message}"}}"#));
    }
    let matching: Vec<_> =
        tags.iter().filter(|(name, _)| name.contains(seen.query("name").unwrap_or_default())).collect();
    let entry = |(name, digest): &&(String, Option<Digest>)| {
        let mut entry = serde_json::json!({
            "creator": 1, "id": 2, "repository": 3, "name": name, "v2": true, "full_size": 4,
            "images": [{"architecture": "amd64", "os": "linux", "variant": null, "size": 4,
                "digest": Digest::of(b"one platform").as_str(), "status": "active"}],
            "last_updated": "2026-09-01T10:00:00.123456Z", "tag_last_pushed": "2026-09-01T10:00:00.123456Z", "tag_status": "active", "content_type": "image",
            "media_type": "application/vnd.oci.image.index.v1+json",
        });
        if let Some(digest) = digest {
            entry["digest"] = digest.as_str().into();
        }
        entry
    };
    let results: Vec<_> = matching.iter().skip((page - 1) * size).take(size).map(entry).collect();
    let next = (page * size < matching.len())
        .then(|| format!("https://hub.docker.com{path}?page={}&page_size={size}", page + 1));
    let body = serde_json::json!({
        "count": matching.len(), "next": next, "previous": null, "results": results,
    });
    json(200, body.to_string())
}
