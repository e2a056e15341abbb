//! A fake registry: tag lists and digests from memory, over plain HTTP on this machine.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use imgop_registry::reference::Digest;

/// What the fake has, and how it misbehaves.
#[derive(Debug, Clone, Default)]
pub struct Content {
    repositories: BTreeMap<String, BTreeMap<String, String>>,
    failing_tags: BTreeMap<String, u16>,
    authorization: Option<String>,
}

/// A fake registry that runs for as long as this value lives.
pub struct FakeRegistry {
    /// `127.0.0.1:PORT`.
    pub address: String,
    _runtime: tokio::runtime::Runtime,
}

impl Content {
    /// A repository with tags and what each of them points at.
    pub fn with(mut self, repository: &str, tags: &[(&str, &str)]) -> Self {
        let tags = tags.iter().map(|(tag, content)| ((*tag).to_owned(), (*content).to_owned())).collect();
        self.repositories.insert(repository.to_owned(), tags);
        self
    }

    /// A tag that is answered with this status.
    pub fn failing(mut self, tag: &str, status: u16) -> Self {
        self.failing_tags.insert(tag.to_owned(), status);
        self
    }

    /// Only who sends this is let in: `Basic …`.
    pub fn only_for(mut self, authorization: &str) -> Self {
        self.authorization = Some(authorization.to_owned());
        self
    }

    pub fn start(self) -> FakeRegistry {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let app = Router::new().fallback(answer).with_state(Arc::new(self));
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        FakeRegistry { address, _runtime: runtime }
    }
}

async fn answer(State(content): State<Arc<Content>>, request: Request) -> Response {
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if content.authorization.is_some() && sent != content.authorization.as_deref() {
        let error = error("UNAUTHORIZED", "authentication required");
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"fake\"")], error)
            .into_response();
    }
    let path = request.uri().path().trim_start_matches("/v2/");
    if path.is_empty() {
        return StatusCode::OK.into_response();
    }
    if let Some(repository) = path.strip_suffix("/tags/list") {
        return content.list(repository);
    }
    match path.split_once("/manifests/") {
        Some((repository, tag)) => content.manifest(request.method(), repository, tag),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Content {
    fn list(&self, repository: &str) -> Response {
        match self.repositories.get(repository) {
            Some(tags) => {
                let tags: Vec<&String> = tags.keys().collect();
                axum_json(&serde_json::json!({ "name": repository, "tags": tags }))
            }
            None => {
                (StatusCode::NOT_FOUND, error("NAME_UNKNOWN", "repository name not known")).into_response()
            }
        }
    }

    fn manifest(&self, method: &Method, repository: &str, tag: &str) -> Response {
        if let Some(status) = self.failing_tags.get(tag) {
            let status = StatusCode::from_u16(*status).unwrap();
            // So long that nobody waits for it.
            return (status, [(header::RETRY_AFTER, "3600")], error("TOOMANYREQUESTS", "slow down"))
                .into_response();
        }
        let named = |tags: &'_ BTreeMap<String, String>| {
            let is_meant = |content: &&String| Digest::of(content.as_bytes()).as_str() == tag;
            tags.get(tag).or_else(|| tags.values().find(is_meant)).cloned()
        };
        let Some(content) = self.repositories.get(repository).and_then(named) else {
            return (StatusCode::NOT_FOUND, error("MANIFEST_UNKNOWN", "manifest unknown")).into_response();
        };
        let headers = [
            ("content-type", "application/vnd.oci.image.index.v1+json".to_owned()),
            ("docker-content-digest", Digest::of(content.as_bytes()).to_string()),
        ];
        let body = if method == Method::HEAD { String::new() } else { content };
        (headers, body).into_response()
    }
}

fn error(code: &str, message: &str) -> String {
    serde_json::json!({ "errors": [{ "code": code, "message": message }] }).to_string()
}

fn axum_json(value: &serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}
