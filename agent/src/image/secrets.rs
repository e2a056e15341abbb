//! Secrets, read by name. This is the only place that reads them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

/// How long a Secret is believed. Many Images of a namespace name the same one, and a sync under way
/// looks several times.
const BELIEVED: Duration = Duration::from_mins(1);

/// Reads Secrets by name, each at most once a minute unless somebody wants to know.
pub struct Secrets {
    client: Client,
    known: Mutex<HashMap<Key, Known>>,
}

/// Namespace and name.
type Key = (String, String);
/// When it was read, and what it is.
type Known = (Instant, Arc<Secret>);

/// How sure somebody wants to be of a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// A minute ago is good enough.
    Believed,
    /// As it is now: somebody asked for a sync, or a registry refused what was known.
    Now,
}

impl Secrets {
    /// Knows nothing yet.
    pub fn new(client: Client) -> Self {
        Self { client, known: Mutex::default() }
    }

    /// A Secret of this namespace.
    pub async fn get(
        &self,
        namespace: &str,
        name: &str,
        freshness: Freshness,
    ) -> Result<Arc<Secret>, kube::Error> {
        let key = (namespace.to_owned(), name.to_owned());
        if freshness == Freshness::Believed
            && let Some(secret) = self.believed(&key)
        {
            return Ok(secret);
        }
        let secret = Api::<Secret>::namespaced(self.client.clone(), namespace).get(name).await;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // What is not believed any more is not kept in memory either.
        known.retain(|_, (read, _)| read.elapsed() < BELIEVED);
        known.remove(&key);
        let secret = Arc::new(secret?);
        known.insert(key, (Instant::now(), secret.clone()));
        Ok(secret)
    }

    /// Forgets the Secrets of a namespace.
    pub fn forget(&self, namespace: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(of, _), _| of != namespace);
    }

    fn believed(&self, key: &Key) -> Option<Arc<Secret>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).filter(|(read, _)| read.elapsed() < BELIEVED).map(|(_, secret)| secret.clone())
    }
}
