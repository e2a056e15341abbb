//! Manifests that were read instead of looked up, because they are going to be copied.

use std::sync::Arc;

use imgop_registry::Manifest;
use imgop_registry::cache::{Bounded, NO_EXPIRY};
use imgop_registry::reference::Digest;
use parking_lot::Mutex;

/// Bytes of all manifests that are kept. What is not is read again.
const MAX_BYTES: usize = 16 << 20;

/// Manifests of tags that the destination's list does not have. Whoever copies at once needs them anyway, so that a
/// GET in the place of the HEAD saves a request a tag, and costs no other pull.
#[derive(Debug, Clone)]
pub struct ReadAhead(Arc<Mutex<Bounded<Digest, Manifest>>>);

impl Default for ReadAhead {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Bounded::new(MAX_BYTES))))
    }
}

impl ReadAhead {
    /// Returns a manifest that was read.
    pub fn get(&self, digest: &Digest) -> Option<Manifest> {
        self.0.lock().get(digest).cloned()
    }

    pub(super) fn keep(&self, manifest: Manifest) {
        let weight = manifest.bytes.len();
        self.0.lock().insert_weighted(manifest.digest.clone(), manifest, NO_EXPIRY, weight);
    }
}
