//! A repository that is copied to, and what is known of it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use imgop_registry::reference::{Digest, Repository};
use imgop_registry::{Account, RepositoryClient};
use parking_lot::Mutex;

/// A destination repository of a copier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DestinationId(pub(crate) usize);

/// A repository that is copied to.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) client: RepositoryClient,
    pub(crate) account: Account,
    /// The number of its registry.
    pub(crate) registry: usize,
    /// Whether it was empty before, so that nothing has to be looked for.
    pub(crate) was_empty: bool,
    /// What its tags showed before, if all of that is known.
    pub(crate) shown: Option<HashSet<Digest>>,
    /// Whether its registry takes no chunks.
    takes_no_chunks: AtomicBool,
    /// Bytes that a request may have, where one was refused as too large.
    max_body: AtomicU64,
}

/// Which repositories have which blobs, as far as this copier has put them there.
#[derive(Debug, Default)]
pub(crate) struct Holders(Mutex<HashMap<(Account, Digest), Repository>>);

impl Destination {
    pub(crate) fn new(client: RepositoryClient, was_empty: bool, registry: usize) -> Self {
        Self {
            account: client.account(),
            client,
            registry,
            was_empty,
            shown: None,
            takes_no_chunks: AtomicBool::new(false),
            max_body: AtomicU64::new(u64::MAX),
        }
    }

    /// Returns how many bytes a request may have.
    pub(crate) fn max_body(&self) -> u64 {
        self.max_body.load(Ordering::Relaxed)
    }

    /// Notes that a request of this length was too large. Returns whether a smaller one may be taken: a quarter of it, if
    /// that is not below `least`.
    pub(crate) fn refuses_length(&self, length: u64, least: u64) -> bool {
        let smaller = length / 4;
        let is_worth_another = smaller >= least;
        if is_worth_another {
            self.max_body.fetch_min(smaller, Ordering::Relaxed);
        }
        is_worth_another
    }

    pub(crate) fn takes_chunks(&self) -> bool {
        !self.takes_no_chunks.load(Ordering::Relaxed)
    }

    pub(crate) fn refuses_chunks(&self) {
        self.takes_no_chunks.store(true, Ordering::Relaxed);
    }
}

impl Holders {
    /// Returns a repository from which this destination may mount a blob, other than itself.
    pub(crate) fn find(&self, destination: &Destination, blob: &Digest) -> Option<Repository> {
        let known = self.0.lock();
        let holder = known.get(&(destination.account.clone(), blob.clone()))?;
        (holder != destination.client.repository()).then(|| holder.clone())
    }

    pub(crate) fn learn(&self, destination: &Destination, blob: &Digest) {
        let key = (destination.account.clone(), blob.clone());
        self.0.lock().entry(key).or_insert_with(|| destination.client.repository().clone());
    }
}
