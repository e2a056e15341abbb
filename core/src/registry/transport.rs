//! Sends a request until there is an answer worth looking at, or no hope for one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Client;
use tokio::time::Instant;

use super::Settings;
use super::address::host;
use super::budget::{Budget, Permit};
use super::error::{Failure, Reason, Unreachable};
use super::exchange::{Answer, Call, exchange};
use super::gate::Gate;
use super::http::Pools;
use super::pulls::Pulls;
use super::refusal::refusal;
use super::requests::Requests;
use super::retry::{backoff, is_transient, retry_after};
use super::shared_lists::Held;

/// What all registries of the process share.
#[derive(Debug)]
pub(super) struct Transport {
    pub(super) settings: Settings,
    pub(super) pools: Pools,
    pub(super) requests: Requests,
    pub(super) pulls: Pulls,
    pub(super) lists: Held,
    hosts: Mutex<HashMap<(String, bool), Arc<Host>>>,
}

/// What holds for one host, whoever asks it.
#[derive(Debug)]
struct Host {
    budget: Budget,
    gate: Gate,
}

impl Transport {
    pub(super) fn new(settings: Settings) -> Self {
        let pulls = Pulls::new(settings.pull_reserve);
        let (pools, requests) = (Pools::default(), Requests::default());
        Self { settings, pools, requests, pulls, lists: Held::default(), hosts: Mutex::default() }
    }

    /// Sends the request, and again after failures that may pass. What comes back may still be a
    /// 429 or 5xx: then the retries are used up, or the registry wants a longer pause than we make.
    pub(super) async fn send(&self, client: &Client, call: &Call) -> Result<Answer, Failure> {
        let host = self.host(call);
        // The time in the queue is not the registry's, so only what follows counts.
        let mut spent = Duration::ZERO;
        let mut attempt = 0;
        loop {
            let permit = self.permit(&host, call).await?;
            let began = Instant::now();
            let outcome = exchange(client, call, &permit, (&self.requests, &self.pulls)).await;
            drop(permit);
            let asked = match &outcome {
                Ok(answer) if is_transient(answer.status) => retry_after(&answer.headers),
                Err(failure) if may_pass(failure) => None,
                Ok(_) => {
                    host.gate.answered();
                    return outcome;
                }
                Err(_) => return outcome,
            };
            if let Some(pause) = asked {
                host.gate.close(call.identity, pause);
            }
            let pause = backoff(&self.settings, attempt);
            spent += began.elapsed() + pause + asked.unwrap_or_default();
            let is_over =
                call.once || attempt >= self.settings.retries || spent > self.settings.request_timeout;
            if is_over || asked.is_some_and(|asked| asked > self.settings.longest_retry_after) {
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
            if call.once || left > self.settings.longest_retry_after {
                let reason = Reason::RateLimited { retry_after: Some(left) };
                let name = super::address::host(&call.url);
                let detail = format!("{name} wants fewer requests");
                return Err(Failure::new(reason, detail));
            }
            tokio::time::sleep(left).await;
        }
    }

    /// An API that is asked on the side may share its host with the registry. Whether it is ill or wants
    /// a pause must not keep the registry's own requests back.
    fn host(&self, call: &Call) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let budget = Budget::new(self.settings.concurrency_per_registry);
            Arc::new(Host { budget, gate: Gate::default() })
        };
        hosts.entry((host(&call.url), call.once)).or_insert_with(new).clone()
    }
}

impl Host {
    /// Takes note of how a request ended after all its retries. A 429 is a healthy host's.
    fn remember(&self, outcome: &Result<Answer, Failure>) {
        match outcome {
            Ok(answer) if answer.status.as_u16() == 429 => self.gate.answered(),
            Ok(answer) => self.gate.failed(&refusal(answer, &[])),
            Err(failure) => self.gate.failed(failure),
        }
    }
}

/// Whether the same request may succeed a moment later. An untrusted certificate stays untrusted.
fn may_pass(failure: &Failure) -> bool {
    use Unreachable::{Connect, Dns, Interrupted, Timeout};
    matches!(failure.reason, Reason::Unreachable(Dns | Connect | Timeout | Interrupted))
}
