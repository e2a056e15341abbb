//! No request that changes something goes to the API server while the gate is closed.
//!
//! A process that is paused while it leads and goes on when it does not any more has requests that passed the gate and
//! wait for their connection's turn. So each connection is behind a gate of its own, which closes only then.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::http::{Method, Request};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use hyper::rt::Executor;
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

/// Does the work of connections, each of which ends as soon as it would go on while the gate is closed.
#[derive(Debug, Clone)]
pub struct GatedConnections(WriteGate);

impl GatedConnections {
    /// Returns what does it with this gate.
    pub fn new(gate: WriteGate) -> Self {
        Self(gate)
    }
}

impl Executor<Pin<Box<dyn Future<Output = ()> + Send>>> for GatedConnections {
    fn execute(&self, connection: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let gate = self.0.clone();
        // Whoever waits for an answer learns from the connection's end that there is none.
        tokio::spawn(async move { gate.while_open(connection).await });
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::time::Duration;

    use tower::{ServiceExt as _, service_fn};

    use super::*;

    /// The only thread of this test's runtime is paused, so to say, where the gate closes: between the hand-over of a
    /// request and the connection's turn.
    #[tokio::test]
    async fn what_was_handed_to_a_connection_is_not_sent_once_its_gate_is_closed() {
        let (is_open, sent) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU32::new(0)));
        let (asked, sending) = (is_open.clone(), sent.clone());
        let connections = GatedConnections::new(WriteGate::new(move || asked.load(Ordering::SeqCst)));
        let (request, mut requests) = tokio::sync::mpsc::unbounded_channel::<()>();
        connections.execute(Box::pin(async move {
            while requests.recv().await.is_some() {
                sending.fetch_add(1, Ordering::SeqCst);
            }
        }));
        request.send(()).unwrap();
        tokio::task::yield_now().await;
        assert_eq!(sent.load(Ordering::SeqCst), 1);
        request.send(()).unwrap();
        is_open.store(false, Ordering::SeqCst);
        tokio::time::timeout(Duration::from_mins(1), request.closed()).await.unwrap();
        assert_eq!(sent.load(Ordering::SeqCst), 1);
    }

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
