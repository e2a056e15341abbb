//! Lets destinations have a blob: once, whatever refers to it.

use std::collections::HashSet;

use futures::StreamExt as _;
use futures::future::join_all;
use imgop_registry::reference::Digest;
use imgop_registry::{Account, Begun, BlobDescriptor, Upload};

use crate::blob_reader::BlobReader;
use crate::copier::Copier;
use crate::destination::{Destination, DestinationId};
use crate::error::CopyError;
use crate::item::SourceId;
use crate::sending::Sending;
use crate::single_flight::{Claim, Flight};

/// Bytes of the empty configuration, `{}` (image-spec, "Guidance for an Empty Descriptor").
const EMPTY_CONFIG_BYTES: u64 = 2;

/// A blob at a destination.
pub(crate) type Place = (DestinationId, Digest);

/// What became of a blob at a destination.
pub(crate) type Moved = Result<(), Failed>;

/// Why a destination did not get a blob, and from where it was to come.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    source: SourceId,
    error: CopyError,
}

/// What is done to let a destination have a blob, once.
type BlobFlight = Flight<Place, Moved>;

/// What is done before anything is sent.
enum Prepared {
    /// The destination has it.
    There,
    /// It has to be sent, with this upload if there is one.
    Lacking(Option<Upload>),
}

impl Copier {
    /// Lets these destinations have a blob. `rechecks` is whether nothing counts that was said of them before.
    pub(crate) async fn ensure_blob(
        &self,
        source: SourceId,
        blob: &BlobDescriptor,
        destinations: &[DestinationId],
        rechecks: bool,
    ) -> Vec<(DestinationId, Result<(), CopyError>)> {
        let mut ended: Vec<(DestinationId, Result<(), CopyError>)> = Vec::new();
        let mut open: Vec<DestinationId> = destinations.to_vec();
        // Whoever moves it may go away, or have another source that fails; then another one does.
        while !open.is_empty() {
            let (mut flights, mut others) = (Vec::new(), Vec::new());
            for to in open.drain(..) {
                let wrong = self.wrong.lock().get(&(source, blob.digest.clone())).cloned();
                match (self.blobs.claim((to, blob.digest.clone())), wrong) {
                    (Claim::Mine(flight), None) => flights.push(flight),
                    (Claim::Mine(flight), Some(error)) => {
                        flight.share_failure(Err(Failed { source, error: error.clone() }));
                        ended.push((to, Err(error)));
                    }
                    (Claim::Others(waiting), _) => others.push((to, waiting)),
                }
            }
            if !flights.is_empty() {
                let first_uploads = self.first_uploads(&flights).await;
                ended.extend(self.move_blob(source, blob, flights, rechecks).await);
                for first_upload in first_uploads {
                    first_upload.share(());
                }
            }
            for (to, waiting) in others {
                match waiting.outcome().await {
                    Some(Ok(())) => ended.push((to, Ok(()))),
                    Some(Err(failed)) if failed.source == source => ended.push((to, Err(failed.error))),
                    Some(Err(_)) | None => open.push(to),
                }
            }
        }
        ended
    }

    /// Waits while the blob is on its way to other repositories of the same registries, which these can mount it from
    /// then. Returns the flights that say when it has arrived at those where it is not. All claim them in the same order: two
    /// that each hold one and wait for the other would wait for ever.
    async fn first_uploads(&self, flights: &[BlobFlight]) -> Vec<Flight<(Account, Digest), ()>> {
        let mut destinations: Vec<(&Destination, &Digest)> =
            flights.iter().map(Flight::key).map(|(to, digest)| (self.at(*to), digest)).collect();
        destinations.sort_by_key(|(destination, _)| destination.registry);
        destinations.dedup_by_key(|(destination, _)| destination.registry);
        let mut claimed = Vec::new();
        for (destination, digest) in destinations {
            match self.first_uploads.claim((destination.account.clone(), digest.clone())) {
                Claim::Mine(flight) => claimed.push(flight),
                Claim::Others(waiting) => {
                    waiting.outcome().await;
                }
            }
        }
        claimed
    }

    /// Moves a blob to where it is lacking. Of several repositories of one registry the first gets it, and the others
    /// mount it from there.
    async fn move_blob(
        &self,
        source: SourceId,
        blob: &BlobDescriptor,
        flights: Vec<BlobFlight>,
        rechecks: bool,
    ) -> Vec<(DestinationId, Result<(), CopyError>)> {
        // The semaphore is never closed.
        let _permit = self.movers.acquire().await.ok();
        let mut registries: HashSet<&Account> = HashSet::new();
        let (first, later): (Vec<BlobFlight>, Vec<BlobFlight>) =
            flights.into_iter().partition(|flight| registries.insert(&self.at(flight.key().0).account));
        let client = self.source(source);
        let mut reader = BlobReader::new(client, blob, &self.options, &self.progress);
        let mut ended = Vec::new();
        for round in [first, later] {
            ended.extend(self.move_to(source, blob, &mut reader, round, rechecks).await);
            reader.pause();
            reader.seek(0);
        }
        ended
    }

