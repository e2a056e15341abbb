//! The architectures of images, where `destination.prefix` asks for them: read once for each image, from its source.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use imgop_core::build::ImageReference;
use imgop_core::time::{remaining, saturating_add};
use imgop_core::workloads::{WorkloadRequest, next_try};
use imgop_registry::RegistryError;
use imgop_registry::oci::Platform;
use jiff::Timestamp;

use super::Pass;
use super::halt::Halt;
use super::unasked::{NotKnown, Unasked};

/// What stands in a prefix for the architectures.
const WORD: &str = "$arch";
/// What an image without an architecture has.
const NONE: &str = "multiarch";
/// Images that are read in one pass: each counts as a pull.
const MAX_READS: usize = 20;
/// When an image is asked for again that could not be read, at the earliest, and one that may have moved.
const RETRY_INTERVAL: Duration = Duration::from_mins(5);
const TTL: Duration = Duration::from_hours(24);

/// The architectures of images. All of it may be lost.
#[derive(Debug, Default)]
pub(super) struct Architectures {
    read: BTreeMap<ImageReference, Read>,
    /// Whether there are images that were not asked for until now.
    pub is_open: bool,
    /// Whether others are due that this pass has not come to.
    pub has_more: bool,
}

#[derive(Debug)]
struct Read {
    architectures: Option<String>,
    /// Why they could not be read the last time.
    unasked: Option<Unasked>,
    /// How many times in a row they could not be.
    tries: u32,
    until: Timestamp,
}

impl Architectures {
    /// Has what could not be read the last time read now, and as often as if it were so since now.
    pub(super) fn look_again(&mut self, now: Timestamp) {
        for read in self.read.values_mut().filter(|read| read.unasked.is_some()) {
            (read.until, read.tries) = (now, 0);
        }
    }

    /// Returns how long it is until the first image is asked for again whose architectures are not known, of those that are
    /// not due yet.
    pub(super) fn retry_wait(&self, now: Timestamp) -> Option<Duration> {
        let unknown = self.read.values().filter(|read| read.architectures.is_none() && read.until > now);
        unknown.map(|read| remaining(read.until, now)).min()
    }

    /// Returns why the first image could not be read whose architectures are not known.
    pub(super) fn first_unasked(&self) -> Option<&Unasked> {
        let mut unknown = self.read.values().filter(|read| read.architectures.is_none());
        unknown.find_map(|read| read.unasked.as_ref())
    }
}

impl Pass<'_> {
    /// Returns the architectures of images, and reads some that are not known.
    pub(super) async fn architectures(
        &self,
        request: &WorkloadRequest,
        all: &BTreeSet<&ImageReference>,
        memory: &mut Architectures,
    ) -> Result<BTreeMap<ImageReference, String>, Halt> {
        if !self.mirror.spec.destination.prefix.contains(WORD) {
            *memory = Architectures::default();
            return Ok(BTreeMap::new());
        }
        memory.read.retain(|reference, _| all.contains(reference));
        let is_due = |reference: &&&ImageReference| {
            memory.read.get(**reference).is_none_or(|read| read.until <= self.now)
        };
        let mut due: Vec<&ImageReference> = all.iter().filter(is_due).copied().collect();
        // What cannot be read must not keep the others from their turn: first what was never read, then what is due longest.
        due.sort_by_key(|reference| memory.read.get(*reference).map(|read| read.until));
        memory.has_more = due.len() > MAX_READS;
        for reference in due.into_iter().take(MAX_READS) {
            let (read, unasked) = match self.read_architectures(request, reference).await {
                Ok(read) => (Some(read), None),
                Err(error) => (None, Some(error.unasked()?)),
            };
            let before = memory.read.remove(reference);
            let (known, tries) = before.map_or((None, 0), |before| (before.architectures, before.tries));
            let tries = if read.is_some() { 0 } else { tries.saturating_add(1) };
            // Each read counts as a pull, also of what is never there.
            let ttl = if read.is_some() { TTL } else { next_try(tries).max(RETRY_INTERVAL) };
            let until = saturating_add(self.now, ttl);
            // What moved an image once to another repository does so only where it is known.
            let read = Read { architectures: read.or(known), unasked, tries, until };
            memory.read.insert(reference.clone(), read);
        }
        memory.is_open = all.iter().any(|reference| !memory.read.contains_key(*reference));
        let known = memory.read.iter();
        Ok(known.filter_map(|(one, read)| Some((one.clone(), read.architectures.clone()?))).collect())
    }

    async fn read_architectures(
        &self,
        request: &WorkloadRequest,
        reference: &ImageReference,
    ) -> Result<String, NotKnown> {
        let repository = &reference.repository;
        let reached = self.source_client(request, repository).await?;
        let unasked = |error: &RegistryError| Unasked::source(request, repository, reached.is_lent, error);
        let manifest = match reference.manifest_ref() {
            Some(what) => reached.client.manifest(&what).await.map_err(|error| unasked(&error))?,
            None => None,
        };
        let manifest = manifest.ok_or_else(|| Unasked::absent(reference))?;
        let platforms: Vec<Platform> = if manifest.is_index() {
            let parts = manifest.platforms().map_err(|error| Unasked::unreadable(reference, &error))?;
            parts.into_iter().map(|part| part.platform).collect()
        } else {
            let platform = reached.client.platform(&manifest).await.map_err(|error| unasked(&error))?;
            platform.into_iter().collect()
        };
        let architectures: BTreeSet<String> = platforms.into_iter().map(|one| one.architecture).collect();
        let known: Vec<String> = architectures.into_iter().filter(|one| one != "unknown").collect();
        Ok(if known.is_empty() { NONE.to_owned() } else { known.join("-") })
    }
}
