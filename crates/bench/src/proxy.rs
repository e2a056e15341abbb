//! A proxy before a registry that counts requests and makes each of them wait.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONNECTION, TRANSFER_ENCODING};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

/// Requests by side, method, kind and, unless it is a success, status.
pub type Counts = BTreeMap<String, u64>;

/// A running proxy.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    side: &'static str,
    registry: SocketAddr,
    client: reqwest::Client,
    latency_ms: AtomicU64,
    counts: Mutex<Counts>,
}

impl Proxy {
    /// Starts one.
    pub async fn start(side: &'static str, registry: SocketAddr) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let latency_ms = AtomicU64::new(0);
        let shared = Arc::new(Shared { side, registry, client, latency_ms, counts: Mutex::default() });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let listener = listener.tap_io(|connection| {
            let _ = connection.set_nodelay(true); // only faster
        });
        let state = shared.clone();
        let router = Router::new().fallback(move |request| async move { state.answer(request).await });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, shared })
    }

    /// How long each request waits from now on.
    pub fn set_latency(&self, milliseconds: u64) {
        self.shared.latency_ms.store(milliseconds, Ordering::Relaxed);
    }

    /// The requests since this was last called.
    pub fn take_counts(&self) -> Counts {
        std::mem::take(&mut self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    async fn answer(&self, request: Request) -> Response {
        let name = format!("{} {} {}", self.side, request.method(), kind(request.uri().path()));
        tokio::time::sleep(Duration::from_millis(self.latency_ms.load(Ordering::Relaxed))).await;
        let response = self
            .forward(request)
            .await
            .unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response());
        let status = response.status();
        let name = if status.is_success() { name } else { format!("{name} ({})", status.as_u16()) };
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
        response
    }

    async fn forward(&self, request: Request) -> anyhow::Result<Response> {
        let (head, body) = request.into_parts();
        let target = head.uri.path_and_query().context("no path")?;
        let is_head = head.method == Method::HEAD;
        let has_body = !matches!(head.method, Method::GET | Method::HEAD);
        // The Host header goes along, so addresses in answers lead to this proxy.
        let mut onward = self
            .client
            .request(head.method, format!("http://{}{target}", self.registry))
            .headers(head.headers);
        if has_body {
            onward = onward.body(reqwest::Body::wrap_stream(body.into_data_stream()));
        }
        let answer = onward.send().await?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(answer.headers());
            headers.remove(CONNECTION);
            headers.remove(TRANSFER_ENCODING);
        }
        let body = if is_head { Body::empty() } else { Body::from_stream(answer.bytes_stream()) };
        Ok(response.body(body)?)
    }
}

fn kind(path: &str) -> &'static str {
    match path {
        "/v2/" | "/v2" => "/v2/",
        _ if path.ends_with("/tags/list") => "list",
        _ if path.contains("/manifests/") => "manifest",
        _ if path.contains("/blobs/") => "blob",
        _ => "other",
    }
}
