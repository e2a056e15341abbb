//! What administrators have granted, as the watch of their objects shows it, and the labels of namespaces.
//!
//! What is not known is not granted: before all objects are listed, and while they cannot be watched, there is an error
//! and no decision. A cluster without the kind has none of them, and that is known; but of a cluster that had the kind it
//! is believed only once it lasts.

mod refusals;
mod seen;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::StreamExt as _;
use imgop_core::access::{AccessPolicy, PolicyError};
use imgop_core::api::RegistryAccess;
use imgop_registry::RequestLimit;
use imgop_registry::cache::{Bounded, SingleFlight};
use imgop_registry::reference::RegistryHost;
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt as _};
use parking_lot::Mutex;
pub use seen::SeenAccess;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::cluster::Freshness;
use crate::cluster::api_error::{ApiCause, ApiError};
use crate::cluster::ready_gate::{ReadyGate, WatchHandle};
use crate::cluster::watch::{Guarded, Keep, Watch, watch};

/// The port of registries without TLS that are written without one.
const HTTP_PORT: u16 = 80;
/// Namespaces whose labels are cached.
const MAX_NAMESPACES: usize = 1000;
/// How long it is remembered which labels a namespace had when they were last read.
const LABELS_TTL: Duration = Duration::from_hours(1);
/// How often a start checks whether it is known what is granted.
const KNOWN_POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long the API server must say that it has no such kind, once it had it: as long as any watch may fail.
const MISSING_TIME: Duration = Duration::from_secs(90);
/// A watch that fails is tried again more often than this: what was said longer ago has not lasted.
const MAX_MISSING_PAUSE: Duration = Duration::from_secs(75);
/// Bytes of an object: more than what its schema allows.
const MAX_OBJECT_BYTES: usize = 256 * 1024;

/// Labels of a namespace.
pub type Labels = BTreeMap<String, String>;

/// What administrators have granted. Cloning shares it.
#[derive(Clone)]
pub struct Policies(Arc<Shared>);

struct Shared {
    client: Client,
    state: Mutex<State>,
    handle: OnceLock<WatchHandle>,
    labels: Mutex<Bounded<String, (Instant, Arc<Labels>)>>,
    reads: SingleFlight<String, Result<Arc<Labels>, ApiError>>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// By name.
    objects: BTreeMap<String, SeenAccess>,
    /// Those of a list that is not complete.
    listed: BTreeMap<String, SeenAccess>,
    /// None before the first complete list.
    policy: Option<Arc<AccessPolicy>>,
    last_error: Option<ApiCause>,
    /// Whether the API server has shown that it has the kind.
    was_served: bool,
    missing: Option<Missing>,
}

/// Since when the API server says that it has no such kind, and when it last said so.
#[derive(Clone, Copy)]
struct Missing {
    first: Instant,
    last: Instant,
}

/// Why it is not known what is granted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PolicyFault {
    /// The objects are not listed yet.
    #[error("the RegistryAccesses of the cluster are not listed yet")]
    Pending,
    /// They cannot be watched.
    #[error(
        "the RegistryAccesses of the cluster cannot be watched, so it is not known what is allowed: {0}; if the agent \
         has no right to, apply the current manifests"
    )]
    Failing(ApiCause),
    /// One of them cannot be read.
    #[error(transparent)]
    Unreadable(#[from] PolicyError),
}

impl Policies {
    /// Returns what is known before anything is watched.
    pub fn new(client: Client) -> Self {
        Self(Arc::new(Shared {
            client,
            state: Mutex::default(),
            handle: OnceLock::new(),
            labels: Mutex::new(Bounded::new(MAX_NAMESPACES)),
            reads: SingleFlight::default(),
            changed: Notify::new(),
        }))
    }