    async fn move_to(
        &self,
        source: SourceId,
        blob: &BlobDescriptor,
        reader: &mut BlobReader<'_>,
        flights: Vec<BlobFlight>,
        rechecks: bool,
    ) -> Vec<(DestinationId, Result<(), CopyError>)> {
        let prepared =
            join_all(flights.iter().map(|flight| self.prepare(source, blob, flight.key().0, rechecks))).await;
        let (mut lacking, mut ended) = (Vec::new(), Vec::new());
        for (flight, prepared) in flights.iter().zip(prepared) {
            let to = flight.key().0;
            match prepared {
                Ok(Prepared::There) => ended.push((to, Ok(()))),
                Ok(Prepared::Lacking(upload)) => lacking.push(Sending { to, upload }),
                Err(error) => ended.push((to, Err(error))),
            }
        }
        if !lacking.is_empty() {
            let sent = self.send(reader, blob, lacking).await;
            for (_, outcome) in &sent {
                if outcome.is_ok() {
                    self.progress.sent_blob();
                }
            }
            ended.extend(sent);
        }
        for flight in flights {
            let to = flight.key().0;
            let outcome = ended.iter().find(|(ended, _)| *ended == to).map(|(_, outcome)| outcome.clone());
            let outcome = outcome.unwrap_or_else(|| Err(CopyError::GivenUp(blob.digest.clone())));
            match outcome {
                Ok(()) => {
                    self.holders.learn(self.at(to), &blob.digest);
                    flight.share(Ok(()));
                }
                Err(error) => {
                    if error.is_wrong_at_source() {
                        self.wrong.lock().insert((source, blob.digest.clone()), error.clone());
                    }
                    flight.share_failure(Err(Failed { source, error }));
                }
            }
        }
        ended
    }

    /// Finds out whether anything has to be sent: nothing if the registry has the blob here or in a repository that it
    /// is known to be in, and mounts it. A repository that was empty is asked nothing.
    async fn prepare(
        &self,
        source: SourceId,
        blob: &BlobDescriptor,
        to: DestinationId,
        rechecks: bool,
    ) -> Result<Prepared, CopyError> {
        let (destination, source) = (self.at(to), self.source(source));
        let client = &destination.client;
        self.goes_on()?;
        if rechecks && self.patiently(|| client.has_blob(&blob.digest)).await? {
            return Ok(Prepared::There);
        }
        if let Some(upload) = self.resumed_of_journal(to, blob).await? {
            return Ok(Prepared::Lacking(Some(upload)));
        }
        let may_be_there = !destination.was_empty && !is_of_one_image(blob) && !rechecks;
        let is_same_registry = client.may_read_as(source) && source.repository() != client.repository();
        let holder = self.holders.find(destination, &blob.digest);
        let holder = holder.or_else(|| is_same_registry.then(|| source.repository().clone()));
        // Where the registry mounts nothing, what is there is looked for instead.
        let is_mounted = !may_be_there || !client.are_mounts_paused();
        if let Some(holder) = holder.filter(|_| !rechecks && is_mounted) {
            return match self.patiently(|| client.mount_or_begin(&blob.digest, &holder)).await? {
                Begun::Mounted => {
                    self.progress.mounted_blob();
                    Ok(Prepared::There)
                }
                Begun::Upload(upload)
                    if may_be_there && self.patiently(|| client.has_blob(&blob.digest)).await? =>
                {
                    client.cancel(&upload).await;
                    Ok(Prepared::There)
                }
                Begun::Upload(upload) => Ok(Prepared::Lacking(Some(upload))),
            };
        }
        if may_be_there && self.patiently(|| client.has_blob(&blob.digest)).await? {
            return Ok(Prepared::There);
        }
        Ok(Prepared::Lacking(None))
    }

    /// Lets destinations have blobs, several at a time. Returns the first failure of each destination.
    pub(crate) async fn ensure_blobs(
        &self,
        source: SourceId,
        blobs: Vec<(BlobDescriptor, Vec<DestinationId>)>,
        rechecks: bool,
    ) -> Vec<(DestinationId, CopyError)> {
        let ensured = futures::stream::iter(&blobs)
            .map(|(blob, to)| self.ensure_blob(source, blob, to, rechecks))
            .buffer_unordered(self.options.blobs);
        let ended: Vec<Vec<(DestinationId, Result<(), CopyError>)>> = ensured.collect().await;
        let failed = |(to, outcome): (DestinationId, Result<(), CopyError>)| Some((to, outcome.err()?));
        ended.into_iter().flatten().filter_map(failed).collect()
    }
}

/// Whether a blob is the configuration of one image, and so not there before it. The empty one is that of all artifacts.
fn is_of_one_image(blob: &BlobDescriptor) -> bool {
    blob.is_config && blob.size > EMPTY_CONFIG_BYTES
}
