//! Blobs that are read piece by piece, from any place on.

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, HeaderMap, HeaderValue};

use super::repository_client::{MAX_OTHER_BYTES, RepositoryClient};
use crate::auth::Actions;
use crate::error::{Failure, Operation, RegistryError};
use crate::reference::Digest;
use crate::text::authority;
use crate::transport::{Download, DownloadRequest, DownloadSlot, Request, time_for};

/// What comes of a blob. Its digest is for the reader to check.
#[derive(Debug)]
pub struct BlobStream {
    client: RepositoryClient,
    digest: Digest,
    host: String,
    download: Download,
    offset: u64,
    length: Option<u64>,
}

impl RepositoryClient {
    /// Begins to read a blob of `size` bytes at this offset. `slot` is that of an earlier stream of the same blob,
    /// which has broken off.
    ///
    /// The registry may redirect to another host, as for every blob: that host receives no credential.
    ///
    /// # Errors
    /// Where the registry does not send it. One that sends it from its beginning does: see [`BlobStream::offset`].
    pub async fn read_blob(
        &self,
        digest: &Digest,
        offset: u64,
        size: u64,
        slot: Option<DownloadSlot>,
    ) -> Result<BlobStream, RegistryError> {
        let read = self.open_blob(digest, offset, size, slot).await;
        read.map_err(|failure| self.error(Operation::ReadBlob(digest.clone()), failure))
    }

    async fn open_blob(
        &self,
        digest: &Digest,
        offset: u64,
        size: u64,
        slot: Option<DownloadSlot>,
    ) -> Result<BlobStream, Failure> {
        let mut request = Request::get(self.url(&format!("blobs/{digest}"))?, MAX_OTHER_BYTES);
        request.may_leave_host = true;
        request.download = Some(DownloadRequest { extra_time: time_for(size.saturating_sub(offset)), slot });
        if offset > 0 {
            // With its end: some registries refuse an open range.
            let range = format!("bytes={offset}-{}", size.saturating_sub(1));
            request.range = HeaderValue::from_str(&range).ok();
        }
        let response = self.send(request, Actions::Pull).await?;
        let starts_at = match response.status {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT => first_byte(&response.headers)
                .ok_or_else(|| Failure::protocol("a part of a blob without its place"))?,
            _ => return Err(self.error_of(&response)),
        };
        if starts_at > offset {
            return Err(Failure::protocol("the registry sends another part of a blob than it was asked for"));
        }
        let host = authority(&response.url);
        let download = response.download.ok_or_else(|| Failure::protocol("a blob without bytes"))?;
        let length = download.response.content_length();
        let (client, digest) = (self.clone(), digest.clone());
        Ok(BlobStream { client, digest, host, download, offset: starts_at, length })
    }
}

impl BlobStream {
    /// Returns where it begins: at the offset that was asked for, or at 0.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns how many bytes come, if the registry says so.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Returns the right to read, for another stream of the same blob.
    pub fn slot(&self) -> DownloadSlot {
        self.download.slot.clone()
    }

    /// Returns the next bytes; `None` at the end.
    ///
    /// # Errors
    /// Where the connection breaks, or nothing comes for a while.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, RegistryError> {
        self.download.response.chunk().await.map_err(|error| {
            let failure = crate::transport::interrupted(&self.host, &error);
            self.client.error(Operation::ReadBlob(self.digest.clone()), failure)
        })
    }
}

/// Returns the first byte of `Content-Range: bytes 5-9/10`.
fn first_byte(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?.trim().strip_prefix("bytes")?;
    range.trim_start().split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_part_is_read() {
        let first = |range: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_RANGE, range.parse().unwrap());
            first_byte(&headers)
        };
        assert_eq!([first("bytes 5-9/10"), first("bytes 0-9/*")], [Some(5), Some(0)]);
        assert_eq!([first("bytes */10"), first("5-9/10"), first("")], [None; 3]);
    }
}
