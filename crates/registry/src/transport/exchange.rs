//! One request and its complete response, redirects included.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap,
    HeaderValue, IF_NONE_MATCH, LOCATION, RANGE,
};
use reqwest::{Body, RequestBuilder, StatusCode};
use tokio::fs::File;
use tokio::time::Instant;
use url::Url;

use super::address_guard::AddressRules;
use super::concurrency_limit::Permit;
use super::content_encoding::{self, Gzip};
use super::memory_limit::{
    MAX_FIRST_RESERVATION, MemoryLimit, RESERVATION_STEP, Reservation, UNRESERVED_BYTES,
};
use super::message::{Content, Download, DownloadSlot, Request, Response};
use super::pools::{Pools, Use, broken_off, unreachable, unreachable_foreign};
use super::reach::{Channel, Reach};
use super::request_counts::RequestCounts;
use crate::error::{Failure, Reason, Unreachable};
use crate::settings::Settings;
use crate::text::authority;
use crate::write_gate::GateClosed;

/// A wait for memory up to this is no reason for a timeout of the request.
const NEGLIGIBLE_WAIT: Duration = Duration::from_secs(1);
/// A body that holds memory has to come at this rate, after a slow start.
const MIN_BYTES_PER_SECOND: usize = 64 << 10;
const SLOW_START: Duration = Duration::from_secs(10);
/// Bytes of all headers of a response. Registries send two or three kilobytes.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// Bytes of an error response that are read to learn its cause.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// Registries that redirect every request to hosts that need no credential: the host, and the host or
/// domain that it may redirect to (kubernetes/registry.k8s.io, "request-handling.md").
const REDIRECTING: [(&str, &str); 2] = [("registry.k8s.io", ".pkg.dev"), ("k8s.gcr.io", "registry.k8s.io")];
/// Names of other registries, whose tokens they take: the name, and the registry that it redirects to.
const ALIASES: [(&str, &str); 1] = [("lscr.io", "ghcr.io")];

/// What an exchange takes from and adds to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resources<'a> {
    pub(super) permit: &'a Arc<Permit>,
    pub(super) memory: &'a MemoryLimit,
    pub(super) requests: &'a RequestCounts,
    pub(super) pools: &'a Pools,
    pub(super) settings: &'a Settings,
}

/// Sends a request and follows redirects within its host. Credentials go to that host only.
pub(super) async fn exchange(
    channel: &Channel,
    request: &Request,
    resources: Resources<'_>,
) -> Result<Response, Failure> {
    let permit = resources.permit;
    let mut url = request.url.clone();
    let mut status = None;
    for _ in 0..=request.max_redirects {
        let response = send(channel, request, url, resources).await?;
        status = Some(response.status);
        if response.status == StatusCode::TOO_MANY_REQUESTS {
            permit.throttled();
        } else if !response.status.is_server_error() {
            permit.succeeded();
        }
        match redirect_target(&response, request)? {
            Some(target) if request.body.is_none() => url = target,
            Some(_) => {
                let detail = format!("{} redirects what is sent to it", authority(&request.url));
                return Err(Failure::refused(detail).with_status(response.status));
            }
            None => return Ok(response),
        }
    }
    let detail = format!("{} redirects more than {} times", authority(&request.url), request.max_redirects);
    Err(Failure { status, ..Failure::protocol(detail) })
}

