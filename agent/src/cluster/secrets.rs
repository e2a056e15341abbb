//! Secrets, read and written by name. This is the only place that does.

use std::sync::Arc;

use imgop_registry::cache::{Bounded, SingleFlight};
use imgop_registry::credentials::{CA_KEY, DOCKER_CONFIG_KEY};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client, Resource as _, ResourceExt as _};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::Freshness;
use super::api_error::{ApiCause, ApiError};
use super::owner::controller_of;

/// Bytes of all that is cached.
const MAX_CACHED_BYTES: usize = 8 * 1024 * 1024;
/// Secrets that are read at once: each may have a megabyte.
const MAX_CONCURRENT_READS: usize = 4;
/// The longest value that is read, in bytes: to parse a larger one takes long, and a file of credentials or
/// certificates has less.
pub const MAX_VALUE_BYTES: usize = 512 * 1024;
/// The longest name of an object.
const MAX_NAME: usize = 253;
/// The keys of a Secret of type `kubernetes.io/basic-auth`.
pub const BASIC_AUTH_KEYS: [&str; 2] = ["username", "password"];
/// The key of a Secret with a token of GitHub.
pub const TOKEN_KEY: &str = "token";
/// The keys that are read.
const KEYS: [&str; 5] = [DOCKER_CONFIG_KEY, CA_KEY, BASIC_AUTH_KEYS[0], BASIC_AUTH_KEYS[1], TOKEN_KEY];
/// Keys whose names are kept; whoever names a later one in a spec is told so by the pod.
const MAX_NAMED_KEYS: usize = 256;

/// What is read of a Secret: the keys that hold credentials and certificates, and of the others their names.
pub struct SecretContent {
    /// Name and resource version: which Secret was read, and as of when.
    pub version: String,
    values: Vec<(&'static str, Vec<u8>)>,
    keys: Vec<String>,
    /// Keys whose values are too long to be read, with their bytes.
    too_long: Vec<(&'static str, usize)>,
}

/// Reads Secrets by name and caches what is read of them, within a bound in bytes. However many objects name a
/// Secret, it is read once a period.
pub struct Secrets {
    client: Client,
    cached: Mutex<Bounded<Key, Answer>>,
    reads: SingleFlight<Key, Content>,
    turns: Semaphore,
}

/// Namespace and name.
type Key = (String, String);
type Content = Result<Arc<SecretContent>, ApiError>;

struct Answer {
    read_at: Instant,
    content: Content,
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
            cached: Mutex::new(Bounded::new(MAX_CACHED_BYTES)),
            reads: SingleFlight::default(),
            turns: Semaphore::new(MAX_CONCURRENT_READS),
        }
    }

    /// Returns what a Secret of this namespace holds, as recent as `freshness` wants it.
    pub async fn get(&self, namespace: &str, name: &str, freshness: Freshness) -> Content {
        let key = (namespace.to_owned(), name.to_owned());
        let cached =
            self.cached.lock().get(&key).filter(|answer| answer.serves(freshness)).map(Answer::content);
        match cached {
            Some(content) => content,
            None => self.reads.run(&key, || self.read(&key)).await.0,
        }
    }

    async fn read(&self, key: &Key) -> Content {
        let (namespace, name) = key;
        // The semaphore is never closed.
        let _turn = self.turns.acquire().await.ok();
        let secret = Api::<Secret>::namespaced(self.client.clone(), namespace).get(name).await;
        let secret = secret.map_err(|error| ApiError::new("get", of_secret(namespace, name), &error));
        let content = secret.map(|secret| Arc::new(SecretContent::of(secret)));
        let mut cached = self.cached.lock();
        // Whether the API server answers is not a property of the Secret.
        if content.as_ref().err().is_none_or(|error| !error.is_transient()) {
            let answer = Answer { read_at: Instant::now(), content: content.clone() };
            let bytes = size_of::<Answer>() + content.as_ref().map_or(0, |content| content.bytes());
            cached.insert_weighted(key.clone(), answer, Freshness::Cached.max_age(), bytes);
        } else {
            cached.remove(key);
        }
        content
    }

