//! Which of several agents works: the one that holds a Lease (coordination.k8s.io).
//!
//! ```text
//!  lease_api ──what is there──▶ elector (pure) ──until when──▶ leadership ──▶ may this be written? who leads?
//!      ▲                            │
//!      └──────what to ask next──────┘   all by a clock that no one sets (clock)
//! ```
//!
//! The process that does not lead any more ends: nothing of what it knew is used again. Where its tasks are stuck, a
//! thread of its own ends it (watchdog).

mod clock;
mod elector;
mod leadership;
mod lease_api;
mod watchdog;

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

pub use clock::{Clock, Moment};
pub use elector::{Elector, LeaseRecord, LeaseWrite, Loss, Step, Timings};
pub use leadership::{Leadership, Role};
pub use lease_api::{EarlierHeartbeat, KubeLease, LeaseApi};
pub use watchdog::when_lost;

use crate::cluster::api_error::{ApiCause, ApiError};

/// How long releasing the Lease may take. Others get it without that too, only later.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(3);
/// The pause before the Lease is released again after another write was faster.
const RELEASE_PAUSE: Duration = Duration::from_millis(50);
/// How often the same failure is logged.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// One process in an election.
pub struct Election<A> {
    api: A,
    clock: Clock,
    elector: Elector,
    leadership: Leadership,
    /// The failure that was logged last, and when.
    logged: Option<(String, Instant)>,
}

impl<A: LeaseApi> Election<A> {
    /// Returns a process that takes part from now on, under a name that no other one has or had.
    pub fn new(api: A, identity: String, timings: Timings, clock: Clock) -> Self {
        let leadership = Leadership::new(clock.clone());
        Self { api, clock, elector: Elector::new(identity, timings), leadership, logged: None }
    }

    /// Returns what tells all parts of the process whether it leads.
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Waits until this process leads.
    pub async fn acquire(&mut self) {
        while self.elector.leads_until().is_none() {
            // Who does not lead yet loses nothing.
            let _ = self.advance().await;
        }
        tracing::info!("leads");
    }

    /// Renews the Lease until this process does not lead any more, and returns why.
    pub async fn keep(&mut self) -> Loss {
        loop {
            if let Some(loss) = self.advance().await {
                return loss;
            }
        }
    }

    /// Gives the Lease up, so that another process leads at once. Nothing may be written from now on.
    pub async fn release(mut self) {
        self.leadership.resign();
        match timeout(RELEASE_TIMEOUT, self.try_release()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lease is not released"),
            Err(_) => tracing::warn!("the lease is not released: no answer in time"),
        }
    }

    /// The write that was under way last may have been done or not, so it is read first.
    async fn try_release(&mut self) -> Result<(), ApiError> {
        loop {
            let record = self.api.read().await?;
            self.elector.read(record, self.clock.now());
            let Some(write) = self.elector.release() else { return Ok(()) };
            match self.api.write(write).await {
                Err(ApiError { cause: ApiCause::Conflict(_), .. }) => sleep(RELEASE_PAUSE).await,
                result => return result.map(drop),
            }
        }
    }

    /// Does what is to be done next. Returns why this process must not go on, if that is so.
    async fn advance(&mut self) -> Option<Loss> {
        let now = self.clock.now();
        let patience = self.elector.patience(now);
        let answer = match self.elector.next(now) {
            Step::End(loss) => {
                self.leadership.end();
                return Some(loss);
            }
            Step::Wait(pause) => {
                sleep(pause).await;
                return None;
            }
            Step::Read => match timeout(patience, self.api.read()).await {
                Ok(Ok(record)) => {
                    self.elector.read(record, self.clock.now());
                    Ok(())
                }
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("cannot read the Lease: no answer in time".to_owned()),
            },
            Step::Write(write) => match timeout(patience, self.api.write(write)).await {
                Ok(Ok(record)) => {
                    self.elector.wrote(record, now, self.clock.now());
                    Ok(())
                }
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("cannot write the Lease: no answer in time".to_owned()),
            },
        };
        match answer {
            Ok(()) => self.publish(),
            Err(error) => {
                self.elector.failed(self.clock.now());
                self.log(error);
            }
        }
        None
    }

    fn publish(&mut self) {
        self.logged = None;
        self.leadership.has_read(self.elector.holder());
        match self.elector.leads_until() {
            Some(until) => self.leadership.lead_until(until),
            None => self.leadership.end(),
        }
    }

    /// Logs a failure, and the same one again only after a while.
    fn log(&mut self, error: String) {
        let is_known = |(known, at): &(String, Instant)| *known == error && at.elapsed() < LOG_INTERVAL;
        if !self.logged.as_ref().is_some_and(is_known) {
            tracing::warn!("{error}");
            self.logged = Some((error, Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests;
