//! Sends one blob to those destinations that lack it, and reads it once for all of them.

use std::io;

use bytes::Bytes;
use futures::future::join_all;
use imgop_registry::{BlobDescriptor, Content, RegistryError, Upload};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::blob_reader::BlobReader;
use crate::chunked::{Parts, Wants};
use crate::copier::Copier;
use crate::destination::DestinationId;
use crate::error::CopyError;
use crate::receiving::{Broken, Left};
use crate::tries::Tries;

/// Bytes of a piece that is handed to a destination, at most.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces that wait for a destination.
const PIECES: usize = 2;

/// The destinations of a blob that take what is read of it: none where one has ended.
type Senders = Vec<Option<(mpsc::Sender<io::Result<Bytes>>, Wants)>>;

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
        let (mut begun, mut tried) = (Vec::new(), Vec::new());
        for Sending { to, upload } in to {
            let upload = upload.filter(|upload| alone || upload.position() == 0);
            let upload = match upload {
                Some(upload) => Ok(upload),
                None => self.at(to).client.begin_upload(&blob.digest).await.map_err(CopyError::from),
            };
            match upload {
                Ok(upload) => begun.push((to, upload)),
                Err(error) => tried.push(Tried { to, outcome: Err(Broken::new(error, Left::Nothing)) }),
            }
        }
        tried.extend(self.try_all(reader, blob, begun).await);
        let mut ended = Vec::new();
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
        // A destination may let it wait for long, and others may read meanwhile.
        reader.pause();
        let sent = to.into_iter().map(|sending| {
            let bytes = bytes.clone();
            async move { (sending.to, self.put_held(blob, sending, bytes).await) }
        });
        join_all(sent).await
    }

    async fn read_held(&self, reader: &mut BlobReader<'_>) -> Result<Bytes, CopyError> {
        let mut tries = Tries::default();
        loop {
            let error = match reader.all().await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => error,
            };
            let Some(wait) = tries.wait_after(&error, &self.options) else { return Err(error) };
            reader.restart();
            reader.pause();
            sleep(wait).await;
        }
    }

    async fn put_held(
        &self,
        blob: &BlobDescriptor,
        Sending { to, upload }: Sending,
        bytes: Bytes,
    ) -> Result<(), CopyError> {
        let client = &self.at(to).client;
        let mut tries = Tries::default();
        let mut begun = upload.filter(|upload| upload.position() == 0);
        loop {
            let sent = async {
                let upload = match begun.take() {
                    Some(upload) => upload,
                    None => client.begin_upload(&blob.digest).await?,
                };
                let sent = client.finish_upload(&upload, &blob.digest, Content::Bytes(bytes.clone())).await;
                begun = Some(upload);
                sent
            };
            let error = match sent.await {
                Ok(()) => {
                    self.progress.sent(bytes.len());
                    return Ok(());
                }
                Err(error) => CopyError::from(error),
            };
            // Otherwise it has ended.
            begun = begun.filter(|_| error.asked_pause().is_some());
            let Some(wait) = tries.wait_after(&error, &self.options) else { return Err(error) };
            sleep(wait).await;
        }
    }

    /// Tries one destination again after a failure, from where it left off if it knows that.
    async fn send_again(
        &self,
        reader: &mut BlobReader<'_>,
        blob: &BlobDescriptor,
        to: DestinationId,
        mut broken: Broken,
    ) -> Result<(), CopyError> {
        let mut tries = Tries::default();
        loop {
            if !std::mem::take(&mut broken.is_adapted) {
                let Some(wait) = tries.wait_after(&broken.error, &self.options) else { break };
                // Others may read meanwhile: they may have the places that this one waits for.
                reader.pause();
                sleep(wait).await;
            }
            if broken.error.is_of_content() {
                reader.restart();
                let left = std::mem::replace(&mut broken.left, Left::Nothing);
                self.give_up(to, blob, left.upload()).await;
            }
            broken = match self.try_again(reader, blob, to, broken).await {
                Ok(()) => return Ok(()),
                Err(broken) => *broken,
            };
        }
        let (client, digest) = (&self.at(to).client, &blob.digest);
        // A later process goes on with what the journal keeps. Who wants no requests, or does not answer, is sent none.
        let is_kept = self.journal.is_kept()
            && !broken.error.is_of_content()
            && self.journal.place(client.repository(), digest).is_some();
        if !is_kept && !broken.error.wants_no_requests(client.repository()) {
            self.give_up(to, blob, broken.left.upload()).await;
        }
        Err(broken.error)
    }

    async fn try_again(
        &self,
        reader: &mut BlobReader<'_>,
        blob: &BlobDescriptor,
        to: DestinationId,
        broken: Broken,
    ) -> Result<(), Box<Broken>> {
        let client = &self.at(to).client;
        let Broken { left, may_be_there, .. } = broken;
        let still = |error: RegistryError, left: Left| {
            Box::new(Broken { error: error.into(), left, may_be_there, is_adapted: false })
        };
        if may_be_there {
            match client.has_blob(&blob.digest).await {
                Ok(true) => {
                    self.journal.forget(client.repository(), &blob.digest);
                    return Ok(());
                }
                Err(error) if error.is_retryable() => return Err(still(error, left)),
                Ok(false) | Err(_) => {}
            }
        }
        let upload = match left {
            Left::Nothing => None,
            Left::Unsent(upload) => Some(upload),
            Left::Partly(upload) => match upload.place() {
                None => None,
                Some(place) => match self.resumed(to, blob, place).await {
                    Ok(resumed) => resumed,
                    Err(error) => return Err(still(error, Left::Partly(upload))),
                },
            },
        };
        let upload = match upload {
            Some(upload) => upload,
            None => client.begin_upload(&blob.digest).await.map_err(|error| still(error, Left::Nothing))?,
        };
        match self.try_all(reader, blob, vec![(to, upload)]).await.pop() {
            Some(Tried { outcome: Err(broken), .. }) => Err(broken),
            _ => Ok(()),
        }
    }

    /// Ends an upload of which nothing is of use.
    async fn give_up(&self, to: DestinationId, blob: &BlobDescriptor, upload: Option<Upload>) {
        let client = &self.at(to).client;
        if let Some(upload) = upload {
            client.cancel(&upload).await;
            self.journal.forget(client.repository(), &blob.digest);
        }
    }

    /// Returns an upload as far as the registry has got it; `None` if it has to begin anew. An error says nothing of it,
    /// and it stays remembered.
    async fn resumed(
        &self,
        to: DestinationId,
        blob: &BlobDescriptor,
        place: &str,
    ) -> Result<Option<Upload>, RegistryError> {
        let client = &self.at(to).client;
        let resumed = match client.resume_upload(place, &blob.digest).await {
            Err(error) if error.is_retryable() => return Err(error),
            resumed => resumed.ok().flatten().filter(|upload| upload.position() <= blob.size),
        };
        if resumed.is_none() {
            self.journal.forget(client.repository(), &blob.digest);
        }
        Ok(resumed)
    }

    /// The same for an upload of an earlier process, tried as often as a blob.
    pub(crate) async fn resumed_of_journal(
        &self,
        to: DestinationId,
        blob: &BlobDescriptor,
    ) -> Result<Option<Upload>, CopyError> {
        let place = self.journal.place(self.at(to).client.repository(), &blob.digest);
        let Some(place) = place.filter(|_| blob.size > self.options.whole) else { return Ok(None) };
        let mut tries = Tries::default();
        loop {
            let error = match self.resumed(to, blob, &place).await {
                Ok(resumed) => return Ok(resumed),
                Err(error) => CopyError::from(error),
            };
            let Some(wait) = tries.wait_after(&error, &self.options) else { return Err(error) };
            sleep(wait).await;
        }
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
            let parts = Parts::new(pieces);
            senders.push(Some((sender, parts.wants())));
            receiving.push(async move { Tried { to, outcome: self.receive(to, blob, upload, parts).await } });
        }
        let (read, mut tried) = futures::join!(self.pump(reader, blob, senders), join_all(receiving));
        if let Err(error) = read {
            // What the uploads say follows from that.
            for one in &mut tried {
                if let Err(broken) = &mut one.outcome {
                    broken.error = error.clone();
                    broken.may_be_there = false;
                    broken.is_adapted = false;
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
        mut senders: Senders,
    ) -> Result<(), CopyError> {
        loop {
            let read = match reader.next().await {
                Ok(Some(read)) => read,
                Ok(None) => return Ok(()),
                Err(error) => {
                    for (sender, _) in senders.iter().flatten() {
                        // Who does not take it has ended already.
                        let _ = sender.try_send(Err(io::Error::other(error.to_string())));
                    }
                    return Err(error);
                }
            };
            // Copies: what waits for a destination keeps none of the buffer that it was read into, which may be larger.
            for piece in read.chunks(PIECE_BYTES).map(Bytes::copy_from_slice) {
                let is_stalled = self.hand_out(&piece, &mut senders).await;
                if senders.iter().all(Option::is_none) {
                    return if is_stalled { Err(CopyError::Stalled(blob.digest.clone())) } else { Ok(()) };
                }
            }
        }
    }

    /// Gives a piece to all that still take it. Returns whether one of them has taken none for too long.
    async fn hand_out(&self, piece: &Bytes, senders: &mut Senders) -> bool {
        let is_alone = senders.len() == 1;
        let mut is_stalled = false;
        for sender in senders {
            let Some((open, wants)) = sender else { continue };
            let sent = loop {
                match timeout(self.options.patience, open.send(Ok(piece.clone()))).await {
                    // Its request waits for its turn. Of several others would wait with it.
                    Err(_) if is_alone && !wants.is_set() => {}
                    sent => break sent,
                }
            };
            match sent {
                Ok(Ok(())) => {}
                Ok(Err(_)) => *sender = None,
                Err(_) => {
                    wants.give_up();
                    (*sender, is_stalled) = (None, true);
                }
            }
        }
        is_stalled
    }
}