async fn send(
    channel: &Channel,
    request: &Request,
    url: Url,
    resources: Resources<'_>,
) -> Result<Response, Failure> {
    let reach = channel.reach_of_addresses(&url);
    AddressRules::new(reach, &channel.allowances, resources.settings).check_literal(&url)?;
    let pool = resources.pools.client(channel, reach, Use::of(request), resources.settings)?;
    let mut builder = pool.request(request.method.clone(), url.clone());
    if let Some(accept) = request.accept {
        builder = builder.header(ACCEPT, accept);
    }
    if let Some(version) = request.git_protocol {
        builder = builder.header("git-protocol", version);
    }
    let given =
        [(IF_NONE_MATCH, &request.etag), (RANGE, &request.range), (CONTENT_RANGE, &request.content_range)];
    for (name, value) in given {
        if let Some(value) = value {
            builder = builder.header(name, value.clone());
        }
    }
    let extra_time = request.download.as_ref().map(|download| download.extra_time).or(request.work);
    if let Some(extra_time) = extra_time {
        builder = builder.timeout(resources.settings.request_timeout + extra_time);
    }
    let is_same_host = url.origin() == request.url.origin();
    let may_see = is_same_host || request.is_authorized_by_token && is_alias_of(&request.url, &url);
    if let Some(authorization) = request.authorization.as_ref().filter(|_| may_see) {
        builder = builder.header(AUTHORIZATION, authorization.clone());
    }
    if let Some((media_type, content)) = &request.body {
        builder = with_content(builder.header(CONTENT_TYPE, media_type.clone()), content, resources).await?;
    }
    let host = authority(&url);
    let sent = if request.may_change_something() {
        let gate = &resources.settings.write_gate;
        gate.while_open(builder.send()).await.map_err(may_not_write)?
    } else {
        builder.send().await
    };
    let response = sent.map_err(|error| {
        resources.requests.count(&host, None);
        broken_off(&error).unwrap_or_else(|| match reach {
            Reach::Foreign => unreachable_foreign(&host, &error),
            Reach::Own | Reach::Loopback => unreachable(&error),
        })
    })?;
    resources.requests.count(&host, Some(response.status().as_u16()));
    let authorization = request.authorization.clone();
    if request.download.is_some() && response.status().is_success() {
        return handed_on(response, url, authorization, resources);
    }
    let response = read(response, url, request.max_bytes, resources).await?;
    Ok(Response { authorization, ..response })
}

/// Returns a response whose body the caller reads. While it does, the registry as a whole may be sent other requests.
fn handed_on(
    mut response: reqwest::Response,
    url: Url,
    authorization: Option<HeaderValue>,
    resources: Resources<'_>,
) -> Result<Response, Failure> {
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    check_headers(&headers, &url)?;
    resources.permit.leave_registry();
    let download = Some(Download { response, slot: DownloadSlot(resources.permit.clone()) });
    Ok(Response { authorization, download, ..Response::new(url, status, headers, Bytes::new()) })
}

/// Says nothing of the host, and no other attempt ends otherwise.
fn may_not_write(closed: GateClosed) -> Failure {
    let reason = Reason::Unreachable(Unreachable::Interrupted);
    Failure { is_local: true, ..Failure::new(reason, closed.to_string()) }
}

async fn with_content(
    builder: RequestBuilder,
    content: &Content,
    resources: Resources<'_>,
) -> Result<RequestBuilder, Failure> {
    Ok(match content {
        // Left out otherwise, and some servers answer 411 then.
        Content::Bytes(bytes) if bytes.is_empty() => builder.body(bytes.clone()).header(CONTENT_LENGTH, 0),
        Content::Bytes(bytes) => builder.body(bytes.clone()),
        Content::File { path, length } => {
            let file = File::open(path).await;
            let file = file.map_err(|error| {
                let detail = format!("{} cannot be read: {error}", path.display());
                Failure { is_local: true, ..Failure::new(Reason::Settings, detail) }
            })?;
            let time = resources.settings.request_timeout + content.extra_time();
            builder.body(file).header(CONTENT_LENGTH, *length).timeout(time)
        }
        Content::Stream(stream) => {
            let bytes = stream.take().ok_or_else(|| {
                let reason = Reason::Unreachable(Unreachable::Interrupted);
                Failure { is_local: true, ..Failure::new(reason, "what was being sent has to be read again") }
            })?;
            let time = resources.settings.request_timeout + content.extra_time();
            builder.body(Body::wrap_stream(bytes)).header(CONTENT_LENGTH, stream.length()).timeout(time)
        }
    })
}

