//! The Jobs of objects of any kind: one shared store of them and their pods, created within a budget.
//!
//! The store is fed by one watch of Jobs and, in each namespace that has some, one of their pods. What this
//! process creates or deletes is in it at once, from the API server's own answer, so no pass decides on a past
//! that this process has changed itself; and since the names of Jobs are hashes of what they do, creating one
//! twice makes it once (docs/decisions/0011-one-store-of-jobs.md).

pub mod budget;
mod pod_watches;
mod pods;
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
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, PostParams, Preconditions, Request};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use kube::{Client, Resource, ResourceExt as _};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::cluster::api_error::{ApiCause, ApiError};
use crate::cluster::owner::{Owner, is_controlled_by};
use crate::cluster::ready_gate::{ReadyGate, WatchHandle};
use crate::cluster::rights::{Right, Rights};
use crate::cluster::watch::{Keep, Watch, find, watch};
use crate::config::Namespaces;
use budget::{Caps, Count, Granted, JobBudget, Place};
use report::JobReport;
use store::{Scope, Store};
use view::JobView;

/// How often a Job is tried to be created where the API server cannot create it now.
const MAX_CREATE_TRIES: u32 = 3;
/// The pause before the second try; each later one is four times as long.
const CREATE_RETRY_PAUSE: Duration = Duration::from_millis(250);
/// How long one try may take: it holds up a pass, and a webhook that does not answer takes ten seconds. A Job that
/// was created nevertheless is adopted by the next try.
const CREATE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often owners that were woken are checked.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(1);
/// How often a start checks whether the Jobs are known.
const KNOWN_POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Bytes of a Job while it is read: its pod template has a part for each container, of which only the name is
/// kept.
const MAX_JOB_BYTES: usize = 512 * 1024;

/// All Jobs of the agent. Cloning shares them.
#[derive(Clone)]
pub struct Jobs(Arc<Shared>);

struct Shared {
    client: Client,
    rights: Arc<Rights>,
    keep: Keep,
    budget: JobBudget,
    store: Store,
    wake_ups: Arc<WakeUps>,
}

/// Where owners of each kind are sent that are to be reconciled.
#[derive(Default)]
struct WakeUps(Mutex<Vec<WakeUp>>);

/// Whether an owner is of the kind that listens, and where it is sent.
type WakeUp = (fn(&Owner) -> bool, mpsc::UnboundedSender<Owner>);

/// Whether a Job is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It was created.
    New,
    /// It exists already, from an earlier process or try: its name is a hash of what it does.
    Adopted,
}

