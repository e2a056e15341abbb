//! Lets destinations have a blob: once, whatever refers to it.

use std::collections::HashSet;

use futures::StreamExt as _;
use futures::future::join_all;
use imgop_registry::reference::Digest;
use imgop_registry::{Account, Begun, BlobDescriptor, Upload};

use crate::blob_reader::BlobReader;
use crate::copier::Copier;
use crate::destination::DestinationId;
use crate::error::CopyError;
use crate::flights::{Claim, Landing};
use crate::item::SourceId;
use crate::sending::Sending;

/// A blob at a destination.
pub(crate) type Place = (DestinationId, Digest);

/// The duty to let a destination have a blob.
type Duty = Landing<Place, Result<(), CopyError>>;

/// What is done before anything is sent.
enum Prepared {
    /// The destination has it.
    There,
    /// It has to be sent, with this upload if there is one.
    Lacking(Option<Upload>),
}

impl Copier {
    /// Lets these destinations have a blob. `doubts` is whether nothing counts that was said of them before.
    pub(crate) async fn ensure_blob(
        &self,
        source: SourceId,
        blob: &BlobDescriptor,
        destinations: &[DestinationId],
        doubts: bool,
    ) -> Vec<(DestinationId, Result<(), CopyError>)> {
        let mut ended: Vec<(DestinationId, Result<(), CopyError>)> = Vec::new();
        let mut open: Vec<DestinationId> = destinations.to_vec();
        // Whoever moves it may go away; then another one does.
        while !open.is_empty() {
            let (mut duties, mut others) = (Vec::new(), Vec::new());
            for to in open.drain(..) {
                match self.blobs.claim((to, blob.digest.clone())) {
                    Claim::Mine(duty) => duties.push(duty),
                    Claim::Others(waiting) => others.push((to, waiting)),
                }
            }
            if !duties.is_empty() {
                let arrival = self.arrival(&duties).await;
                ended.extend(self.move_blob(source, blob, duties, doubts).await);
                if let Some(arrival) = arrival {
                    arrival.land(());
                }
            }
            for (to, waiting) in others {
                match waiting.outcome().await {
                    Some(outcome) => ended.push((to, outcome)),
                    None => open.push(to),
                }
            }
        }
        ended
    }

    /// Waits while the blob is on its way to another repository of the same registry, which these can mount it from
    /// then. Returns the duty to say when it has arrived, if it is not. Where they are of several registries it waits
    /// for none: two that each hold one and wait for the other would wait for ever.
    async fn arrival(&self, duties: &[Duty]) -> Option<Landing<(Account, Digest), ()>> {
        let (to, digest) = duties.first()?.key();
        let account = &self.at(*to).account;
        if duties.iter().any(|duty| self.at(duty.key().0).account != *account) {
            return None;
        }
        match self.arrivals.claim((account.clone(), digest.clone())) {
            Claim::Mine(landing) => Some(landing),
            Claim::Others(waiting) => {
                waiting.outcome().await;
                None
            }
        }
    }

    /// Moves a blob to where it is lacking. Of several repositories of one registry the first gets it, and the others
    /// mount it from there.
    async fn move_blob(
        &self,
        source: SourceId,
        blob: &BlobDescriptor,
        duties: Vec<Duty>,
        doubts: bool,
    ) -> Vec<(DestinationId, Result<(), CopyError>)> {
        // The semaphore is never closed.
        let _turn = self.turns.acquire().await.ok();
        let mut registries: HashSet<&Account> = HashSet::new();
        let (first, later): (Vec<Duty>, Vec<Duty>) =
            duties.into_iter().partition(|duty| registries.insert(&self.at(duty.key().0).account));
        let client = self.source(source);
        let mut reader = BlobReader::new(client, blob, &self.options, &self.progress);
        let mut ended = Vec::new();
        for round in [first, later] {
            ended.extend(self.move_to(source, blob, &mut reader, round, doubts).await);
            reader.seek(0);
        }
        ended
    }

    async fn move_to(
        &self,
        source: SourceId,
        blob: &BlobDescriptor,
        reader: &mut BlobReader<'_>,
        duties: Vec<Duty>,
        doubts: bool,
    ) -> Vec<(DestinationId, Result<(), CopyError>)> {
        let prepared =
            join_all(duties.iter().map(|duty| self.prepare(source, blob, duty.key().0, doubts))).await;
        let (mut lacking, mut ended) = (Vec::new(), Vec::new());
        for (duty, prepared) in duties.iter().zip(prepared) {
            let to = duty.key().0;
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
        for duty in duties {
            let to = duty.key().0;
            let outcome = ended.iter().find(|(ended, _)| *ended == to).map(|(_, outcome)| outcome.clone());
            let outcome = outcome.unwrap_or_else(|| Err(CopyError::GivenUp(blob.digest.clone())));
            if outcome.is_ok() {
                self.holders.learn(self.at(to), &blob.digest);
            }
            duty.land(outcome);
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
        doubts: bool,
    ) -> Result<Prepared, CopyError> {
        let (destination, source) = (self.at(to), self.source(source));
        let client = &destination.client;
        self.goes_on()?;
        if doubts && client.has_blob(&blob.digest).await? {
            return Ok(Prepared::There);
        }
        if blob.size > self.options.whole
            && let Some(place) = self.journal.place(client.repository(), &blob.digest)
        {
            let upload = client.resume_upload(&place, &blob.digest).await.ok().flatten();
            if let Some(upload) = upload.filter(|upload| upload.position() <= blob.size) {
                return Ok(Prepared::Lacking(Some(upload)));
            }
            self.journal.forget(client.repository(), &blob.digest);
        }
        let is_same_registry = client.may_read_as(source) && source.repository() != client.repository();
        let holder = self.holders.find(destination, &blob.digest);
        let holder = holder.or_else(|| is_same_registry.then(|| source.repository().clone()));
        if let Some(holder) = holder.filter(|_| !doubts) {
            return Ok(match client.mount_or_begin(&blob.digest, &holder).await? {
                Begun::Mounted => {
                    self.progress.mounted_blob();
                    Prepared::There
                }
                Begun::Upload(upload) => Prepared::Lacking(Some(upload)),
            });
        }
        // A configuration is that of one image, which is not there.
        let may_be_there = !destination.was_empty && !blob.is_config && !doubts;
        if may_be_there && client.has_blob(&blob.digest).await? {
            return Ok(Prepared::There);
        }
        Ok(Prepared::Lacking(None))
    }

    /// Lets destinations have blobs, several at a time. Returns the first failure of each destination.
    pub(crate) async fn ensure_blobs(
        &self,
        source: SourceId,
        blobs: Vec<(BlobDescriptor, Vec<DestinationId>)>,
        doubts: bool,
    ) -> Vec<(DestinationId, CopyError)> {
        let ensured = futures::stream::iter(&blobs)
            .map(|(blob, to)| self.ensure_blob(source, blob, to, doubts))
            .buffer_unordered(self.options.blobs);
        let ended: Vec<Vec<(DestinationId, Result<(), CopyError>)>> = ensured.collect().await;
        let failed = |(to, outcome): (DestinationId, Result<(), CopyError>)| Some((to, outcome.err()?));
        ended.into_iter().flatten().filter_map(failed).collect()
    }
}
