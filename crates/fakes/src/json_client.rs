//! A client of Kubernetes whose requests a function answers, without a port.

use kube::client::Body;
use serde_json::Value;

/// A request that a client has sent.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub method: String,
    /// With the query.
    pub target: String,
    pub body: Value,
}

/// Returns a client whose default namespace is `default`, and whose requests are answered with a status and a body.
pub(crate) fn json_client<A, F>(answer: A) -> kube::Client
where
    A: Fn(Request) -> F + Clone + Send + 'static,
    F: Future<Output = (u16, Value)> + Send,
{
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let answer = answer.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = serde_json::from_slice(&body.collect_bytes().await?).unwrap_or_default();
            let (method, target) = (parts.method.to_string(), parts.uri.to_string());
            let (status, answer) = answer(Request { method, target, body }).await;
            let answer = Body::from(answer.to_string().into_bytes());
            Ok::<_, kube::Error>(http::Response::builder().status(status).body(answer).unwrap())
        }
    });
    kube::Client::new(service, "default")
}