/// Reads the body. Of an error response the beginning is enough; anything else is complete or an error.
///
/// Memory for a large body is reserved only while it is read. Callers reduce it to what they need before
/// they wait for anything else.
async fn read(
    mut response: reqwest::Response,
    url: Url,
    max_bytes: usize,
    resources: Resources<'_>,
) -> Result<Response, Failure> {
    let (status, mut headers) = (response.status(), std::mem::take(response.headers_mut()));
    check_headers(&headers, &url)?;
    let is_error = status != StatusCode::OK;
    let max_bytes = if is_error { MAX_ERROR_BYTES } else { max_bytes };
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    let mut memory = BodyMemory::new(resources, announced.map(|length| length.min(max_bytes)));
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await;
        let chunk = chunk.map_err(|error| memory.blame(unreachable(&error)).with_status(status))?;
        let Some(chunk) = chunk else { break };
        let needed = body.len() + chunk.len();
        if needed > max_bytes {
            if is_error {
                break;
            }
            let detail = format!("the response has more than {max_bytes} bytes");
            return Err(Failure::new(Reason::TooLarge { limit: max_bytes }, detail).with_status(status));
        }
        if !memory.reserve(needed).await {
            return Err(no_memory(&url).with_status(status));
        }
        body.extend_from_slice(&chunk);
        if memory.is_too_slow(body.len()) {
            let detail = format!("{} sends a large response too slowly", authority(&url));
            return Err(Failure::new(Reason::Unreachable(Unreachable::Timeout), detail).with_status(status));
        }
    }
    if content_encoding::is_gzip(&headers) && !body.is_empty() {
        headers.remove(CONTENT_ENCODING);
        let decoded = decode(&body, &mut memory, max_bytes).await;
        body = match decoded {
            // Its status says what it is.
            Err(_) if is_error => Vec::new(),
            decoded => {
                decoded.map_err(|failure| failure.unwrap_or_else(|| no_memory(&url)).with_status(status))?
            }
        };
    }
    Ok(Response::new(url, status, headers, body.into()))
}

/// Returns the content of a compressed body. `Err(None)` means that there is no memory for it.
async fn decode(
    body: &[u8],
    memory: &mut BodyMemory<'_>,
    max_bytes: usize,
) -> Result<Vec<u8>, Option<Failure>> {
    let mut gzip = Gzip::new(body);
    while gzip.step().map_err(Some)? {
        gzip.check(max_bytes).map_err(Some)?;
        if !memory.reserve(body.len() + gzip.decoded.len()).await {
            return Err(None);
        }
    }
    Ok(gzip.decoded)
}

/// Fails for headers that no registry sends: what is remembered of them would have no bound.
fn check_headers(headers: &HeaderMap, url: &Url) -> Result<(), Failure> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes <= MAX_HEADER_BYTES {
        return Ok(());
    }
    let detail = format!("{} sends more than {MAX_HEADER_BYTES} bytes of headers", authority(url));
    Err(Failure::new(Reason::TooLarge { limit: MAX_HEADER_BYTES }, detail))
}

/// The memory that one body holds.
struct BodyMemory<'a> {
    resources: Resources<'a>,
    announced: Option<usize>,
    reservation: Option<Reservation<'a>>,
    granted: usize,
    waited: Duration,
    reserved_at: Instant,
}

impl<'a> BodyMemory<'a> {
    fn new(resources: Resources<'a>, announced: Option<usize>) -> Self {
        Self {
            resources,
            announced,
            reservation: None,
            granted: UNRESERVED_BYTES,
            waited: Duration::ZERO,
            reserved_at: Instant::now(),
        }
    }

