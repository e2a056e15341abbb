//! An HTTP server, plain or behind TLS, whose answers a test writes and whose requests are recorded. The
//! other fakes of registries build on it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Version};
use axum::response::Response;
use axum::serve::ListenerExt as _;
use imgop_registry::reference::Repository;
use tokio::net::TcpListener;

use super::tls::{Certificate, TlsListener};

/// One request as it came in.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `GET`, `HEAD` and so on.
    pub method: String,
    /// Of HTTP.
    pub version: Version,
    /// Path and query.
    pub target: String,
    /// As sent.
    pub headers: HeaderMap,
    /// All of it.
    pub body: Bytes,
}

/// A fake registry on a port of its own.
#[derive(Debug)]
pub struct ScriptedRegistry {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
}

impl Seen {
    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// `GET /v2/…`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    /// The value of a parameter of the query, as it stands there.
    pub fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

impl ScriptedRegistry {
    /// Starts listening; `answer` is asked for every request.
    pub async fn start(answer: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Self {
        Self::start_on("127.0.0.1", answer).await
    }

    /// The same for answers that wait for something.
    pub async fn start_async<F>(answer: impl Fn(Seen) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response> + Send,
    {
        Self::serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), answer)
    }

    /// The same at an address of this machine, which pods may reach.
    pub async fn start_on(address: &str, answer: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        Self::serve(listener, move |seen| {
            let answer = answer.clone();
            async move { answer(&seen) }
        })
    }

    fn serve<F>(listener: TcpListener, answer: impl Fn(Seen) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response> + Send,
    {
        let address = listener.local_addr().unwrap();
        let (router, seen) = router(answer);
        let connections: Arc<AtomicUsize> = Arc::default();
        let count = connections.clone();
        let listener = listener.tap_io(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, seen, connections }
    }

    /// The same behind TLS, with a certificate for these names; also gives that certificate in PEM.
    pub async fn start_tls(
        names: &[&str],
        answer: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static,
    ) -> (Self, Vec<u8>) {
        Self::start_offering(&[], names, answer).await
    }

    /// The same with a certificate of this kind.
    pub async fn start_showing(
        certificate: Certificate,
        names: &[&str],
        answer: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static,
    ) -> (Self, Vec<u8>) {
        Self::start_listening(certificate, &[], names, answer).await
    }

    /// The same for a server that offers these protocols by ALPN, such as `h2`.
    pub async fn start_offering(
        protocols: &[&str],
        names: &[&str],
        answer: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static,
    ) -> (Self, Vec<u8>) {
        Self::start_listening(Certificate::SelfSigned, protocols, names, answer).await
    }

    async fn start_listening(
        certificate: Certificate,
        protocols: &[&str],
        names: &[&str],
        answer: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static,
    ) -> (Self, Vec<u8>) {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let connections: Arc<AtomicUsize> = Arc::default();
        let (listener, certificate) =
            TlsListener::new(tcp, certificate, names, protocols, connections.clone());
        let (router, seen) = router(move |seen| std::future::ready(answer(&seen)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (Self { address, seen, connections }, certificate)
    }

    /// Answers the first request with the first answer and so on; the last one is repeated.
    pub async fn with_answers(answers: Vec<fn() -> Response>) -> Self {
        let next = Mutex::new(0);
        Self::start(move |_| {
            let mut next = next.lock().unwrap();
            let answer = answers[usize::min(*next, answers.len() - 1)];
            *next += 1;
            answer()
        })
        .await
    }

    /// A repository of this registry.
    pub fn repository(&self, path: &str) -> Repository {
        format!("{}/{path}", self.address).parse().unwrap()
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Returns the number of requests whose line begins like this: `HEAD `, `GET /v2/app/tags/`.
    pub fn count(&self, beginning: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(beginning)).count()
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// All requests so far, as `GET /v2/…`.
    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }
}

fn router<F>(answer: impl Fn(Seen) -> F + Clone + Send + Sync + 'static) -> (Router, Arc<Mutex<Vec<Seen>>>)
where
    F: Future<Output = Response> + Send,
{
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let log = seen.clone();
    let router = Router::new().fallback(move |request: Request| {
        let (log, answer) = (log.clone(), answer.clone());
        async move {
            let seen = read(request).await;
            log.lock().unwrap().push(seen.clone());
            answer(seen).await
        }
    });
    (router, seen)
}

async fn read(request: Request) -> Seen {
    let (head, body) = request.into_parts();
    Seen {
        method: head.method.to_string(),
        version: head.version,
        target: head.uri.path_and_query().unwrap().to_string(),
        headers: head.headers,
        body: to_bytes(body, 16 << 20).await.unwrap(),
    }
}

/// An answer with these headers.
pub fn reply(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let builder = Response::builder().status(status);
    headers
        .iter()
        .fold(builder, |builder, (name, value)| builder.header(*name, *value))
        .body(body.into())
        .unwrap()
}

/// An answer in JSON.
pub fn json(status: u16, body: impl Into<Body>) -> Response {
    reply(status, &[("content-type", "application/json")], body)
}
