//! The requests that each limited registry has at a time, whatever its hosts.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use crate::cache::{Bounded, NO_EXPIRY};
use crate::request_limits::{RequestLimit, RequestLimits};

/// Limited registries that are remembered; administrators name them.
const MAX_REGISTRIES: usize = 4096;

/// The limited registries of this process.
#[derive(Debug)]
pub(super) struct RegistryLimits(Mutex<Bounded<String, Limited>>);

#[derive(Debug, Clone)]
struct Limited {
    concurrent_requests: usize,
    slots: Arc<Semaphore>,
}

impl Default for RegistryLimits {
    fn default() -> Self {
        Self(Mutex::new(Bounded::new(MAX_REGISTRIES)))
    }
}

impl RegistryLimits {
    /// Waits until the registry at this address may be sent one more request; returns nothing where it has no limit.
    pub(super) async fn slot(&self, limits: &RequestLimits, url: &Url) -> Option<OwnedSemaphorePermit> {
        let limit = limits.of(url.host_str()?, url.port_or_known_default()?)?;
        // The semaphore is never closed, so there is always a slot.
        self.slots(limit).acquire_owned().await.ok()
    }

    /// Returns the slots of a registry. With another limit they are new ones: requests that are under way do not count
    /// there, which lasts as long as they do.
    fn slots(&self, limit: RequestLimit) -> Arc<Semaphore> {
        let concurrent_requests = limit.concurrent_requests.max(1);
        let mut known = self.0.lock();
        let there = known.get(&limit.registry).filter(|one| one.concurrent_requests == concurrent_requests);
        if let Some(there) = there {
            return there.slots.clone();
        }
        let slots = Arc::new(Semaphore::new(concurrent_requests));
        known.insert(limit.registry, Limited { concurrent_requests, slots: slots.clone() }, NO_EXPIRY);
        slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hosts_of_one_registry_share_its_slots_and_a_new_limit_has_new_ones() {
        let limit = |registry: &str, concurrent_requests| {
            Some(RequestLimit { registry: registry.to_owned(), concurrent_requests })
        };
        let limits = RequestLimits::new(move |host, port| match (host, port) {
            ("a.example.com", 443) | ("b.example.com", 5000) => limit("a", 1),
            _ => None,
        });
        let registries = RegistryLimits::default();
        let url = |text: &str| text.parse::<Url>().unwrap();
        let held = registries.slot(&limits, &url("https://a.example.com/v2/")).await;
        assert!(held.is_some());
        let alias = url("https://b.example.com:5000/v2/");
        assert!(futures::poll!(std::pin::pin!(registries.slot(&limits, &alias))).is_pending());
        assert!(registries.slot(&limits, &url("https://b.example.com/v2/")).await.is_none(), "another port");
        let wider = RequestLimits::new(move |_, _| limit("a", 2));
        assert!(registries.slot(&wider, &alias).await.is_some());
        drop(held);
        assert!(registries.slot(&limits, &alias).await.is_some());
    }
}
