//! Sends one request until there is a whole answer worth looking at.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, StatusCode};
use url::Url;

use super::access::Fingerprint;
use super::budget::Budget;
use super::error::{Failure, Reason, Unreachable};
use super::http::{Pools, unreachable};
use super::link::host;
use super::requests::Requests;
use super::retry::{backoff, is_transient, retry_after};
use super::{Settings, address};

/// More hops than an honest registry makes.
const MOST_REDIRECTS: usize = 3;

/// Registries that send every question elsewhere, to hosts that need no credential: the host and
/// the domain that it may send us to (kubernetes/registry.k8s.io, "request-handling.md").
const REDIRECTING: [(&str, &str); 2] = [("registry.k8s.io", ".pkg.dev"), ("k8s.gcr.io", "registry.k8s.io")];

/// What all registries of the process share.
#[derive(Debug)]
pub(super) struct Transport {
    pub(super) settings: Settings,
    pub(super) pools: Pools,
    pub(super) requests: Requests,
    budgets: Mutex<HashMap<String, Arc<Budget>>>,
}

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
    /// Bytes of the answer that are read; more is an error.
    pub(super) limit: usize,
    /// On whose behalf, for pauses that a registry asks for.
    pub(super) identity: Option<Fingerprint>,
}

/// One whole answer, whatever its status.
#[derive(Debug)]
pub(super) struct Answer {
    /// The address that answered; not the one that was asked, after a redirect.
    pub(super) url: Url,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
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
            limit,
            identity: None,
        }
    }
}

impl Transport {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, pools: Pools::default(), requests: Requests::default(), budgets: Mutex::default() }
    }

    /// Sends the request, and again after failures that may pass. What comes back may still be a
    /// 429 or 5xx: then the retries are used up, or the registry wants a longer pause than we make.
    pub(super) async fn send(&self, client: &Client, call: &Call) -> Result<Answer, Failure> {
        let budget = self.budget(&call.url);
        let mut attempt = 0;
        loop {
            self.wait_until_open(&budget, call).await?;
            let outcome = self.attempt(client, call, &budget).await;
            let asked = match &outcome {
                Ok(answer) if is_transient(answer.status) => retry_after(&answer.headers),
                Err(failure) if may_pass(failure) => None,
                Ok(_) | Err(_) => return outcome,
            };
            if let Some(pause) = asked {
                budget.close(call.identity, pause);
            }
            if attempt >= self.settings.retries
                || asked.is_some_and(|p| p > self.settings.longest_retry_after)
            {
                return outcome;
            }
            tokio::time::sleep(backoff(&self.settings, attempt)).await;
            attempt += 1;
        }
    }

    /// Sleeps while the host wants no requests, if that is not too long.
    async fn wait_until_open(&self, budget: &Budget, call: &Call) -> Result<(), Failure> {
        while let Some(left) = budget.closed_for(call.identity) {
            if left > self.settings.longest_retry_after {
                let reason = Reason::RateLimited { retry_after: Some(left) };
                let detail =
                    format!("{} asked for a pause of {} more seconds", host(&call.url), left.as_secs());
                return Err(Failure::new(reason, detail));
            }
            tokio::time::sleep(left).await;
        }
        Ok(())
    }

    async fn attempt(&self, client: &Client, call: &Call, budget: &Budget) -> Result<Answer, Failure> {
        let permit = budget.permit().await;
        let mut url = call.url.clone();
        for _ in 0..=call.redirects {
            let answer = self.once(client, call, url).await?;
            if answer.status == StatusCode::TOO_MANY_REQUESTS {
                permit.throttled();
            } else if !answer.status.is_server_error() {
                permit.succeeded();
            }
            match redirect_target(&answer)? {
                Some(target) if call.body.is_none() => url = target,
                Some(_) => {
                    return Err(Failure::refused(format!(
                        "{} redirects what is sent to it",
                        host(&call.url)
                    )));
                }
                None => return Ok(answer),
            }
        }
        Err(Failure::protocol(format!("{} redirects more than {} times", host(&call.url), call.redirects)))
    }

    async fn once(&self, client: &Client, call: &Call, url: Url) -> Result<Answer, Failure> {
        address::check(&url)?;
        let mut request = client.request(call.method.clone(), url.clone());
        if let Some(accept) = call.accept {
            request = request.header(ACCEPT, accept);
        }
        if let Some(authorization) = call.authorization.as_ref().filter(|_| url.origin() == call.url.origin())
        {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some((media_type, bytes)) = &call.body {
            request = request.header(CONTENT_TYPE, media_type.clone()).body(bytes.clone());
        }
        let name = host(&url);
        let response = request.send().await.map_err(|error| {
            self.requests.count(&name, None);
            unreachable(&error)
        })?;
        self.requests.count(&name, Some(response.status().as_u16()));
        self.requests.note_limit(&name, response.headers());
        read(response, url, call.limit).await
    }

    fn budget(&self, url: &Url) -> Arc<Budget> {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Budget::new(self.settings.concurrency_per_registry));
        budgets.entry(host(url)).or_insert_with(new).clone()
    }
}

/// Whether the same request may succeed a moment later. An untrusted certificate stays untrusted.
fn may_pass(failure: &Failure) -> bool {
    use Unreachable::{Connect, Dns, Interrupted, Timeout};
    matches!(failure.reason, Reason::Unreachable(Dns | Connect | Timeout | Interrupted))
}

async fn read(mut response: Response, url: Url, limit: usize) -> Result<Answer, Failure> {
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error).with_status(status))? {
        if body.len() + chunk.len() > limit {
            let detail = format!("the answer has more than {limit} bytes");
            return Err(Failure::new(Reason::TooLarge { limit }, detail).with_status(status));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { url, status, headers, body: body.into() })
}

/// Where a redirect leads. Questions about tags and manifests carry our token and their answers
/// decide what is copied, so they stay on the registry.
fn redirect_target(answer: &Answer) -> Result<Option<Url>, Failure> {
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
    if target.origin() == answer.url.origin() || known {
        return Ok(Some(target));
    }
    let (from, to) = (host(&answer.url), host(&target));
    let detail = format!("{from} redirects to {to}, another host; name that registry instead");
    Err(Failure::refused(detail).with_status(answer.status))
}
