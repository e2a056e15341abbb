//! The creation times of manifests, by digest.

use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::account::Account;
use crate::cache::{Bounded, NO_EXPIRY};
use crate::reference::Digest;

/// Digests whose times are remembered, and as many failures.
const MAX_ENTRIES: usize = 4096;
/// How long an account does not request again what it could not read.
const FAILURE_TTL: Duration = Duration::from_hours(1);

/// Content never changes, so each manifest is read once in a process, whoever needs it. A failure says
/// nothing of the content, but of the registry or the credential, and is remembered for those alone.
#[derive(Debug)]
pub(super) struct CreatedCache {
    times: Mutex<Bounded<Digest, Created>>,
    failures: Mutex<Bounded<(Account, Digest), ()>>,
}

/// What a manifest says of its time; `None` if it says nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Created(pub(super) Option<Timestamp>);

impl Default for CreatedCache {
    fn default() -> Self {
        Self { times: Mutex::new(Bounded::new(MAX_ENTRIES)), failures: Mutex::new(Bounded::new(MAX_ENTRIES)) }
    }
}

impl CreatedCache {
    /// Returns what a manifest says, if it has been read.
    pub(super) fn get(&self, digest: &Digest) -> Option<Created> {
        self.times.lock().get(digest).copied()
    }

    pub(super) fn insert(&self, digest: &Digest, created: Option<Timestamp>) {
        self.times.lock().insert(digest.clone(), Created(created), NO_EXPIRY);
    }

    pub(super) fn remove(&self, digests: &[Digest]) {
        let mut times = self.times.lock();
        for digest in digests {
            times.remove(digest);
        }
    }

    pub(super) fn has_failed(&self, account: Account, digest: &Digest) -> bool {
        self.failures.lock().get(&(account, digest.clone())).is_some()
    }

    pub(super) fn record_failure(&self, account: Account, digest: &Digest) {
        self.failures.lock().insert((account, digest.clone()), (), FAILURE_TTL);
    }
}
