//! What a kind adds to the controller, and what its passes return.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::agent::Agent;
use crate::cluster::api_error::ApiError;
use crate::cluster::status::WithConditions;
use crate::cluster::watch::Keep;

/// An object of a kind that the agent reconciles.
pub trait Object:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Object for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// What a kind adds to the controller: how one of its objects is reconciled.
pub trait Reconcile: Sized + Send + Sync + 'static {
    /// The kind.
    type Kind: Object;
    /// The status of the kind.
    type Status: WithConditions + DeserializeOwned + Send + Sync;
    /// What is remembered of one object between two passes. All of it may be lost: a restart begins
    /// with the default.
    type Memory: Default + Send;

    /// What passes read of an object. The rest is not kept in memory.
    const KEEP: Keep;

    /// Returns what all kinds share.
    fn agent(&self) -> &Arc<Agent>;

    /// Returns the status of an object, as the API server last sent it.
    fn status(object: &Self::Kind) -> Option<&Self::Status>;

    /// Returns the servers that a pass over an object asks, each once.
    fn hosts(_object: &Self::Kind) -> Vec<String> {
        Vec::new()
    }

    /// Reconciles one object: works out everything again from its spec, its status and the world, so that
    /// a crash between any two writes costs nothing.
    fn pass(
        &self,
        object: &Self::Kind,
        memory: &mut Self::Memory,
        now: Timestamp,
    ) -> impl Future<Output = Result<PassResult<Self::Status>, ApiError>> + Send;

    /// Returns the status of an object that no pass can help: the agent panicked on it, or this version cannot
    /// decode it. What the status held besides stays, as far as it is known.
    fn stalled(old: Option<&Self::Status>, failure: Failure<'_>, now: Timestamp) -> Self::Status;

    /// Notes what a pass reported, once its status is known to be written.
    fn reported(&self, _object: &Self::Kind, _report: &Report<Self::Status>, _now: Timestamp) {}

    /// Notes an object that is new or changed, or that was listed, once [`Objects`](super::Objects) has it.
    fn seen(&self, _object: &Self::Kind) {}

    /// Drops what the kind remembers of objects that do not exist any more.
    fn evict(&self, _exists: &(dyn Fn(&str) -> bool + Sync)) {}
}

/// What a pass came to.
#[derive(Debug)]
pub struct PassResult<S> {
    /// What is to be reported; none leaves the status as it is.
    pub report: Option<Report<S>>,
    /// After what time the next pass is; none waits for a change.
    pub next: Option<Duration>,
    /// Whether the pass came to the end of a look at what the object is about, however that ended.
    pub has_looked: bool,
}

impl<S> PassResult<S> {
    /// Leaves the status as it is.
    pub fn unchanged(next: Option<Duration>) -> Self {
        Self { report: None, next, has_looked: false }
    }
}

/// How many things a report names.
pub const MAX_NAMES: usize = 20;

/// What is reported of an object.
#[derive(Debug, Clone)]
pub struct Report<S> {
    /// The new status.
    pub status: S,
    /// How many things the pass completed, if a sync or a build has ended with it.
    pub completed: Option<u32>,
    /// What they are called, of the first of them.
    pub names: Vec<String>,
    /// Whether nothing is new but how far a sync has come: then the status may be written a little later.
    pub is_progress: bool,
}

/// Why an object is stalled whatever its kind.
#[derive(Debug, Clone)]
pub struct Failure<'a> {
    /// The generation of the spec that could not be acted on.
    pub generation: Option<i64>,
    /// The reason of the conditions.
    pub reason: &'static str,
    /// For people.
    pub message: &'a str,
}
