//! Documents that are no registry's: one GET, under the limits, retries and address rules that registries have.

use reqwest::header::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::auth::authorization;
use crate::credentials::Access;
use crate::transport::{Http, Request};

/// A GET of a document.
#[derive(Debug, Clone)]
pub struct WebRequest {
    /// Its address, of `http` or `https`.
    pub url: Url,
    /// The media type that is wanted.
    pub accept: &'static str,
    /// The `ETag` of what is known, which the server need not send again.
    pub etag: Option<String>,
    /// A bearer token. It goes to this host and to no other one.
    pub token: Option<SecretString>,
    /// Bytes of the body that are read; more is an error.
    pub max_bytes: usize,
    /// The address of what names it, where that is no spec. Other hosts than that one are foreign then: they are at no
    /// private address. It may be redirected to other hosts, as archives of releases are.
    pub named_by: Option<Url>,
}

/// The answer to it, of any status.
#[derive(Debug, Clone)]
pub struct WebAnswer {
    /// The status.
    pub status: u16,
    /// The whole body.
    pub body: Vec<u8>,
    headers: HeaderMap,
}

/// Why there is no answer, with the host and without the rest of the address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host}: {why}")]
pub struct WebError {
    host: String,
    why: String,
}

impl WebAnswer {
    /// Returns a header, if it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

pub(crate) async fn get(http: &Http, request: &WebRequest) -> Result<WebAnswer, WebError> {
    let host = request.url.host_str().unwrap_or_default().to_owned();
    let error = |why: String| WebError { host: host.clone(), why };
    let mut sent = Request::get(request.url.clone(), request.max_bytes);
    sent.accept = Some(request.accept);
    if let Some(etag) = &request.etag {
        let etag = HeaderValue::from_str(etag).map_err(|_| error("its ETag is no header".to_owned()))?;
        sent.etag = Some(etag);
    }
    if let Some(token) = &request.token {
        let header = authorization("Bearer", token.expose_secret());
        sent.authorization =
            Some(header.map_err(|_| error("the token has characters that no header can have".to_owned()))?);
    }
    sent.may_leave_host = request.named_by.is_some();
    let base = request.named_by.as_ref().unwrap_or(&request.url);
    if base.scheme() == "https" && request.url.scheme() != "https" {
        return Err(error("it would be read without TLS, and what names it is read with it".to_owned()));
    }
    let failed = |failure: crate::error::Failure| error(failure.to_string());
    let channel = http.channel(base.clone(), &Access::default(), None).map_err(failed)?;
    let response = http.send(&channel, &sent).await.map_err(failed)?;
    Ok(WebAnswer {
        status: response.status.as_u16(),
        body: response.body.to_vec(),
        headers: response.headers,
    })
}