    /// Makes sure that this Secret exists and holds this. One that does is not written again. That of an earlier Job of
    /// the same name, which is deleted after it, is a conflict, as one that was changed meanwhile is.
    pub async fn ensure(&self, wanted: &Secret) -> Result<(), EnsureError> {
        let (namespace, name) = (wanted.namespace().unwrap_or_default(), wanted.name_any());
        let api = Api::<Secret>::namespaced(self.client.clone(), &namespace);
        let failed = |verb, error| ApiError::new(verb, of_secret(&namespace, &name), &error);
        let read = async || api.get_opt(&name).await.map_err(|error| failed("get", error));
        let there = if let Some(there) = read().await? {
            there
        } else {
            let created = api.create(&PostParams::default(), wanted).await;
            let Err(error) = created.map_err(|error| failed("create", error)) else { return Ok(()) };
            // It may have been created meanwhile, even by this try.
            let found = if error.cause == ApiCause::AlreadyExists { read().await? } else { None };
            found.ok_or(error)?
        };
        if is_of_earlier_job(&there, wanted) {
            let cause = ApiCause::Conflict("that of an earlier Job is still being deleted".to_owned());
            return Err(ApiError { verb: "create", object: of_secret(&namespace, &name), cause }.into());
        }
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
    fn content(&self) -> Content {
        self.content.clone()
    }

    /// Returns whether this answer is recent enough. Whoever wants the state of now is not given a failure from
    /// before: what was missing may just have been created.
    fn serves(&self, freshness: Freshness) -> bool {
        let may_be_cached = self.content.is_ok() || freshness != Freshness::Now;
        may_be_cached && self.read_at.elapsed() < freshness.max_age()
    }
}

impl SecretContent {
    fn of(secret: Secret) -> Self {
        let version = format!("{}/{}", secret.name_any(), secret.resource_version().unwrap_or_default());
        let mut data = secret.data.unwrap_or_default();
        let keys = data.keys().take(MAX_NAMED_KEYS).cloned().collect();
        let (values, too_long): (Vec<_>, Vec<_>) = KEYS
            .iter()
            .filter_map(|key| Some((*key, data.remove(*key)?.0)))
            .partition(|(_, value)| value.len() <= MAX_VALUE_BYTES);
        let too_long = too_long.into_iter().map(|(key, value)| (key, value.len())).collect();
        Self { version, values, keys, too_long }
    }

    /// Returns how many bytes the value of this key has if it is too long to be read.
    pub fn too_long(&self, key: &str) -> Option<usize> {
        self.too_long.iter().find(|(name, _)| *name == key).map(|(_, bytes)| *bytes)
    }

    /// Returns the value of one of the keys that are read.
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        self.values.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_slice())
    }

    /// Returns whether it has this key, as far as its keys are kept.
    pub fn has_key(&self, key: &str) -> bool {
        self.keys.len() >= MAX_NAMED_KEYS || self.keys.iter().any(|name| name == key)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.version.len()
            + self.keys.iter().map(|key| size_of::<String>() + key.len()).sum::<usize>()
            + self.values.iter().map(|(_, value)| value.len()).sum::<usize>()
    }
}

impl std::fmt::Debug for SecretContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretContent").field("version", &self.version).finish_non_exhaustive()
    }
}

/// Returns whether an object may have this name. Whatever else stands in a spec would be a path of another request.
pub fn is_name(name: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_label = |label: &str| {
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(is_inner)
    };
    name.len() <= MAX_NAME && name.split('.').all(is_label)
}

fn of_secret(namespace: &str, name: &str) -> String {
    format!("Secret \"{namespace}/{name}\"")
}

/// Returns whether both have the same controller: anyone may choose names and labels, but not the owner's UID.
fn is_same_owner(there: &Secret, wanted: &Secret) -> bool {
    let owner = controller_of(wanted).map(|owner| &owner.uid);
    owner.is_some() && controller_of(there).map(|owner| &owner.uid) == owner
}

/// Returns whether the controller of a Secret is another Job with the name of the wanted one's. There is only one of a
/// name at a time, so that one is gone, and Kubernetes deletes the Secret.
fn is_of_earlier_job(there: &Secret, wanted: &Secret) -> bool {
    let (Some(theirs), Some(own)) = (controller_of(there), controller_of(wanted)) else { return false };
    let are_jobs = [theirs, own].iter().all(|owner| owner.kind == Job::kind(&()));
    are_jobs && theirs.name == own.name && theirs.uid != own.uid
}

#[cfg(test)]
mod tests;
