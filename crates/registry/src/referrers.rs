//! The referrers API (OCI distribution-spec 1.1, "Listing Referrers"): what refers to a manifest.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use tokio::time::Instant;

use super::access::Fingerprint;
use super::client::{RepositoryClient, media_type};
use super::error::{Failure, Operation, Reason, RegistryError};
use super::exchange::{Answer, Call};
use super::link::next_page;
use super::manifest::OCI_INDEX;
use super::server_text::server_error;
use crate::oci::Referrer;
use crate::reference::Digest;

/// Referrers of one manifest that are read. Hardly an image has more than ten.
const MAX_REFERRERS: usize = 1_000;
/// Pages of them; a registry that sends one at a time is no reason to ask a thousand times.
const MAX_PAGES: usize = 20;
/// How long a repository is not asked again that has no such API.
const ABSENT_FOR: Duration = Duration::from_mins(10);
/// Repositories of one registry of which that is remembered, until the old ones are looked for.
const SWEEP_FROM: usize = 1_024;
/// How long a repository that had one is not believed to have none. A proxy that is half down is mended in
/// that time; a registry may really have been replaced.
const ANSWERED_FOR: Duration = Duration::from_hours(24);
/// Repositories of one registry whose API is remembered to have answered.
const MOST_ANSWERED: usize = 4_096;

/// A repository's path, and who asks.
type Key = (String, Option<Fingerprint>);

/// Which repositories of a registry have a referrers API. One of them says nothing of the others: a proxy
/// may serve each from another registry, and a path may be refused that somebody has made up. Nor does what
/// one credential sees say anything of another.
#[derive(Debug, Default)]
pub(super) struct Apis(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Those that have none, and since when that is known.
    absent: HashMap<Key, Instant>,
    /// Those whose API has answered, and when it last did.
    answered: HashMap<Key, Instant>,
}

#[derive(Deserialize)]
struct Page {
    manifests: Option<Vec<Referrer>>,
}

impl Apis {
    fn is_absent(&self, key: &Key) -> bool {
        let since = self.lock().absent.get(key).copied();
        since.is_some_and(|since| since.elapsed() < ABSENT_FOR)
    }

    /// Takes note that there is none, unless it has answered before: then it fails, and what it has said is
    /// no less true. `false` in that case.
    fn note_absent(&self, key: &Key) -> bool {
        let mut known = self.lock();
        if known.answered.get(key).is_some_and(|at| at.elapsed() < ANSWERED_FOR) {
            return false;
        }
        if known.absent.len() >= SWEEP_FROM {
            known.absent.retain(|_, since| since.elapsed() < ABSENT_FOR);
        }
        // Whoever is not remembered is asked again, which is no more than a request.
        if known.absent.len() < SWEEP_FROM {
            known.absent.insert(key.clone(), Instant::now());
        }
        true
    }

    fn note_answer(&self, key: &Key) {
        let mut known = self.lock();
        if known.answered.len() >= MOST_ANSWERED {
            known.answered.retain(|_, at| at.elapsed() < ANSWERED_FOR);
        }
        if known.answered.len() < MOST_ANSWERED || known.answered.contains_key(key) {
            known.answered.insert(key.clone(), Instant::now());
        }
    }

    /// Somebody wants to know what is there now.
    pub(super) fn forget(&self, path: &str) {
        let mut known = self.lock();
        known.absent.retain(|(known, _), _| known != path);
        known.answered.retain(|(known, _), _| known != path);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RepositoryClient {
    /// What refers to a manifest of this repository, as far as the registry knows; none if it has no
    /// referrers API. A repository that has said so is not asked again for ten minutes, unless somebody
    /// doubts it ([`Self::invalidate_tag_lists`]). One whose API has answered to this process is not believed when it
    /// says so within a day: that is an error.
    pub async fn referrers(&self, subject: &Digest) -> Result<Option<Vec<Referrer>>, RegistryError> {
        let read = self.read_referrers(subject).await;
        read.map_err(|failure| self.error(Operation::Referrers(subject.clone()), failure))
    }

    async fn read_referrers(&self, subject: &Digest) -> Result<Option<Vec<Referrer>>, Failure> {
        let apis = &self.session()?.referrers_apis;
        let key = (self.repository.path().to_owned(), self.identity());
        if apis.is_absent(&key) {
            return Ok(None);
        }
        let mut bytes_left = self.shared.transport.settings.max_manifest_bytes;
        let mut page = self.url(&format!("referrers/{subject}"))?;
        let (mut referrers, mut seen) = (Vec::new(), HashSet::new());
        loop {
            let mut call = Call::get(page.clone(), bytes_left);
            call.accept = Some(OCI_INDEX);
            let answer = self.send(call, "pull").await?;
            if seen.is_empty() && is_no_such_thing(&answer) {
                return Ok(Some(Vec::new()));
            }
            if seen.is_empty() && is_no_such_api(&answer) {
                return if apis.note_absent(&key) { Ok(None) } else { Err(gone(&answer)) };
            }
            if answer.status != StatusCode::OK {
                return Err(self.refusal(&answer));
            }
            bytes_left = bytes_left.saturating_sub(answer.body.len());
            referrers.extend(read(&answer)?);
            apis.note_answer(&key);
            seen.insert(page);
            let Some(next) = next_page(&answer.url, &answer.headers)? else { return Ok(Some(referrers)) };
            if seen.contains(&next) {
                return Err(Failure::protocol("the pages of the referrers go round in circles"));
            }
            if referrers.len() > MAX_REFERRERS || seen.len() >= MAX_PAGES {
                let detail =
                    format!("{subject} has more than {MAX_REFERRERS} referrers or {MAX_PAGES} pages");
                return Err(Failure::new(Reason::TooLarge { limit: MAX_REFERRERS }, detail));
            }
            page = next;
        }
    }
}

/// Whether the registry speaks of this repository or this manifest, and not of the API.
fn is_no_such_thing(answer: &Answer) -> bool {
    answer.status == StatusCode::NOT_FOUND
        && server_error(&answer.body, &[])
            .is_some_and(|error| matches!(error.code.as_str(), "NAME_UNKNOWN" | "MANIFEST_UNKNOWN"))
}

/// Registries without the API say so in several ways, one of them being a page for people with
/// status 200 (google/go-containerregistry, "remote/referrers.go" knows the same).
fn is_no_such_api(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 400 | 404 | 405 | 406 | 501)
        || answer.status == StatusCode::OK && media_type(answer) != Some(OCI_INDEX)
}

/// An API that was there a while ago; a proxy that is half down says so, for one.
fn gone(answer: &Answer) -> Failure {
    let detail = "the referrers API has answered before and does not now";
    Failure::protocol(detail).with_status(answer.status)
}

fn read(answer: &Answer) -> Result<Vec<Referrer>, Failure> {
    let page: Page = serde_json::from_slice(&answer.body)
        .map_err(|_| Failure::protocol("the referrers are no OCI index").with_status(answer.status))?;
    Ok(page.manifests.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_api_that_has_answered_is_not_believed_to_be_gone_for_a_day() {
        let (apis, key) = (Apis::default(), ("app".to_owned(), None));
        apis.note_answer(&key);
        tokio::time::advance(ANSWERED_FOR / 2).await;
        apis.note_answer(&key);
        tokio::time::advance(ANSWERED_FOR / 2).await;
        assert!(!apis.note_absent(&key) && !apis.is_absent(&key));
        tokio::time::advance(ANSWERED_FOR / 2).await;
        assert!(apis.note_absent(&key) && apis.is_absent(&key));
    }
}
