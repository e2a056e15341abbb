//! The referrers API (OCI distribution-spec 1.1, "Listing Referrers"): what refers to a manifest.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use tokio::time::Instant;

use super::client::{RepositoryClient, media_type};
use super::error::{Action, Failure, Reason, RegistryError};
use super::exchange::{Answer, Call};
use super::link::next_page;
use super::manifest::OCI_INDEX;
use crate::index::Referrer;
use crate::reference::Digest;

/// Referrers of one manifest that are read. Hardly an image has more than ten.
const MAX_REFERRERS: usize = 1_000;
/// Pages of them; a registry that sends one at a time is no reason to ask a thousand times.
const MAX_PAGES: usize = 20;
/// How long a registry is not asked again that has no such API.
const ABSENT_FOR: Duration = Duration::from_hours(24);

/// Whether a registry has no referrers API, and since when that is known.
#[derive(Debug, Default)]
pub(super) struct Absence(Mutex<Option<Instant>>);

#[derive(Deserialize)]
struct Page {
    manifests: Option<Vec<Referrer>>,
}

impl Absence {
    fn is_known(&self) -> bool {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() < ABSENT_FOR)
    }

    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

impl RepositoryClient {
    /// What refers to a manifest of this repository, as far as the registry knows; none if it has no
    /// referrers API. One that has said so is not asked again for a day.
    pub async fn referrers(&self, subject: &Digest) -> Result<Option<Vec<Referrer>>, RegistryError> {
        let read = self.read_referrers(subject).await;
        read.map_err(|failure| self.error(Action::Referrers(subject.clone()), failure))
    }

    async fn read_referrers(&self, subject: &Digest) -> Result<Option<Vec<Referrer>>, Failure> {
        let absence = &self.session()?.no_referrers;
        if absence.is_known() {
            return Ok(None);
        }
        let mut bytes_left = self.shared.transport.settings.max_manifest_bytes;
        let mut page = self.url(&format!("referrers/{subject}"))?;
        let (mut referrers, mut seen) = (Vec::new(), HashSet::new());
        loop {
            let mut call = Call::get(page.clone(), bytes_left);
            call.accept = Some(OCI_INDEX);
            let answer = self.send(call, "pull").await?;
            if seen.is_empty() && is_no_such_api(&answer) {
                absence.note();
                return Ok(None);
            }
            if answer.status != StatusCode::OK {
                return Err(self.refusal(&answer));
            }
            bytes_left = bytes_left.saturating_sub(answer.body.len());
            referrers.extend(read(&answer)?);
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

/// Registries without the API say so in several ways, one of them being a page for people with
/// status 200 (google/go-containerregistry, "remote/referrers.go" knows the same).
fn is_no_such_api(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 400 | 404 | 405 | 406 | 501)
        || answer.status == StatusCode::OK && media_type(answer) != Some(OCI_INDEX)
}

fn read(answer: &Answer) -> Result<Vec<Referrer>, Failure> {
    let page: Page = serde_json::from_slice(&answer.body)
        .map_err(|_| Failure::protocol("the referrers are no OCI index").with_status(answer.status))?;
    Ok(page.manifests.unwrap_or_default())
}
