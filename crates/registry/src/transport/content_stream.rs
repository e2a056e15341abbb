//! What is sent while it comes from elsewhere.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{BoxStream, Stream, StreamExt as _};
use parking_lot::Mutex;

/// Bytes of a known number that are sent as they come. Nothing of them is kept, so they are sent once.
#[derive(Clone)]
pub struct ContentStream {
    length: u64,
    bytes: Arc<Mutex<Option<ByteStream>>>,
}

/// What was to be sent did not come.
#[derive(Debug, thiserror::Error)]
#[error("what was being sent broke off: {0}")]
pub(super) struct BrokenOff(String);

type ByteStream = BoxStream<'static, io::Result<Bytes>>;

impl ContentStream {
    /// Returns what `bytes` yields, which are `length` bytes. An error in it breaks the request off, which says nothing
    /// of the host that it was sent to.
    pub fn new(length: u64, bytes: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        let bytes = bytes.map(|piece| piece.map_err(|error| io::Error::other(BrokenOff(error.to_string()))));
        Self { length, bytes: Arc::new(Mutex::new(Some(bytes.boxed()))) }
    }

    /// Returns how many bytes are sent.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Returns the bytes; `None` if they were taken before.
    pub(super) fn take(&self) -> Option<ByteStream> {
        self.bytes.lock().take()
    }
}

impl fmt::Debug for ContentStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentStream").field("length", &self.length).finish_non_exhaustive()
    }
}
