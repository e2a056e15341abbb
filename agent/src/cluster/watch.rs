//! The one reader under every watch. Whoever may create objects can make them as large and as many as etcd
//! takes, so an object is pruned while it is read: only its fields that the agent uses ever stand in memory.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use futures::{AsyncBufRead, AsyncBufReadExt as _, Stream, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::api::{ListParams, Request, WatchParams};
use kube::runtime::watcher::{self, Event};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};

pub use super::decode::Guarded;
use super::decode::{decode, event_of};
pub use super::keep::Keep;
use super::pruner::{Part, Pruner, Shape};

/// Objects of a page. However large they are, only what is kept of one at a time is in memory, so pages spare the
/// API server and not this process.
const PAGE_SIZE: u32 = 500;
/// Seconds after which a watch is renewed: one whose connection died unseen is back within this and a little
/// more.
const WATCH_SECONDS: u32 = 60;
/// How long a read may take; the API server ends each watch before.
const READ_TIMEOUT: Duration = Duration::from_secs(70);
/// The pause after a watch that ended at once, without any event.
const SHORT_WATCH_PAUSE: Duration = Duration::from_secs(1);

/// What is watched, and what is kept of it.
#[derive(Debug, Clone)]
pub struct Watch {
    /// The namespace; none for all of them.
    pub namespace: Option<String>,
    /// Only objects with these labels.
    pub label_selector: Option<String>,
    /// Only objects with these fields.
    pub field_selector: Option<&'static str>,
    /// What is kept of each object.
    pub keep: Keep,
}

/// Lists and watches objects. The stream never ends; after an error it goes on when it is polled again, so give
/// it a backoff (`WatchStreamExt::default_backoff`).
pub fn watch<K>(client: Client, what: Watch) -> impl Stream<Item = watcher::Result<Event<Guarded<K>>>> + Send
where
    K: Resource<DynamicType = ()> + DeserializeOwned + Clone + std::fmt::Debug + Send + 'static,
{
    let reader = Reader { client, what, state: State::Start, parts: VecDeque::new() };
    stream::unfold(reader, |mut reader| async move {
        let event = reader.next::<K>().await;
        Some((event, reader))
    })
}

/// Returns the object of this name, of a list: to get it would need another right.
pub async fn find<K>(client: Client, what: Watch, name: &str) -> watcher::Result<Option<Guarded<K>>>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let mut reader = Reader { client, what, state: State::Start, parts: VecDeque::new() };
    let by_name = ListParams::default().fields(&format!("metadata.name={name}"));
    let (mut body, mut pruner) = reader.open_list::<K>(by_name).await?;
    while read(&mut body, &mut pruner, &mut reader.parts).await.map_err(list_failed)? {}
    let found = reader.parts.into_iter().find_map(|part| match part {
        Part::Object { json, is_too_large } => Some(decode(&json, is_too_large)),
        Part::ListMetadata(_) => None,
    });
    Ok(found)
}

type Body = Pin<Box<dyn AsyncBufRead + Send>>;

struct Reader {
    client: Client,
    what: Watch,
    state: State,
    parts: VecDeque<Part>,
}

enum State {
    /// Everything is to be listed.
    Start,
    /// A page is to be asked for.
    NextPage(Option<String>),
    /// A page is being read; what is known of its metadata.
    Listing(Body, Pruner, ListMeta),
    /// A watch is to be opened at this version.
    Listed(String),
    /// Events are being read; the version of the last one, and whether there was any.
    Watching(Body, Pruner, String, bool),
}

