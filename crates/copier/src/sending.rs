//! Sends one blob to those destinations that lack it, and reads it once for all of them.

use std::io;

use bytes::Bytes;
use futures::future::join_all;
use futures::{Stream, StreamExt as _};
use imgop_registry::{BlobDescriptor, Content, ContentStream, Upload};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::blob_reader::{BlobReader, wait};
use crate::chunked::{Parts, Pieces};
use crate::copier::Copier;
use crate::destination::{Destination, DestinationId};
use crate::error::CopyError;

/// Pieces that wait for a destination; each has up to some hundred KiB.
const PIECES: usize = 2;

/// A destination that a blob is sent to, and the upload that it has begun.
pub(crate) struct Sending {
    pub(crate) to: DestinationId,
    pub(crate) upload: Option<Upload>,
}

/// How one try ended.
struct Tried {
    to: DestinationId,
    outcome: Result<(), Box<Broken>>,
}

/// What is left of a try that failed.
struct Broken {
    error: CopyError,
    /// An upload in chunks may go on.
    upload: Option<Upload>,
}

impl Broken {
    fn new(error: impl Into<CopyError>, upload: Option<Upload>) -> Box<Self> {
        Box::new(Self { error: error.into(), upload })
    }
}

impl Copier {
    /// Sends a blob to all of these. Returns what became of each.
    pub(crate) async fn send(
        &self,
        reader: &mut BlobReader<'_>,
        blob: &BlobDescriptor,
        to: Vec<Sending>,
    ) -> Vec<(DestinationId, Result<(), CopyError>)> {
        if blob.size <= self.options.held {
            return self.send_held(reader, blob, to).await;
        }
        // Several of them can only begin at the beginning.
        let alone = to.len() == 1;
        let (mut begun, mut ended) = (Vec::new(), Vec::new());
        for Sending { to, upload } in to {
            let upload = upload.filter(|upload| alone || upload.position() == 0);
            let upload = match upload {
                Some(upload) => Ok(upload),
                None => self.at(to).client.begin_upload(&blob.digest).await.map_err(CopyError::from),
            };
            match upload {
                Ok(upload) => begun.push((to, upload)),
                Err(error) => ended.push((to, Err(error))),
            }
        }
        let tried = self.try_all(reader, blob, begun).await;
        for Tried { to, outcome } in tried {
            let outcome = match outcome {
                Ok(()) => Ok(()),
                Err(broken) => self.send_again(reader, blob, to, *broken).await,
            };
            ended.push((to, outcome));
        }
        ended
    }

    /// Sends a blob that is small enough to be held.
    async fn send_held(
        &self,
        reader: &mut BlobReader<'_>,
        blob: &BlobDescriptor,
        to: Vec<Sending>,
    ) -> Vec<(DestinationId, Result<(), CopyError>)> {
        let bytes = match self.read_held(reader).await {
            Ok(bytes) => bytes,
            Err(error) => return to.into_iter().map(|sending| (sending.to, Err(error.clone()))).collect(),
        };
        let sent = to.into_iter().map(|sending| {
            let bytes = bytes.clone();
            async move { (sending.to, self.put_held(blob, sending, bytes).await) }
        });
        join_all(sent).await
    }

    async fn read_held(&self, reader: &mut BlobReader<'_>) -> Result<Bytes, CopyError> {
        let mut failures = 0;
        loop {
            match reader.all().await {
                Err(error) if error.is_worth_another() && failures + 1 < self.options.attempts => {
                    failures += 1;
                    reader.restart();
                    sleep(wait(self.options.first_wait, failures)).await;
                }
                ended => return ended,
            }
        }
    }

    async fn put_held(
        &self,
        blob: &BlobDescriptor,
        Sending { to, mut upload }: Sending,
        bytes: Bytes,
    ) -> Result<(), CopyError> {
        let client = &self.at(to).client;
        let mut failures = 0;
        loop {
            let sent = async {
                let upload = match upload.take().filter(|upload| upload.position() == 0) {
                    Some(upload) => upload,
                    None => client.begin_upload(&blob.digest).await?,
                };
                client.finish_upload(&upload, &blob.digest, Content::Bytes(bytes.clone())).await
            };
            let error = match sent.await {
                Ok(()) => {
                    self.progress.sent(bytes.len());
                    return Ok(());
                }
                Err(error) => CopyError::from(error),
            };
            failures += 1;
            if !error.is_worth_another() || failures >= self.options.attempts {
                return Err(error);
            }
            sleep(wait(self.options.first_wait, failures)).await;
        }
    }

    /// Tries one destination again after a failure, from where it left off if it knows that.
    async fn send_again(
        &self,
        reader: &mut BlobReader<'_>,
        blob: &BlobDescriptor,
        to: DestinationId,
        broken: Broken,
    ) -> Result<(), CopyError> {
        let Broken { mut error, mut upload } = broken;
        let client = &self.at(to).client;
        for failures in 1..self.options.attempts {
            if !error.is_worth_another() {
                break;
            }
            sleep(wait(self.options.first_wait, failures)).await;
            if matches!(error, CopyError::Content { .. }) {
                reader.restart();
                self.give_up(to, blob, upload.take()).await;
            }
            let begun = match self.resumed(to, blob, upload.take()).await {
                Some(upload) => Ok(upload),
                None => client.begin_upload(&blob.digest).await,
            };
            let begun = match begun {
                Ok(begun) => begun,
                Err(failed) => {
                    error = failed.into();
                    continue;
                }
            };
            match self.try_all(reader, blob, vec![(to, begun)]).await.pop() {
                Some(Tried { outcome: Err(broken), .. }) => (error, upload) = (broken.error, broken.upload),
                _ => return Ok(()),
            }
        }
        // A later process goes on with what the journal keeps.
        if !self.journal.is_kept() {
            self.give_up(to, blob, upload).await;
        }
        Err(error)
    }

