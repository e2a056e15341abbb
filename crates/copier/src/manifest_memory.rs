//! How many bytes of manifests are held at a time, whatever sources send.

use std::sync::atomic::{AtomicUsize, Ordering};

use imgop_registry::reference::Digest;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use crate::error::CopyError;

/// Bytes of manifests that each content may hold. Of those with more one at a time is copied.
const FREE_BYTES: usize = 512 << 10;
/// Bytes of one manifest that is read without that right. The usual ones have a few KiB.
pub(crate) const SMALL_BYTES: usize = 128 << 10;

/// What one content holds of manifests.
#[derive(Debug)]
pub(crate) struct ManifestMemory<'c> {
    root: Digest,
    max_bytes: usize,
    bytes: AtomicUsize,
    large_contents: &'c Semaphore,
    permit: OnceCell<Option<SemaphorePermit<'c>>>,
}

impl<'c> ManifestMemory<'c> {
    pub(crate) fn new(root: Digest, max_bytes: usize, large_contents: &'c Semaphore) -> Self {
        Self { root, max_bytes, bytes: AtomicUsize::new(0), large_contents, permit: OnceCell::new() }
    }

    /// Begins to count anew: only the root is held.
    pub(crate) fn begin(&self, root_bytes: usize) {
        self.bytes.store(root_bytes, Ordering::Relaxed);
    }

    /// Counts a manifest that was read. It waits for the permit where the content has many of them by now: whoever waits
    /// holds little, and nothing that others wait for.
    pub(crate) async fn add(&self, bytes: usize) -> Result<(), CopyError> {
        let all = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if all > self.max_bytes {
            return Err(self.too_much());
        }
        if all > FREE_BYTES {
            self.acquire().await;
        }
        Ok(())
    }

    pub(crate) fn too_much(&self) -> CopyError {
        CopyError::TooMuch(self.root.clone(), self.max_bytes)
    }

    /// Whether it may hold as many as a content may have.
    pub(crate) fn has_permit(&self) -> bool {
        self.permit.initialized()
    }

    /// Waits for the permit to do so.
    pub(crate) async fn acquire(&self) {
        // The semaphore is never closed.
        self.permit.get_or_init(|| async { self.large_contents.acquire().await.ok() }).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn of_contents_with_many_bytes_one_is_held_and_none_more_than_a_content_may_have() {
        let large = Semaphore::new(1);
        let memory = || ManifestMemory::new(Digest::of(b"root"), 8 * FREE_BYTES, &large);
        let (first, second, small) = (memory(), memory(), memory());
        first.add(FREE_BYTES + 1).await.unwrap();
        assert!(first.has_permit());
        assert!(second.add(FREE_BYTES + 1).now_or_never().is_none(), "it waits");
        small.add(FREE_BYTES).await.unwrap();
        assert!(!small.has_permit());
        let error = first.add(8 * FREE_BYTES).await.unwrap_err();
        assert!(matches!(error, CopyError::TooMuch(..)), "{error}");
        drop(first);
        second.add(0).await.unwrap();
        assert!(second.has_permit());
        second.begin(0);
        second.add(8 * FREE_BYTES).await.unwrap();
    }
}