    /// Watches the objects until `stop`.
    pub async fn run(self, ready_gate: ReadyGate, stop: CancellationToken) {
        let mut handles = ready_gate.expect(1);
        let Some(mut handle) = handles.pop() else { return };
        let _ = self.0.handle.set(handle.clone());
        let keep =
            Keep { fields: &["spec", "status"], labels: &[], annotations: &[], max_bytes: MAX_OBJECT_BYTES };
        let what = Watch { namespace: None, label_selector: None, field_selector: None, keep };
        let mut events = pin!(watch::<RegistryAccess>(self.0.client.clone(), what).default_backoff());
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = stop.cancelled() => return,
            };
            match event {
                Some(event) => self.apply(event, &mut handle),
                None => return,
            }
        }
    }

    fn apply(&self, event: watcher::Result<Event<Guarded<RegistryAccess>>>, handle: &mut WatchHandle) {
        self.0.changed.notify_one();
        let mut state = self.0.state.lock();
        match event {
            Ok(event) => {
                if state.apply(event) {
                    handle.is_known();
                }
            }
            Err(error) if state.is_without_kind(is_missing(&error), Instant::now()) => {
                if state.was_served {
                    tracing::warn!(
                        "the cluster has no RegistryAccesses any more: they grant and refuse nothing"
                    );
                }
                *state = State::default();
                state.decide();
                handle.is_known();
            }
            Err(error) => {
                let cause = ApiCause::of_watch(&error);
                tracing::warn!(error = %cause, "cannot watch the RegistryAccesses; trying again");
                state.last_error = Some(cause);
                handle.has_failed();
            }
        }
    }

    /// Waits until it is known what is granted, or until `patience` has passed: objects are then postponed by their
    /// passes.
    pub async fn wait_until_known(&self, patience: Duration) {
        let is_known = async {
            while matches!(self.current(), Err(PolicyFault::Pending)) {
                sleep(KNOWN_POLL_INTERVAL).await;
            }
        };
        let _ = timeout(patience, is_known).await;
    }

    /// Returns what is granted.
    pub fn current(&self) -> Result<Arc<AccessPolicy>, PolicyFault> {
        let is_blind = self.0.handle.get().is_some_and(WatchHandle::is_blind);
        let state = self.0.state.lock();
        if let Some(cause) = state.last_error.clone().filter(|_| is_blind) {
            return Err(PolicyFault::Failing(cause));
        }
        state.policy.clone().ok_or(PolicyFault::Pending)
    }

    /// Returns the labels of a namespace, as recent as `freshness` wants them.
    pub async fn labels(&self, namespace: &str, freshness: Freshness) -> Result<Arc<Labels>, ApiError> {
        let key = namespace.to_owned();
        let cached = self.0.labels.lock().get(&key).cloned();
        match cached.filter(|(read_at, _)| read_at.elapsed() < freshness.max_age()) {
            Some((_, labels)) => Ok(labels),
            None => self.0.reads.run(&key, || self.read_labels(namespace)).await.0,
        }
    }

    async fn read_labels(&self, namespace: &str) -> Result<Arc<Labels>, ApiError> {
        let found = Api::<Namespace>::all(self.0.client.clone()).get_metadata(namespace).await;
        let found =
            found.map_err(|error| ApiError::new("get", format!("Namespace {namespace:?}"), &error))?;
        let labels = Arc::new(found.labels().clone());
        let entry = (Instant::now(), labels.clone());
        self.0.labels.lock().insert(namespace.to_owned(), entry, LABELS_TTL);
        Ok(labels)
    }

    /// Returns the labels that a namespace had when they were last read, if that is remembered.
    pub fn known_labels(&self, namespace: &str) -> Option<Arc<Labels>> {
        self.0.labels.lock().get(&namespace.to_owned()).map(|(_, labels)| labels.clone())
    }

    /// Returns what was granted when that was last known, be it long ago; nothing if it never was. For what grants nothing.
    pub fn latest(&self) -> Arc<AccessPolicy> {
        self.0.state.lock().policy.clone().unwrap_or_default()
    }

    /// Returns all objects as they were last seen; none before the first complete list.
    pub fn seen(&self) -> Vec<SeenAccess> {
        let state = self.0.state.lock();
        if state.policy.is_some() { state.objects.values().cloned().collect() } else { Vec::new() }
    }

    /// Waits until there may be something new of the objects.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Returns how many requests at once the host of a URL is sent, as administrators said last.
    pub fn request_limit(&self, host: &str, port: u16) -> Option<RequestLimit> {
        let policy = self.latest();
        let limit_of = |host: &str| policy.concurrency_limit(&host.parse::<RegistryHost>().ok()?);
        // Without TLS a registry that is written without a port is asked at 80.
        let limit = limit_of(&format!("{host}:{port}"))
            .or_else(|| if port == HTTP_PORT { limit_of(host) } else { None })?;
        let concurrent_requests = usize::try_from(limit.requests).unwrap_or(usize::MAX);
        Some(RequestLimit { registry: limit.registry, concurrent_requests })
    }

    /// Makes this known, as if the watch had shown it.
    #[cfg(test)]
    pub fn show(&self, objects: &[RegistryAccess]) {
        let mut state = self.0.state.lock();
        state.apply(Event::Init);
        for object in objects {
            state.apply(Event::InitApply(kube::core::DeserializeGuard(Ok(object.clone()))));
        }
        state.apply(Event::InitDone);
    }
}

impl State {
    /// Applies an event; returns whether it was the end of a list.
    fn apply(&mut self, event: Event<Guarded<RegistryAccess>>) -> bool {
        // A list begins before anything is answered.
        if !matches!(event, Event::Init) {
            (self.was_served, self.missing) = (true, None);
        }
        match event {
            Event::Init => {
                self.listed.clear();
                return false;
            }
            Event::InitApply(object) => {
                let seen = SeenAccess::of(&object);
                seen.log_beside(self.objects.get(&seen.name));
                self.listed.insert(seen.name.clone(), seen);
                return false;
            }
            Event::InitDone => {
                self.objects = std::mem::take(&mut self.listed);
                self.decide();
                return true;
            }
            Event::Apply(object) => {
                let seen = SeenAccess::of(&object);
                seen.log_beside(self.objects.get(&seen.name));
                self.objects.insert(seen.name.clone(), seen);
            }
            Event::Delete(object) => {
                self.objects.remove(&object.name_any());
            }
        }
        if self.policy.is_some() {
            self.decide();
        }
        false
    }

    /// Returns whether the cluster has no such kind, after an error that says so or does not. One that showed objects may
    /// say so for a moment, as while its definition is replaced, and what they refuse must stay refused.
    fn is_without_kind(&mut self, is_missing: bool, now: Instant) -> bool {
        let going_on = self.missing.filter(|missing| now - missing.last < MAX_MISSING_PAUSE);
        self.missing =
            is_missing.then(|| Missing { first: going_on.map_or(now, |missing| missing.first), last: now });
        let lasted = self.missing.is_some_and(|missing| now - missing.first > MISSING_TIME);
        is_missing && (!self.was_served || lasted)
    }

    fn decide(&mut self) {
        let unreadable = self.objects.values().filter(|seen| seen.grant.is_err());
        let unreadable: Vec<String> = unreadable.map(|seen| seen.name.clone()).collect();
        let grants = self.objects.values().filter_map(|seen| seen.grant.as_ref().ok()).cloned();
        self.policy = Some(Arc::new(AccessPolicy::new(grants, unreadable)));
    }
}

/// Returns whether the API server answered that it has no such kind. The answer need be no Status: of a group that it does
/// not know it says so in plain text.
fn is_missing(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 404,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
