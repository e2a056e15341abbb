//! The distribution API of a registry that is read: tag lists and indexes of several repositories, behind
//! a password if a test wants that, with tags that are answered with an error.

use std::collections::BTreeMap;

use axum::response::Response;
use imgop_registry::reference::Digest;

use super::{Background, INDEX, ScriptedRegistry, Seen, json, reply};
use crate::media_types::SCHEMA_1;

/// What the registry has, and how it misbehaves.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// The text behind each tag, by repository.
    repositories: BTreeMap<String, BTreeMap<String, String>>,
    failing_tags: BTreeMap<String, u16>,
    authorization: Option<String>,
}

/// The registry.
pub struct CatalogRegistry {
    /// `127.0.0.1:PORT`.
    pub address: String,
    /// The server.
    pub http: ScriptedRegistry,
}

impl Catalog {
    /// Adds a repository with tags and the text of each.
    #[must_use]
    pub fn with(mut self, repository: &str, tags: &[(&str, &str)]) -> Self {
        let tags = tags.iter().map(|(tag, content)| ((*tag).to_owned(), (*content).to_owned())).collect();
        self.repositories.insert(repository.to_owned(), tags);
        self
    }

    /// Answers a tag with this status and an hour as `Retry-After`.
    #[must_use]
    pub fn failing(mut self, tag: &str, status: u16) -> Self {
        self.failing_tags.insert(tag.to_owned(), status);
        self
    }

    /// Serves only requests with this header: `Basic …`.
    #[must_use]
    pub fn only_for(mut self, authorization: &str) -> Self {
        self.authorization = Some(authorization.to_owned());
        self
    }

    /// Starts a registry with this content.
    pub async fn start(self) -> CatalogRegistry {
        let http = ScriptedRegistry::start(move |seen| self.answer(seen)).await;
        CatalogRegistry { address: http.address.to_string(), http }
    }

    /// Starts it for a test that is not asynchronous.
    pub fn start_in_background(self) -> Background<CatalogRegistry> {
        Background::of(self.start())
    }

    fn answer(&self, seen: &Seen) -> Response {
        if self.authorization.is_some() && seen.header("authorization") != self.authorization.as_deref() {
            let headers =
                [("www-authenticate", "Basic realm=\"fake\""), ("content-type", "application/json")];
            return reply(401, &headers, error("UNAUTHORIZED", "authentication required"));
        }
        let path = seen.target.split('?').next().unwrap_or_default().trim_start_matches("/v2/");
        if path.is_empty() {
            return reply(200, &[], "");
        }
        if let Some(repository) = path.strip_suffix("/tags/list") {
            return self.list(repository);
        }
        match path.split_once("/manifests/") {
            Some((repository, tag)) => self.manifest(&seen.method, repository, tag),
            None => reply(404, &[], ""),
        }
    }

    fn list(&self, repository: &str) -> Response {
        match self.repositories.get(repository) {
            Some(tags) => {
                let tags: Vec<&String> = tags.keys().collect();
                json(200, serde_json::json!({ "name": repository, "tags": tags }).to_string())
            }
            None => json(404, error("NAME_UNKNOWN", "repository name not known")),
        }
    }

    fn manifest(&self, method: &str, repository: &str, reference: &str) -> Response {
        if let Some(status) = self.failing_tags.get(reference) {
            // An hour, so that no client waits for it.
            return reply(*status, &[("retry-after", "3600")], error("TOOMANYREQUESTS", "slow down"));
        }
        let find = |tags: &BTreeMap<String, String>| {
            let has_digest = |content: &&String| Digest::of(content.as_bytes()).as_str() == reference;
            tags.get(reference).or_else(|| tags.values().find(has_digest)).cloned()
        };
        let Some(content) = self.repositories.get(repository).and_then(find) else {
            return json(404, error("MANIFEST_UNKNOWN", "manifest unknown"));
        };
        let digest = Digest::of(content.as_bytes());
        let media_type = if content.starts_with(r#"{"schemaVersion":1,"#) { SCHEMA_1 } else { INDEX };
        let headers = [("content-type", media_type), ("docker-content-digest", digest.as_str())];
        reply(200, &headers, if method == "HEAD" { String::new() } else { content })
    }
}

fn error(code: &str, message: &str) -> String {
    serde_json::json!({ "errors": [{ "code": code, "message": message }] }).to_string()
}
