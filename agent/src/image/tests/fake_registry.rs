//! A small fake of a registry on loopback: it has what it is given, takes what is put, mounts every blob,
//! and remembers what it was asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use imgop_registry::reference::{Digest, Repository};
use tokio::net::TcpListener;

pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// A registry.
pub struct FakeRegistry {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Texts by their paths.
    holds: HashMap<String, String>,
    requests: Vec<String>,
    refuses: Option<u16>,
    refuses_puts: Option<&'static str>,
    counts_pulls: bool,
}

impl FakeRegistry {
    pub async fn start() -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let answering = state.clone();
        let answer = move |request: Request| {
            let state = answering.clone();
            async move {
                let line = format!("{} {}", request.method(), request.uri());
                let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
                let bytes = to_bytes(request.into_body(), 1 << 20).await.unwrap();
                let mut state = state.lock().unwrap();
                state.requests.push(line);
                state.answer(&method, path, String::from_utf8(bytes.to_vec()).unwrap())
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { address, state }
    }

    /// Answers everything with this code.
    pub fn refuse(&self, code: u16) {
        self.state().refuses = Some(code);
    }

    /// Answers every PUT with 404 and this error.
    pub fn refuse_puts(&self, error: &'static str) {
        self.state().refuses_puts = Some(error);
    }

    /// Says how many pulls are left, as Docker Hub does.
    pub fn count_pulls(&self) {
        self.state().counts_pulls = true;
    }

    /// Answers with this text.
    pub fn hold(&self, path: &str, text: &str) {
        self.state().holds.insert(path.to_owned(), text.to_owned());
    }

    /// Has this manifest under a tag or a digest.
    pub fn hold_manifest(&self, repository: &str, reference: &str, text: &str) {
        self.hold(&format!("/v2/{repository}/manifests/{reference}"), text);
    }

    /// Has this manifest under its digest.
    pub fn hold_content(&self, repository: &str, text: &str) -> Digest {
        let digest = Digest::of(text.as_bytes());
        self.hold_manifest(repository, digest.as_str(), text);
        digest
    }

    /// What it has under a tag or a digest.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<String> {
        self.state().holds.get(&format!("/v2/{repository}/manifests/{reference}")).cloned()
    }

    /// What was asked, in order, with queries.
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    /// How many requests there were with this method.
    pub fn count(&self, method: &str) -> usize {
        self.state().requests.iter().filter(|line| line.starts_with(method)).count()
    }

    /// A repository of it.
    pub fn repository(&self, path: &str) -> Repository {
        format!("{}/{path}", self.address).parse().unwrap()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn answer(&mut self, method: &str, path: String, text: String) -> Response {
        let mut answer = Response::builder();
        if self.counts_pulls {
            answer = answer.header("ratelimit-remaining", "90;w=21600");
        }
        if let Some(code) = self.refuses {
            return answer.status(code).body(Body::empty()).unwrap();
        }
        let error = |code: &str| Body::from(format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#));
        match (method, self.refuses_puts) {
            ("PUT", Some(code)) => return answer.status(404).body(error(code)).unwrap(),
            ("PUT", None) => {
                self.holds.insert(path, text);
                return answer.status(201).body(Body::empty()).unwrap();
            }
            ("POST", _) => return answer.status(201).body(Body::empty()).unwrap(),
            _ => {}
        }
        let Some(text) = self.holds.get(&path) else {
            return answer.status(404).body(error("MANIFEST_UNKNOWN")).unwrap();
        };
        answer
            .header("content-type", if text.contains("\"manifests\"") { INDEX } else { IMAGE })
            .header("docker-content-digest", Digest::of(text.as_bytes()).as_str())
            .body(Body::from(text.clone()))
            .unwrap()
    }
}
