//! Uploads of blobs: as a whole, or chunk by chunk, so that they can go on after a break (OCI distribution-spec 1.1,
//! "Pushing Blobs").

use reqwest::header::{HeaderMap, HeaderValue, LOCATION, RANGE};
use reqwest::{Method, StatusCode};
use url::Url;

use super::blobs::empty;
use super::repository_client::{MAX_OTHER_BYTES, RepositoryClient};
use crate::auth::Actions;
use crate::error::{Failure, Operation, RegistryError};
use crate::reference::{Digest, Repository};
use crate::text::authority;
use crate::transport::{Content, Request, Response, time_for};

/// The least bytes of a chunk that is not the last one, where a registry wants more than we send by ourselves.
const MIN_CHUNK: &str = "oci-chunk-min-length";
/// What a registry says that it has.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// An upload that a registry has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    place: Url,
    position: u64,
    min_chunk: u64,
    is_own: bool,
}

/// What became of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// The blob is there.
    Mounted,
    /// The registry waits for its bytes.
    Upload(Upload),
}

impl Upload {
    /// Returns how many bytes the registry has.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns the least bytes of a chunk, but for the last one; 0 if there is no such limit.
    pub fn min_chunk(&self) -> u64 {
        self.min_chunk
    }

    /// Returns its place, for [`RepositoryClient::resume_upload`] of a later process; `None` if it is not at the
    /// registry itself. A place elsewhere is as good as a password.
    pub fn place(&self) -> Option<&str> {
        self.is_own.then(|| self.place.as_str())
    }
}

impl RepositoryClient {
    /// Uploads a blob, unless the repository has it. Returns whether it was sent.
    pub async fn upload_blob(&self, digest: &Digest, content: Content) -> Result<bool, RegistryError> {
        if self.has_blob(digest).await? {
            return Ok(false);
        }
        let upload = self.begin_upload(digest).await?;
        self.finish_upload(&upload, digest, content).await.map(|()| true)
    }

    /// Begins the upload of a blob.
    ///
    /// # Errors
    /// Where the registry does not take it.
    pub async fn begin_upload(&self, digest: &Digest) -> Result<Upload, RegistryError> {
        self.begin().await.map_err(|failure| self.error(Operation::Upload(digest.clone()), failure))
    }

    /// Asks the registry to mount a blob from another of its repositories. One that does not has begun an upload
    /// instead, as the specification wants.
    ///
    /// # Errors
    /// Where it does neither.
    pub async fn mount_or_begin(&self, digest: &Digest, from: &Repository) -> Result<Begun, RegistryError> {
        match self.request_mount(digest, from).await {
            Ok(Some(response)) if response.status == StatusCode::CREATED => Ok(Begun::Mounted),
            Ok(Some(response)) => self
                .begun(&response)
                .map(Begun::Upload)
                .map_err(|failure| self.error(Operation::Mount(digest.clone()), failure)),
            // That a mount is refused says nothing of uploads.
            Ok(None) | Err(_) => self.begin_upload(digest).await.map(Begun::Upload),
        }
    }

    /// Sends what is left of a blob, and ends the upload. Where all of it has arrived before, the registry may take its
    /// time: it puts the parts together now. One that is refused at its beginning is cancelled.
    ///
    /// # Errors
    /// Where the registry does not take it, or what it has then has another digest.
    pub async fn finish_upload(
        &self,
        upload: &Upload,
        digest: &Digest,
        content: Content,
    ) -> Result<(), RegistryError> {
        let mut request = Request::get(upload.place.clone(), MAX_OTHER_BYTES);
        request.url.query_pairs_mut().append_pair("digest", digest.as_str());
        request.method = Method::PUT;
        request.work = (upload.position > 0).then(|| time_for(upload.position));
        request.body = Some((HeaderValue::from_static("application/octet-stream"), content));
        let ended = self.send(request, Actions::PullPush).await;
        let failure = match ended.and_then(|sent| self.check_end(&sent, digest)) {
            Ok(()) => return Ok(()),
            Err(failure) => failure,
        };
        // One that wants fewer requests, or does not answer, is not sent one more for this.
        let is_refusal =
            failure.is_local || failure.status.is_some_and(|status| status != StatusCode::TOO_MANY_REQUESTS);
        if upload.position == 0 && is_refusal {
            self.cancel(upload).await;
        }
        Err(self.error(Operation::Upload(digest.clone()), failure))
    }

    /// Fails unless the registry says that it has the blob.
    fn check_end(&self, sent: &Response, digest: &Digest) -> Result<(), Failure> {
        if !sent.status.is_success() {
            return Err(self.error_of(sent));
        }
        if sent.status == StatusCode::ACCEPTED {
            return Err(Failure::protocol("the registry waits for more of a blob that was sent as a whole"));
        }
        let named = sent.headers.get(CONTENT_DIGEST).and_then(|value| value.to_str().ok());
        match named.and_then(|named| named.parse::<Digest>().ok()) {
            Some(found) if found != *digest => {
                Err(Failure::protocol(format!("the registry says that it has {found} of what was sent")))
            }
            _ => Ok(()),
        }
    }