/// Why a Job could not be created.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JobError {
    /// The namespace is being deleted.
    #[error("the namespace is being deleted")]
    NamespaceTerminating,
    /// A Job of the same name is being deleted; it can be created when that is gone.
    #[error("Job {0:?} is still being deleted")]
    StillDeleting(String),
    /// A Job of that name exists and belongs to another owner.
    #[error("a Job named {0:?} exists and is not this object's; delete it")]
    NameTaken(String),
    /// The agent has no right to create Jobs here; how to grant it.
    #[error("the agent may not create Jobs in this namespace; {0}")]
    MissingRight(String),
    /// A quota, a policy or the schema forbids the Job, or it is too large.
    #[error("the API server refuses the Job: {0}")]
    Refused(String),
    /// The API server answered several times that it cannot create the Job, as when a webhook fails.
    #[error("the API server cannot create the Job: {0}")]
    Failing(String),
    /// The API server did not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl Jobs {
    /// Returns a store without Jobs: [`Jobs::run`] finds them. `annotations` are those that kinds read of their Jobs.
    pub fn new(
        client: Client,
        rights: Arc<Rights>,
        caps: Caps,
        annotations: &'static [&'static str],
    ) -> Self {
        let wake_ups = Arc::<WakeUps>::default();
        let (on_place, on_change) = (wake_ups.clone(), wake_ups.clone());
        let budget = JobBudget::new(caps, move |owner| on_place.send(owner));
        let store = Store::new(budget.clone(), move |owner| on_change.send(owner));
        let keep = Keep {
            fields: &["spec", "status"],
            labels: &[OWNER_UID_LABEL],
            annotations,
            max_bytes: MAX_JOB_BYTES,
        };
        Self(Arc::new(Shared { client, rights, keep, budget, store, wake_ups }))
    }

    /// Watches the Jobs of these namespaces, and their pods where there are any, until `stop`, or until a watch
    /// ends, which no watch does by itself.
    pub async fn run(self, namespaces: Namespaces, ready_gate: ReadyGate, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        let scopes = scopes(&namespaces);
        let handles = ready_gate.expect(scopes.len());
        for (scope, handle) in scopes.into_iter().zip(handles) {
            tasks.spawn(self.clone().watch_jobs(scope, handle));
        }
        tasks.spawn(pod_watches::run(self.clone()));
        tasks.spawn(expire(self.0.budget.clone()));
        tokio::select! {
            () = stop.cancelled() => {}
            ended = tasks.join_next() => tracing::error!(?ended, "a watch of Jobs or pods has ended"),
        }
    }

    async fn watch_jobs(self, scope: Scope, mut handle: WatchHandle) {
        let what = Watch { namespace: scope.clone(), label_selector: Some(own()), keep: self.0.keep };
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
                    tracing::warn!(namespace = scope, %error, "cannot watch the Jobs; trying again");
                }
            }
        }
    }

    /// Waits until the Jobs of all namespaces are known, or, when `patience` has passed, those of some: one that
    /// cannot be read stops no other.
    pub async fn wait_until_known(&self, namespaces: &Namespaces, patience: Duration) {
        let (began, all) = (Instant::now(), scopes(namespaces).len());
        loop {
            let known = self.0.store.known_scopes();
            if known >= all || known > 0 && began.elapsed() >= patience {
                return;
            }
            sleep(KNOWN_POLL_INTERVAL).await;
        }
    }

    /// Returns whether the Jobs of a namespace are known.
    pub fn are_known(&self, namespace: &str) -> bool {
        self.0.store.knows(namespace)
    }

    /// Returns the owners of a kind that are to be reconciled because one of their Jobs or pods has changed, or
    /// because a place is free for them. For `Controller::reconcile_on`.
    pub fn wake_ups<K>(&self) -> impl Stream<Item = ObjectRef<K>> + Send + use<K>
    where
        K: Resource<DynamicType = ()> + 'static,
    {
        let (sender, owners) = mpsc::unbounded();
        self.0.wake_ups.0.lock().push((Owner::is_a::<K>, sender));
        owners.map(|owner: Owner| ObjectRef::new(&owner.name).within(&owner.namespace))
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

    /// Creates a Job in a place. One that exists and is this owner's is as good as created: its name is a hash of
    /// what it does. Tries again a few times where the API server cannot create it now.
    pub async fn create(&self, owner: &Owner, job: &Job, place: Place) -> Result<Created, JobError> {
        let mut pause = CREATE_RETRY_PAUSE;
        let mut tries = 1;
        loop {
            let error = match timeout(CREATE_TIMEOUT, self.post(job)).await {
                Ok(Ok(created)) => {
                    self.0.store.insert(created);
                    place.fill();
                    return Ok(Created::New);
                }
                Ok(Err(error)) => error,
                Err(_) => create_timeout(job),
            };
            if error.cause == ApiCause::AlreadyExists {
                self.adopt(owner, &job.name_any()).await?;
                place.fill();
                return Ok(Created::Adopted);
            }
            let may_go_later = matches!(error.cause, ApiCause::Failing(_) | ApiCause::Conflict(_));
            if !may_go_later || tries >= MAX_CREATE_TRIES {
                return Err(self.job_error(owner, error));
            }
            tries += 1;
            sleep(pause).await;
            pause *= 4;
        }
    }

    async fn post(&self, job: &Job) -> Result<JobView, ApiError> {
        let namespace = job.metadata.namespace.as_deref();
        let failed = |error| ApiError::new("create", of_job(namespace, &job.name_any()), &error);
        let json = serde_json::to_vec(job).map_err(|error| failed(kube::Error::SerdeError(error)))?;
        let request = Request::new(Job::url_path(&(), namespace)).create(&PostParams::default(), json);
        let request = request.map_err(|error| failed(kube::Error::BuildRequest(error)))?;
        let mut created: JobView = self.0.client.request(request).await.map_err(failed)?;
        let Keep { labels, annotations, .. } = self.0.keep;
        created.labels_mut().retain(|key, _| labels.contains(&key.as_str()));
        created.annotations_mut().retain(|key, _| annotations.contains(&key.as_str()));
        (created.metadata.managed_fields, created.metadata.finalizers) = (None, None);
        Ok(created)
    }

    /// A Job of this name exists: it may be this owner's, from a process before this one.
    async fn adopt(&self, owner: &Owner, name: &str) -> Result<(), JobError> {
        if let Some(known) = self.0.store.get(&owner.namespace, name) {
            return may_adopt(&known, owner, name);
        }
        let Some(found) = self.find(&owner.namespace, name).await? else {
            return Err(JobError::StillDeleting(name.to_owned()));
        };
        may_adopt(&found, owner, name)?;
        self.0.store.insert(found);
        Ok(())
    }

    async fn find(&self, namespace: &str, name: &str) -> Result<Option<JobView>, ApiError> {
        let what = Watch { namespace: Some(namespace.to_owned()), label_selector: None, keep: self.0.keep };
        let found = find::<JobView>(self.0.client.clone(), what, name).await;
        let found = found.map_err(|error| ApiError {
            verb: "list",
            object: of_job(Some(namespace), name),
            cause: ApiCause::Unreachable(error.to_string()),
        })?;
        Ok(found.and_then(|job| job.0.ok()))
    }

    fn job_error(&self, owner: &Owner, error: ApiError) -> JobError {
        match error.cause {
            ApiCause::NamespaceTerminating => JobError::NamespaceTerminating,
            ApiCause::MissingRight(_) => {
                JobError::MissingRight(self.0.rights.how_to_grant(Right::CREATE_JOBS, &owner.namespace))
            }
            ApiCause::Forbidden(message) | ApiCause::Invalid(message) => JobError::Refused(message),
            ApiCause::Failing(message) | ApiCause::Conflict(message) => JobError::Failing(message),
            ApiCause::NotFound => JobError::Failing(format!("namespaces {:?} not found", owner.namespace)),
            ApiCause::AlreadyExists | ApiCause::Unreachable(_) => JobError::Api(error),
        }
    }

    /// Deletes a Job and its pods, unless another one has its name by now. One that is gone already is as good as
    /// deleted.
    pub async fn delete(&self, namespace: &str, job: &JobReport) -> Result<(), ApiError> {
        let (at, name) = (Request::new(Job::url_path(&(), Some(namespace))), &job.name);
        let this_one = Preconditions { uid: Some(job.uid.clone()), ..Preconditions::default() };
        let deleted = match at.delete(name, &DeleteParams::background().preconditions(this_one)) {
            // The answer may be the whole Job, which is not read.
            Ok(request) => self.0.client.request_text(request).await,
            Err(error) => Err(kube::Error::BuildRequest(error)),
        };
        if let Err(error) = deleted {
            let error = ApiError::new("delete", of_job(Some(namespace), name), &error);
            if !matches!(error.cause, ApiCause::NotFound | ApiCause::Conflict(_)) {
                return Err(error);
            }
        }
        self.0.store.remove(namespace, name, &job.uid);
        Ok(())
    }
}

