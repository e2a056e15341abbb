//! Sends a request until there is an answer worth looking at, or no hope for one.

use std::time::Duration;

use reqwest::Client;
use tokio::time::Instant;

use super::Settings;
use super::budget::Permit;
use super::error::{Failure, Reason, Unreachable};
use super::exchange::{Answer, Call, Meters, exchange};
use super::hosts::{Host, Hosts};
use super::http::Pools;
use super::pulls::Pulls;
use super::requests::Requests;
use super::retry::{backoff, is_transient, retry_after};
use super::room::Room;
use super::shared_lists::Held;

/// What all registries of the process share.
#[derive(Debug)]
pub(super) struct Transport {
    pub(super) settings: Settings,
    pub(super) pools: Pools,
    pub(super) requests: Requests,
    pub(super) pulls: Pulls,
    pub(super) lists: Held,
    pub(super) room: Room,
    hosts: Hosts,
}

impl Transport {
    pub(super) fn new(settings: Settings) -> Self {
        let pulls = Pulls::new(settings.pull_reserve);
        // Less than the time for the request as a whole, or that would end first and blame the registry.
        let room = Room::new(settings.request_timeout / 2);
        let (pools, requests) = (Pools::default(), Requests::default());
        Self { settings, pools, requests, pulls, lists: Held::default(), room, hosts: Hosts::default() }
    }

    /// Sends the request, and again after failures that may pass. What comes back may still be a
    /// 429 or 5xx: then the retries are used up, or the registry wants a longer pause than we make.
    pub(super) async fn send(&self, client: &Client, call: &Call) -> Result<Answer, Failure> {
        let host = self.hosts.of(call, self.settings.concurrency_per_registry);
        // The time in the queue is not the registry's, so only what follows counts.
        let mut spent = Duration::ZERO;
        let mut attempt = 0;
        loop {
            let permit = self.permit(&host, call).await?;
            let began = Instant::now();
            let (room, requests, pulls) = (&self.room, &self.requests, &self.pulls);
            let outcome = exchange(client, call, Meters { permit: &permit, room, requests, pulls }).await;
            drop(permit);
            let asked = match &outcome {
                Ok(answer) if is_transient(answer.status) => retry_after(&answer.headers),
                Err(failure) if may_pass(failure) => None,
                Ok(_) => {
                    host.gate.answered();
                    return outcome;
                }
                Err(failure) => {
                    // An answer that is no use, such as one that is too large, is one nevertheless.
                    if failure.status.is_some() {
                        host.gate.answered();
                    }
                    return outcome;
                }
            };
            if let Some(pause) = asked {
                host.gate.close(call.identity, pause);
            }
            let pause = backoff(&self.settings, attempt);
            spent += began.elapsed() + pause + asked.unwrap_or_default();
            let is_over =
                call.once || attempt >= self.settings.retries || spent > self.settings.request_timeout;
            if is_over || asked.is_some_and(|asked| asked > self.settings.max_retry_after) {
                host.remember(&outcome);
                return outcome;
            }
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// The right to send one request, as soon as the host takes requests.
    async fn permit<'a>(&self, host: &'a Host, call: &Call) -> Result<Permit<'a>, Failure> {
        loop {
            if let Some(failure) = host.gate.illness() {
                return Err(failure);
            }
            let permit = host.budget.permit().await;
            // Looked at last: while this one queued, the host may have asked the one before for a pause.
            let Some(left) = host.gate.closed_for(call.identity) else {
                return host.gate.admit().map(|()| permit);
            };
            drop(permit);
            if call.once || left > self.settings.max_retry_after {
                let reason = Reason::RateLimited { retry_after: Some(left) };
                let name = super::address::host(&call.url);
                let detail = format!("{name} wants fewer requests");
                return Err(Failure::new(reason, detail));
            }
            tokio::time::sleep(left).await;
        }
    }
}

/// Whether the same request may succeed a moment later. An untrusted certificate stays untrusted.
fn may_pass(failure: &Failure) -> bool {
    use Unreachable::{Connect, Dns, Interrupted, Timeout};
    !failure.is_ours && matches!(failure.reason, Reason::Unreachable(Dns | Connect | Timeout | Interrupted))
}
