//! An API server for tests of what is asked of it.
#![expect(clippy::missing_panics_doc, reason = "what panics here fails its test")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::json;

/// What an API server was asked: methods and paths, with queries.
pub type Asked = Arc<Mutex<Vec<String>>>;

/// The status of what an API server does not answer.
pub const NO_ANSWER: u16 = 0;

/// Returns an API server that answers so to what it is asked.
pub fn api_server(answer: impl Fn(&str) -> (u16, String) + Send + 'static) -> (Client, Asked) {
    let asked = Asked::default();
    let log = asked.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let line = format!("{} {}", request.method(), request.uri());
        let (status, text) = answer(&line);
        log.lock().unwrap().push(line);
        async move {
            if status == NO_ANSWER {
                std::future::pending::<()>().await;
            }
            let body = Body::from(text.into_bytes());
            Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
        }
    });
    (Client::new(service, "default"), asked)
}

/// An answer that says no.
pub fn refusal(code: u16, reason: &str, message: &str) -> (u16, String) {
    let status =
        json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message});
    (code, status.to_string())
}

/// RBAC forbids it.
pub fn forbidden() -> (u16, String) {
    refusal(403, "Forbidden", "jobs.batch is forbidden: User \"agent\" cannot list resource \"jobs\"")
}
