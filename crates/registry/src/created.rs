//! When an image says that it was made: the annotation of its manifest, or `created` in its
//! configuration (OCI image-spec 1.1, "annotations.md" and "config.md").
//!
//! It is the word of whoever made the image. Of an index the newest of its images counts, and nothing
//! is known if one of them does not say it.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::Instant;

use super::error::{Failure, Operation, Reason, RegistryError};
use super::exchange::Call;
use super::manifest::Manifest;
use super::{Account, RepositoryClient};
use crate::reference::{Digest, ManifestRef};

/// Bytes of a configuration. The usual ones have less than 20 KiB.
const MAX_CONFIG_BYTES: usize = 4 << 20;
/// Images of an index that are asked: each costs two requests, and a pull at Docker Hub.
const MOST_IMAGES: usize = 32;
/// How many of them are asked at once.
const AT_ONCE: usize = 4;
/// Digests whose answers are remembered, and as many failures.
const MOST_REMEMBERED: usize = 4096;
/// How long an account is not asked again for what it could not read.
const FAILURE_KEPT: Duration = Duration::from_hours(1);

/// What manifests have said, by digest: content never changes, so each is asked once in a process,
/// whoever asks. What could not be read says nothing of the content, but of the registry or the
/// credential, and is remembered for those alone.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    said: Recent<Digest, Said>,
    failed: Recent<(Account, Digest), Instant>,
}

/// What a manifest has said; none where it says no time.
#[derive(Debug, Clone, Copy)]
struct Said(Option<Timestamp>);

/// A map that forgets what came first when it is full.
#[derive(Debug)]
struct Recent<K, V> {
    entries: HashMap<K, (u64, V)>,
    order: BTreeMap<u64, K>,
    next: u64,
}

/// The parts of an image manifest or an index that are read.
#[derive(Deserialize)]
struct Dated {
    #[serde(default)]
    annotations: Option<HashMap<String, serde_json::Value>>,
    #[serde(default)]
    config: Option<ConfigDescriptor>,
    /// Only indexes have it.
    #[serde(default)]
    manifests: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct ConfigDescriptor {
    digest: Digest,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    created: Option<String>,
}

/// The day after Docker was first shown: no image is older than that. Reproducible builds say 1970
/// or 1980.
pub const EARLIEST_IMAGE_TIME: Timestamp = Timestamp::constant(1_362_096_000, 0); // 2013-03-01T00:00:00Z

/// Whether an image can have been made at this time.
pub fn is_plausible(time: Timestamp, now: Timestamp) -> bool {
    (EARLIEST_IMAGE_TIME..=now).contains(&time)
}

impl RepositoryClient {
    /// When the image with this digest says that it was made; for an index, its newest image. None if
    /// it, or one of its images, does not say.
    ///
    /// The registry may send us to another host for a configuration, as it does for every blob: that
    /// host is shown no credential, and what it sends must have the digest that the manifest names.
    ///
    /// An image that cannot be read is not asked for again for an hour with the same right: the caller
    /// then has to do without, and a registry that counts requests is spared. Faults that pass are no
    /// answer.
    pub async fn created(&self, digest: &Digest) -> Result<Option<Timestamp>, RegistryError> {
        let known = &self.shared.created;
        if let Some(Said(said)) = known.get(digest) {
            return Ok(said);
        }
        if known.has_failed(&self.account(), digest) {
            return Ok(None);
        }
        let outcome = self.read_created(digest).await;
        let outcome = outcome
            .map_err(|failure| self.error(Operation::Get(ManifestRef::Digest(digest.clone())), failure));
        let passes = |error: &RegistryError| {
            matches!(
                error.reason(),
                Reason::RateLimited { .. } | Reason::Unreachable(_) | Reason::Unavailable
            )
        };
        match &outcome {
            Ok(said) => known.remember(digest, *said),
            Err(error) if !passes(error) => known.failed(self.account(), digest),
            Err(_) => {}
        }
        outcome
    }

