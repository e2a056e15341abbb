//! The Jobs of objects of any kind: one shared store of them and their pods, created within a budget.

pub mod budget;
pub mod report;
pub mod template;

use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::runtime::reflector::ObjectRef;
use kube::{Client, Resource};
use tokio_util::sync::CancellationToken;

use crate::cluster::api_error::ApiError;
use crate::cluster::owner::Owner;
use crate::cluster::rights::Rights;
use crate::config::Namespaces;
use budget::{Caps, Full, Place};
use report::JobReport;

/// All Jobs of the agent. Cloning shares them.
#[derive(Clone)]
pub struct Jobs {
    client: Client,
    rights: Arc<Rights>,
}

/// Places for Jobs, and why there are not more.
#[derive(Debug)]
pub struct Granted {
    /// One for each Job that may be created. A place that is dropped is free again.
    pub places: Vec<Place>,
    /// Why there are fewer than wanted. The owner is woken when it is next.
    pub full: Option<Full>,
}

/// Whether a Job is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It was created.
    New,
    /// It exists already, from a process before this one: its name says what it does.
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
    /// Knows of no Jobs yet: [`Jobs::run`] finds them. `annotations` are those that kinds read of their Jobs.
    pub fn new(
        client: Client,
        rights: Arc<Rights>,
        caps: Caps,
        annotations: &'static [&'static str],
    ) -> Self {
        let _ = (caps, annotations);
        Self { client, rights }
    }

    /// Watches the Jobs of these namespaces, and their pods where there are any, until `stop`.
    pub async fn run(self, namespaces: Namespaces, stop: CancellationToken) {
        let _ = (self.client, self.rights, namespaces, stop);
        unimplemented!()
    }

    /// Waits until the Jobs of all namespaces are known, or, when `patience` has passed, those of some.
    pub async fn wait_until_known(&self, patience: Duration) {
        let _ = patience;
        unimplemented!()
    }

    /// Returns whether the Jobs of a namespace are known.
    pub fn are_known(&self, namespace: &str) -> bool {
        let _ = namespace;
        unimplemented!()
    }

    /// Returns the owners of a kind that are to be reconciled because one of their Jobs or pods has changed, or
    /// because a place is free for them. For `Controller::reconcile_on`.
    pub fn wake_ups<K>(&self) -> impl Stream<Item = ObjectRef<K>> + Send + use<K>
    where
        K: Resource<DynamicType = ()> + 'static,
    {
        futures::stream::pending()
    }

    /// Returns the Jobs of an owner, as last seen, and what became of their containers. What this process has
    /// created is among them at once.
    pub fn of_owner(&self, uid: &str, now: Timestamp) -> Vec<JobReport> {
        let _ = (uid, now);
        unimplemented!()
    }

    /// Returns how many unfinished Jobs an owner has, and how many in all.
    pub fn count(&self, uid: &str) -> budget::Count {
        let _ = uid;
        unimplemented!()
    }

    /// Returns how many Jobs an owner may create now, of those that it wants. Takes nothing.
    pub fn room(&self, owner: &Owner, wanted: usize, now: Timestamp) -> usize {
        let _ = (owner, wanted, now);
        unimplemented!()
    }

    /// Takes up to `wanted` places. An owner that gets fewer than it wants, for another reason than its own cap,
    /// is queued and woken when it is next.
    pub fn take(&self, owner: &Owner, wanted: usize, now: Timestamp) -> Granted {
        let _ = (owner, wanted, now);
        unimplemented!()
    }

    /// Takes an owner out of the queue: it wants no place any more. To be called at the end of each pass that did
    /// not call [`Jobs::take`].
    pub fn leave_queue(&self, uid: &str) {
        let _ = uid;
        unimplemented!()
    }

    /// Creates a Job in a place. One that exists and is this owner's is as good as created: its name is a hash of
    /// what it does. Tries again a few times where the API server says that it cannot now.
    pub async fn create(&self, owner: &Owner, job: &Job, place: Place) -> Result<Created, JobError> {
        let _ = (owner, job, place);
        unimplemented!()
    }

    /// Deletes a Job and its pods. One that is gone already is as good as deleted.
    pub async fn delete(&self, namespace: &str, name: &str) -> Result<(), ApiError> {
        let _ = (namespace, name);
        unimplemented!()
    }
}
