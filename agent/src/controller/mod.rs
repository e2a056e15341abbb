//! Runs a kind: watches its objects in all namespaces of the settings, calls the kind's pass for each
//! object that is due, and writes the status that the pass returns.
//!
//! ```text
//! watch ─▶ store ─▶ work queue ─▶ turn ─▶ pending status ─▶ pass (the kind's own) ─▶ status ─▶ requeue
//!                    ▲                                                                            │
//!   changes of owned Jobs, places in the queue of the Job budget, time ◀────────────────────────┘
//! ```
//!
//! A kind implements [`Reconcile`] and knows nothing of watches, turns, panics and retries.

mod known_objects;
mod objects;
mod reconcile;
mod slot;
mod store_bound;
mod stored;
#[cfg(test)]
pub mod testing;
mod undecodable;
mod work_queue;
mod worker;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::stream::select_all;
use futures::{FutureExt as _, StreamExt as _};
use imgop_core::api::conditions::{READY, find, reasons};
use imgop_core::time::saturating_add;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::reflector::Store;
use kube::runtime::watcher;
use kube::{Resource, ResourceExt as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::cluster::api_error::ApiError;
use crate::cluster::owner::Owner;
use crate::cluster::per_object::PerObject;
pub use crate::cluster::ready_gate::{READY_WITHOUT_SOME_AFTER, ReadyGate};
use crate::cluster::status::{WithConditions, WrittenStatus, write_status};
use crate::cluster::watch::Guarded;
use crate::metrics::OfKind;
use crate::notifications::Completed;
use crate::turns::TurnKey;
use objects::Change;
pub use objects::{Objects, Watched};
pub use reconcile::{Failure, MAX_NAMES, Object, PassResult, Reconcile, Report};
use slot::{Remembered, Slot};
pub use stored::{NamespacedName, NotKept, Stored};
use worker::{Worker, changed};

/// How long an object is left alone whose pass panicked.
const PANIC_BACKOFF: Duration = Duration::from_mins(10);
/// When an object is reconciled whose pending status was written.
const AFTER_PENDING_STATUS: Duration = Duration::from_secs(1);
/// The longest pause after the API server failed a pass, as a power of two of seconds.
const MAX_BACKOFF_EXPONENT: u32 = 6;
/// When an object is reconciled in whose namespace the Jobs have not been listed yet.
const UNTIL_JOBS_ARE_KNOWN: Duration = Duration::from_secs(5);
/// How long lies between two writes of a status in which nothing is new but how far a sync has come.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);
/// How often what is remembered of deleted objects is dropped.
const EVICTION_INTERVAL: Duration = Duration::from_mins(5);

/// Reconciles all objects of a kind until `stop`. `watched` exists before the kind, which may hold its
/// [`Objects`].
pub async fn run<R: Reconcile>(kind: R, watched: Watched<R::Kind>, stop: CancellationToken) {
    let agent = kind.agent().clone();
    let runner = Arc::new(Runner::new(kind, watched.objects()));
    agent.metrics.objects.add(known_objects::of(&runner));
    let parts = watched.into_parts().into_iter().map(|part| {
        let (agent, runner) = (agent.clone(), runner.clone());
        let (store, changes) = part.watch(agent.client.clone(), R::KEEP, agent.object_room.clone());
        let due = changes.map(move |event| {
            leave_queue(&event, &agent);
            wake_controller(&event, &agent);
            show(&event, &store, &runner.kind);
            changed(&event, &store)
        });
        due.boxed()
    });
    let due = select_all(parts);
    let eviction = tokio::spawn(evict_deleted(runner.clone()));
    Worker::new(runner).run(due, stop).await;
    eviction.abort();
}

/// Removes a deleted object from the queue for Jobs at once, and deletes the Jobs that Kubernetes does not delete with
/// it. A deletion that no watch saw is noticed by `evict_deleted`.
fn leave_queue<K: Object>(event: &Change<K>, agent: &Agent) {
    if let Ok(watcher::Event::Delete(object)) = event {
        let (uid, jobs) = (object.read_uid().unwrap_or_default(), agent.jobs.clone());
        jobs.leave_queue(&uid);
        if jobs.has_lent() {
            tokio::spawn(async move { jobs.delete_lent::<K>(|owner| owner.uid == uid).await });
        }
    }
}

/// Has the object reconciled that controls one which has changed, if it is of another kind of the agent.
fn wake_controller<K: Object>(event: &Change<K>, agent: &Agent) {
    if let Ok(watcher::Event::Apply(object) | watcher::Event::Delete(object)) = event
        && let Some(owner) = object.controller()
    {
        agent.jobs.wake(&owner);
    }
}

/// Shows a kind the objects that the store has got with this event. Those of a list are there once all of them are;
/// before, what the kind notes of them could be dropped as of objects that do not exist.
pub(crate) fn show<R: Reconcile>(event: &Change<R::Kind>, store: &Store<Stored<R::Kind>>, kind: &R) {
    let see = |object: &Stored<R::Kind>| {
        if let Ok(object) = object.decode().0 {
            kind.seen(&object);
        }
    };
    match event {
        Ok(watcher::Event::Apply(object)) => see(object),
        Ok(watcher::Event::InitDone) => store.state().iter().for_each(|object| see(object)),
        _ => {}
    }
}

/// Drops what is remembered of objects that do not exist any more.
async fn evict_deleted<R: Reconcile>(runner: Arc<Runner<R>>) {
    loop {
        tokio::time::sleep(EVICTION_INTERVAL).await;
        let uids = runner.objects.uids();
        let exists = |uid: &str| uids.contains(uid);
        let (jobs, namespaces) = (&runner.kind.agent().jobs, &runner.kind.agent().config.watch_namespaces);
        jobs.retain_waiting::<R::Kind>(exists);
        // What is not listed yet is not gone, and what others watch is not known here.
        if runner.objects.are_known() {
            let is_gone = |owner: &Owner| namespaces.include(&owner.namespace) && !exists(&owner.uid);
            jobs.delete_lent::<R::Kind>(is_gone).await;
        }
        runner.memories.evict_deleted(exists);
        runner.kind.evict(&exists);
    }
}

/// A kind, its objects, and what is remembered of them.
struct Runner<R: Reconcile> {
    kind: R,
    objects: Objects<R::Kind>,
    memories: PerObject<Remembered<R>>,
    /// Held while the status of an object is read that cannot be decoded.
    reading_status: tokio::sync::Mutex<()>,
}

impl<R: Reconcile> Runner<R> {
    fn new(kind: R, objects: Objects<R::Kind>) -> Self {
        Self { kind, objects, memories: PerObject::default(), reading_status: tokio::sync::Mutex::default() }
    }

    /// Reconciles an object that has its turn. Returns after what time it is due again; none waits for a change.
    async fn reconcile(&self, name: &NamespacedName) -> Option<Duration> {
        let agent = self.kind.agent();
        let of_kind = OfKind::of::<R::Kind>();
        agent.metrics.reconciliations.get_or_create(&of_kind).inc();
        // It may have waited for minutes: what has changed meanwhile counts.
        let object = self.objects.get(&name.namespace, &name.name)?;
        let uid = object.uid().unwrap_or_default();
        if object.meta().deletion_timestamp.is_some() {
            agent.jobs.leave_queue(&uid);
            return None;
        }
        // The type of all that a pass awaits is too deep to stand within that of a task.
        let began = Instant::now();
        let next = Box::pin(self.in_turn(object, &uid)).await;
        let seconds = began.elapsed().as_secs_f64();
        agent.metrics.reconciliation_seconds.get_or_create(&of_kind).observe(seconds);
        // It was deleted while this pass took its place in the queue.
        if !self.objects.exists(name, &uid) {
            agent.jobs.leave_queue(&uid);
        }
        next
    }

    /// Returns what the turn of an object is of, or after what time it is due again if it needs none now.
    fn before_turn(&self, name: &NamespacedName) -> Result<TurnKey, Option<Duration>> {
        let jobs = &self.kind.agent().jobs;
        let object = self.objects.get(&name.namespace, &name.name).ok_or(None)?;
        if object.meta().deletion_timestamp.is_some() {
            jobs.leave_queue(&object.uid().unwrap_or_default());
            return Err(None);
        }
        let namespace = name.namespace.to_string();
        // Jobs that run would be created a second time.
        if !jobs.are_known(&namespace) {
            return Err(Some(UNTIL_JOBS_ARE_KNOWN));
        }
        let hosts = object.0.as_ref().map(R::hosts).unwrap_or_default();
        Ok(TurnKey { namespace, hosts })
    }

    async fn in_turn(&self, object: Guarded<R::Kind>, uid: &str) -> Option<Duration> {
        let agent = self.kind.agent();
        let remembered = self.memories.of(uid);
        let mut slot = remembered.slot.lock().await;
        // By a status that is older than its own last one, a pass would do again what it has done.
        if let Some(left) = slot.awaits_status(object.meta().resource_version.as_deref()) {
            return Some(left);
        }
        // Kubernetes keeps whole seconds: with more, what is read back would never equal what was written.
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH);
        let result = match &object.0 {
            Ok(object) => {
                slot.undecodable = None;
                self.guarded(object, &mut slot, now).await
            }
            Err(invalid) => self.undecodable(&object, invalid, &mut slot, now).await,
        };
        agent.jobs.end_pass(uid);
        if let Some(at) = slot.looked.take() {
            remembered.last_look.store(at.as_second(), Ordering::Relaxed);
        }
        match result {
            Ok(next) => {
                slot.api_failures = 0;
                next
            }
            Err(error) => {
                slot.api_failures = slot.api_failures.saturating_add(1);
                agent.metrics.api_failures.get_or_create(&OfKind::of::<R::Kind>()).inc();
                let wait = Duration::from_secs(1 << slot.api_failures.min(MAX_BACKOFF_EXPONENT));
                let (kind, name) = (R::Kind::kind(&()), object.name_any());
                tracing::warn!(%kind, name, namespace = object.namespace(), %error, "trying again in {wait:?}");
                Some(wait)
            }
        }
    }

    /// Keeps an object on which a pass panics from ending the agent for all others.
    async fn guarded(
        &self,
        object: &R::Kind,
        slot: &mut Slot<R>,
        now: Timestamp,
    ) -> Result<Option<Duration>, ApiError> {
        let pass = AssertUnwindSafe(self.pass(object, slot, now));
        if let Ok(result) = pass.catch_unwind().await {
            return result;
        }
        *slot = Slot::default();
        self.kind.agent().jobs.leave_queue(object.meta().uid.as_deref().unwrap_or_default());
        let message = "the agent failed on this object; its log says more, please report it";
        let generation = object.meta().generation;
        let failure = Failure { generation, reason: reasons::INTERNAL_ERROR, message };
        let status = R::stalled(R::status(object), failure, now);
        let report = Report { status, completed: Some(0), names: Vec::new(), is_progress: false };
        self.report(object, slot, report, now).await?;
        Ok(Some(PANIC_BACKOFF))
    }

    async fn pass(
        &self,
        object: &R::Kind,
        slot: &mut Slot<R>,
        now: Timestamp,
    ) -> Result<Option<Duration>, ApiError> {
        if self.report_pending(object, slot, now).await? {
            // The next pass goes by the status that is there now.
            return Ok(Some(AFTER_PENDING_STATUS));
        }
        // The compiler works out the layout of all that a task awaits; a pass alone is deep enough.
        let pass = self.kind.pass(object, &mut slot.memory, now).boxed();
        let PassResult { report, next, has_looked } = pass.await?;
        slot.looked = has_looked.then_some(now);
        let Some(report) = report else { return Ok(next) };
        if report.is_progress
            && let Some(written) = slot.written
            && now < saturating_add(written, PROGRESS_INTERVAL)
        {
            // The next pass writes where it stands by then.
            return Ok(Some(PROGRESS_INTERVAL));
        }
        self.report(object, slot, report, now).await?;
        Ok(next)
    }

    /// Writes the status that could not be written before, unless it is there or the spec is another one.
    /// Returns whether it was written.
    async fn report_pending(
        &self,
        object: &R::Kind,
        slot: &mut Slot<R>,
        now: Timestamp,
    ) -> Result<bool, ApiError> {
        let Some((generation, report)) = slot.pending.take().map(|pending| *pending) else {
            return Ok(false);
        };
        if generation == object.meta().generation {
            return self.report(object, slot, report, now).await;
        }
        // The spec has changed, but what was completed still counts.
        self.kind.reported(object, &report, now);
        Ok(false)
    }

    /// Writes a status if anything in it is new; returns whether it was written. One that cannot be written is
    /// pending until the next pass, so that no registry is asked again for it.
    async fn report(
        &self,
        object: &R::Kind,
        slot: &mut Slot<R>,
        report: Report<R::Status>,
        now: Timestamp,
    ) -> Result<bool, ApiError> {
        let old = R::status(object);
        let completed = Completed { count: report.completed.unwrap_or_default(), tags: &report.names };
        let written = match self.write(object, old, &report.status, completed).await {
            Ok(written) => written,
            Err(error) => {
                slot.pending = Some(Box::new((object.meta().generation, report)));
                return Err(error);
            }
        };
        if let Some(WrittenStatus { version }) = &written {
            slot.written = Some(now);
            slot.wrote(version.as_deref());
            let (before, after) = (conditions_of(old), conditions_of(Some(&report.status)));
            let notifications = &self.kind.agent().notifications;
            notifications.tell(&Owner::of(object), (&before, &after), completed, &mut slot.told, now);
        }
        self.kind.reported(object, &report, now);
        Ok(written.is_some())
    }

    /// Writes a status if anything in it is new, and an event if the object became ready or unready with it. Returns what
    /// was written.
    async fn write<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        old: Option<&R::Status>,
        new: &R::Status,
        completed: Completed<'_>,
    ) -> Result<Option<WrittenStatus>, ApiError> {
        let agent = self.kind.agent();
        let Some(written) = write_status(&agent.client, object, old, new).await? else { return Ok(None) };
        agent.metrics.status_writes.get_or_create(&OfKind::of::<R::Kind>()).inc();
        let owner = Owner::of(object);
        let (before, conditions) = (conditions_of(old), conditions_of(Some(new)));
        agent.events.transition(&owner, (&before, &conditions), completed).await;
        if let Some(ready) = find(&conditions, READY) {
            let Owner { kind, namespace, name, .. } = owner;
            tracing::info!(%kind, name, namespace, reason = ready.reason, detail = ready.message, "status");
        }
        Ok(Some(written))
    }
}

/// Returns the conditions of a status.
fn conditions_of<S: WithConditions>(status: Option<&S>) -> Vec<Condition> {
    status.cloned().map(|mut status| std::mem::take(status.conditions())).unwrap_or_default()
}

#[cfg(test)]
mod tests;