/// Returns an error unless a Job that exists may be taken for one that an owner would create.
fn may_adopt(there: &JobView, owner: &Owner, name: &str) -> Result<(), JobError> {
    if !is_controlled_by(there, &owner.uid) {
        return Err(JobError::NameTaken(name.to_owned()));
    }
    match there.metadata.deletion_timestamp {
        Some(_) => Err(JobError::StillDeleting(name.to_owned())),
        None => Ok(()),
    }
}

fn create_timeout(job: &Job) -> ApiError {
    let message = format!("no answer within {} seconds", CREATE_TIMEOUT.as_secs());
    let object = of_job(job.metadata.namespace.as_deref(), &job.name_any());
    ApiError { verb: "create", object, cause: ApiCause::Failing(message) }
}

/// Moves owners to the end of their queues that were woken and did not come in time, until it is dropped.
async fn expire(budget: JobBudget) {
    loop {
        sleep(EXPIRY_INTERVAL).await;
        budget.expire(Timestamp::now());
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

fn scopes(namespaces: &Namespaces) -> Vec<Scope> {
    match namespaces {
        Namespaces::All => vec![None],
        Namespaces::Named(names) => names.iter().cloned().map(Some).collect(),
    }
}

fn of_job(namespace: Option<&str>, name: &str) -> String {
    format!("Job \"{}/{name}\"", namespace.unwrap_or_default())
}

#[cfg(test)]
mod tests;
