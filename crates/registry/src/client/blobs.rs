//! Blobs: configurations that are read, and layers that are mounted from another repository
//! (distribution-spec, "Mounting a blob from another repository").

use bytes::Bytes;
use reqwest::header::{HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use url::Url;

use super::repository_client::{MAX_OTHER_BYTES, RepositoryClient};
use crate::auth::{Actions, Scope, Scopes};
use crate::error::{Failure, Operation, Reason, RegistryError};
use crate::reference::{Digest, Repository};
use crate::transport::{Request, Response};

/// Bytes of a configuration. The usual ones have less than 20 KiB.
const MAX_CONFIG_BYTES: usize = 4 << 20;

impl RepositoryClient {
    /// Mounts a blob from another repository of the same registry. Returns `false` if the registry does
    /// not, if it has refused so often that mounts pause, or if the other repository is at another registry.
    ///
    /// The credential is this client's; the registry decides whether it may read the other repository.
    pub async fn mount_blob(&self, digest: &Digest, from: &Repository) -> Result<bool, RegistryError> {
        let outcome = self.mount(digest, from).await;
        outcome.map_err(|failure| self.error(Operation::Mount(digest.clone()), failure))
    }

    /// Fails if this account may not push to the repository: an upload is begun and cancelled, which leaves nothing
    /// behind. A registry that answers an empty upload in a way of its own may still take a push.
    pub async fn check_push(&self) -> Result<(), RegistryError> {
        self.try_upload().await.map_err(|failure| self.error(Operation::Push, failure))
    }

    /// Whether mounts pause, because the registry has refused too many of them. A blob that is looked for first then may
    /// save its upload.
    pub fn are_mounts_paused(&self) -> bool {
        self.registry().is_ok_and(|registry| registry.mount_refusals.is_paused(self.identity()))
    }

    /// Returns the configuration of an image.
    pub(super) async fn config(&self, digest: &Digest) -> Result<Bytes, Failure> {
        self.blob(digest, MAX_CONFIG_BYTES).await
    }

    /// Returns a blob of at most this many bytes.
    ///
    /// The registry may redirect to another host, as for every blob: that host receives no credential, and
    /// what it sends must have this digest.
    pub(super) async fn blob(&self, digest: &Digest, max_bytes: usize) -> Result<Bytes, Failure> {
        let mut request = Request::get(self.url(&format!("blobs/{digest}"))?, max_bytes);
        request.may_leave_host = true;
        let response = self.send(request, Actions::Pull).await?;
        if response.status != StatusCode::OK {
            return Err(self.error_of(&response));
        }
        let found = Digest::of(&response.body);
        if found != *digest {
            let detail = format!("the digest of the blob should be {digest} and is {found}");
            return Err(Failure::new(Reason::Protocol, detail));
        }
        Ok(response.body)
    }

    async fn try_upload(&self) -> Result<(), Failure> {
        let request = empty(Method::POST, self.url("blobs/uploads/")?);
        let response = self.send(request, Actions::PullPush).await?;
        match response.status {
            StatusCode::ACCEPTED => {
                self.cancel_begun(&response).await;
                Ok(())
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
                Err(self.error_of(&response))
            }
            status if status.is_server_error() => Err(self.error_of(&response)),
            _ => Ok(()),
        }
    }

    async fn mount(&self, digest: &Digest, from: &Repository) -> Result<bool, Failure> {
        let Some(response) = self.request_mount(digest, from).await? else { return Ok(false) };
        if response.status == StatusCode::CREATED {
            return Ok(true);
        }
        self.cancel_begun(&response).await;
        Ok(false)
    }

    /// Asks for a mount. Returns the response if the blob is mounted or an upload was begun instead; `None` where it
    /// is not worth asking.
    pub(super) async fn request_mount(
        &self,
        digest: &Digest,
        from: &Repository,
    ) -> Result<Option<Response>, Failure> {
        let own = self.repository();
        if from.host() != own.host() || from.path() == own.path() {
            return Ok(None);
        }
        let (refusals, who) = (&self.registry()?.mount_refusals, self.identity());
        if refusals.is_paused(who) {
            return Ok(None);
        }
        let mut request = empty(Method::POST, self.url("blobs/uploads/")?);
        request.url.query_pairs_mut().append_pair("mount", digest.as_str()).append_pair("from", from.path());
        let scopes =
            Scopes::two(Scope::new(own.path(), Actions::PullPush), Scope::new(from.path(), Actions::Pull));
        let response = match self.send_scoped(request, &scopes).await {
            Ok(response) => response,
            Err(failure) => {
                // The token server of a registry that would refuse as well.
                if matches!(failure.reason, Reason::Unauthorized | Reason::Forbidden) {
                    refusals.record_refusal(who);
                }
                return Err(failure);
            }
        };
        match response.status {
            StatusCode::CREATED => {
                refusals.record_mount(who);
                Ok(Some(response))
            }
            StatusCode::ACCEPTED => {
                refusals.record_refusal(who);
                Ok(Some(response))
            }
            status => {
                if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
                    refusals.record_refusal(who);
                }
                Err(self.error_of(&response))
            }
        }
    }

    /// Cancels an upload that the registry began instead of a mount. An upload is at its own registry; for
    /// a location elsewhere nothing is sent, and the registry drops the upload by itself.
    async fn cancel_begun(&self, begun: &Response) {
        let location = begun.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let Some(upload) = location.and_then(|location| begun.url.join(location).ok()) else { return };
        if upload.origin() != begun.url.origin() || !upload.path().contains("/upload") {
            return;
        }
        self.cancel_at(upload).await;
    }

    pub(super) async fn cancel_at(&self, upload: Url) {
        let request = empty(Method::DELETE, upload);
        if let Err(failure) = self.send(request, Actions::PullPush).await {
            tracing::debug!(repository = %self.repository(), error = %failure, "an upload is left behind");
        }
    }
}

/// Returns a request without content, for which no redirect is followed.
pub(super) fn empty(method: Method, url: Url) -> Request {
    let mut request = Request::get(url, MAX_OTHER_BYTES);
    request.method = method;
    request.body = Some((HeaderValue::from_static("application/octet-stream"), Bytes::new().into()));
    request
}
