//! Reviews of rights by the API server, whose answers are believed for a while.

use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use imgop_registry::backoff;
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
use tokio::time::Instant;

use super::api_error::ApiError;
use super::rights::Right;

/// How long a right is believed.
const GRANTED_TTL: Duration = Duration::from_mins(5);
/// How much longer an answer is remembered: it may serve until another one is there.
const STALE_TTL: Duration = Duration::from_mins(5);

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

/// How long it is believed that a right is lacking.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeniedTtl {
    /// The first time.
    pub first: Duration,
    /// At most: each time after it is twice as long.
    pub max: Duration,
}

/// An answer that was given.
#[derive(Debug, Clone, Copy)]
struct Answer {
    may: bool,
    believed_until: Instant,
    /// How many times one after the other the right was lacking.
    denials: u32,
}

/// Asks reviews, of which `K` tells one from another.
pub(super) struct Reviews<K> {
    client: Client,
    cached: Mutex<Bounded<K, Answer>>,
    asked: SingleFlight<K, Result<bool, ApiError>>,
    denied_ttl: DeniedTtl,
}

impl<K: Clone + Eq + Hash> Reviews<K> {
    /// Returns one that asks through this client, and remembers this number of answers.
    pub fn new(client: Client, denied_ttl: DeniedTtl, max_cached: usize) -> Self {
        Self {
            client,
            cached: Mutex::new(Bounded::new(max_cached)),
            asked: SingleFlight::default(),
            denied_ttl,
        }
    }

    /// Returns the answer that is believed.
    pub fn known(&self, key: &K) -> Option<bool> {
        let cached = self.cached.lock();
        let answer = cached.get(key).filter(|answer| Instant::now() < answer.believed_until);
        answer.map(|answer| answer.may)
    }

    /// Returns the last answer, also where it is to be asked for again; none where that was long ago.
    pub fn last(&self, key: &K) -> Option<bool> {
        self.cached.lock().get(key).map(|answer| answer.may)
    }

    /// Invalidates answers: they are asked for again. The last ones stay known as such.
    pub fn invalidate(&self, is_meant: impl Fn(&K) -> bool) {
        let mut cached = self.cached.lock();
        let meant: Vec<K> = cached.iter().map(|(key, _)| key).filter(|key| is_meant(key)).cloned().collect();
        for key in meant {
            if let Some(answer) = cached.get_mut(&key) {
                (answer.believed_until, answer.denials) = (Instant::now(), 0);
            }
        }
    }

    /// Asks the API server. `what` is what an error says that the review is of.
    pub async fn ask<R: Review>(&self, key: &K, what: &str, review: &R) -> Result<bool, ApiError> {
        let ask = async || {
            let answer = Api::all(self.client.clone()).create(&PostParams::default(), review).await;
            let answer = answer.map_err(|error| ApiError::new("review", what.to_owned(), &error))?;
            let may = answer.answer().is_some_and(|answer| answer.allowed);
            self.remember(key, may);
            Ok(may)
        };
        self.asked.run(key, ask).await.0
    }

    fn remember(&self, key: &K, may: bool) {
        let mut cached = self.cached.lock();
        let before = cached.get(key).filter(|answer| !answer.may).map_or(0, |answer| answer.denials);
        let DeniedTtl { first, max } = self.denied_ttl;
        let ttl = if may { GRANTED_TTL } else { backoff(first, max, before) };
        let denials = if may { 0 } else { before.saturating_add(1) };
        let answer = Answer { may, believed_until: Instant::now() + ttl, denials };
        cached.insert(key.clone(), answer, ttl + STALE_TTL);
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
