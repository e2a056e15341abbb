//! What a copier may use.

use std::time::Duration;

/// What a copier may use. The limits of registries hold besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Items that are copied at a time. Each holds its manifests.
    pub items: usize,
    /// Blobs that are moved at a time.
    pub blobs: usize,
    /// Blobs up to this size are held in memory for as long as they are moved.
    pub held: u64,
    /// Blobs up to this size are sent with one request, larger ones in chunks.
    pub whole: u64,
    /// Bytes of a chunk.
    pub chunk: u64,
    /// How often a blob is tried.
    pub attempts: u32,
    /// The wait before the second try; it doubles with each.
    pub first_wait: Duration,
    /// How long a destination may take nothing of what is sent to it.
    pub patience: Duration,
    /// Bytes of all manifests of one item.
    pub max_manifest_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            items: 24,
            blobs: 16,
            held: 256 << 10,
            whole: 32 << 20,
            chunk: 16 << 20,
            attempts: 4,
            first_wait: Duration::from_millis(500),
            patience: Duration::from_mins(1),
            max_manifest_bytes: 8 << 20,
        }
    }
}
