//! Requests and responses as this client handles them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use super::concurrency_limit::Permit;
use super::content_stream::ContentStream;
use crate::credentials::Fingerprint;

/// Redirects that are followed. Registries make one.
const MAX_REDIRECTS: usize = 3;

/// The slowest line over which a file is sent to its end, in bytes a second.
const SLOWEST_LINE: u64 = 64 << 10;

/// What a request sends.
#[derive(Debug, Clone)]
pub enum Content {
    /// These bytes.
    Bytes(Bytes),
    /// A file, which is read anew for each attempt.
    File {
        /// Where it is.
        path: PathBuf,
        /// How many bytes it has.
        length: u64,
    },
    /// What comes from elsewhere, such as another registry. It can be sent once.
    Stream(ContentStream),
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) accept: Option<&'static str>,
    pub(crate) authorization: Option<HeaderValue>,
    /// Whether it authenticates with a token of the registry's token server, which the registry behind an
    /// alias takes as well. The credential itself is never sent there.
    pub(crate) is_authorized_by_token: bool,
    /// Media type and content.
    pub(crate) body: Option<(HeaderValue, Content)>,
    pub(crate) max_redirects: usize,
    /// Whether redirects may lead to another host, as those of blobs do. That host receives no
    /// credential, so its response must be checked by digest.
    pub(crate) may_leave_host: bool,
    /// Bytes of the response that are read; more is an error.
    pub(crate) max_bytes: usize,
    /// Who asks; a host may ask one account for a pause and not another.
    pub(crate) identity: Option<Fingerprint>,
    /// The version of git's protocol that is wanted of a git server.
    pub(crate) git_protocol: Option<&'static str>,
    /// The `ETag` of what is known, which the server need not send again.
    pub(crate) etag: Option<HeaderValue>,
    /// Whether to send it once and never wait, since the caller has another way to the answer.
    pub(crate) is_single_attempt: bool,
    /// The part of a blob that is wanted.
    pub(crate) range: Option<HeaderValue>,
    /// The part of a blob that is sent.
    pub(crate) content_range: Option<HeaderValue>,
    /// How much longer than others it may take to be answered, where the server has a lot to do first. It is not sent
    /// again by itself then: that would begin the work anew.
    pub(crate) work: Option<Duration>,
    /// Whether the body of a success is not read here but handed on ([`Response::download`]), and how long that
    /// may take.
    pub(crate) download: Option<DownloadRequest>,
}

/// How the body of a response is read that is handed on.
#[derive(Debug, Clone)]
pub(crate) struct DownloadRequest {
    /// How long it may take beside what every request may.
    pub(crate) extra_time: Duration,
    /// The right to read, where this goes on with what broke off.
    pub(crate) slot: Option<DownloadSlot>,
}

/// The right to read one blob from a host. Whoever begins anew after a break keeps it.
#[derive(Debug, Clone)]
pub struct DownloadSlot(pub(super) Arc<Permit>);

/// A body that is read piece by piece.
#[derive(Debug)]
pub(crate) struct Download {
    pub(crate) response: reqwest::Response,
    pub(crate) slot: DownloadSlot,
}

/// One complete response, whatever its status.
#[derive(Debug)]
pub(crate) struct Response {
    /// The URL that responded: after a redirect, not the one that was requested.
    pub(crate) url: Url,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What the request authenticated with, to be hidden in the server's words. Never logged.
    pub(crate) authorization: Option<HeaderValue>,
    /// The body, where it is handed on.
    pub(crate) download: Option<Download>,
    /// Whether the request was sent more than once.
    pub(crate) is_repeated: bool,
}

/// Returns how long a number of bytes may take over a slow line.
pub(crate) fn time_for(bytes: u64) -> Duration {
    Duration::from_secs(bytes / SLOWEST_LINE)
}

impl Content {
    /// Returns how much longer than others a request may take that sends it.
    pub fn extra_time(&self) -> Duration {
        match self {
            Self::Bytes(_) => Duration::ZERO,
            Self::File { length, .. } => time_for(*length),
            Self::Stream(stream) => time_for(stream.length()),
        }
    }

    /// Returns whether it can be sent again.
    pub(crate) fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Stream(_))
    }
}

impl Response {
    /// Returns the first response to a request without a credential.
    pub(crate) fn new(url: Url, status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self { url, status, headers, body, authorization: None, download: None, is_repeated: false }
    }
}

impl<T: Into<Bytes>> From<T> for Content {
    fn from(bytes: T) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl Request {
    /// Returns whether it may change something at the server. A token that is asked for by POST counts too: who may not
    /// write needs none.
    pub(crate) fn may_change_something(&self) -> bool {
        ![Method::GET, Method::HEAD].contains(&self.method)
    }

    /// Returns whether it can be sent again after it failed.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.work.is_none() && self.body.as_ref().is_none_or(|(_, content)| content.is_repeatable())
    }

    /// Returns a GET of this URL.
    pub(crate) fn get(url: Url, max_bytes: usize) -> Self {
        Self {
            method: Method::GET,
            url,
            accept: None,
            authorization: None,
            is_authorized_by_token: false,
            body: None,
            max_redirects: MAX_REDIRECTS,
            may_leave_host: false,
            max_bytes,
            identity: None,
            git_protocol: None,
            etag: None,
            is_single_attempt: false,
            range: None,
            content_range: None,
            work: None,
            download: None,
        }
    }
}
