//! What the agent asks of the API server, for objects of any kind: watches, rights, Secrets, `ConfigMaps`,
//! events, statuses.

pub mod api_error;
pub mod config_maps;
mod decode;
pub mod events;
#[cfg(test)]
pub mod fixtures;
pub mod group_rights;
mod keep;
pub mod owner;
pub mod per_object;
mod pruner;
pub mod ready_gate;
mod reviews;
pub mod rights;
pub mod secrets;
pub mod status;
pub mod view;
pub mod watch;
pub mod write_gate;

use std::time::Duration;

/// How recent an answer of the API server has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Any answer that is cached.
    Cached,
    /// As recent as a retry needs that waits for a change, such as a renewed credential.
    Rechecked,
    /// As it is now: a sync was requested, or the object or its spec is new.
    Now,
}

impl Freshness {
    /// Returns how old an answer may be. `Now` allows a moment, so that many objects that are handled at once
    /// share one answer.
    pub fn max_age(self) -> Duration {
        match self {
            Self::Cached => Duration::from_mins(1),
            Self::Rechecked => Duration::from_secs(30),
            Self::Now => Duration::from_secs(1),
        }
    }
}
