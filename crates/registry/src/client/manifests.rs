//! Manifests: looked up, read and written.

use reqwest::header::{CONTENT_LENGTH, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use super::blobs::empty;
use super::repository_client::{MAX_OTHER_BYTES, RepositoryClient, media_type};
use crate::auth::Actions;
use crate::error::{Failure, Operation, Reason, RegistryError};
use crate::oci::{ACCEPT, Descriptor, Manifest, ManifestError};
use crate::reference::{Digest, ManifestRef, Tag};
use crate::text::authority;
use crate::transport::{Request, Response, is_web_page};

impl RepositoryClient {
    /// Returns what the registry says about a manifest; `None` if it has none, or no such repository.
    ///
    /// This is a HEAD, which Docker Hub does not count as a pull. The manifest itself is read only from a
    /// registry that sends no digest, or refuses HEAD.
    pub async fn head(&self, what: &ManifestRef) -> Result<Option<Descriptor>, RegistryError> {
        self.look_up(what).await.map_err(|failure| self.error(Operation::Head(what.clone()), failure))
    }

    /// Returns the manifest, its digest computed from the bytes received; `None` if there is none.
    pub async fn manifest(&self, what: &ManifestRef) -> Result<Option<Manifest>, RegistryError> {
        self.read(what).await.map_err(|failure| self.error(Operation::Get(what.clone()), failure))
    }

    /// The same where it has at most this many bytes; one with more is an error ([`Reason::TooLarge`]).
    pub async fn manifest_within(
        &self,
        what: &ManifestRef,
        max_bytes: usize,
    ) -> Result<Option<Manifest>, RegistryError> {
        let read = self.read_within(what, max_bytes).await;
        read.map_err(|failure| self.error(Operation::Get(what.clone()), failure))
    }

    /// Writes a manifest under a tag or under its digest. What it refers to must be there already.
    pub async fn put_manifest(&self, what: &ManifestRef, manifest: &Manifest) -> Result<(), RegistryError> {
        self.put_and_confirm(what, manifest).await.map(|_| ())
    }

    /// Does the same, and returns whether the registry has answered with the digest of what it was sent, so that it
    /// need not be asked for it.
    pub async fn put_and_confirm(
        &self,
        what: &ManifestRef,
        manifest: &Manifest,
    ) -> Result<bool, RegistryError> {
        // Also where it fails or its caller goes away: a request that broke off may have been carried out.
        let _recorded = self.recorded_write();
        let outcome = self.write(what, manifest).await;
        outcome.map_err(|failure| self.error(Operation::Put(what.clone()), failure))
    }

    /// Deletes a tag, and nothing else: its content stays, and so does what other tags show. Returns false where the registry
    /// deletes no tags (OCI distribution-spec, "Deleting tags"). A tag that is not there is deleted.
    pub async fn delete_tag(&self, tag: &Tag) -> Result<bool, RegistryError> {
        let _recorded = self.recorded_write();
        self.delete(tag).await.map_err(|failure| self.error(Operation::Delete(tag.clone()), failure))
    }

    async fn delete(&self, tag: &Tag) -> Result<bool, Failure> {
        let request = empty(Method::DELETE, self.manifest_url(&ManifestRef::Tag(tag.clone()))?);
        let response = self.send(request, Actions::PullPushDelete).await?;
        match response.status {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND if !is_web_page(&response) => Ok(true),
            // distribution takes digests alone up to version 2, others delete nothing.
            StatusCode::BAD_REQUEST | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                Ok(false)
            }
            _ => Err(self.error_of(&response)),
        }
    }

    pub(super) async fn look_up(&self, what: &ManifestRef) -> Result<Option<Descriptor>, Failure> {
        let mut request = Request::get(self.manifest_url(what)?, MAX_OTHER_BYTES);
        request.method = Method::HEAD;
        request.accept = Some(ACCEPT);
        let response = self.send(request, Actions::Pull).await?;
        match response.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND if !is_web_page(&response) => return Ok(None),
            // Some registries and proxies answer GET alone.
            StatusCode::BAD_REQUEST
            | StatusCode::FORBIDDEN
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_IMPLEMENTED
                if !self.counts_pulls() =>
            {
                return self.read(what).await.map(|manifest| manifest.map(Descriptor::from));
            }
            _ => return Err(self.error_of(&response)),
        }
        let digest = match (header_digest(&response)?, what) {
            (Some(sent), ManifestRef::Digest(asked)) if sent != *asked => {
                return Err(digest_mismatch(asked, &sent));
            }
            (Some(sent), _) => sent,
            (None, ManifestRef::Digest(asked)) => asked.clone(),
            (None, ManifestRef::Tag(_)) => return self.read(what).await.map(|m| m.map(Descriptor::from)),
        };
        let media_type = media_type(&response).unwrap_or_default().to_owned();
        let size = response.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
        Ok(Some(Descriptor { digest, media_type, size }))
    }

    /// Reads a manifest, unless that would be a pull of the reserve.
    pub(super) async fn read(&self, what: &ManifestRef) -> Result<Option<Manifest>, Failure> {
        self.read_within(what, usize::MAX).await
    }

    async fn read_within(&self, what: &ManifestRef, max_bytes: usize) -> Result<Option<Manifest>, Failure> {
        let max_bytes = max_bytes.min(self.settings().max_manifest_bytes);
        let mut request = Request::get(self.manifest_url(what)?, max_bytes);
        request.accept = Some(ACCEPT);
        self.shared().pulls.may_read(&authority(&request.url), self.identity())?;
        let response = self.send(request, Actions::Pull).await?;
        match response.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND if !is_web_page(&response) => return Ok(None),
            _ => return Err(self.error_of(&response)),
        }
        let manifest = Manifest::received(media_type(&response), response.body.clone()).map_err(|error| {
            let reason = match &error {
                ManifestError::Schema1 => Reason::Schema1,
                _ => Reason::Protocol,
            };
            Failure::new(reason, error.to_string())
        })?;
        let asked = if let ManifestRef::Digest(asked) = what { Some(asked.clone()) } else { None };
        for claim in [header_digest(&response)?, asked].into_iter().flatten() {
            if claim != manifest.digest {
                return Err(digest_mismatch(&claim, &manifest.digest));
            }
        }
        Ok(Some(manifest))
    }

    async fn write(&self, what: &ManifestRef, manifest: &Manifest) -> Result<bool, Failure> {
        if let ManifestRef::Digest(digest) = what
            && *digest != manifest.digest
        {
            return Err(digest_mismatch(digest, &manifest.digest));
        }
        let mut request = Request::get(self.manifest_url(what)?, MAX_OTHER_BYTES);
        request.method = Method::PUT;
        let media_type = HeaderValue::from_str(&manifest.media_type)
            .map_err(|_| Failure::new(Reason::Settings, "the media type is no header value"))?;
        request.body = Some((media_type, manifest.bytes.clone().into()));
        let response = self.send(request, Actions::PullPush).await?;
        if !response.status.is_success() {
            return Err(self.error_of(&response));
        }
        match header_digest(&response)? {
            Some(sent) if sent != manifest.digest => Err(digest_mismatch(&manifest.digest, &sent)),
            sent => Ok(sent.is_some()),
        }
    }

    fn manifest_url(&self, what: &ManifestRef) -> Result<Url, Failure> {
        self.url(&format!("manifests/{what}"))
    }
}

impl From<Manifest> for Descriptor {
    fn from(manifest: Manifest) -> Self {
        let size = u64::try_from(manifest.bytes.len()).ok();
        Self { digest: manifest.digest, media_type: manifest.media_type, size }
    }
}

/// Returns `Docker-Content-Digest`, which is only a claim.
fn header_digest(response: &Response) -> Result<Option<Digest>, Failure> {
    let Some(value) = response.headers.get("docker-content-digest") else { return Ok(None) };
    let digest = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    digest.map(Some).ok_or_else(|| Failure::protocol("the digest in the answer is no SHA-256 digest"))
}

fn digest_mismatch(expected: &Digest, found: &Digest) -> Failure {
    Failure::protocol(format!("the digest should be {expected} and is {found}"))
}
