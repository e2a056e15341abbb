//! A registry that is pushed to: blobs, each uploaded as a whole, and manifests whose blobs must be there, for one user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::response::Response;
use imgop_registry::reference::{Digest, Repository};

use super::{IMAGE, ScriptedRegistry, Seen, json, reply};

/// A registry of one user, `user` with the password `hunter2`.
pub struct UploadRegistry {
    http: ScriptedRegistry,
    blobs: Arc<Mutex<Blobs>>,
}

/// Bytes by the paths under which they are read.
type Blobs = HashMap<String, Bytes>;

impl UploadRegistry {
    /// The header with which its user is let in.
    pub const AUTHORIZATION: &str = "Basic dXNlcjpodW50ZXIy";

    /// Starts an empty registry.
    pub async fn start() -> Self {
        let blobs: Arc<Mutex<Blobs>> = Arc::default();
        let shared = blobs.clone();
        let http = ScriptedRegistry::start(move |seen| answer(seen, &mut shared.lock().unwrap())).await;
        Self { http, blobs }
    }

    /// A repository of it.
    pub fn repository(&self, path: &str) -> Repository {
        self.http.repository(path)
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.http.address.to_string()
    }

    /// Returns what is there under a path below `/v2/`.
    pub fn held(&self, path: &str) -> Option<Bytes> {
        self.blobs.lock().unwrap().get(&format!("/v2/{path}")).cloned()
    }

    /// Returns all requests that were let in, as `GET /v2/…`, in order.
    pub fn lines(&self) -> Vec<String> {
        self.http.seen().iter().filter(|seen| is_let_in(seen)).map(Seen::line).collect()
    }

    /// Returns what was sent with the requests that begin like this.
    pub fn sent(&self, beginning: &str) -> Vec<Seen> {
        self.http.seen().into_iter().filter(|s| is_let_in(s) && s.line().starts_with(beginning)).collect()
    }
}

fn is_let_in(seen: &Seen) -> bool {
    seen.header("authorization") == Some(UploadRegistry::AUTHORIZATION)
}

fn answer(seen: &Seen, blobs: &mut Blobs) -> Response {
    if !is_let_in(seen) {
        return reply(401, &[("www-authenticate", "Basic realm=\"r\"")], "");
    }
    let path = seen.target.split('?').next().unwrap_or_default();
    let error = |code: &str| json(404, format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#));
    match seen.method.as_str() {
        "POST" => reply(202, &[("location", &format!("{path}1?state=s"))], ""),
        "PUT" if path.contains("/uploads/") => {
            let digest = Digest::of(&seen.body);
            let named = seen.query("digest").unwrap_or_default().replace("%3A", ":");
            if named != digest.as_str() {
                return json(400, r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#);
            }
            let place = path.split("/uploads/").next().unwrap_or_default();
            blobs.insert(format!("{place}/{digest}"), seen.body.clone());
            reply(201, &[], "")
        }
        "PUT" => {
            let text = String::from_utf8_lossy(&seen.body).into_owned();
            let repository = path.split("/manifests/").next().unwrap_or_default();
            let named = text.split("sha256:").skip(1).map(|rest| &rest[..64]);
            let is_there = |hex: &str| blobs.contains_key(&format!("{repository}/blobs/sha256:{hex}"));
            if !named.into_iter().all(is_there) {
                return json(400, r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}"#);
            }
            blobs.insert(path.to_owned(), seen.body.clone());
            reply(201, &[], "")
        }
        "GET" | "HEAD" => match blobs.get(path) {
            Some(bytes) => {
                let digest = Digest::of(bytes);
                let headers = [("content-type", IMAGE), ("docker-content-digest", digest.as_str())];
                reply(200, &headers, bytes.clone())
            }
            None => error("BLOB_UNKNOWN"),
        },
        _ => reply(204, &[], ""),
    }
}
