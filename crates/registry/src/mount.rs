//! Blobs that another repository of the same registry holds: mounted, not sent
//! (distribution-spec, "Mounting a blob from another repository").

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use tokio::time::Instant;

use super::RepositoryClient;
use super::access::{Fingerprint, TlsKey};
use super::client::MAX_OTHER_BYTES;
use super::error::{Failure, Operation, Reason, RegistryError};
use super::exchange::{Answer, Call};
use crate::reference::{Digest, RegistryHost, Repository};

/// Mounts in a row that a registry did not make for one credential, until it is not asked any more:
/// some never mount (Amazon ECR unless an account has switched it on).
const REFUSALS_UNTIL_PAUSE: u32 = 5;
/// For how long it is not asked then.
const PAUSE: Duration = Duration::from_hours(1);
/// Credentials that are remembered for one registry.
const MOST_CREDENTIALS: usize = 256;

/// A registry, and with which right it is spoken to. What one account may read says nothing of what
/// another may.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Account {
    host: RegistryHost,
    tls: TlsKey,
    who: Option<Fingerprint>,
}

/// Who was refused how often.
#[derive(Debug, Default)]
pub(super) struct Mounts(Mutex<HashMap<Option<Fingerprint>, Refused>>);

#[derive(Debug, Default)]
struct Refused {
    in_a_row: u32,
    until: Option<Instant>,
}

impl RepositoryClient {
    /// With which registry and right this repository is reached.
    pub fn account(&self) -> Account {
        Account { host: self.repository.host().clone(), tls: self.tls, who: self.identity() }
    }

    /// Whether the credential of this client may read what `other` reads, as far as can be known here:
    /// both are of one registry, and `other` needs none or the same.
    pub fn may_read_as(&self, other: &Self) -> bool {
        let is_same_place = self.repository.host() == other.repository.host() && self.tls == other.tls;
        is_same_place && other.identity().is_none_or(|who| Some(who) == self.identity())
    }

    /// Lets the registry take a blob from another of its repositories. `false` if it does not, if it has
    /// refused so often that it is left alone, or if the other repository is none of this registry.
    ///
    /// The credential is this client's; that it may read the other repository is the registry's to say.
    pub async fn mount_blob(&self, digest: &Digest, from: &Repository) -> Result<bool, RegistryError> {
        let outcome = self.mount(digest, from).await;
        outcome.map_err(|failure| self.error(Operation::Mount(digest.clone()), failure))
    }

    async fn mount(&self, digest: &Digest, from: &Repository) -> Result<bool, Failure> {
        if from.host() != self.repository.host() || from.path() == self.repository.path() {
            return Ok(false);
        }
        let memory = &self.session()?.mounts;
        if memory.is_pausing(self.identity()) {
            return Ok(false);
        }
        let mut call = empty(Method::POST, self.url("blobs/uploads/")?);
        call.url.query_pairs_mut().append_pair("mount", digest.as_str()).append_pair("from", from.path());
        let scopes =
            format!("repository:{}:pull,push repository:{}:pull", self.repository.path(), from.path());
        let answer = match self.send_scoped(call, &scopes).await {
            Ok(answer) => answer,
            Err(failure) => {
                // So says the token server of a registry that would be asked in vain.
                if matches!(failure.reason, Reason::Unauthorized | Reason::Forbidden) {
                    memory.refused(self.identity());
                }
                return Err(failure);
            }
        };
        match answer.status {
            StatusCode::CREATED => {
                memory.made(self.identity());
                Ok(true)
            }
            StatusCode::ACCEPTED => {
                memory.refused(self.identity());
                self.cancel(&answer).await;
                Ok(false)
            }
            status => {
                if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
                    memory.refused(self.identity());
                }
                Err(self.refusal(&answer))
            }
        }
    }

    /// Ends an upload that was begun instead of a mount. An upload is at its own registry; where it is
    /// said to be elsewhere, nothing is sent, and the registry forgets it by itself.
    async fn cancel(&self, begun: &Answer) {
        let location = begun.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let Some(upload) = location.and_then(|location| begun.url.join(location).ok()) else { return };
        if upload.origin() != begun.url.origin() || !upload.path().contains("/upload") {
            return;
        }
        let call = empty(Method::DELETE, upload);
        if let Err(failure) = self.send(call, "pull,push").await {
            tracing::debug!(repository = %self.repository, %failure, "an upload is left behind");
        }
    }
}

/// A request without content, which goes nowhere but where it is sent.
fn empty(method: Method, url: url::Url) -> Call {
    let mut call = Call::get(url, MAX_OTHER_BYTES);
    call.method = method;
    call.body = Some((HeaderValue::from_static("application/octet-stream"), Bytes::new()));
    call
}

impl Mounts {
    fn is_pausing(&self, who: Option<Fingerprint>) -> bool {
        self.lock().get(&who).and_then(|refused| refused.until).is_some_and(|until| Instant::now() < until)
    }

    fn made(&self, who: Option<Fingerprint>) {
        self.lock().remove(&who);
    }

    fn refused(&self, who: Option<Fingerprint>) {
        let mut known = self.lock();
        if known.len() >= MOST_CREDENTIALS && !known.contains_key(&who) {
            known.clear();
        }
        let refused = known.entry(who).or_default();
        refused.in_a_row = refused.in_a_row.saturating_add(1);
        if refused.in_a_row >= REFUSALS_UNTIL_PAUSE {
            // One more refusal after the pause begins the next one.
            refused.until = Some(Instant::now() + PAUSE);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<Fingerprint>, Refused>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_refused_all_the_time_pauses_and_tries_again() {
        let mounts = Mounts::default();
        for _ in 0..REFUSALS_UNTIL_PAUSE - 1 {
            mounts.refused(None);
        }
        mounts.made(None);
        mounts.refused(None);
        assert!(!mounts.is_pausing(None), "they were not in a row");
        for _ in 0..REFUSALS_UNTIL_PAUSE {
            mounts.refused(None);
        }
        assert!(mounts.is_pausing(None));
        let other = super::super::Credential::RegistryToken("t".into()).fingerprint();
        assert!(!mounts.is_pausing(Some(other)), "another credential may have other rights");
        tokio::time::advance(PAUSE).await;
        assert!(!mounts.is_pausing(None));
        mounts.refused(None);
        assert!(mounts.is_pausing(None), "once more is enough then");
    }
}
