//! A proxy before a registry that counts requests and the bytes of blobs, and makes each request wait. It can also refuse
//! what is too much at once, and break off.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CONNECTION, TRANSFER_ENCODING};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt as _;
use futures::{Stream, StreamExt as _};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// Requests by side, method, kind and, unless it is a success, status.
pub type Counts = BTreeMap<String, u64>;

/// A running proxy.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    /// The registry behind it.
    pub registry: SocketAddr,
    shared: Arc<Shared>,
}

/// Bytes of blobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BlobBytes {
    /// Those that the registry was sent.
    pub sent: u64,
    /// Those that were read from it.
    pub read: u64,
}

struct Shared {
    side: &'static str,
    registry: SocketAddr,
    client: reqwest::Client,
    latency_ms: AtomicU64,
    counts: Mutex<Counts>,
    sent: AtomicU64,
    read: AtomicU64,
    /// Requests that are answered at a time; more are refused. 0 is no limit.
    limit: AtomicUsize,
    in_flight: AtomicUsize,
    /// Microseconds in which requests were answered, those of several at a time added up.
    answering: AtomicU64,
    /// The byte of blobs that are sent at which `reached` is told; 0 is none.
    mark: AtomicU64,
    reached: Notify,
    /// The byte of blobs that are read at which an answer breaks off, once; 0 is none.
    cut: AtomicU64,
}

/// A request that is being answered, since when.
struct InFlight(Arc<Shared>, Instant);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        let micros = u64::try_from(self.1.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.0.answering.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Proxy {
    /// Starts one on loopback.
    pub async fn start(side: &'static str, registry: SocketAddr) -> anyhow::Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), side, registry).await
    }

    /// Starts one at this address of the machine.
    pub async fn start_at(host: IpAddr, side: &'static str, registry: SocketAddr) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let shared = Arc::new(Shared {
            side,
            registry,
            client,
            latency_ms: AtomicU64::new(0),
            counts: Mutex::default(),
            sent: AtomicU64::new(0),
            read: AtomicU64::new(0),
            limit: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            answering: AtomicU64::new(0),
            mark: AtomicU64::new(0),
            reached: Notify::new(),
            cut: AtomicU64::new(0),
        });
        let listener = TcpListener::bind((host, 0)).await?;
        let address = listener.local_addr()?;
        let listener = listener.tap_io(|connection| {
            let _ = connection.set_nodelay(true); // only faster
        });
        let state = shared.clone();
        let router =
            Router::new().fallback(move |request| async move { Shared::answer(&state, request).await });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, registry, shared })
    }

    /// How long each request waits from now on.
    pub fn set_latency(&self, milliseconds: u64) {
        self.shared.latency_ms.store(milliseconds, Ordering::Relaxed);
    }

    /// How many requests are answered at a time from now on; 0 is any number.
    pub fn set_limit(&self, requests: usize) {
        self.shared.limit.store(requests, Ordering::Relaxed);
    }

    /// Lets an answer break off once this number of bytes of blobs were read from now on.
    pub fn cut_at(&self, bytes: u64) {
        self.shared.cut.store(self.shared.read.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
    }

    /// Returns once this number of bytes of blobs were sent from now on.
    pub async fn sent(&self, bytes: u64) {
        let mark = self.shared.sent.load(Ordering::Relaxed) + bytes;
        self.shared.mark.store(mark, Ordering::Relaxed);
        self.shared.reached.notified().await;
    }

    /// The requests since this was last called.
    pub fn take_counts(&self) -> Counts {
        std::mem::take(&mut self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The seconds in which requests were answered since this was last called, those of several at a time added up.
    pub fn take_answering(&self) -> f64 {
        Duration::from_micros(self.shared.answering.swap(0, Ordering::Relaxed)).as_secs_f64()
    }

    /// The bytes of blobs since this was last called.
    pub fn take_bytes(&self) -> BlobBytes {
        BlobBytes {
            sent: self.shared.sent.swap(0, Ordering::Relaxed),
            read: self.shared.read.swap(0, Ordering::Relaxed),
        }
    }
}

impl Shared {
    async fn answer(self: &Arc<Self>, request: Request) -> Response {
        let name = format!("{} {} {}", self.side, request.method(), kind(request.uri().path()));
        let in_flight = self.accept();
        tokio::time::sleep(Duration::from_millis(self.latency_ms.load(Ordering::Relaxed))).await;
        let response = match in_flight {
            None => StatusCode::TOO_MANY_REQUESTS.into_response(),
            Some(in_flight) => {
                let answer = self.forward(request, in_flight).await;
                answer.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
            }
        };
        let status = response.status();
        let name = if status.is_success() { name } else { format!("{name} ({})", status.as_u16()) };
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
        response
    }

    /// Counts a request that is answered now; `None` if as many are being answered as may be. What is refused takes no
    /// place.
    fn accept(self: &Arc<Self>) -> Option<InFlight> {
        let limit = self.limit.load(Ordering::Relaxed);
        let one_more = |number| (limit == 0 || number < limit).then_some(number + 1);
        let counted = self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        counted.is_ok().then(|| InFlight(self.clone(), Instant::now()))
    }

    async fn forward(self: &Arc<Self>, request: Request, in_flight: InFlight) -> anyhow::Result<Response> {
        let (head, body) = request.into_parts();
        let target = head.uri.path_and_query().context("no path")?;
        let is_head = head.method == Method::HEAD;
        let is_blob = kind(head.uri.path()) == "blob";
        let has_body = !matches!(head.method, Method::GET | Method::HEAD);
        // The Host header goes along, so addresses in answers lead to this proxy.
        let mut onward = self
            .client
            .request(head.method, format!("http://{}{target}", self.registry))
            .headers(head.headers);
        if has_body {
            let shared = self.clone();
            let counted = body.into_data_stream().inspect(move |piece| {
                if let Ok(piece) = piece
                    && is_blob
                {
                    shared.has_sent(piece.len());
                }
            });
            onward = onward.body(reqwest::Body::wrap_stream(counted));
        }
        let answer = onward.send().await?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(answer.headers());
            headers.remove(CONNECTION);
            headers.remove(TRANSFER_ENCODING);
        }
        let body = if is_head {
            Body::empty()
        } else if self.limit.load(Ordering::Relaxed) > 0 {
            // Its place is free before the client can know that it has been answered.
            let body = answer.bytes().await?;
            drop(in_flight);
            body.into()
        } else {
            Body::from_stream(Self::counted(answer.bytes_stream(), is_blob, in_flight))
        };
        Ok(response.body(body)?)
    }

    /// Counts what is read, and breaks off where that is wanted. The request ends with its answer.
    fn counted<S: Stream<Item = reqwest::Result<Bytes>> + Send + 'static>(
        pieces: S,
        is_blob: bool,
        in_flight: InFlight,
    ) -> impl Stream<Item = anyhow::Result<Bytes>> + Send + use<S> {
        pieces.map(move |piece| {
            let (shared, piece) = (&in_flight.0, piece?);
            if is_blob {
                let read = shared.read.fetch_add(piece.len() as u64, Ordering::Relaxed) + piece.len() as u64;
                let cut = shared.cut.load(Ordering::Relaxed);
                if cut > 0 && read >= cut {
                    shared.cut.store(0, Ordering::Relaxed);
                    anyhow::bail!("broken off");
                }
            }
            Ok(piece)
        })
    }

    fn has_sent(&self, bytes: usize) {
        let sent = self.sent.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        let mark = self.mark.load(Ordering::Relaxed);
        if mark > 0 && sent >= mark {
            self.mark.store(0, Ordering::Relaxed);
            self.reached.notify_one();
        }
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
