//! `/livez`, `/readyz` and `/metrics`. Nothing here changes anything.

use std::future::Future;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::cluster::ready_gate::ReadyGate;
use crate::heartbeat::Heartbeat;
use crate::metrics::Metrics;

/// What the endpoints show.
#[derive(Clone)]
pub struct Shown {
    /// The counters.
    pub metrics: Metrics,
    /// Whether all objects are known.
    pub ready_gate: ReadyGate,
    /// When the API server last answered.
    pub heartbeat: Heartbeat,
}

/// Serves until `stop`.
pub async fn serve(
    listener: TcpListener,
    shown: Shown,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, routes(shown)).with_graceful_shutdown(stop).await
}

fn routes(shown: Shown) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(shown)
}

/// Only a process that is stuck is worth a restart: one that waits for the API server is not.
async fn livez(State(shown): State<Shown>) -> (StatusCode, &'static str) {
    if shown.heartbeat.is_stuck() {
        (StatusCode::SERVICE_UNAVAILABLE, "the API server was not asked for minutes")
    } else {
        (StatusCode::OK, "ok")
    }
}

async fn readyz(State(shown): State<Shown>) -> (StatusCode, &'static str) {
    if !shown.ready_gate.is_open() {
        (StatusCode::SERVICE_UNAVAILABLE, "the objects are not known yet")
    } else if shown.ready_gate.is_blind() {
        (StatusCode::SERVICE_UNAVAILABLE, "the objects of some kind cannot be watched")
    } else if shown.heartbeat.is_stale() {
        (StatusCode::SERVICE_UNAVAILABLE, "the API server does not answer")
    } else {
        (StatusCode::OK, "ok")
    }
}

async fn metrics(State(shown): State<Shown>) -> impl IntoResponse {
    match shown.metrics.text() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn status(path: &str, ready: bool, silence: Duration) -> u16 {
        let shown = Shown {
            metrics: Metrics::new(),
            ready_gate: if ready { ReadyGate::opened() } else { ReadyGate::default() },
            heartbeat: Heartbeat::silent_for(silence),
        };
        let request = axum::http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        tower::ServiceExt::oneshot(routes(shown), request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn an_agent_without_an_api_server_is_not_ready_and_one_that_is_stuck_not_alive() {
        let (now, silent, stuck) = (Duration::ZERO, Duration::from_mins(2), Duration::from_mins(10));
        assert_eq!((status("/livez", false, now).await, status("/readyz", false, now).await), (200, 503));
        assert_eq!((status("/livez", true, now).await, status("/readyz", true, now).await), (200, 200));
        assert_eq!((status("/livez", true, silent).await, status("/readyz", true, silent).await), (200, 503));
        assert_eq!((status("/livez", true, stuck).await, status("/readyz", true, stuck).await), (503, 503));
        assert_eq!(status("/metrics", true, stuck).await, 200);
    }
}
