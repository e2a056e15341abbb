//! The referrers API (OCI distribution-spec 1.1, "Listing Referrers").

use std::collections::HashSet;

use reqwest::StatusCode;
use serde::Deserialize;

use super::repository_client::{RepositoryClient, media_type};
use crate::auth::Actions;
use crate::error::{Failure, Operation, Reason, RegistryError};
use crate::oci::{OCI_INDEX, Referrer};
use crate::reference::{Digest, ManifestRef};
use crate::transport::{Request, Response, next_page, server_error};

/// Referrers of one manifest that are read. Hardly an image has more than ten.
const MAX_REFERRERS: usize = 1_000;
/// Pages of them that are read.
const MAX_PAGES: usize = 20;

#[derive(Deserialize)]
struct Page {
    manifests: Option<Vec<Referrer>>,
}

impl RepositoryClient {
    /// Returns what refers to a manifest of this repository; `None` if it has no referrers API.
    ///
    /// A repository without the API is not asked again for ten minutes, unless
    /// [`Self::invalidate_tag_lists`] is called. One whose API has answered to this process and is absent
    /// within a day is an error.
    pub async fn referrers(&self, subject: &Digest) -> Result<Option<Vec<Referrer>>, RegistryError> {
        let read = self.read_referrers(subject).await;
        read.map_err(|failure| self.error(Operation::Referrers(subject.clone()), failure))
    }

    async fn read_referrers(&self, subject: &Digest) -> Result<Option<Vec<Referrer>>, Failure> {
        let support = &self.registry()?.referrers_support;
        let key = (self.repository().path().to_owned(), self.identity());
        if support.is_absent(&key) {
            return Ok(None);
        }
        let mut bytes_left = self.settings().max_manifest_bytes;
        let mut page = self.url(&format!("referrers/{subject}"))?;
        let (mut referrers, mut seen) = (Vec::new(), HashSet::new());
        loop {
            let mut request = Request::get(page.clone(), bytes_left);
            request.accept = Some(OCI_INDEX);
            let response = match self.send(request, Actions::Pull).await {
                // GHCR redirects to a web page, which is not followed.
                Err(failure) if seen.is_empty() && is_redirect(&failure) => {
                    return if support.record_absent(&key) { Ok(None) } else { Err(failure) };
                }
                sent => sent?,
            };
            if seen.is_empty() && is_unknown_content(&response) {
                return Ok(Some(Vec::new()));
            }
            if seen.is_empty() && is_unknown_api(&response) {
                if support.record_absent(&key) {
                    return Ok(None);
                }
                // zot says no more where the manifest is not there.
                let may_be_gone = response.status == StatusCode::NOT_FOUND && response.body.is_empty();
                let subject = ManifestRef::Digest(subject.clone());
                let is_gone = may_be_gone && self.look_up(&subject).await?.is_none();
                return if is_gone { Ok(Some(Vec::new())) } else { Err(vanished(&response)) };
            }
            if response.status != StatusCode::OK {
                return Err(self.error_of(&response));
            }
            bytes_left = bytes_left.saturating_sub(response.body.len());
            referrers.extend(read(&response)?);
            support.record_present(&key);
            let next = next_page(&response.url, &response.headers)?;
            seen.insert(page);
            let Some(next) = next else { return Ok(Some(referrers)) };
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

/// Whether the registry lacks this repository or this manifest, and not the API.
fn is_unknown_content(response: &Response) -> bool {
    response.status == StatusCode::NOT_FOUND
        && server_error(&response.body, &[])
            .is_some_and(|error| matches!(error.code.as_str(), "NAME_UNKNOWN" | "MANIFEST_UNKNOWN"))
}

/// Registries without the API say so in several ways, one of them being a page for people with
/// status 200 (google/go-containerregistry, "remote/referrers.go" knows the same).
fn is_unknown_api(response: &Response) -> bool {
    matches!(response.status.as_u16(), 400 | 404 | 405 | 406 | 501)
        || response.status == StatusCode::OK && media_type(response) != Some(OCI_INDEX)
}

fn is_redirect(failure: &Failure) -> bool {
    failure.reason == Reason::Refused && failure.status.is_some_and(|status| status.is_redirection())
}

/// Returns the failure of an API that was there a while ago: a proxy may be half down.
fn vanished(response: &Response) -> Failure {
    let detail = "the referrers API has answered before and does not now";
    Failure::protocol(detail).with_status(response.status)
}

fn read(response: &Response) -> Result<Vec<Referrer>, Failure> {
    let page: Page = serde_json::from_slice(&response.body)
        .map_err(|_| Failure::protocol("the referrers are no OCI index").with_status(response.status))?;
    Ok(page.manifests.unwrap_or_default())
}
