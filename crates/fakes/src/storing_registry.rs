//! A registry that keeps what it is sent, as strict as real ones: blobs with ranges, mounts, uploads as a whole and in
//! chunks, manifests whose parts must be there. Each request may be answered wrongly.

mod answers;
mod state;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use futures::StreamExt as _;
use imgop_registry::reference::{Digest, Repository};
use tokio::net::TcpListener;

use super::reply;
use state::State;

/// A registry of many repositories.
pub struct StoringRegistry {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status alone.
    Status(u16),
    /// It is answered with 400 and this code.
    Refused(&'static str),
    /// It is answered with 429, and nothing is wanted for no time.
    TooMany,
    /// It is answered with 429, and nothing is wanted for this number of seconds.
    TooManyFor(u8),
    /// The response breaks off after this number of bytes of its body.
    Cut(usize),
    /// The response stops after this number of bytes of its body, and its connection stays.
    Stall(usize),
    /// Nothing of the request's body is read, and it is not answered.
    TakesNothing,
    /// The same, until [`StoringRegistry::go_on`].
    Held,
    /// The response says that it is complete after this number of bytes.
    Short(usize),
    /// The body has the right length and other bytes.
    OtherBytes,
    /// The connection breaks after this number of sent bytes; those are kept.
    Break(usize),
    /// It is done, and the connection breaks before the response.
    NoAnswer,
    /// The token is no longer good, if it was used before.
    ExpireToken,
}

/// A request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `GET /v2/…`.
    pub line: String,
    /// The part of a blob that was asked for, or that was sent.
    pub range: Option<String>,
    /// The bytes of blobs that were sent with it.
    pub sent: usize,
    /// The bytes of blobs that it was answered with.
    pub answered: usize,
}

/// Decides by the number of a request, from 0, and its line what goes wrong.
pub type Faults = dyn Fn(usize, &str) -> Option<Fault> + Send + Sync;

impl StoringRegistry {
    /// Starts an empty registry for everybody.
    pub async fn start() -> Self {
        Self::start_with(false).await
    }

    /// Starts one that wants tokens, which it gives to everybody.
    pub async fn start_with_tokens() -> Self {
        Self::start_with(true).await
    }

