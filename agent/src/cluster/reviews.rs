//! Reviews of rights by the API server, whose answers are believed for a while.

use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use imgop_registry::cache::{Bounded, SingleFlight};
use k8s_openapi::ClusterResourceScope;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SubjectAccessReview, SubjectAccessReviewStatus,
};
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api_error::ApiError;
use super::rights::Right;

/// How long a right is believed.
const GRANTED_TTL: Duration = Duration::from_mins(5);

/// A question whether something is allowed.
pub(super) trait Review:
    Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + Debug + Serialize + DeserializeOwned
{
    /// Returns the answer, once it was asked.
    fn answer(self) -> Option<SubjectAccessReviewStatus>;
}

impl Review for SelfSubjectAccessReview {
    fn answer(self) -> Option<SubjectAccessReviewStatus> {
        self.status
    }
}

impl Review for SubjectAccessReview {
    fn answer(self) -> Option<SubjectAccessReviewStatus> {
        self.status
    }
}

/// Asks reviews, of which `K` tells one from another.
pub(super) struct Reviews<K> {
    client: Client,
    cached: Mutex<Bounded<K, bool>>,
    asked: SingleFlight<K, Result<bool, ApiError>>,
    denied_ttl: Duration,
}

impl<K: Clone + Eq + Hash> Reviews<K> {
    /// Returns one that asks through this client, believes for `denied_ttl` that a right is lacking, and remembers this
    /// number of answers.
    pub fn new(client: Client, denied_ttl: Duration, max_cached: usize) -> Self {
        Self {
            client,
            cached: Mutex::new(Bounded::new(max_cached)),
            asked: SingleFlight::default(),
            denied_ttl,
        }
    }

    /// Returns the answer that is believed.
    pub fn known(&self, key: &K) -> Option<bool> {
        self.cached.lock().get(key).copied()
    }

    /// Asks the API server. `what` is what an error says that the review is of.
    pub async fn ask<R: Review>(&self, key: &K, what: &str, review: &R) -> Result<bool, ApiError> {
        let ask = async || {
            let answer = Api::all(self.client.clone()).create(&PostParams::default(), review).await;
            let answer = answer.map_err(|error| ApiError::new("review", what.to_owned(), &error))?;
            let may = answer.answer().is_some_and(|answer| answer.allowed);
            self.cached.lock().insert(key.clone(), may, if may { GRANTED_TTL } else { self.denied_ttl });
            Ok(may)
        };
        self.asked.run(key, ask).await.0
    }
}

/// Returns what a review asks of a right in a namespace.
pub(super) fn attributes(right: Right, namespace: &str) -> ResourceAttributes {
    ResourceAttributes {
        namespace: Some(namespace.to_owned()),
        verb: Some(right.verb.to_owned()),
        group: Some(right.group.to_owned()),
        resource: Some(right.resource.to_owned()),
        ..ResourceAttributes::default()
    }
}
