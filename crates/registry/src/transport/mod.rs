//! One request and its complete response, within the limits of this process and of the host.
//!
//! ```text
//! Http ── sends, and retries what may succeed a moment later
//!   ├ hosts       one concurrency limit and one circuit breaker for each server
//!   ├ registry_limits   what administrators allow for a registry, whatever its names
//!   ├ exchange    one request, its redirects, its body within the memory limit
//!   │   ├ reach           what a host is to the registry that leads there
//!   │   └ address_guard   no connection to addresses that the host must not have
//!   └ pools       one connection pool for each way to secure a connection
//! ```

mod address_guard;
mod circuit_breaker;
mod concurrency_limit;
mod content_encoding;
mod content_stream;
mod error_response;
mod exchange;
mod given_certificates;
mod header_value;
mod hosts;
mod link;
mod memory_limit;
mod message;
mod pools;
mod reach;
mod registry_limits;
mod request_counts;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use crate::credentials::Access;
use crate::error::{Failure, Reason, Unreachable};
use crate::reference::RegistryHost;
use crate::settings::Settings;
use crate::text::authority;
use concurrency_limit::Permit;
use exchange::{Resources, exchange};
use hosts::{Host, Hosts};
use memory_limit::MemoryLimit;
use pools::{Pools, Use};
use registry_limits::RegistryLimits;
use request_counts::RequestCounts;
use retry::{full_jitter, is_transient, retry_after};

pub use content_stream::ContentStream;
pub(crate) use error_response::{error_of, is_registry_not_found, is_web_page, server_error};
pub(crate) use exchange::is_alias_of;
pub use given_certificates::holds_certificates;
pub(crate) use header_value::header_value;
pub(crate) use link::next_page;
pub use message::{Content, DownloadSlot};
pub(crate) use message::{Download, DownloadRequest, Request, Response, time_for};
pub(crate) use pools::interrupted;
pub(crate) use reach::{Channel, Reach, is_public_name, is_under};
pub use request_counts::RequestCount;
pub(crate) use retry::retry_after as retry_after_of;

/// The HTTP client of this process: connections, limits and counters that all its users share.
#[derive(Debug)]
pub struct Http {
    settings: Settings,
    pools: Pools,
    requests: RequestCounts,
    memory: MemoryLimit,
    hosts: Hosts,
    registry_limits: RegistryLimits,
}

impl Http {
    /// Returns a client without connections. Installs ring for TLS if the process has chosen no provider.
    pub fn new(settings: Settings) -> Self {
        // An error means that the process has a provider, which serves as well. Without one reqwest panics.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Less than the time for the request as a whole, or that would end first and blame the host.
        let memory = MemoryLimit::new(settings.request_timeout / 2);
        Self {
            settings,
            pools: Pools::default(),
            requests: RequestCounts::default(),
            memory,
            hosts: Hosts::default(),
            registry_limits: RegistryLimits::default(),
        }
    }

    /// Returns how many requests each host has had, by status code.
    pub fn requests(&self) -> Vec<RequestCount> {
        self.requests.counts()
    }

    /// Returns the settings.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns how a server at this address and the hosts that it names are connected to. Fails where the
    /// settings give no connection pool.
    pub(crate) fn channel(
        &self,
        base: Url,
        access: &Access,
        registry: Option<&RegistryHost>,
    ) -> Result<Channel, Failure> {
        let listed = registry.and_then(|registry| self.settings.token_servers.get(registry));
        let channel = Channel::new(base, access, listed.cloned().unwrap_or_default());
        let reach = channel.reach_of_addresses(channel.base());
        self.pools.client(&channel, reach, Use::Requests, &self.settings)?;
        Ok(channel)
    }

