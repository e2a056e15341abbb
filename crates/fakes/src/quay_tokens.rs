//! The tokens of Quay: who asks for the right to push into a repository that does not exist creates it.
//!
//! As in Quay's source (`auth/registry_jwt_auth.py`, `endpoints/v2/v2auth.py`): the challenge has realm,
//! service and scope and never an `error`; a token is always given, for what of the scope is allowed; and
//! an absent repository is a 401 to every token without a right to it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{ScriptedRegistry, Seen, json, reply};

/// Quay with a robot of the organization `team` that may create repositories there.
pub struct QuayTokens {
    /// The registry and its token server.
    pub http: ScriptedRegistry,
    repositories: Arc<Mutex<BTreeSet<String>>>,
}

impl QuayTokens {
    /// The robot's name.
    pub const ROBOT: &str = "team+robot";
    /// Its password.
    pub const PASSWORD: &str = "robot-password";

    /// Starts without any repository.
    pub async fn start() -> Self {
        let repositories: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let shared = repositories.clone();
        let http = ScriptedRegistry::start(move |seen| answer(seen, &mut shared.lock().unwrap())).await;
        Self { http, repositories }
    }

    /// Returns the repositories that exist.
    pub fn repositories(&self) -> Vec<String> {
        self.repositories.lock().unwrap().iter().cloned().collect()
    }
}

fn answer(seen: &Seen, repositories: &mut BTreeSet<String>) -> Response {
    if seen.target.starts_with("/v2/auth") {
        return token(seen, repositories);
    }
    let path = seen.target.strip_prefix("/v2/").unwrap_or_default();
    let end = path.find("/manifests/").or_else(|| path.find("/tags/")).or_else(|| path.find("/blobs/"));
    let repository = &path[..end.unwrap_or(path.len())];
    let granted = seen.header("authorization").and_then(|shown| shown.strip_prefix("Bearer "));
    let needed = if seen.method == "PUT" { "push" } else { "pull" };
    let may = granted.and_then(|token| token.strip_prefix(repository)).is_some_and(|token| {
        // A right to push is one to pull.
        token.contains("push") || token.contains(needed)
    });
    if !may {
        let host = seen.header("host").unwrap();
        let scope = format!("repository:{repository}:{needed}");
        let challenge = format!(r#"Bearer realm="http://{host}/v2/auth",service="{host}",scope="{scope}""#);
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","detail":{},"message":"access to the requested resource is not authorized"}]}"#;
        return reply(401, &[("www-authenticate", &challenge), ("content-type", "application/json")], body);
    }
    if seen.method == "PUT" {
        return reply(201, &[], "");
    }
    if path.contains("/tags/") {
        return json(200, r#"{"tags":[]}"#);
    }
    json(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","detail":{},"message":"manifest unknown"}]}"#)
}

/// Returns a token that is the repository and the actions of it that are allowed.
fn token(seen: &Seen, repositories: &mut BTreeSet<String>) -> Response {
    let robot =
        format!("Basic {}", STANDARD.encode(format!("{}:{}", QuayTokens::ROBOT, QuayTokens::PASSWORD)));
    let is_robot = match seen.header("authorization") {
        None => false,
        Some(sent) if sent == robot => true,
        Some(_) => return json(401, r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#),
    };
    let scope = seen.query("scope").unwrap_or_default().replace("%3A", ":").replace("%2F", "/");
    let scope = scope.replace("%2C", ",");
    let mut parts = scope.split(':').skip(1);
    let (repository, actions) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_own = is_robot && repository.starts_with("team/");
    let mut granted = Vec::new();
    if is_own && actions.contains("push") {
        repositories.insert(repository.to_owned());
        granted.push("push");
    }
    if is_own && actions.contains("pull") && repositories.contains(repository) {
        granted.push("pull");
    }
    json(200, format!(r#"{{"token":"{repository}.{}"}}"#, granted.join(".")))
}
