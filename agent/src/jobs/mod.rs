//! The Jobs of objects of any kind: one shared store of them and their pods, created within a budget.
//!
//! The store is fed by one watch of Jobs and, in each namespace that has some, one of their pods. What this
//! process creates or deletes is in it at once, from the API server's own answer, so no pass decides on a past
//! that this process has changed itself; and since the names of Jobs are hashes of what they do, creating one
//! twice makes it once (docs/decisions/0011-one-store-of-jobs.md).

pub mod budget;
mod create;
pub mod delay;
mod lent;
mod owned;
mod pod_watches;
mod pods;
pub mod refusals;
pub mod report;
mod store;
pub mod template;
#[cfg(test)]
pub mod testing;
mod view;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc;
use futures::{Stream, StreamExt as _};
use imgop_core::api::{MANAGED_BY, MANAGED_BY_LABEL, OWNER_UID_LABEL};
use jiff::Timestamp;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use kube::{Client, Resource};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::cluster::api_error::ApiCause;
use crate::cluster::owner::Owner;
use crate::cluster::ready_gate::{ReadyGate, WatchHandle};
use crate::cluster::rights::Rights;
use crate::cluster::watch::{Keep, Watch, watch};
use crate::config::Namespaces;
use budget::{Caps, Count, Granted, JobBudget, Places};
pub use create::{Created, JobError};
pub use owned::place_in;
use report::JobReport;
use store::{Scope, Store};
use view::JobView;

/// How often owners that were woken are checked.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(1);
/// How often owners are woken that wait for long.
const REFRESH_INTERVAL: Duration = Duration::from_mins(1);
/// How often a start checks whether the Jobs are known.
const KNOWN_POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Bytes of a Job while it is read: its pod template has a part for each container, of which only the name is
/// kept.
const MAX_JOB_BYTES: usize = 512 * 1024;

/// All Jobs of the agent. Cloning shares them.
#[derive(Clone)]
pub struct Jobs(Arc<Shared>);

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}

struct Shared {
    client: Client,
    rights: Arc<Rights>,
    keep: Keep,
    budget: JobBudget,
    store: Store,
    wake_ups: Arc<WakeUps>,
    /// The namespace of the Jobs that use what is lent.
    lent: String,
}

/// Where owners of each kind are sent that are to be reconciled.
#[derive(Default)]
struct WakeUps(Mutex<Vec<WakeUp>>);

/// Whether an owner is of the kind that listens, and where it is sent.
type WakeUp = (fn(&Owner) -> bool, mpsc::UnboundedSender<Owner>);

