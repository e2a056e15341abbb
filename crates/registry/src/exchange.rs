//! One question and its whole answer, redirects included.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION,
};
use reqwest::{Client, Method, Response, StatusCode};
use tokio::time::Instant;
use url::Url;

use super::access::Fingerprint;
use super::address::{self, host};
use super::budget::Permit;
use super::error::{Failure, Reason, Unreachable};
use super::http::unreachable;
use super::pulls::Pulls;
use super::requests::Requests;
use super::room::{Room, SMALL, STEP, Taken};

/// More hops than an honest registry makes.
const MOST_REDIRECTS: usize = 3;
/// A wait for room that is none.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Bytes of an answer that are read to learn why it is a refusal.
const MAX_REFUSAL_BYTES: usize = 64 << 10;

/// Registries that send every question elsewhere, to hosts that need no credential: the host and
/// the domain that it may send us to (kubernetes/registry.k8s.io, "request-handling.md").
const REDIRECTING: [(&str, &str); 2] = [("registry.k8s.io", ".pkg.dev"), ("k8s.gcr.io", "registry.k8s.io")];

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) accept: Option<&'static str>,
    pub(super) authorization: Option<HeaderValue>,
    /// Media type and bytes.
    pub(super) body: Option<(HeaderValue, Bytes)>,
    /// How many redirects are followed.
    pub(super) redirects: usize,
    /// Whether redirects may lead to another host, as those of blobs do; that host is shown no
    /// credential, so what it sends must be checked by its digest.
    pub(super) leaves_registry: bool,
    /// Bytes of the answer that are read; more is an error.
    pub(super) limit: usize,
    /// On whose behalf, for pauses that a registry asks for.
    pub(super) identity: Option<Fingerprint>,
    /// Whether one attempt without waiting is all, since there is another way to the answer.
    pub(super) once: bool,
}

/// One whole answer, whatever its status.
#[derive(Debug)]
pub(super) struct Answer {
    /// The address that answered; not the one that was asked, after a redirect.
    pub(super) url: Url,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// What proved who we are, to be hidden in what the server says. It is never logged.
    pub(super) shown: Option<HeaderValue>,
}

/// What an exchange takes from, and what it adds to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meters<'a> {
    pub(super) permit: &'a Permit<'a>,
    pub(super) room: &'a Room,
    pub(super) requests: &'a Requests,
    pub(super) pulls: &'a Pulls,
}

impl Call {
    pub(super) fn get(url: Url, limit: usize) -> Self {
        Self {
            method: Method::GET,
            url,
            accept: None,
            authorization: None,
            body: None,
            redirects: MOST_REDIRECTS,
            leaves_registry: false,
            limit,
            identity: None,
            once: false,
        }
    }
}

/// Asks, and follows redirects within the registry. Credentials go to the host that was meant only.
pub(super) async fn exchange(client: &Client, call: &Call, meters: Meters<'_>) -> Result<Answer, Failure> {
    let permit = meters.permit;
    let mut url = call.url.clone();
    let mut status = None;
    for _ in 0..=call.redirects {
        let answer = ask(client, call, url, meters).await?;
        status = Some(answer.status);
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            permit.throttled();
        } else if !answer.status.is_server_error() {
            permit.succeeded();
        }
        match redirect_target(&answer, call)? {
            Some(target) if call.body.is_none() => url = target,
            Some(_) => {
                let detail = format!("{} redirects what is sent to it", host(&call.url));
                return Err(Failure::refused(detail).with_status(answer.status));
            }
            None => return Ok(answer),
        }
    }
    let detail = format!("{} redirects more than {} times", host(&call.url), call.redirects);
    Err(Failure { status, ..Failure::protocol(detail) })
}

