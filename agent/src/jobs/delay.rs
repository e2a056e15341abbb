//! Why Jobs that could be made are not made yet.

use std::time::Duration;

use imgop_core::copy::Deferral;

use super::budget::Full;

/// How often an object is looked at whose own Jobs have all the places that it may have.
const OWN_JOBS_INTERVAL: Duration = Duration::from_secs(15);

/// Why copies that could begin do not.
#[derive(Debug)]
pub enum Delay {
    /// They are tried again after some time.
    Deferred(Deferral),
    /// There is no place for their Jobs. The Image is woken when it is next.
    Queued(Full),
}

impl Delay {
    /// Returns why, for people.
    pub fn message(&self) -> String {
        match self {
            Self::Deferred(deferral) => deferral.message.clone(),
            Self::Queued(full) => full.to_string(),
        }
    }

    /// Returns after how long they are tried again, unless the Image is woken.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Deferred(deferral) => Some(deferral.retry_after),
            // Its own Jobs have the places, so it is in no queue.
            Self::Queued(Full::Owner(_)) => Some(OWN_JOBS_INTERVAL),
            Self::Queued(_) => None,
        }
    }
}