impl Jobs {
    /// Returns a store without Jobs: [`Jobs::run`] finds them. A pod may wait for a node for as long as `max_pending`;
    /// `annotations` are those that kinds read of their Jobs; `lent` is the namespace of Jobs that use what is lent.
    pub fn new(
        client: Client,
        rights: Arc<Rights>,
        caps: Caps,
        max_pending: Duration,
        annotations: &'static [&'static str],
        lent: String,
    ) -> Self {
        let wake_ups = Arc::<WakeUps>::default();
        let (on_place, on_change) = (wake_ups.clone(), wake_ups.clone());
        let budget = JobBudget::new(caps, move |owner| on_place.send(owner));
        let store = Store::new(budget.clone(), max_pending, &lent, move |owner| on_change.send(owner));
        let keep = Keep {
            fields: &["spec", "status"],
            labels: &[OWNER_UID_LABEL],
            annotations,
            max_bytes: MAX_JOB_BYTES,
        };
        Self(Arc::new(Shared { client, rights, keep, budget, store, wake_ups, lent }))
    }

    /// Watches the Jobs of these namespaces, and their pods where there are any, until `stop`, or until a watch
    /// ends, which no watch does by itself.
    pub async fn run(self, namespaces: Namespaces, ready_gate: ReadyGate, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        let scopes = self.scopes(&namespaces);
        let handles = ready_gate.expect(scopes.len());
        for (scope, handle) in scopes.into_iter().zip(handles) {
            tasks.spawn(self.clone().watch_jobs(scope, handle));
        }
        tasks.spawn(pod_watches::run(self.clone()));
        tasks.spawn(expire(self.0.budget.clone()));
        tasks.spawn(refresh(self.0.budget.clone()));
        tokio::select! {
            () = stop.cancelled() => {}
            ended = tasks.join_next() => {
                let panicked = matches!(ended, Some(Err(error)) if error.is_panic());
                let error = if panicked { "it panicked" } else { "it ended" };
                tracing::error!(error, "a watch of Jobs or pods has ended");
            }
        }
    }

    async fn watch_jobs(self, scope: Scope, mut handle: WatchHandle) {
        let what = Watch {
            namespace: scope.clone(),
            label_selector: Some(own()),
            field_selector: None,
            keep: self.0.keep,
        };
        let mut events = pin!(watch::<JobView>(self.0.client.clone(), what).default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    let is_list = matches!(event, Event::InitDone);
                    self.0.store.apply_job(&scope, event);
                    if is_list {
                        handle.is_known();
                    }
                }
                Err(error) => {
                    handle.has_failed();
                    let error = ApiCause::of_watch(&error);
                    tracing::warn!(namespace = scope, %error, "cannot watch the Jobs; trying again");
                }
            }
        }
    }

    /// Waits until the Jobs of all namespaces are known, or, when `patience` has passed, those of some: one that
    /// cannot be read stops no other.
    pub async fn wait_until_known(&self, namespaces: &Namespaces, patience: Duration) {
        let (began, all) = (Instant::now(), self.scopes(namespaces).len());
        loop {
            let known = self.0.store.known_scopes();
            if known >= all || known > 0 && began.elapsed() >= patience {
                return;
            }
            sleep(KNOWN_POLL_INTERVAL).await;
        }
    }

    /// Returns whether the Jobs of a namespace are known, wherever they run.
    pub fn are_known(&self, namespace: &str) -> bool {
        self.0.store.knows(namespace) && self.0.store.knows(&self.0.lent)
    }

    /// Returns the namespace of the Jobs that use what is lent.
    pub fn lent_namespace(&self) -> &str {
        &self.0.lent
    }

    fn scopes(&self, namespaces: &Namespaces) -> Vec<Scope> {
        match namespaces {
            Namespaces::All => vec![None],
            Namespaces::Named(names) => {
                let mut names = names.clone();
                names.insert(self.0.lent.clone());
                names.into_iter().map(Some).collect()
            }
        }
    }

    /// Returns the owners of a kind that are to be reconciled because one of their Jobs or pods has changed, or
    /// because a place is free for them.
    pub fn wake_ups<K>(&self) -> impl Stream<Item = ObjectRef<K>> + Send + use<K>
    where
        K: Resource<DynamicType = ()> + 'static,
    {
        let (sender, owners) = mpsc::unbounded();
        self.0.wake_ups.0.lock().push((Owner::is_a::<K>, sender));
        owners.map(|owner: Owner| ObjectRef::new(&owner.name).within(&owner.namespace))
    }

    /// Has an owner reconciled because something else that it controls has changed.
    pub fn wake(&self, owner: &Owner) {
        self.0.wake_ups.send(owner);
    }

    /// Returns the reports of the Jobs of an owner, as last seen. What this process has created is among them at
    /// once.
    pub fn of_owner(&self, owner: &Owner, now: Timestamp) -> Vec<JobReport> {
        self.0.store.of_owner(owner, now)
    }

    /// Returns how many Jobs an owner has.
    pub fn count(&self, owner: &Owner) -> Count {
        self.0.store.count(owner)
    }

    /// Returns how many Jobs there are, of all owners.
    pub fn places(&self) -> Places {
        self.0.budget.places()
    }

    /// Notes that an owner exists: its Jobs count for the cap of its kind.
    pub fn know(&self, owner: &Owner) {
        self.0.budget.know(owner);
    }

    /// Forgets owners that were noted and do not exist any more.
    pub fn retain_known(&self, exists: impl Fn(&str) -> bool) {
        self.0.budget.retain_known(exists);
    }

    /// Returns how many Jobs an owner may create now, of those that it wants. Takes nothing.
    pub fn room(&self, owner: &Owner, wanted: usize, now: Timestamp) -> usize {
        self.0.budget.room(owner, wanted, now).0
    }

    /// Takes up to `wanted` places. An owner that gets fewer than it wants, for another reason than its own cap,
    /// is queued and woken when it is next.
    pub fn take(&self, owner: &Owner, wanted: usize, now: Timestamp) -> Granted {
        self.0.budget.take(owner, wanted, now)
    }

    /// Takes an owner out of the queue: it wants no place any more.
    pub fn leave_queue(&self, uid: &str) {
        self.0.budget.leave(uid);
    }

    /// Ends a pass over an owner: one that has not called [`Jobs::take`] in it leaves the queue. The controller
    /// calls this for all kinds.
    pub fn end_pass(&self, uid: &str) {
        self.0.budget.end_pass(uid);
    }

    /// Takes owners of a kind out of the queue that do not exist any more.
    pub fn retain_waiting<K: Resource<DynamicType = ()>>(&self, exists: impl Fn(&str) -> bool) {
        self.0.budget.retain_waiting(|owner| !owner.is_a::<K>() || exists(&owner.uid));
    }
}

/// Moves owners to the end of their queues that were woken and did not come in time, until it is dropped.
async fn expire(budget: JobBudget) {
    loop {
        sleep(EXPIRY_INTERVAL).await;
        budget.expire(Timestamp::now());
    }
}

/// Wakes owners that wait for long, so that they observe anew, until it is dropped.
async fn refresh(budget: JobBudget) {
    let mut since = Timestamp::now();
    loop {
        sleep(REFRESH_INTERVAL).await;
        let now = Timestamp::now();
        budget.refresh(since, now);
        since = now;
    }
}

impl WakeUps {
    fn send(&self, owner: &Owner) {
        let mut all = self.0.lock();
        all.retain(|(_, sender)| !sender.is_closed());
        for (is_of_kind, sender) in all.iter() {
            if is_of_kind(owner) {
                // It is closed when the process ends.
                let _ = sender.unbounded_send(owner.clone());
            }
        }
    }
}

/// Returns the label selector of the agent's own Jobs and pods.
fn own() -> String {
    format!("{MANAGED_BY_LABEL}={MANAGED_BY}")
}

#[cfg(test)]
mod tests;