async fn ask(client: &Client, call: &Call, url: Url, meters: Meters<'_>) -> Result<Answer, Failure> {
    address::check(&url)?;
    let mut request = client.request(call.method.clone(), url.clone());
    if let Some(accept) = call.accept {
        request = request.header(ACCEPT, accept);
    }
    if let Some(authorization) = call.authorization.as_ref().filter(|_| url.origin() == call.url.origin()) {
        request = request.header(AUTHORIZATION, authorization.clone());
    }
    if let Some((media_type, bytes)) = &call.body {
        request = request.header(CONTENT_TYPE, media_type.clone()).body(bytes.clone());
        if bytes.is_empty() {
            // It is left out otherwise, and some servers answer 411 then.
            request = request.header(CONTENT_LENGTH, 0);
        }
    }
    let name = host(&url);
    let response = request.send().await.map_err(|error| {
        meters.requests.count(&name, None);
        unreachable(&error)
    })?;
    meters.requests.count(&name, Some(response.status().as_u16()));
    meters.pulls.hear(&name, call.identity, response.headers());
    let answer = read(response, url, call.limit, meters).await?;
    Ok(Answer { shown: call.authorization.clone(), ..answer })
}

/// Reads the body. Of a refusal the beginning is enough; anything else is whole or an error.
///
/// What takes much room is held only as long as it is read. Whoever asked makes of it what he needs before
/// he waits for anything else.
async fn read(mut response: Response, url: Url, limit: usize, meters: Meters<'_>) -> Result<Answer, Failure> {
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let is_refusal = status != StatusCode::OK;
    let limit = if is_refusal { MAX_REFUSAL_BYTES } else { limit };
    let told = response.content_length().and_then(|length| usize::try_from(length).ok());
    let (mut body, mut waited) = (Vec::new(), Duration::ZERO);
    let (mut taken, mut granted): (Option<Taken<'_>>, usize) = (None, SMALL);
    loop {
        let chunk =
            response.chunk().await.map_err(|error| late(unreachable(&error), waited).with_status(status));
        let Some(chunk) = chunk? else { break };
        if body.len() + chunk.len() > limit {
            if is_refusal {
                break;
            }
            let detail = format!("the answer has more than {limit} bytes");
            return Err(Failure::new(Reason::TooLarge { limit }, detail).with_status(status));
        }
        let needed = body.len() + chunk.len();
        if needed > granted {
            let has_room = if let Some(taken) = &mut taken {
                let more = (needed - granted).next_multiple_of(STEP);
                granted += more;
                taken.grow(more)
            } else {
                granted = told.map_or(STEP, |told| told.min(limit)).max(needed);
                let began = Instant::now();
                taken = meters.room.take(meters.permit.large(), granted).await;
                waited = began.elapsed();
                taken.is_some()
            };
            if !has_room {
                return Err(no_room(&url).with_status(status));
            }
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { url, status, headers, body: body.into(), shown: None })
}

/// A failure after a wait for room. The time for the request goes on meanwhile, which is not the server's
/// fault.
fn late(failure: Failure, waited: Duration) -> Failure {
    let is_ours = waited > AT_ONCE && failure.reason == Reason::Unreachable(Unreachable::Timeout);
    Failure { is_ours: failure.is_ours || is_ours, ..failure }
}

fn no_room(url: &Url) -> Failure {
    let detail = format!(
        "no memory is left for the large answer of {} beside other large answers; it is asked for again later",
        host(url)
    );
    Failure { is_ours: true, ..Failure::new(Reason::Unreachable(Unreachable::Timeout), detail) }
}

/// Where a redirect leads. Questions about tags and manifests carry our token and their answers
/// decide what is copied, so they stay on the registry. Blobs may come from anywhere, but not over
/// less than the registry speaks.
fn redirect_target(answer: &Answer, call: &Call) -> Result<Option<Url>, Failure> {
    if !matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let target = location.and_then(|location| answer.url.join(location).ok());
    let target =
        target.ok_or_else(|| Failure::protocol("a redirect to nowhere").with_status(answer.status))?;
    let known = REDIRECTING.iter().any(|(from, to)| {
        answer.url.host_str() == Some(from)
            && answer.url.scheme() == "https"
            && target.scheme() == "https"
            && target
                .host_str()
                .is_some_and(|name| name == *to || (to.starts_with('.') && name.ends_with(to)))
    });
    let is_safe = target.scheme() == "https" || target.scheme() == "http" && call.url.scheme() == "http";
    if target.origin() == answer.url.origin() || known || call.leaves_registry && is_safe {
        return Ok(Some(target));
    }
    let (from, to) = (host(&answer.url), host(&target));
    let detail = format!("{from} redirects to {to}, another host; name that registry instead");
    Err(Failure::refused(detail).with_status(answer.status))
}