    async fn start_with(tokens: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::new(address, tokens)));
        let shared = state.clone();
        let router = Router::new().fallback(move |request: Request| answer(shared.clone(), request));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    /// Lets requests go wrong from now on, which are counted anew.
    pub fn fail(&self, faults: impl Fn(usize, &str) -> Option<Fault> + Send + Sync + 'static) {
        let mut state = self.state();
        state.faults = Some(Arc::new(faults));
        state.asked.clear();
    }

    /// Lets nothing go wrong any more.
    pub fn heal(&self) {
        self.state().faults = None;
    }

    /// Goes on with one request that is held, or that is to come.
    pub fn go_on(&self) {
        self.state().held.add_permits(1);
    }

    /// Mounts nothing from now on.
    pub fn refuse_mounts(&self) {
        self.state().mounts = false;
    }

    /// Takes no chunks from now on.
    pub fn refuse_chunks(&self) {
        self.state().chunks = false;
    }

    /// Drops uploads of which a chunk breaks off from now on, as those on distribution.
    pub fn drop_broken_uploads(&self) {
        self.state().drops_broken = true;
    }

    /// Takes whatever it is sent as the blob that it is called from now on.
    pub fn trust_digests(&self) {
        self.state().checks_digests = false;
    }

    /// Takes no requests with more bytes from now on, as a proxy before it.
    pub fn limit_bodies(&self, bytes: usize) {
        self.state().max_body = bytes;
    }

    /// Returns a repository of it.
    pub fn repository(&self, path: &str) -> Repository {
        format!("{}/{path}", self.address).parse().unwrap()
    }

    /// Puts a blob into a repository.
    pub fn hold_blob(&self, repository: &str, bytes: impl Into<Bytes>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        self.state().blobs.insert((repository.to_owned(), digest.to_string()), bytes);
        digest
    }

    /// Puts a manifest into a repository, by its digest and under these tags. What it names is not looked for.
    pub fn hold_manifest(
        &self,
        repository: &str,
        tags: &[&str],
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        let mut state = self.state();
        for reference in tags.iter().copied().chain([digest.as_str()]) {
            let key = (repository.to_owned(), reference.to_owned());
            state.manifests.insert(key, (media_type.to_owned(), bytes.clone()));
        }
        digest
    }

    /// Loses a blob.
    pub fn lose_blob(&self, repository: &str, digest: &Digest) {
        self.state().blobs.remove(&(repository.to_owned(), digest.to_string()));
    }

    /// Loses a blob right after it has been looked for.
    pub fn lose_after_head(&self, repository: &str, digest: &Digest) {
        self.state().lost_after_head = Some((repository.to_owned(), digest.to_string()));
    }

    /// Changes what has arrived of uploads.
    pub fn spoil_uploads(&self) {
        for held in self.state().uploads.values_mut() {
            held.fill(b'!');
        }
    }

    /// Returns the blobs of a repository by their digests.
    pub fn blobs(&self, repository: &str) -> BTreeMap<String, Bytes> {
        let state = self.state();
        let own = state.blobs.iter().filter(|((of, _), _)| of == repository);
        own.map(|((_, digest), bytes)| (digest.clone(), bytes.clone())).collect()
    }

    /// Returns the manifests of a repository by tags and digests, with their media types.
    pub fn manifests(&self, repository: &str) -> BTreeMap<String, (String, Bytes)> {
        let state = self.state();
        let own = state.manifests.iter().filter(|((of, _), _)| of == repository);
        own.map(|((_, reference), held)| (reference.clone(), held.clone())).collect()
    }

    /// Returns how many uploads are under way.
    pub fn uploads(&self) -> usize {
        self.state().uploads.len()
    }

    /// Forgets all uploads, as a registry that cleans up.
    pub fn drop_uploads(&self) {
        self.state().uploads.clear();
    }

    /// Returns all requests since the last faults were set, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// Returns how many requests begin like this.
    pub fn count(&self, beginning: &str) -> usize {
        self.asked().iter().filter(|asked| asked.line.starts_with(beginning)).count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// Answers one request: first what goes wrong with it, then as a registry does.
async fn answer(state: Arc<Mutex<State>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let line = format!("{} {}", head.method, head.uri.path_and_query().unwrap());
    let header = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let range = header("range").or_else(|| header("content-range"));
    let (number, fault, waiting) = {
        let mut state = state.lock().unwrap();
        let (number, fault) = state.ask(&line, range.clone());
        (number, fault, state.held.clone())
    };
    let limit = match fault {
        Some(Fault::TakesNothing) => std::future::pending().await,
        Some(Fault::Held) => {
            waiting.acquire().await.unwrap().forget();
            usize::MAX
        }
        Some(Fault::Break(after)) => after,
        _ => usize::MAX,
    };
    let (sent, is_broken) = received(body, limit).await;
    let mut state = state.lock().unwrap();
    match fault {
        Some(Fault::Status(status)) => return reply(status, &[], ""),
        Some(Fault::Refused(code)) => {
            let body = format!(r#"{{"errors":[{{"code":"{code}","message":"refused"}}]}}"#);
            return reply(400, &[("content-type", "application/json")], body);
        }
        Some(Fault::TooMany) => return reply(429, &[("retry-after", "0")], ""),
        Some(Fault::TooManyFor(seconds)) => {
            return reply(429, &[("retry-after", &seconds.to_string())], "");
        }
        Some(Fault::ExpireToken) => state.expire_token(),
        _ => {}
    }
    if is_broken {
        state.keep_broken(&line, &sent);
        return broken();
    }
    if let Some(refusal) = state.check_token(&line, header("authorization").as_deref()) {
        return refusal;
    }
    if sent.len() > state.max_body {
        return reply(413, &[], "<html>413 Request Entity Too Large</html>");
    }
    let asked = answers::Request { line, range, media_type: header("content-type"), body: sent };
    let answered = answers::answer(&mut state, &asked);
    state.record(number, &asked, answered.blob_bytes());
    if fault == Some(Fault::NoAnswer) {
        return broken();
    }
    answered.into_response(fault)
}

/// Reads what is sent, up to a limit. Returns whether there was more.
async fn received(body: Body, limit: usize) -> (Bytes, bool) {
    let (mut sent, mut pieces) = (Vec::new(), body.into_data_stream());
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else { return (sent.into(), true) };
        sent.extend_from_slice(&piece);
        if sent.len() > limit {
            sent.truncate(limit);
            return (sent.into(), true);
        }
    }
    (sent.into(), false)
}

/// A response that is none: the connection breaks.
fn broken() -> Response {
    let nothing = futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("broken"))]);
    reply(200, &[("content-length", "1")], Body::from_stream(nothing))
}