    /// Sends the next `length` bytes of a blob. Returns the upload as it is then.
    ///
    /// # Errors
    /// Where the registry does not take them. [`Self::resume_upload`] says how many it has.
    pub async fn append_chunk(
        &self,
        upload: &Upload,
        digest: &Digest,
        content: Content,
        length: u64,
    ) -> Result<Upload, RegistryError> {
        let appended = self.append(upload, content, length).await;
        appended.map_err(|failure| self.error(Operation::Upload(digest.clone()), failure))
    }

    /// Asks the registry how much it has of an upload; `None` if it no longer knows it or does not say, and if the place is
    /// neither one of uploads to this repository nor one that a registry has named to this process: what a place of another
    /// process shows, and what is sent there, would be sent with credentials.
    ///
    /// # Errors
    /// Where it gives no answer.
    pub async fn resume_upload(&self, place: &str, digest: &Digest) -> Result<Option<Upload>, RegistryError> {
        let resumed = self.ask_for_upload(place).await;
        resumed.map_err(|failure| self.error(Operation::Upload(digest.clone()), failure))
    }

    /// Ends an upload of which nothing is wanted any more. Whatever fails: the registry drops it some day.
    pub async fn cancel(&self, upload: &Upload) {
        if upload.is_own {
            self.cancel_at(upload.place.clone()).await;
        }
    }

    async fn begin(&self) -> Result<Upload, Failure> {
        let begun = self.send(empty(Method::POST, self.url("blobs/uploads/")?), Actions::PullPush).await?;
        if begun.status != StatusCode::ACCEPTED {
            return Err(self.error_of(&begun));
        }
        self.begun(&begun)
    }

    fn begun(&self, response: &Response) -> Result<Upload, Failure> {
        let (place, is_own) = self.named_place(response)?;
        Ok(Upload { place, position: 0, min_chunk: min_chunk(&response.headers), is_own })
    }

    /// Returns where an upload goes on, and whether that is at the registry itself and not where it keeps its blobs.
    fn named_place(&self, response: &Response) -> Result<(Url, bool), Failure> {
        let place = place(response)?;
        let base = self.url("")?;
        let is_own = base.origin() == place.origin();
        if is_own && !is_of_uploads(&base, &place) {
            self.registry()?.upload_places.add(self.repository(), &place);
        }
        Ok((place, is_own))
    }

    /// Whether a place that another process names may be asked.
    fn may_be_asked(&self, place: &Url) -> Result<bool, Failure> {
        let base = self.url("")?;
        Ok(is_of_uploads(&base, place) || self.registry()?.upload_places.contains(self.repository(), place))
    }

    async fn append(&self, upload: &Upload, content: Content, length: u64) -> Result<Upload, Failure> {
        let end = upload.position + length;
        let mut request = Request::get(upload.place.clone(), MAX_OTHER_BYTES);
        request.method = Method::PATCH;
        request.content_range = HeaderValue::from_str(&format!("{}-{}", upload.position, end - 1)).ok();
        request.body = Some((HeaderValue::from_static("application/octet-stream"), content));
        let response = self.send(request, Actions::PullPush).await?;
        if !response.status.is_success() {
            return Err(self.error_of(&response));
        }
        let (place, is_own) = self.named_place(&response)?;
        let position = received(&response.headers).unwrap_or(end);
        if position > end {
            return Err(Failure::protocol("the registry says that it has more of a blob than it was sent"));
        }
        Ok(Upload { place, position, is_own, ..*upload })
    }

    async fn ask_for_upload(&self, place: &str) -> Result<Option<Upload>, Failure> {
        let Ok(place) = place.parse::<Url>() else { return Ok(None) };
        if !self.may_be_asked(&place)? {
            return Ok(None);
        }
        let request = Request::get(place.clone(), MAX_OTHER_BYTES);
        let response = self.send(request, Actions::PullPush).await?;
        if !response.status.is_success() {
            let is_gone = response.status.is_client_error()
                && !matches!(response.status.as_u16(), 401 | 403 | 408 | 429);
            return if is_gone { Ok(None) } else { Err(self.error_of(&response)) };
        }
        let Some(position) = received(&response.headers) else { return Ok(None) };
        let is_moved = response.headers.contains_key(LOCATION);
        let (place, is_own) = if is_moved { self.named_place(&response)? } else { (place, true) };
        Ok(Some(Upload { place, position, min_chunk: min_chunk(&response.headers), is_own }))
    }
}

