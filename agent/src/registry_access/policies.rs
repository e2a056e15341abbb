//! What administrators have granted, as the watch of their objects shows it, and the labels of namespaces.
//!
//! What is not known is not granted: before all objects are listed, and while they cannot be watched, there is an error
//! and no decision. A cluster without the kind has none of them, and that is known; but of a cluster that had the kind it
//! is believed only once it lasts.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::StreamExt as _;
use imgop_core::access::{AccessPolicy, Borrower, Decision, Grant, PolicyError};
use imgop_core::api::{RegistryAccess, RegistryAction};
use imgop_registry::cache::{Bounded, SingleFlight};
use imgop_registry::reference::Repository;
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt as _};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::cluster::Freshness;
use crate::cluster::api_error::{ApiCause, ApiError};
use crate::cluster::ready_gate::{ReadyGate, WatchHandle};
use crate::cluster::watch::{Guarded, Keep, Watch, watch};

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
}

#[derive(Default)]
struct State {
    /// By name; none for one that could not be decoded.
    objects: BTreeMap<String, Option<Grant>>,
    /// Those of a list that is not complete.
    listed: BTreeMap<String, Option<Grant>>,
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
        }))
    }

    /// Watches the objects until `stop`.
    pub async fn run(self, ready_gate: ReadyGate, stop: CancellationToken) {
        let mut handles = ready_gate.expect(1);
        let Some(mut handle) = handles.pop() else { return };
        let _ = self.0.handle.set(handle.clone());
        let keep = Keep { fields: &["spec"], labels: &[], annotations: &[], max_bytes: MAX_OBJECT_BYTES };
        let what = Watch { namespace: None, label_selector: None, keep };
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

    /// Returns whether a namespace is kept from writing to a repository, as far as that is known without asking: its
    /// labels are read by the passes of its own objects.
    pub fn refuses_push(&self, namespace: &str, repository: &Repository) -> bool {
        let known = self.0.labels.lock().get(&namespace.to_owned()).cloned();
        let (Ok(policy), Some((_, labels))) = (self.current(), known) else { return false };
        let borrower = Borrower { namespace, labels: &labels };
        let decision = policy.decide(borrower, repository, RegistryAction::Push);
        matches!(decision, Ok(Decision::NotSelected { .. }))
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
                let (name, grant) = parsed(&object);
                self.listed.insert(name, grant);
                return false;
            }
            Event::InitDone => {
                self.objects = std::mem::take(&mut self.listed);
                self.decide();
                return true;
            }
            Event::Apply(object) => {
                let (name, grant) = parsed(&object);
                self.objects.insert(name, grant);
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
        let unreadable = self.objects.iter().filter(|(_, grant)| grant.is_none());
        let unreadable: Vec<String> = unreadable.map(|(name, _)| name.clone()).collect();
        let grants = self.objects.values().flatten().cloned();
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

/// Returns the name of an object and what it grants. What is wrong with it stands in the log: its writers are
/// administrators.
fn parsed(object: &Guarded<RegistryAccess>) -> (String, Option<Grant>) {
    let name = object.name_any();
    let grant = match &object.0 {
        Ok(found) => {
            let (grant, problem) = Grant::parse(&name, &found.spec);
            if let Some(problem) = problem {
                tracing::warn!(kind = "RegistryAccess", name, error = %problem, "it lends nothing and locks its hosts");
            }
            Some(grant)
        }
        Err(invalid) => {
            let error = &invalid.error;
            tracing::warn!(
                kind = "RegistryAccess",
                name,
                error,
                "it cannot be read; nothing is copied or built until it can"
            );
            None
        }
    };
    (name, grant)
}

#[cfg(test)]
mod tests;
