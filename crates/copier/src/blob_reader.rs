//! Reads one blob: from any place on, again after a break, its digest checked while it flows.

use std::time::Duration;

use bytes::Bytes;
use imgop_registry::reference::Digest;
use imgop_registry::{BlobDescriptor, BlobStream, DownloadSlot, RepositoryClient};
use sha2::{Digest as _, Sha256};

use crate::error::CopyError;
use crate::options::Options;
use crate::progress::Progress;
use crate::tries::wait;

/// How often a source may break off within one blob without having sent this much since.
const MAX_BREAKS: u32 = 5;
const PROGRESS_BYTES: u64 = 1 << 20;

/// One blob that is read.
///
/// The last bytes are handed out only once the digest of all is known to be right: what is wrong never arrives as a
/// whole.
#[derive(Debug)]
pub(crate) struct BlobReader<'a> {
    client: &'a RepositoryClient,
    blob: &'a BlobDescriptor,
    first_wait: Duration,
    progress: &'a Progress,
    position: u64,
    stream: Option<BlobStream>,
    slot: Option<DownloadSlot>,
    /// Bytes of the stream before `position`, which are not wanted.
    surplus: u64,
    /// Over the first bytes of the blob; none if it was begun further on. The destination checks it then.
    hash: Option<Sha256>,
    hashed: u64,
    breaks: u32,
    unbroken_since: u64,
}

impl<'a> BlobReader<'a> {
    pub(crate) fn new(
        client: &'a RepositoryClient,
        blob: &'a BlobDescriptor,
        options: &Options,
        progress: &'a Progress,
    ) -> Self {
        Self {
            client,
            blob,
            first_wait: options.first_wait,
            progress,
            position: 0,
            stream: None,
            slot: None,
            surplus: 0,
            hash: Some(Sha256::new()),
            hashed: 0,
            breaks: 0,
            unbroken_since: 0,
        }
    }

    /// Goes on at this byte, before or behind where it is.
    pub(crate) fn seek(&mut self, position: u64) {
        if position != self.position {
            self.stream = None;
            self.position = position;
        }
        if position > self.hashed {
            self.hash = None;
        }
        // What is read again as a whole is checked again as a whole.
        if position == 0 && (self.hashed > 0 || self.hash.is_none()) {
            self.restart();
        }
    }

    /// Begins anew, with a new digest.
    pub(crate) fn restart(&mut self) {
        self.stream = None;
        (self.position, self.hashed) = (0, 0);
        self.hash = Some(Sha256::new());
    }

    /// Gives back what it holds of the source, until it is read on.
    pub(crate) fn pause(&mut self) {
        self.stream = None;
        self.slot = None;
    }

    /// Returns the next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, CopyError> {
        if self.blob.size == 0 && self.hashed == 0 {
            self.check()?;
        }
        loop {
            if self.position >= self.blob.size {
                return Ok(None);
            }
            let piece = self.open().await?.piece().await;
            match piece {
                Ok(Some(piece)) => {
                    if let Some(wanted) = self.take(piece)? {
                        return Ok(Some(wanted));
                    }
                }
                Ok(None) => self.broke_off("it ends too early").await?,
                Err(error) if error.is_retryable() => self.broke_off(&error.to_string()).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Returns all bytes. Only for blobs that are small.
    pub(crate) async fn all(&mut self) -> Result<Bytes, CopyError> {
        let mut all = Vec::new();
        while let Some(piece) = self.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all.into())
    }

    async fn open(&mut self) -> Result<&mut BlobStream, CopyError> {
        let stream = if let Some(stream) = self.stream.take() {
            stream
        } else {
            let BlobDescriptor { digest, size, .. } = self.blob;
            let stream = self.client.read_blob(digest, self.position, *size, self.slot.clone()).await?;
            self.surplus = self.position - stream.offset();
            if let Some(length) = stream.length().map(|length| stream.offset() + length)
                && length != *size
            {
                return Err(CopyError::Length { digest: digest.clone(), expected: *size, found: length });
            }
            self.slot = Some(stream.slot());
            stream
        };
        Ok(self.stream.insert(stream))
    }

    /// Takes what came; `None` if nothing of it is wanted.
    fn take(&mut self, mut piece: Bytes) -> Result<Option<Bytes>, CopyError> {
        self.progress.read(piece.len());
        let surplus = usize::try_from(self.surplus).unwrap_or(usize::MAX).min(piece.len());
        let _ = piece.split_to(surplus);
        self.surplus -= surplus as u64;
        if piece.is_empty() {
            return Ok(None);
        }
        let end = self.position + piece.len() as u64;
        if end > self.blob.size {
            let (digest, expected) = (self.blob.digest.clone(), self.blob.size);
            return Err(CopyError::Length { digest, expected, found: end });
        }
        if let Some(hash) = &mut self.hash
            && end > self.hashed
        {
            let known = usize::try_from(self.hashed - self.position).unwrap_or(piece.len());
            hash.update(&piece[known..]);
            self.hashed = end;
        }
        self.position = end;
        if end - self.unbroken_since > PROGRESS_BYTES {
            self.breaks = 0;
        }
        if end == self.blob.size {
            self.check()?;
        }
        Ok(Some(piece))
    }

    /// Fails if all bytes have another digest.
    fn check(&mut self) -> Result<(), CopyError> {
        let Some(hash) = &self.hash else { return Ok(()) };
        let found = format!("sha256:{}", hex::encode(hash.clone().finalize()));
        if found == self.blob.digest.as_str() {
            return Ok(());
        }
        let expected = self.blob.digest.clone();
        // It was made of a digest.
        let found: Digest = found.parse().unwrap_or_else(|_| expected.clone());
        Err(CopyError::Content { expected, found })
    }

    /// Waits until it can go on after a break; fails if it breaks off again and again.
    async fn broke_off(&mut self, last: &str) -> Result<(), CopyError> {
        self.stream = None;
        self.breaks += 1;
        self.unbroken_since = self.position;
        if self.breaks > MAX_BREAKS {
            let (digest, at, breaks) = (self.blob.digest.clone(), self.position, self.breaks);
            return Err(CopyError::BrokenOff { digest, at, breaks, last: last.to_owned() });
        }
        tracing::debug!(blob = %self.blob.digest, at = self.position, %last, "a source broke off; it is read on");
        tokio::time::sleep(wait(self.first_wait, self.breaks)).await;
        Ok(())
    }
}