impl Reader {
    async fn next<K>(&mut self) -> watcher::Result<Event<Guarded<K>>>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        loop {
            // Whatever fails below without a state of its own begins again with a list.
            match std::mem::replace(&mut self.state, State::Start) {
                State::Start => {
                    self.parts.clear();
                    self.state = State::NextPage(None);
                    return Ok(Event::Init);
                }
                State::NextPage(token) => {
                    let page =
                        ListParams { limit: Some(PAGE_SIZE), continue_token: token, ..self.selected() };
                    let (body, pruner) = self.open_list::<K>(page).await?;
                    self.state = State::Listing(body, pruner, ListMeta::default());
                }
                State::Listing(body, pruner, metadata) => {
                    if let Some(event) = self.list_on(body, pruner, metadata).await? {
                        return Ok(event);
                    }
                }
                State::Listed(version) => self.open_watch::<K>(version).await?,
                State::Watching(body, pruner, version, has_events) => {
                    if let Some(event) = self.watch_on(body, pruner, version, has_events).await? {
                        return Ok(event);
                    }
                }
            }
        }
    }

    fn selected(&self) -> ListParams {
        let field_selector = self.what.field_selector.map(str::to_owned);
        ListParams {
            label_selector: self.what.label_selector.clone(),
            field_selector,
            ..ListParams::default()
        }
    }

    async fn open_list<K>(&mut self, page: ListParams) -> watcher::Result<(Body, Pruner)>
    where
        K: Resource<DynamicType = ()>,
    {
        let url = K::url_path(&(), self.what.namespace.as_deref());
        let request = Request::new(url).list(&page).map_err(kube::Error::BuildRequest);
        let request = request.map_err(watcher::Error::InitialListFailed)?;
        let body = self.client.request_stream(request).await.map_err(watcher::Error::InitialListFailed)?;
        Ok((Box::pin(body), Pruner::new(Shape::List, self.what.keep)))
    }

    /// Reads on in a page; returns its next object.
    async fn list_on<K>(
        &mut self,
        mut body: Body,
        mut pruner: Pruner,
        mut metadata: ListMeta,
    ) -> watcher::Result<Option<Event<Guarded<K>>>>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        match self.parts.pop_front() {
            Some(Part::ListMetadata(json)) => {
                metadata = serde_json::from_slice(&json)
                    .map_err(|error| watcher::Error::InitialListFailed(kube::Error::SerdeError(error)))?;
            }
            Some(Part::Object { json, is_too_large }) => {
                self.state = State::Listing(body, pruner, metadata);
                return Ok(Some(Event::InitApply(decode(&json, is_too_large))));
            }
            None if read(&mut body, &mut pruner, &mut self.parts).await.map_err(list_failed)? => {}
            None if !pruner.is_complete() => return Err(list_failed(io::ErrorKind::UnexpectedEof.into())),
            None => {
                if let Some(token) = metadata.continue_.filter(|token| !token.is_empty()) {
                    self.state = State::NextPage(Some(token));
                    return Ok(None);
                }
                let version = metadata.resource_version.ok_or(watcher::Error::NoResourceVersion)?;
                self.state = State::Listed(version);
                return Ok(Some(Event::InitDone));
            }
        }
        self.state = State::Listing(body, pruner, metadata);
        Ok(None)
    }

    async fn open_watch<K>(&mut self, version: String) -> watcher::Result<()>
    where
        K: Resource<DynamicType = ()>,
    {
        let params = WatchParams {
            label_selector: self.what.label_selector.clone(),
            field_selector: self.what.field_selector.map(str::to_owned),
            timeout: Some(WATCH_SECONDS),
            bookmarks: true,
            ..WatchParams::default()
        };
        let url = K::url_path(&(), self.what.namespace.as_deref());
        let request = Request::new(url).watch(&params, &version).map_err(kube::Error::BuildRequest);
        let mut request = request.map_err(watcher::Error::WatchStartFailed)?;
        // As kube's own watch: a stream of members that are compressed each by itself is not read.
        let identity = axum::http::HeaderValue::from_static("identity");
        request.headers_mut().insert(axum::http::header::ACCEPT_ENCODING, identity);
        match self.client.request_stream(request).await {
            Ok(body) => {
                let pruner = Pruner::new(Shape::Events, self.what.keep);
                self.state = State::Watching(Box::pin(body), pruner, version, false);
                Ok(())
            }
            Err(error) => {
                let is_expired = matches!(&error, kube::Error::Api(status) if status.code == 410);
                self.state = if is_expired { State::Start } else { State::Listed(version) };
                Err(watcher::Error::WatchStartFailed(error))
            }
        }
    }

    /// Reads on in a watch; returns its next event.
    async fn watch_on<K>(
        &mut self,
        mut body: Body,
        mut pruner: Pruner,
        mut version: String,
        mut has_events: bool,
    ) -> watcher::Result<Option<Event<Guarded<K>>>>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let event = match self.parts.pop_front() {
            Some(Part::Object { json, is_too_large }) => {
                has_events = true;
                event_of(&json, is_too_large, &mut version)?
            }
            Some(Part::ListMetadata(_)) => None,
            None => {
                let more = timeout(READ_TIMEOUT, read(&mut body, &mut pruner, &mut self.parts)).await;
                if !matches!(more, Ok(Ok(true))) {
                    return self.end_watch(more, version, has_events).await;
                }
                None
            }
        };
        self.state = State::Watching(body, pruner, version, has_events);
        Ok(event)
    }

    /// A watch ends after a minute, or with its connection, and goes on where it ended.
    async fn end_watch<K, E>(
        &mut self,
        end: Result<io::Result<bool>, E>,
        version: String,
        has_events: bool,
    ) -> watcher::Result<Option<Event<Guarded<K>>>>
    where
        K: Resource,
    {
        self.state = State::Listed(version);
        match end {
            Ok(Err(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
                Err(watcher::Error::WatchFailed(kube::Error::ReadEvents(error)))
            }
            Err(_) => {
                tracing::warn!("a watch was silent for too long; it is opened again");
                Ok(None)
            }
            Ok(_) => {
                if !has_events {
                    sleep(SHORT_WATCH_PAUSE).await;
                }
                Ok(None)
            }
        }
    }
}

fn list_failed(error: io::Error) -> watcher::Error {
    watcher::Error::InitialListFailed(kube::Error::ReadEvents(error))
}

/// Reads what has arrived; returns whether there may be more.
async fn read(body: &mut Body, pruner: &mut Pruner, parts: &mut VecDeque<Part>) -> io::Result<bool> {
    let chunk = body.fill_buf().await?;
    let length = chunk.len();
    pruner.push(chunk, parts).map_err(io::Error::other)?;
    body.as_mut().consume(length);
    Ok(length > 0)
}

#[cfg(test)]
mod tests;
