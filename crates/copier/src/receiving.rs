//! Sends what comes of a blob to one destination: as a whole, or in chunks.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use imgop_registry::{BlobDescriptor, Content, ContentStream, Upload};
use jiff::Timestamp;
use tokio::time::timeout;

use crate::chunked::Parts;
use crate::copier::Copier;
use crate::destination::{Destination, DestinationId};
use crate::error::CopyError;

/// How long a destination that takes nothing has to end the upload. Otherwise it drops it some day. What is asked of it
/// next, when the blob is tried again, has the client's timeouts: then others of the blob wait for that long.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(3);

/// What is left of a try that failed.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) error: CopyError,
    pub(crate) left: Left,
    /// Whether the destination may have the blob nevertheless: it was sent all, and gave no clear answer.
    pub(crate) may_be_there: bool,
    /// Whether the destination wants it in another form, which the next try has.
    pub(crate) is_adapted: bool,
}

/// What is left of an upload that failed.
#[derive(Debug)]
pub(crate) enum Left {
    Nothing,
    /// An upload of which nothing was sent.
    Unsent(Upload),
    /// An upload that has got some of it, which the registry has to be asked for.
    Partly(Upload),
}

impl Broken {
    pub(crate) fn new(error: impl Into<CopyError>, left: Left) -> Box<Self> {
        Box::new(Self { error: error.into(), left, may_be_there: false, is_adapted: false })
    }

    fn adapted(error: CopyError, left: Left, is_adapted: bool) -> Box<Self> {
        Box::new(Self { error, left, may_be_there: false, is_adapted })
    }
}

impl Left {
    pub(crate) fn of(upload: Upload) -> Self {
        if upload.position() == 0 { Self::Unsent(upload) } else { Self::Partly(upload) }
    }

    pub(crate) fn upload(self) -> Option<Upload> {
        match self {
            Self::Nothing => None,
            Self::Unsent(upload) | Self::Partly(upload) => Some(upload),
        }
    }
}

impl Copier {
    /// Sends what comes to one destination. No request is begun before there is something to send with it: it would hold
    /// a place at the destination, and those who have something might wait for that.
    pub(crate) async fn receive(
        &self,
        to: DestinationId,
        blob: &BlobDescriptor,
        upload: Upload,
        parts: Parts,
    ) -> Result<(), Box<Broken>> {
        let destination = self.at(to);
        let whole = self.options.whole.min(destination.max_body());
        let is_in_chunks = upload.position() > 0 || blob.size > whole && destination.takes_chunks();
        if is_in_chunks {
            return self.receive_in_chunks(destination, blob, upload, &parts).await;
        }
        if parts.ready().await.is_err() {
            return Err(Broken::new(CopyError::Stalled(blob.digest.clone()), Left::of(upload)));
        }
        let content = self.counted(blob.size, parts.take(blob.size));
        let sent = tokio::select! {
            sent = destination.client.finish_upload(&upload, &blob.digest, content) => sent,
            () = parts.given_up() => {
                // Whoever takes nothing may not answer either, and the end of an upload is not worth a wait of all.
                let _ = timeout(CANCEL_TIMEOUT, destination.client.cancel(&upload)).await;
                return Err(Broken::new(CopyError::Stalled(blob.digest.clone()), Left::Nothing));
            }
        };
        sent.map_err(|error| {
            let error = CopyError::from(error);
            let is_adapted = error.status() == Some(413)
                && destination.takes_chunks()
                && destination.refuses_length(blob.size, self.least_chunk());
            // It has ended at the registry otherwise.
            let left = if error.asked_pause().is_some() { Left::of(upload) } else { Left::Nothing };
            Box::new(Broken { may_be_there: error.is_unclear(), is_adapted, left, error })
        })
    }

    async fn receive_in_chunks(
        &self,
        destination: &Destination,
        blob: &BlobDescriptor,
        mut upload: Upload,
        parts: &Parts,
    ) -> Result<(), Box<Broken>> {
        let (client, digest) = (&destination.client, &blob.digest);
        while upload.position() < blob.size {
            if let Err(ended) = self.goes_on() {
                return Err(Broken::new(ended, Left::of(upload)));
            }
            if parts.ready().await.is_err() {
                return Err(Broken::new(CopyError::Stalled(digest.clone()), Left::of(upload)));
            }
            let chunk = self.options.chunk.min(destination.max_body()).max(upload.min_chunk());
            let length = chunk.min(blob.size - upload.position());
            let end = upload.position() + length;
            let content = self.counted(length, parts.take(length));
            let appended = tokio::select! {
                appended = client.append_chunk(&upload, digest, content, length) => appended,
                () = parts.given_up() => {
                    return Err(Broken::new(CopyError::Stalled(digest.clone()), Left::Partly(upload)));
                }
            };
            upload = match appended {
                Ok(upload) => upload,
                Err(error) => {
                    return Err(self.refused_chunk(destination, error.into(), upload, length).await);
                }
            };
            self.journal.record(client.repository(), digest, &upload, Timestamp::now());
            if upload.position() != end {
                let lost = CopyError::Lost { digest: digest.clone(), found: upload.position(), sent: end };
                return Err(Broken::new(lost, Left::Partly(upload)));
            }
        }
        let ended = client.finish_upload(&upload, digest, Content::Bytes(Bytes::new())).await;
        let error = match ended {
            Ok(()) => {
                self.journal.forget(client.repository(), digest);
                return Ok(());
            }
            Err(error) => CopyError::from(error),
        };
        let may_be_there = error.is_unclear();
        let left = if error.is_of_lost_upload() {
            self.journal.forget(client.repository(), digest);
            Left::Nothing
        } else {
            Left::Partly(upload)
        };
        Err(Box::new(Broken { error, left, may_be_there, is_adapted: false }))
    }

    /// Finds out whether the destination takes smaller chunks than this one, or none at all.
    async fn refused_chunk(
        &self,
        destination: &Destination,
        error: CopyError,
        upload: Upload,
        length: u64,
    ) -> Box<Broken> {
        match error.status() {
            Some(405 | 411 | 415 | 501) if upload.position() == 0 => {
                destination.refuses_chunks();
                destination.client.cancel(&upload).await;
                Broken::adapted(error, Left::Nothing, true)
            }
            Some(413) => {
                let least = self.least_chunk().max(upload.min_chunk());
                let is_adapted = destination.refuses_length(length, least);
                Broken::adapted(error, Left::Partly(upload), is_adapted)
            }
            _ => Broken::new(error, Left::Partly(upload)),
        }
    }

    /// Returns the size of chunks of which smaller ones are not tried.
    fn least_chunk(&self) -> u64 {
        (self.options.chunk / 64).max(1)
    }

    /// Returns a content that counts what is sent of it.
    fn counted(&self, length: u64, bytes: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Content {
        let progress = self.progress.clone();
        let counted = bytes.inspect(move |piece| {
            if let Ok(piece) = piece {
                progress.sent(piece.len());
            }
        });
        Content::Stream(ContentStream::new(length, counted))
    }
}