    /// Sends the request, and again after transient failures. The response may still be a 429 or 5xx:
    /// then the retries are used up, or the host asks for a longer pause than the settings allow.
    pub(crate) async fn send(&self, channel: &Channel, request: &Request) -> Result<Response, Failure> {
        let host = self.hosts.of(request, self.settings.concurrency_per_registry);
        // The time in the queue is not the host's fault, so only what follows counts.
        let mut spent = Duration::ZERO;
        let mut attempt = 0;
        loop {
            let permit = self.slot(&host, request).await?;
            let began = Instant::now();
            let outcome = exchange(channel, request, self.resources(&permit)).await;
            drop(permit);
            let asked = match &outcome {
                Ok(response) if is_transient(response.status) => retry_after(&response.headers),
                Err(failure) if is_transient_failure(failure) => None,
                Ok(_) => {
                    host.record_success(request);
                    return outcome;
                }
                Err(failure) => {
                    // A response that is no use, such as one that is too large, is one nevertheless.
                    if failure.status.is_some() {
                        host.record_success(request);
                    }
                    return outcome;
                }
            };
            if let Some(pause) = asked {
                host.breaker.pause(request.identity, pause);
            }
            let wait = full_jitter(&self.settings, attempt);
            spent += began.elapsed() + wait + asked.unwrap_or_default();
            // Whoever waits for a server that is silent keeps others from being served.
            let is_silent = outcome.as_ref().is_err_and(is_timeout) && !host.breaker.is_answering();
            if is_silent || self.is_last(request, attempt, spent, asked) {
                host.record(request, &outcome);
                return with_attempts(outcome, attempt + 1);
            }
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    /// Returns the right to send one request: what goes on with a blob that broke off has it already, and waits for
    /// nothing but the pauses that the host asks for.
    async fn slot(&self, host: &Host, request: &Request) -> Result<Arc<Permit>, Failure> {
        let held = request.download.as_ref().and_then(|download| download.slot.as_ref());
        let Some(slot) = held else { return self.permit(host, request).await.map(Arc::new) };
        let mut paused = Duration::ZERO;
        while let Some(left) = host.breaker.paused_for(request.identity) {
            self.may_wait(request, left, &mut paused)?;
            tokio::time::sleep(left).await;
        }
        host.try_acquire(request).map(|()| slot.0.clone())
    }

    /// Fails if a pause is too long to be waited for, after those before it.
    fn may_wait(&self, request: &Request, left: Duration, paused: &mut Duration) -> Result<(), Failure> {
        *paused += left;
        let is_too_long = left > self.settings.max_retry_after || *paused > self.settings.request_timeout;
        if request.is_single_attempt || is_too_long {
            let reason = Reason::RateLimited { retry_after: Some(left) };
            return Err(Failure::new(reason, format!("{} wants fewer requests", authority(&request.url))));
        }
        Ok(())
    }

    fn resources<'a>(&'a self, permit: &'a Arc<Permit>) -> Resources<'a> {
        Resources {
            permit,
            memory: &self.memory,
            requests: &self.requests,
            pools: &self.pools,
            settings: &self.settings,
        }
    }

    fn is_last(&self, request: &Request, attempt: u32, spent: Duration, asked: Option<Duration>) -> bool {
        request.is_single_attempt
            || !request.is_repeatable()
            || attempt >= self.settings.retries
            || spent > self.settings.request_timeout
            || asked.is_some_and(|asked| asked > self.settings.max_retry_after)
    }

    /// Returns the right to send one request, as soon as the host takes requests. A host that asks for one pause
    /// after another is waited for no longer than a request may take.
    async fn permit(&self, host: &Host, request: &Request) -> Result<Permit, Failure> {
        let mut paused = Duration::ZERO;
        loop {
            if let Some(failure) = host.open_error(request) {
                return Err(failure);
            }
            let limit = if request.download.is_some() { &host.downloads } else { &host.concurrency };
            let permit = limit.permit().await;
            let permit =
                permit.with(self.registry_limits.slot(&self.settings.request_limits, &request.url).await);
            // Checked last: while this request queued, the host may have asked an earlier one for a pause.
            let Some(left) = host.breaker.paused_for(request.identity) else {
                return host.try_acquire(request).map(|()| permit);
            };
            drop(permit);
            self.may_wait(request, left, &mut paused)?;
            tokio::time::sleep(left).await;
        }
    }
}

/// Notes in what came of a request whether it was sent more than once.
fn with_attempts(outcome: Result<Response, Failure>, attempts: u32) -> Result<Response, Failure> {
    let is_repeated = attempts > 1;
    match outcome {
        Ok(response) => Ok(Response { is_repeated, ..response }),
        Err(failure) => Err(Failure { is_repeated, ..failure }),
    }
}

/// Whether the same request may succeed a moment later. An untrusted certificate stays untrusted.
fn is_transient_failure(failure: &Failure) -> bool {
    use Unreachable::{Connect, Dns, Interrupted, Timeout};
    !failure.is_local && matches!(failure.reason, Reason::Unreachable(Dns | Connect | Timeout | Interrupted))
}

fn is_timeout(failure: &Failure) -> bool {
    failure.reason == Reason::Unreachable(Unreachable::Timeout)
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_goes_on_with_a_blob_waits_for_the_pause_that_its_host_asks_for() {
        let http = Http::new(Settings::default());
        let mut request = Request::get("https://r.example.com/v2/".parse().unwrap(), 0);
        let host = http.hosts.of(&request, 1);
        let slot = DownloadSlot(Arc::new(http.permit(&host, &request).await.unwrap()));
        request.download = Some(DownloadRequest { extra_time: Duration::ZERO, slot: Some(slot) });
        let began = Instant::now();
        host.breaker.pause(None, Duration::from_secs(20));
        http.slot(&host, &request).await.unwrap();
        assert!(began.elapsed() >= Duration::from_secs(20));
        host.breaker.pause(None, Duration::from_secs(31));
        let failure = http.slot(&host, &request).await.unwrap_err();
        assert!(matches!(failure.reason, Reason::RateLimited { .. }), "longer than is waited for: {failure}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_renews_its_pause_is_not_waited_for_without_an_end() {
        let http = Http::new(Settings::default());
        let request = Request::get("https://r.example.com/v2/".parse().unwrap(), 0);
        let host = http.hosts.of(&request, 1);
        let pause = || host.breaker.pause(None, Duration::from_secs(29));
        pause();
        let renewed = async {
            loop {
                sleep(Duration::from_secs(10)).await;
                pause();
            }
        };
        let permit = async {
            tokio::select! {
                permit = http.permit(&host, &request) => permit.map(drop),
                () = renewed => Ok(()),
            }
        };
        let failure = timeout(Duration::from_hours(1), permit).await.expect("it ends").unwrap_err();
        assert!(matches!(failure.reason, Reason::RateLimited { retry_after: Some(_) }), "{failure}");
    }
}