    /// Ends an upload of which nothing is of use.
    async fn give_up(&self, to: DestinationId, blob: &BlobDescriptor, upload: Option<Upload>) {
        let client = &self.at(to).client;
        if let Some(upload) = upload {
            client.cancel(&upload).await;
            self.journal.forget(client.repository(), &blob.digest);
        }
    }

    /// Returns an upload as far as the registry has got it; `None` if it has to begin anew.
    async fn resumed(
        &self,
        to: DestinationId,
        blob: &BlobDescriptor,
        upload: Option<Upload>,
    ) -> Option<Upload> {
        let upload = upload?;
        let place = upload.place()?;
        let resumed = self.at(to).client.resume_upload(place, &blob.digest).await.ok().flatten();
        let resumed = resumed.filter(|upload| upload.position() <= blob.size);
        if resumed.is_none() {
            self.journal.forget(self.at(to).client.repository(), &blob.digest);
        }
        resumed
    }

    /// Reads the blob once, and hands it to all of these uploads.
    async fn try_all(
        &self,
        reader: &mut BlobReader<'_>,
        blob: &BlobDescriptor,
        uploads: Vec<(DestinationId, Upload)>,
    ) -> Vec<Tried> {
        let Some(position) = uploads.first().map(|(_, upload)| upload.position()) else { return Vec::new() };
        reader.seek(position);
        self.progress.resumed(position);
        let (mut senders, mut receiving) = (Vec::new(), Vec::new());
        for (to, upload) in uploads {
            let (sender, pieces) = mpsc::channel(PIECES);
            senders.push(Some(sender));
            receiving
                .push(async move { Tried { to, outcome: self.receive(to, blob, upload, pieces).await } });
        }
        let (read, mut tried) = futures::join!(self.pump(reader, blob, senders), join_all(receiving));
        if let Err(error) = read {
            // What the uploads say follows from that.
            for one in &mut tried {
                if let Err(broken) = &mut one.outcome {
                    broken.error = error.clone();
                }
            }
        }
        tried
    }

    /// Hands out what is read until it ends, or no destination takes it any more.
    async fn pump(
        &self,
        reader: &mut BlobReader<'_>,
        blob: &BlobDescriptor,
        mut senders: Vec<Option<mpsc::Sender<io::Result<Bytes>>>>,
    ) -> Result<(), CopyError> {
        loop {
            let piece = match reader.next().await {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(()),
                Err(error) => {
                    for sender in senders.iter().flatten() {
                        // Who does not take it has ended already.
                        let _ = sender.try_send(Err(io::Error::other(error.to_string())));
                    }
                    return Err(error);
                }
            };
            let mut is_stalled = false;
            for sender in &mut senders {
                let Some(open) = sender else { continue };
                match timeout(self.options.patience, open.send(Ok(piece.clone()))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => *sender = None,
                    Err(_) => (*sender, is_stalled) = (None, true),
                }
            }
            if senders.iter().all(Option::is_none) {
                return if is_stalled { Err(CopyError::Stalled(blob.digest.clone())) } else { Ok(()) };
            }
        }
    }

    /// Sends what comes to one destination.
    async fn receive(
        &self,
        to: DestinationId,
        blob: &BlobDescriptor,
        upload: Upload,
        pieces: Pieces,
    ) -> Result<(), Box<Broken>> {
        let destination = self.at(to);
        let parts = Parts::new(pieces);
        let is_in_chunks =
            upload.position() > 0 || blob.size > self.options.whole && destination.takes_chunks();
        if is_in_chunks {
            return self.receive_in_chunks(destination, blob, upload, &parts).await;
        }
        let content = self.counted(blob.size, parts.take(blob.size));
        let sent = destination.client.finish_upload(&upload, &blob.digest, content).await;
        sent.map_err(|error| Broken::new(error, None))
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
                return Err(Broken::new(ended, Some(upload)));
            }
            let chunk = self.options.chunk.max(upload.min_chunk());
            let length = chunk.min(blob.size - upload.position());
            let end = upload.position() + length;
            let content = self.counted(length, parts.take(length));
            upload = match client.append_chunk(&upload, digest, content, length).await {
                Ok(upload) => upload,
                Err(error) => {
                    let refuses = matches!(error.status(), Some(400 | 404 | 405 | 411 | 413 | 415 | 501));
                    if refuses && upload.position() == 0 {
                        destination.refuses_chunks();
                        client.cancel(&upload).await;
                        // Another try is worth it: it is made without chunks.
                        let lost = CopyError::Lost { digest: digest.clone(), found: 0, sent: length };
                        return Err(Broken::new(lost, None));
                    }
                    return Err(Broken::new(error, Some(upload)));
                }
            };
            self.journal.record(client.repository(), digest, &upload, Timestamp::now());
            if upload.position() != end {
                let lost = CopyError::Lost { digest: digest.clone(), found: upload.position(), sent: end };
                return Err(Broken::new(lost, Some(upload)));
            }
        }
        let ended = client.finish_upload(&upload, digest, Content::Bytes(Bytes::new())).await;
        // Whatever it says of the whole, these chunks are of no use any more.
        self.journal.forget(client.repository(), digest);
        ended.map_err(|error| Broken::new(error, None))
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
