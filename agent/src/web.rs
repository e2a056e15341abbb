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
use crate::leader_election::{Leadership, Role};
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
    /// Which agent works.
    pub leadership: Leadership,
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

/// Only a process that is stuck is worth a restart: one that waits for the API server, or to lead, is not. One that led
/// and does not any more ends by itself, unless it is stuck.
async fn livez(State(shown): State<Shown>) -> (StatusCode, &'static str) {
    if shown.leadership.is_lost() {
        (StatusCode::SERVICE_UNAVAILABLE, "this agent does not lead any more, and has not ended")
    } else if works(&shown.leadership.role()) && shown.heartbeat.is_stuck() {
        (StatusCode::SERVICE_UNAVAILABLE, "the API server was not asked for minutes")
    } else {
        (StatusCode::OK, "ok")
    }
}

/// An agent that would take over is ready: an upgrade goes on then, and ends the one that leads.
async fn readyz(State(shown): State<Shown>) -> (StatusCode, String) {
    let role = shown.leadership.role();
    match why_not_ready(&shown, &role) {
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why.to_owned()),
        None if role == Role::Unelected => (StatusCode::OK, "ok".to_owned()),
        None => (StatusCode::OK, format!("ok: {role}")),
    }
}

fn why_not_ready(shown: &Shown, role: &Role) -> Option<&'static str> {
    let works = works(role);
    if works && !shown.ready_gate.is_open() {
        Some("the objects are not known yet")
    } else if works && shown.ready_gate.is_blind() {
        Some("the objects of some kind cannot be watched")
    } else if shown.heartbeat.is_stale() {
        Some("the API server does not answer")
    } else if *role == Role::Excluded {
        Some("the Lease cannot be read")
    } else {
        None
    }
}

/// A candidate watches nothing.
fn works(role: &Role) -> bool {
    matches!(role, Role::Unelected | Role::Leader(_))
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
    use crate::leader_election::Clock;

    async fn status(path: &str, ready: bool, silence: Duration) -> u16 {
        answer(path, ready, silence, Leadership::unelected()).await.0
    }

    async fn answer(path: &str, ready: bool, silence: Duration, leadership: Leadership) -> (u16, String) {
        let shown = Shown {
            metrics: Metrics::new(),
            ready_gate: if ready { ReadyGate::opened() } else { ReadyGate::default() },
            heartbeat: Heartbeat::silent_for(silence),
            leadership,
        };
        let request = axum::http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(routes(shown), request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn an_agent_that_would_take_over_is_ready_and_says_who_leads() {
        let leadership = Leadership::new(Clock::new(|| Duration::from_secs(5)));
        let ready = || answer("/readyz", false, Duration::ZERO, leadership.clone());
        assert_eq!(ready().await, (503, "the Lease cannot be read".to_owned()));
        leadership.has_read(Some("pod-1"));
        assert_eq!(ready().await, (200, "ok: waits to lead; pod-1 leads".to_owned()));
        let stuck = Duration::from_mins(10);
        assert_eq!(answer("/livez", false, stuck, leadership.clone()).await.0, 200, "it watches nothing");
        leadership.lead_until(Duration::from_secs(10));
        assert_eq!(ready().await, (503, "the objects are not known yet".to_owned()));
        let leading = answer("/readyz", true, Duration::ZERO, leadership.clone()).await;
        assert_eq!(leading, (200, "ok: this agent leads, pod-1".to_owned()));
        assert_eq!(answer("/livez", true, stuck, leadership).await.0, 503);
    }

    #[tokio::test]
    async fn an_agent_that_does_not_lead_any_more_and_has_not_ended_is_not_alive() {
        let leadership = Leadership::new(Clock::new(|| Duration::from_secs(5)));
        leadership.has_read(Some("pod-1"));
        leadership.lead_until(Duration::from_secs(4));
        let (status, said) = answer("/livez", true, Duration::ZERO, leadership).await;
        assert_eq!((status, said.as_str()), (503, "this agent does not lead any more, and has not ended"));
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