    async fn read_created(&self, digest: &Digest) -> Result<Option<Timestamp>, Failure> {
        let manifest = self.manifest_of(digest).await?;
        if !manifest.is_index() {
            let dated = dated(&manifest)?;
            // The registry's word on what this is would make an index one of no time, for everybody.
            if dated.manifests.is_some() {
                return Err(Failure::protocol("the registry calls an index an image"));
            }
            return self.of_image(dated).await;
        }
        let images = manifest.platforms().map_err(|error| Failure::protocol(error.to_string()))?;
        if images.len() > MOST_IMAGES {
            return Ok(None);
        }
        let images: Vec<Digest> = images.into_iter().map(|image| image.digest).collect();
        let times: Vec<Option<Timestamp>> = futures::stream::iter(images.clone())
            .map(|image| async move {
                if let Some(Said(known)) = self.shared.created.get(&image) {
                    return Ok(known);
                }
                let dated = dated(&self.manifest_of(&image).await?)?;
                if dated.manifests.is_some() {
                    return Ok(None);
                }
                let created = self.of_image(dated).await?;
                self.shared.created.remember(&image, created);
                Ok::<_, Failure>(created)
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        // They were remembered in case one of them fails. From now on the index answers, and they would
        // only take the places of others.
        self.shared.created.forget(&images);
        let times: Option<Vec<Timestamp>> = times.into_iter().collect();
        Ok(times.and_then(newest_of_plausible))
    }

    async fn manifest_of(&self, digest: &Digest) -> Result<Manifest, Failure> {
        let what = ManifestRef::Digest(digest.clone());
        self.read(&what).await?.ok_or_else(|| Failure::protocol("the manifest is not there"))
    }

    async fn of_image(&self, dated: Dated) -> Result<Option<Timestamp>, Failure> {
        if let Some(annotated) = dated.annotated() {
            return Ok(Some(annotated));
        }
        let Some(config) = dated.config else { return Ok(None) };
        Ok(created_in(&self.config(&config.digest).await?))
    }

    pub(super) async fn config(&self, digest: &Digest) -> Result<bytes::Bytes, Failure> {
        let mut call = Call::get(self.url(&format!("blobs/{digest}"))?, MAX_CONFIG_BYTES);
        call.leaves_registry = true;
        let answer = self.send(call, "pull").await?;
        if answer.status != StatusCode::OK {
            return Err(self.refusal(&answer));
        }
        let found = Digest::of(&answer.body);
        if found != *digest {
            let detail = format!("the digest of the configuration should be {digest} and is {found}");
            return Err(Failure::new(Reason::Protocol, detail));
        }
        Ok(answer.body)
    }
}

fn dated(manifest: &Manifest) -> Result<Dated, Failure> {
    serde_json::from_slice(&manifest.bytes).map_err(|_| Failure::protocol("the manifest cannot be read"))
}

/// The newest one; none where one is a reproducible build's 1970, which says nothing of its age.
fn newest_of_plausible(times: Vec<Timestamp>) -> Option<Timestamp> {
    let all_say = times.iter().all(|time| is_plausible(*time, Timestamp::MAX));
    times.into_iter().max().filter(|_| all_say)
}

impl Dated {
    fn annotated(&self) -> Option<Timestamp> {
        self.annotations.as_ref()?.get("org.opencontainers.image.created")?.as_str()?.parse().ok()
    }
}

/// `created` of a configuration, an RFC 3339 time. What cannot be read says nothing.
fn created_in(config: &[u8]) -> Option<Timestamp> {
    serde_json::from_slice::<Config>(config).ok()?.created?.parse().ok()
}

impl Memory {
    fn get(&self, digest: &Digest) -> Option<Said> {
        self.lock().said.get(digest).copied()
    }

    fn remember(&self, digest: &Digest, created: Option<Timestamp>) {
        self.lock().said.insert(digest.clone(), Said(created));
    }

    fn forget(&self, digests: &[Digest]) {
        let mut known = self.lock();
        for digest in digests {
            known.said.remove(digest);
        }
    }

    fn has_failed(&self, account: &Account, digest: &Digest) -> bool {
        let key = (account.clone(), digest.clone());
        self.lock().failed.get(&key).is_some_and(|at| at.elapsed() < FAILURE_KEPT)
    }

    fn failed(&self, account: Account, digest: &Digest) {
        self.lock().failed.insert((account, digest.clone()), Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: BTreeMap::new(), next: 0 }
    }
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    fn insert(&mut self, key: K, value: V) {
        self.remove(&key);
        while self.entries.len() >= MOST_REMEMBERED
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.order.insert(self.next, key.clone());
        self.entries.insert(key, (self.next, value));
        self.next = self.next.wrapping_add(1);
    }

    fn remove(&mut self, key: &K) {
        if let Some((place, _)) = self.entries.remove(key) {
            self.order.remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_is_one_of_rfc_3339_or_nothing() {
        let created = |text: &str| created_in(format!(r#"{{"created":{text}}}"#).as_bytes());
        let time: Timestamp = "2024-05-06T07:08:09.123456789Z".parse().unwrap();
        assert_eq!(created(r#""2024-05-06T07:08:09.123456789Z""#), Some(time));
        assert_eq!(created(r#""2024-05-06T09:08:09.123456789+02:00""#), Some(time));
        for garbage in
            ["null", "5", r#""""#, r#""yesterday""#, r#""2024-13-01T00:00:00Z""#, "{}", r#""2024-05-06""#]
        {
            assert_eq!(created(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn one_image_without_a_real_time_leaves_the_index_without_one() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let (old, new, zero) =
            (time("2024-01-01T00:00:00Z"), time("2025-01-01T00:00:00Z"), time("1970-01-01T00:00:00Z"));
        assert_eq!(newest_of_plausible(vec![old, new]), Some(new));
        assert_eq!(newest_of_plausible(vec![old, zero, new]), None);
        assert_eq!(newest_of_plausible(Vec::new()), None);
    }

    #[test]
    fn a_full_memory_forgets_what_came_first_and_nothing_else() {
        let mut recent = Recent::default();
        for n in 0..MOST_REMEMBERED {
            recent.insert(n, ());
        }
        recent.insert(0, ());
        recent.insert(MOST_REMEMBERED, ());
        assert!(recent.get(&0).is_some(), "it came again");
        assert!(recent.get(&1).is_none());
        assert!((2..=MOST_REMEMBERED).all(|n| recent.get(&n).is_some()));
        recent.remove(&5);
        recent.insert(MOST_REMEMBERED + 1, ());
        assert!(recent.get(&2).is_some(), "there was a place left");
        assert_eq!((recent.entries.len(), recent.order.len()), (MOST_REMEMBERED, MOST_REMEMBERED));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(
            body in r#"([{}\[\]",:]|"created"|"annotations"|"config"|"digest"|org.opencontainers.image.created|[0-9TZ:+-]{1,30}|[ -~]){0,40}"#,
        ) {
            let _ = created_in(body.as_bytes());
            if let Ok(dated) = serde_json::from_slice::<Dated>(body.as_bytes()) {
                let _ = dated.annotated();
            }
        }
    }
}
