//! The token protocol of distribution registries: a challenge with a realm and a scope, `/token` on the same
//! host, and one tag list for requests with a token that was granted.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use axum::response::Response;

use super::{ScriptedRegistry, Seen, json, reply};

/// What the token endpoint says: the status and the fields besides the token.
type Grant = dyn Fn(&Seen) -> (u16, String) + Send + Sync;

/// A registry with one tag, `v1`, for whoever has a token for the scope of the request.
#[derive(Debug)]
pub struct TokenRegistry {
    /// The registry and the token server.
    pub registry: ScriptedRegistry,
    valid: Arc<Mutex<HashSet<String>>>,
}

impl TokenRegistry {
    /// Gives a token to everybody, for 300 seconds.
    pub async fn start() -> Self {
        Self::granting(|_| (200, r#""expires_in":300"#.to_owned())).await
    }

    /// Lets `grant` decide over each token.
    pub async fn granting(grant: impl Fn(&Seen) -> (u16, String) + Send + Sync + 'static) -> Self {
        let valid: Arc<Mutex<HashSet<String>>> = Arc::default();
        let (given, grant) = (valid.clone(), Arc::new(grant));
        let registry = ScriptedRegistry::start(move |seen| answer(seen, &given, &*grant)).await;
        Self { registry, valid }
    }

    /// Forgets all tokens that were given out.
    pub fn revoke(&self) {
        self.valid.lock().unwrap().clear();
    }

    /// How many requests the token endpoint has had.
    pub fn tokens_asked(&self) -> usize {
        self.registry.seen().iter().filter(|seen| seen.target.starts_with("/token")).count()
    }

    /// What the requests to the registry itself carried.
    pub fn shown(&self) -> Vec<Option<String>> {
        let api = |seen: &&Seen| seen.target.starts_with("/v2/");
        self.registry
            .seen()
            .iter()
            .filter(api)
            .map(|s| s.header("authorization").map(str::to_owned))
            .collect()
    }
}

fn answer(seen: &Seen, valid: &Mutex<HashSet<String>>, grant: &Grant) -> Response {
    let host = seen.header("host").unwrap();
    if seen.target.starts_with("/token") {
        let (status, fields) = grant(seen);
        if status != 200 {
            return json(
                status,
                r#"{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}"#,
            );
        }
        let mut valid = valid.lock().unwrap();
        let token = format!("token-{}-{}", valid.len(), fastrand::u64(..));
        valid.insert(token.clone());
        return json(200, format!(r#"{{"token":"{token}",{fields}}}"#));
    }
    let token = seen.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    if token.is_some_and(|token| valid.lock().unwrap().contains(token)) {
        return json(200, r#"{"name":"a","tags":["v1"]}"#);
    }
    let challenge =
        format!(r#"Bearer realm="http://{host}/token",service="{host}",scope="repository:a:pull""#);
    let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
    reply(401, &[("www-authenticate", &challenge), ("content-type", "application/json")], body)
}
