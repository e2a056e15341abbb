//! Places of uploads that registries have named to this process, and that the specification does not know: as those of
//! Google's Artifact Registry.

use std::time::Duration;

use parking_lot::Mutex;
use url::Url;

use crate::cache::Bounded;
use crate::reference::{Digest, Repository};

/// How long a place is known: registries drop uploads after some days.
const TTL: Duration = Duration::from_hours(24);
/// Places that are known.
const MAX_PLACES: usize = 1_000;

/// The places that one registry has named, as hashes: some are long.
#[derive(Debug)]
pub(super) struct UploadPlaces(Mutex<Bounded<Digest, ()>>);

impl Default for UploadPlaces {
    fn default() -> Self {
        Self(Mutex::new(Bounded::new(MAX_PLACES)))
    }
}

impl UploadPlaces {
    /// Notes a place that was named for an upload to a repository.
    pub(super) fn add(&self, repository: &Repository, place: &Url) {
        self.0.lock().insert(key(repository, place), (), TTL);
    }

    /// Whether a place was named for an upload to a repository.
    pub(super) fn contains(&self, repository: &Repository, place: &Url) -> bool {
        self.0.lock().get(&key(repository, place)).is_some()
    }
}

fn key(repository: &Repository, place: &Url) -> Digest {
    Digest::of(format!("{repository} {place}").as_bytes())
}
