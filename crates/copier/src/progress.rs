//! What has been done so far, for whoever watches.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what a copier has done so far.
#[derive(Debug, Default)]
pub struct Progress {
    read: AtomicU64,
    sent: AtomicU64,
    resumed: AtomicU64,
    sent_blobs: AtomicU64,
    mounted_blobs: AtomicU64,
}

impl Progress {
    /// Returns the bytes of blobs that the sources have sent.
    pub fn read_bytes(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Returns the bytes of blobs that were sent to destinations.
    pub fn sent_bytes(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Returns the bytes that destinations had of uploads that broke off, and that were not sent again.
    pub fn resumed_bytes(&self) -> u64 {
        self.resumed.load(Ordering::Relaxed)
    }

    /// Returns how many blobs were sent.
    pub fn sent_blobs(&self) -> u64 {
        self.sent_blobs.load(Ordering::Relaxed)
    }

    /// Returns how many blobs a registry had in another repository.
    pub fn mounted_blobs(&self) -> u64 {
        self.mounted_blobs.load(Ordering::Relaxed)
    }

    pub(crate) fn read(&self, bytes: usize) {
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn resumed(&self, bytes: u64) {
        self.resumed.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn sent_blob(&self) {
        self.sent_blobs.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn mounted_blob(&self) {
        self.mounted_blobs.fetch_add(1, Ordering::Relaxed);
    }
}
