//! Secrets, read and written by name. This is the only place that does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use imgop_core::api::{CA_KEY, DOCKER_CONFIG_KEY};
use imgop_registry::DockerConfig;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt as _};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::Freshness;
use super::api_error::ApiError;
use super::owner::controller_of;

/// Bytes of all that is cached.
const MAX_CACHED_BYTES: usize = 8 * 1024 * 1024;
/// How many bytes a parsed credential takes for a byte of its JSON, at most and about.
const PARSED_FACTOR: usize = 4;
/// Secrets that are read at once: each may have a megabyte.
const MAX_CONCURRENT_READS: usize = 4;

/// What is read of a Secret, parsed.
#[derive(Debug, Clone)]
pub struct SecretContent {
    /// Name and resource version: which Secret was read, and as of when.
    pub version: String,
    /// Its key `.dockerconfigjson`; none if there is no such key, else the credentials or why they cannot be
    /// read.
    pub docker_config: Option<Result<DockerConfig, String>>,
    /// Its key `ca.crt`.
    pub ca: Option<Vec<u8>>,
    json_bytes: usize,
}

/// Reads Secrets by name and keeps what was parsed of them, within a bound in bytes. However many objects name
/// a Secret, it is read once a period.
pub struct Secrets {
    client: Client,
    cached: Mutex<HashMap<Key, Cached>>,
    reads: Semaphore,
    max_bytes: usize,
}

/// Namespace and name.
type Key = (String, String);

#[derive(Default)]
struct Cached {
    /// Locked while the Secret is read, so that whoever else wants it waits for the same answer.
    answer: Arc<tokio::sync::Mutex<Option<Answer>>>,
    /// When it was read, and what it takes in memory; none before that.
    read: Option<(Instant, usize)>,
}

struct Answer {
    read: Instant,
    content: Result<Arc<SecretContent>, ApiError>,
}

/// Why a Secret that Jobs mount was not written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EnsureError {
    /// A Secret of this name exists that has another owner or another type.
    #[error("a Secret named {0:?} exists and is not this object's; delete it")]
    Taken(String),
    /// The API server did not do it.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl Secrets {
    /// Reads through this client.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            cached: Mutex::default(),
            reads: Semaphore::new(MAX_CONCURRENT_READS),
            max_bytes: MAX_CACHED_BYTES,
        }
    }

    /// Returns what a Secret of this namespace holds, as recent as `freshness` wants it.
    pub async fn get(
        &self,
        namespace: &str,
        name: &str,
        freshness: Freshness,
    ) -> Result<Arc<SecretContent>, ApiError> {
        let key = (namespace.to_owned(), name.to_owned());
        let answer = self.cached.lock().entry(key.clone()).or_default().answer.clone();
        let asked = Instant::now();
        let mut answer = answer.lock().await;
        if let Some(cached) = &*answer
            && cached.serves(freshness, asked)
        {
            return cached.content.clone();
        }
        let content = self.read(namespace, name).await;
        let read = Instant::now();
        // Whether the API server answers is not a property of the Secret.
        let is_kept = content.as_ref().err().is_none_or(|error| !error.is_transient());
        *answer = is_kept.then(|| Answer { read, content: content.clone() });
        let bytes = content.as_ref().map_or(0, |content| content.bytes());
        self.note(key, is_kept.then_some((read, bytes)));
        content
    }

    async fn read(&self, namespace: &str, name: &str) -> Result<Arc<SecretContent>, ApiError> {
        // The semaphore is never closed.
        let _turn = self.reads.acquire().await.ok();
        let secret = Api::<Secret>::namespaced(self.client.clone(), namespace).get(name).await;
        let secret = secret.map_err(|error| ApiError::new("get", of_secret(namespace, name), &error))?;
        Ok(Arc::new(SecretContent::parse(&secret)))
    }

    /// Keeps the cache small: what is too old goes, and then the oldest until the rest fits.
    fn note(&self, key: Key, read: Option<(Instant, usize)>) {
        let mut cached = self.cached.lock();
        cached.entry(key).or_default().read = read;
        cached.retain(|_, entry| match entry.read {
            Some((read, _)) => read.elapsed() < Freshness::Cached.max_age(),
            None => Arc::strong_count(&entry.answer) > 1,
        });
        let mut ages: Vec<(Instant, usize, Key)> = cached
            .iter()
            .filter_map(|(key, entry)| entry.read.map(|(read, bytes)| (read, bytes, key.clone())))
            .collect();
        ages.sort_by_key(|(read, ..)| std::cmp::Reverse(*read));
        let mut total = 0;
        for (_, bytes, key) in ages {
            total += bytes;
            if total > self.max_bytes {
                cached.remove(&key);
            }
        }
    }

    /// Makes sure that this Secret exists and holds this. One that does is not written again.
    pub async fn ensure(&self, wanted: &Secret) -> Result<(), EnsureError> {
        let (namespace, name) = (wanted.namespace().unwrap_or_default(), wanted.name_any());
        let api = Api::<Secret>::namespaced(self.client.clone(), &namespace);
        let failed = |verb, error| ApiError::new(verb, of_secret(&namespace, &name), &error);
        let Some(there) = api.get_opt(&name).await.map_err(|error| failed("get", error))? else {
            api.create(&PostParams::default(), wanted).await.map_err(|error| failed("create", error))?;
            return Ok(());
        };
        if !is_same_owner(&there, wanted) || there.type_ != wanted.type_ {
            return Err(EnsureError::Taken(name));
        }
        if there.data != wanted.data {
            let mut newer = wanted.clone();
            // Refused if it was changed meanwhile.
            newer.metadata.resource_version = there.resource_version();
            api.replace(&name, &PostParams::default(), &newer)
                .await
                .map_err(|error| failed("update", error))?;
        }
        Ok(())
    }
}

impl Answer {
    /// Returns whether this answer is recent enough. Whoever wants the truth is not given a failure from before
    /// it asked: what was missing may just have been created.
    fn serves(&self, freshness: Freshness, asked: Instant) -> bool {
        if freshness == Freshness::Now && self.content.is_err() {
            return self.read >= asked;
        }
        asked.saturating_duration_since(self.read) < freshness.max_age()
    }
}

impl SecretContent {
    fn parse(secret: &Secret) -> Self {
        let value = |key| secret.data.as_ref().and_then(|data| data.get(key)).map(|value| value.0.as_slice());
        Self {
            version: format!("{}/{}", secret.name_any(), secret.resource_version().unwrap_or_default()),
            docker_config: value(DOCKER_CONFIG_KEY)
                .map(|json| DockerConfig::parse(json).map_err(|error| error.to_string())),
            ca: value(CA_KEY).map(<[u8]>::to_vec),
            json_bytes: value(DOCKER_CONFIG_KEY).map_or(0, <[u8]>::len),
        }
    }

    /// Returns about how much memory it takes.
    fn bytes(&self) -> usize {
        self.json_bytes * PARSED_FACTOR + self.ca.as_ref().map_or(0, Vec::len) + size_of::<Self>()
    }
}

fn of_secret(namespace: &str, name: &str) -> String {
    format!("Secret \"{namespace}/{name}\"")
}

/// Returns whether both have the same controller: names and labels are anybody's, the owner's UID is not.
fn is_same_owner(there: &Secret, wanted: &Secret) -> bool {
    let owner = controller_of(wanted).map(|owner| &owner.uid);
    owner.is_some() && controller_of(there).map(|owner| &owner.uid) == owner
}

#[cfg(test)]
mod tests;
