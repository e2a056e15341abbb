//! Blobs that are uploaded (distribution-spec, "Pushing blobs"), each as a whole: registries differ in how they take
//! pieces.

use reqwest::header::{HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use url::Url;

use super::blobs::empty;
use super::repository_client::{MAX_OTHER_BYTES, RepositoryClient};
use crate::auth::Actions;
use crate::error::{Failure, Operation, RegistryError};
use crate::reference::Digest;
use crate::transport::{Content, Request, Response};

impl RepositoryClient {
    /// Uploads a blob, unless the repository has it. Returns whether it was sent.
    pub async fn upload_blob(&self, digest: &Digest, content: Content) -> Result<bool, RegistryError> {
        if self.has_blob(digest).await? {
            return Ok(false);
        }
        let sent = self.send_blob(digest, content).await;
        sent.map(|()| true).map_err(|failure| self.error(Operation::Upload(digest.clone()), failure))
    }

    async fn send_blob(&self, digest: &Digest, content: Content) -> Result<(), Failure> {
        let begun = self.send(empty(Method::POST, self.url("blobs/uploads/")?), Actions::PullPush).await?;
        if begun.status != StatusCode::ACCEPTED {
            return Err(self.error_of(&begun));
        }
        let mut request = Request::get(place(&begun)?, MAX_OTHER_BYTES);
        request.url.query_pairs_mut().append_pair("digest", digest.as_str());
        request.method = Method::PUT;
        request.body = Some((HeaderValue::from_static("application/octet-stream"), content));
        let sent = match self.send(request, Actions::PullPush).await {
            Ok(sent) if sent.status.is_success() => return Ok(()),
            Ok(sent) => Err(self.error_of(&sent)),
            Err(failure) => Err(failure),
        };
        self.cancel_upload(&begun).await;
        sent
    }
}

/// Returns where the upload goes on. A registry behind a proxy may not know that it is reached by TLS.
fn place(begun: &Response) -> Result<Url, Failure> {
    let location = begun.headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let place = location.and_then(|location| begun.url.join(location).ok());
    let mut place = place.ok_or_else(|| Failure::protocol("the registry names no place for the upload"))?;
    let is_same_host = place.host_str() == begun.url.host_str();
    if is_same_host && place.scheme() == "http" && begun.url.scheme() == "https" {
        place = begun.url.join(&place[url::Position::BeforePath..]).unwrap_or(place);
    }
    Ok(place)
}
