//! Manifests that were read instead of looked up, because they are going to be copied.

use std::sync::Arc;
use std::time::Duration;

use imgop_registry::cache::{Bounded, NO_EXPIRY};
use imgop_registry::reference::Digest;
use imgop_registry::{Manifest, RepositoryClient};
use parking_lot::Mutex;

/// Bytes of all manifests that one run keeps.
const MAX_BYTES: usize = 16 << 20;
/// Bytes that a manifest may have which is read ahead. Few have more.
const USUAL_BYTES: usize = 4 << 10;

/// Manifests of tags that the destination does not have. Whoever copies them needs them anyway, so that a GET in the
/// place of the HEAD saves a request a tag. What does not fit is not kept, and read again.
///
/// Each owner sees its own alone: what a registry says that a tag shows is not yet a right to read that content.
#[derive(Debug, Clone)]
pub struct ReadAhead {
    owner: Arc<str>,
    ttl: Duration,
    /// Whether another program reads them once more to copy them, so that each would be two pulls.
    is_read_twice: bool,
    kept: Kept,
}

/// Manifests, by who has read them and by their digests.
type Kept = Arc<Mutex<Bounded<(Arc<str>, Digest), Manifest>>>;

impl Default for ReadAhead {
    /// Returns one for a run that has one owner.
    fn default() -> Self {
        Self::new(MAX_BYTES, NO_EXPIRY)
    }
}

impl ReadAhead {
    /// Returns one that keeps at most `max_bytes` of manifests, each for `ttl`.
    pub fn new(max_bytes: usize, ttl: Duration) -> Self {
        Self {
            owner: Arc::default(),
            ttl,
            is_read_twice: false,
            kept: Arc::new(Mutex::new(Bounded::new(max_bytes))),
        }
    }

    /// Returns what another owner reads ahead whose Jobs read it once more, within the same bounds. Nothing is where that is
    /// known to count as a pull.
    #[must_use]
    pub fn for_jobs_of(&self, owner: &str) -> Self {
        Self { owner: owner.into(), is_read_twice: true, ..self.clone() }
    }

    /// Returns a manifest that was read.
    pub fn get(&self, digest: &Digest) -> Option<Manifest> {
        self.kept.lock().get(&self.key(digest)).cloned()
    }

    /// Forgets manifests that have served.
    pub(super) fn forget<'d>(&self, served: impl Iterator<Item = &'d Digest>) {
        let mut kept = self.kept.lock();
        for digest in served {
            kept.remove(&self.key(digest));
        }
    }

    /// Whether another manifest of this source would be kept, and costs no pull.
    pub(super) fn is_of_use(&self, source: &RepositoryClient) -> bool {
        !(self.is_read_twice && source.counts_pulls()) && self.has_room()
    }

    fn has_room(&self) -> bool {
        self.kept.lock().has_room_for(USUAL_BYTES)
    }

    pub(super) fn keep(&self, manifest: Manifest) {
        let (key, weight) = (self.key(&manifest.digest), manifest.bytes.len());
        let mut kept = self.kept.lock();
        if kept.has_room_for(weight) {
            kept.insert_weighted(key, manifest, self.ttl, weight);
        }
    }

    fn key(&self, digest: &Digest) -> (Arc<str>, Digest) {
        (self.owner.clone(), digest.clone())
    }
}

#[cfg(test)]
mod tests {
    use imgop_fakes::IMAGE;

    use super::*;

    fn manifest(bytes: usize) -> Manifest {
        Manifest::new(IMAGE, "m".repeat(bytes).into())
    }

    #[test]
    fn what_one_owner_has_read_another_one_does_not_see() {
        let all = ReadAhead::new(100, NO_EXPIRY);
        let (one, other) = (all.for_jobs_of("one"), all.for_jobs_of("other"));
        one.keep(manifest(10));
        assert_eq!(one.get(&manifest(10).digest), Some(manifest(10)));
        assert_eq!(other.get(&manifest(10).digest), None);
    }

    #[test]
    fn what_does_not_fit_pushes_nothing_out() {
        let kept = ReadAhead::new(USUAL_BYTES, NO_EXPIRY);
        assert!(kept.has_room());
        kept.keep(manifest(10));
        kept.for_jobs_of("other").keep(manifest(USUAL_BYTES));
        assert!(!kept.has_room() && kept.get(&manifest(10).digest).is_some());
        kept.forget([manifest(10).digest].iter());
        assert!(kept.has_room() && kept.get(&manifest(10).digest).is_none());
    }
}
