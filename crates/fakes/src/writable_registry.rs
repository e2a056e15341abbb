//! The distribution API of a registry that is written to: manifests under tags and digests, PUT, and the
//! mount of a blob from another repository. It accepts every PUT, deletes what is there and mounts every blob; uploads, blobs'
//! bytes and tokens are not there.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::response::Response;
use imgop_registry::reference::{Digest, Repository};

use super::{IMAGE, INDEX, ScriptedRegistry, Seen, Writes, json, reply};

/// A registry of many repositories, without credentials.
pub struct WritableRegistry {
    /// Where it listens.
    pub address: SocketAddr,
    http: ScriptedRegistry,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Texts by their paths.
    holds: HashMap<String, String>,
    refuses: Option<u16>,
    /// Paths with the status that they are answered with.
    refuses_paths: HashMap<String, u16>,
    refuses_puts: Option<&'static str>,
    refuses_deletions: bool,
    /// Paths with the status that a DELETE there is answered with.
    refuses_deletion_of: HashMap<String, u16>,
    /// Paths with the error, a message of these words, that a PUT there is answered with.
    refuses_put_to: HashMap<String, (&'static str, &'static str)>,
    /// Paths with the number of reads that find nothing there.
    hides: HashMap<String, usize>,
    counts_pulls: bool,
    /// The paths that were written, with the digests of what was.
    puts: Vec<(String, Digest)>,
}

impl WritableRegistry {
    /// Starts an empty registry.
    pub async fn start() -> Self {
        Self::start_for(Writes::default()).await
    }

    /// The same, whose client is a process with these writes.
    pub async fn start_for(writes: Writes) -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = state.clone();
        let http = ScriptedRegistry::start_async(move |seen| {
            let (shared, writes) = (shared.clone(), writes.clone());
            let write = (!matches!(seen.method.as_str(), "GET" | "HEAD")).then(|| seen.line());
            async move { writes.answer(write, || shared.lock().unwrap().answer(&seen)).await }
        })
        .await;
        Self { address: http.address, http, state }
    }

    /// Forgets all that it holds and was told, and is empty again.
    pub fn clear(&self) {
        *self.state() = State::default();
    }

    /// Answers everything with this status.
    pub fn refuse(&self, status: u16) {
        self.state().refuses = Some(status);
    }

    /// Answers everything about one path with this status.
    pub fn refuse_one(&self, path: &str, status: u16) {
        self.state().refuses_paths.insert(path.to_owned(), status);
    }

    /// Answers again what it refused.
    pub fn refuse_nothing(&self) {
        let mut state = self.state();
        state.refuses = None;
        state.refuses_paths.clear();
    }

    /// Answers every PUT with 404 and this error.
    pub fn refuse_puts(&self, error: &'static str) {
        self.state().refuses_puts = Some(error);
    }

    /// Answers every DELETE as a registry that deletes nothing.
    pub fn refuse_deletions(&self) {
        self.state().refuses_deletions = true;
    }

    /// Answers a DELETE of one path with this status.
    pub fn refuse_deletion_of(&self, path: &str, status: u16) {
        self.state().refuses_deletion_of.insert(path.to_owned(), status);
    }

    /// Answers a PUT to one path with 400 and this error, and takes it again once there is none.
    pub fn refuse_put_to(&self, path: &str, error: Option<(&'static str, &'static str)>) {
        let refused = &mut self.state().refuses_put_to;
        match error {
            Some(error) => _ = refused.insert(path.to_owned(), error),
            None => _ = refused.remove(path),
        }
    }

    /// Answers the next reads of a path, `reads` of them, as if nothing were there.
    pub fn hide(&self, path: &str, reads: usize) {
        self.state().hides.insert(path.to_owned(), reads);
    }

    /// Says how many pulls are left, as Docker Hub does.
    pub fn count_pulls(&self) {
        self.state().counts_pulls = true;
    }

    /// Serves this text under a path.
    pub fn hold(&self, path: &str, text: &str) {
        self.state().holds.insert(path.to_owned(), text.to_owned());
    }

    /// Serves this manifest under a tag or a digest.
    pub fn hold_manifest(&self, repository: &str, reference: &str, text: &str) {
        self.hold(&format!("/v2/{repository}/manifests/{reference}"), text);
    }

    /// Serves this manifest under its digest, and returns that.
    pub fn hold_content(&self, repository: &str, text: &str) -> Digest {
        let digest = Digest::of(text.as_bytes());
        self.hold_manifest(repository, digest.as_str(), text);
        digest
    }

    /// Returns what is there under a tag or a digest.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<String> {
        self.state().holds.get(&format!("/v2/{repository}/manifests/{reference}")).cloned()
    }

    /// Returns all requests as `GET /v2/…`, in order, with queries.
    pub fn requests(&self) -> Vec<String> {
        self.http.lines()
    }

    /// Returns the paths of what was put, with the digests of that, in order.
    pub fn puts(&self) -> Vec<(String, Digest)> {
        self.state().puts.clone()
    }

    /// Returns the number of requests with this method.
    pub fn count(&self, method: &str) -> usize {
        self.http.seen().iter().filter(|seen| seen.method == method).count()
    }

    /// Returns a repository of this registry.
    pub fn repository(&self, path: &str) -> Repository {
        self.http.repository(path)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn answer(&mut self, seen: &Seen) -> Response {
        let mut answer = self.answer_unmetered(seen);
        if self.counts_pulls {
            let headers = [("ratelimit-remaining", "90;w=21600"), ("docker-ratelimit-source", "192.0.2.1")];
            for (name, value) in headers {
                answer.headers_mut().insert(name, value.parse().unwrap());
            }
        }
        answer
    }

    fn answer_unmetered(&mut self, seen: &Seen) -> Response {
        let path = seen.target.split('?').next().unwrap_or_default();
        if let Some(status) = self.refuses.or_else(|| self.refuses_paths.get(path).copied()) {
            return reply(status, &[], "");
        }
        let error = |code: &str| json(404, format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#));
        let path = seen.target.split('?').next().unwrap_or_default();
        if let Some((code, message)) = self.refuses_put_to.get(path).filter(|_| seen.method == "PUT") {
            return json(400, format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#));
        }
        if let Some(status) = self.refuses_deletion_of.get(path).filter(|_| seen.method == "DELETE") {
            return reply(*status, &[], "");
        }
        match (seen.method.as_str(), self.refuses_puts) {
            ("PUT", Some(code)) => return error(code),
            ("PUT", None) => {
                self.puts.push((path.to_owned(), Digest::of(&seen.body)));
                self.holds.insert(path.to_owned(), String::from_utf8(seen.body.to_vec()).unwrap());
                return reply(201, &[], "");
            }
            ("POST", _) => return reply(201, &[], ""),
            ("DELETE", _) if self.refuses_deletions => {
                return json(405, r#"{"errors":[{"code":"UNSUPPORTED"}]}"#);
            }
            ("DELETE", _) if self.holds.remove(path).is_some() => return reply(202, &[], ""),
            _ => {}
        }
        if let Some(reads @ 1..) = self.hides.get_mut(path) {
            *reads -= 1;
            return error("MANIFEST_UNKNOWN");
        }
        let Some(text) = self.holds.get(path) else {
            return error(if path.ends_with("/tags/list") { "NAME_UNKNOWN" } else { "MANIFEST_UNKNOWN" });
        };
        let media_type = if text.contains("\"manifests\"") { INDEX } else { IMAGE };
        let digest = Digest::of(text.as_bytes());
        let headers = [("content-type", media_type), ("docker-content-digest", digest.as_str())];
        reply(200, &headers, text.clone())
    }
}