/// Whether a place is one of uploads to the repository at `base`, as the specification has them, or as GHCR has them.
/// Other paths of a registry may show something else.
fn is_of_uploads(base: &Url, place: &Url) -> bool {
    let tail = place.path().strip_prefix(base.path()).filter(|_| base.origin() == place.origin());
    let id = tail
        .and_then(|tail| tail.strip_prefix("blobs/uploads/").or_else(|| tail.strip_prefix("blobs/upload/")));
    // A server may read an encoded slash as one, and dots between two as the folder above.
    id.is_some_and(|id| !id.is_empty() && !id.contains('%'))
}

/// Returns where the upload goes on. A registry behind a proxy may not know that it is reached by TLS; one that is leads
/// to no place that is not.
fn place(begun: &Response) -> Result<Url, Failure> {
    let location = begun.headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let place = location.and_then(|location| begun.url.join(location).ok());
    let mut place = place.ok_or_else(|| Failure::protocol("the registry names no place for the upload"))?;
    let is_same_host = place.host_str() == begun.url.host_str();
    if is_same_host && place.scheme() == "http" && begun.url.scheme() == "https" {
        place = begun.url.join(&place[url::Position::BeforePath..]).unwrap_or(place);
    }
    let is_safe = place.scheme() == "https" || place.scheme() == "http" && begun.url.scheme() == "http";
    if !is_safe {
        let (from, to) = (authority(&begun.url), authority(&place));
        return Err(Failure::refused(format!("{from} wants a blob sent to {to} without TLS")));
    }
    Ok(place)
}

/// Returns how many bytes a registry has, by `Range: 0-99`. What has nothing yet says `0-0`, as does what has one byte.
fn received(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(RANGE)?.to_str().ok()?.trim();
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let last: u64 = range.split_once('-')?.1.parse().ok()?;
    Some(if last == 0 { 0 } else { last + 1 })
}

fn min_chunk(headers: &HeaderMap) -> u64 {
    let length = headers.get(MIN_CHUNK).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    length.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_much_a_registry_has_of_an_upload_is_read() {
        let of = |range: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, range.parse().unwrap());
            received(&headers)
        };
        assert_eq!([of("0-99"), of("bytes=0-99"), of("0-0")], [Some(100), Some(100), Some(0)]);
        assert_eq!([of("0-"), of("x")], [None; 2]);
    }

    #[test]
    fn a_place_of_uploads_is_below_the_repository_and_leads_nowhere_else() {
        let base = "https://r.example.com/v2/team/app/".parse().unwrap();
        let is = |place: &str| is_of_uploads(&base, &place.parse().unwrap());
        for place in
            ["blobs/uploads/1", "blobs/uploads/1?_state=a%3D", "blobs/upload/1:2", "blobs/uploads/a/b"]
        {
            assert!(is(&format!("https://r.example.com/v2/team/app/{place}")), "{place}");
        }
        for place in [
            "https://r.example.com/v2/team/app/manifests/1",
            "https://r.example.com/v2/team/app/blobs/uploads/",
            "https://r.example.com/v2/prod/app/blobs/uploads/1",
            "https://r.example.com/v2/team/app/blobs/uploads/../../manifests/1",
            "https://r.example.com/v2/team/app/blobs/uploads/%2e%2e/%2e%2e/manifests/1",
            "https://r.example.com/v2/team/app/blobs/uploads/..%2f..%2fmanifests/1",
            "https://r.example.com:444/v2/team/app/blobs/uploads/1",
            "http://r.example.com/v2/team/app/blobs/uploads/1",
        ] {
            assert!(!is(place), "{place}");
        }
    }

    #[test]
    fn an_upload_goes_on_at_no_place_without_tls_where_its_registry_has_it() {
        let of = |at: &str, location: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, location.parse().unwrap());
            let (url, body) = (format!("{at}/v2/a/blobs/uploads/").parse().unwrap(), bytes::Bytes::new());
            let status = StatusCode::ACCEPTED;
            let begun = Response::new(url, status, headers, body);
            place(&begun).map(|place| place.to_string())
        };
        let tls = "https://r.example.com";
        assert_eq!(of(tls, "/v2/a/1").unwrap(), "https://r.example.com/v2/a/1");
        assert_eq!(of(tls, "http://r.example.com/v2/a/1").unwrap(), "https://r.example.com/v2/a/1");
        assert_eq!(of(tls, "https://store.example.net/1").unwrap(), "https://store.example.net/1");
        for location in ["http://store.example.net/1", "ftp://store.example.net/1"] {
            let said = of(tls, location).unwrap_err().to_string();
            assert!(said.contains("without TLS"), "{location}: {said}");
        }
        assert!(of("http://10.0.0.1:5000", "http://10.0.0.2:9000/1").is_ok());
    }
}