    /// Extends the reservation to this number of bytes. Returns `false` if there is no memory for them.
    async fn reserve(&mut self, bytes: usize) -> bool {
        if bytes <= self.granted {
            return true;
        }
        if let Some(reservation) = &mut self.reservation {
            let more = (bytes - self.granted).next_multiple_of(RESERVATION_STEP);
            self.granted += more;
            return reservation.extend(more);
        }
        // What is announced may never come.
        self.granted = self.announced.unwrap_or(RESERVATION_STEP).min(MAX_FIRST_RESERVATION).max(bytes);
        let began = Instant::now();
        let turn = self.resources.permit.large_responses();
        self.reservation = self.resources.memory.reserve(turn, self.granted).await;
        self.waited = began.elapsed();
        self.reserved_at = Instant::now();
        self.reservation.is_some()
    }

    /// Whether a body holds memory that others wait for, and comes too slowly for that.
    fn is_too_slow(&self, received: usize) -> bool {
        self.reservation.is_some() && is_too_slow(received, self.reserved_at.elapsed())
    }

    /// Marks a timeout after a wait for memory as local: the time of the request went on meanwhile,
    /// which is not the server's fault.
    fn blame(&self, failure: Failure) -> Failure {
        let is_timeout = failure.reason == Reason::Unreachable(Unreachable::Timeout);
        let is_local = is_timeout && self.waited > NEGLIGIBLE_WAIT;
        Failure { is_local: failure.is_local || is_local, ..failure }
    }
}

fn is_too_slow(received: usize, elapsed: Duration) -> bool {
    let seconds = usize::try_from(elapsed.as_secs()).unwrap_or(usize::MAX);
    elapsed > SLOW_START && received < seconds.saturating_mul(MIN_BYTES_PER_SECOND)
}

fn no_memory(url: &Url) -> Failure {
    let detail = format!(
        "no memory is left for the large response of {} beside other large responses; it is retried later",
        authority(url)
    );
    Failure { is_local: true, ..Failure::new(Reason::Unreachable(Unreachable::Timeout), detail) }
}

/// Returns where a redirect leads. Requests for tags and manifests carry a token and their responses
/// decide what is copied, so they stay on the registry. Blobs may come from anywhere, but not over less
/// than the registry speaks.
fn redirect_target(response: &Response, request: &Request) -> Result<Option<Url>, Failure> {
    if !matches!(response.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response.headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let target = location.and_then(|location| response.url.join(location).ok());
    let target = target
        .ok_or_else(|| Failure::protocol("a redirect without a location").with_status(response.status))?;
    let is_safe = target.scheme() == "https" || target.scheme() == "http" && request.url.scheme() == "http";
    if target.origin() == response.url.origin()
        || is_redirecting(&response.url, &target)
        || is_alias_of(&response.url, &target)
        || request.may_leave_host && is_safe
    {
        return Ok(Some(target));
    }
    let (from, to) = (authority(&response.url), authority(&target));
    let detail = format!("{from} redirects to {to}, another host; name that registry instead");
    Err(Failure::refused(detail).with_status(response.status))
}

/// Whether the first host is another name of the second registry.
pub(crate) fn is_alias_of(from: &Url, to: &Url) -> bool {
    is_pair_of(&ALIASES, from, to)
}

fn is_redirecting(from: &Url, to: &Url) -> bool {
    is_pair_of(&REDIRECTING, from, to)
}

fn is_pair_of(pairs: &[(&str, &str)], from: &Url, to: &Url) -> bool {
    let is_domain =
        |name: &str, domain: &str| name == domain || domain.starts_with('.') && name.ends_with(domain);
    let (Some(from_name), Some(to_name)) = (from.host_str(), to.host_str()) else { return false };
    let are_secure = from.scheme() == "https" && to.scheme() == "https";
    are_secure && pairs.iter().any(|(first, second)| from_name == *first && is_domain(to_name, second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_holds_memory_must_not_trickle() {
        let seconds = Duration::from_secs;
        assert!(!is_too_slow(0, seconds(10)), "it may begin slowly");
        assert!(is_too_slow(300 << 10, seconds(14)));
        assert!(!is_too_slow(16 << 20, seconds(60)));
    }
}
