//! No request that changes something goes to the API server while the gate is closed.

use std::task::{Context, Poll};

use axum::http::{Method, Request};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use imgop_registry::WriteGate;
use tower::{BoxError, Layer, Service};

/// Puts a gate before a client.
#[derive(Debug, Clone)]
pub struct GateLayer(WriteGate);

/// A client behind a gate.
#[derive(Debug, Clone)]
pub struct Gated<S> {
    inner: S,
    gate: WriteGate,
}

impl GateLayer {
    /// Returns a layer with this gate.
    pub fn new(gate: WriteGate) -> Self {
        Self(gate)
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { inner, gate: self.0.clone() }
    }
}

impl<S, B> Service<Request<B>> for Gated<S>
where
    S: Service<Request<B>, Error = BoxError>,
    S::Response: 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let is_read = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
        // Nothing is sent before the answer is polled, which is within the gate.
        let answer = self.inner.call(request);
        if is_read {
            return answer.boxed();
        }
        let gate = self.gate.clone();
        async move { gate.while_open(answer).await? }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use tower::{ServiceExt as _, service_fn};

    use super::*;

    #[tokio::test]
    async fn only_reads_pass_a_gate_that_is_closed() {
        let (is_open, sent) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU32::new(0)));
        let (asked, counted) = (is_open.clone(), sent.clone());
        let server = service_fn(move |_: Request<()>| {
            let counted = counted.clone();
            async move {
                counted.fetch_add(1, Ordering::SeqCst);
                Ok::<_, Infallible>(())
            }
        });
        let gate = WriteGate::new(move || asked.load(Ordering::SeqCst));
        let client = GateLayer::new(gate).layer(server.map_err(BoxError::from));
        let request_by = |method: &str| {
            let request = Request::builder().method(method).body(()).unwrap();
            client.clone().oneshot(request)
        };
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            request_by(method).await.unwrap();
        }
        is_open.store(false, Ordering::SeqCst);
        request_by("GET").await.unwrap();
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let error = request_by(method).await.unwrap_err();
            assert!(error.to_string().contains("does not hold the lease"), "{error}");
        }
        assert_eq!(sent.load(Ordering::SeqCst), 6);
    }
}
