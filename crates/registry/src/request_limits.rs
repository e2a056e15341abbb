//! How many requests at once registries are sent, as whoever runs the program has decided.

use std::fmt;
use std::sync::Arc;

/// How many requests at once a registry is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLimit {
    /// What the registry is called here: several hosts with one name are limited together.
    pub registry: String,
    /// The requests; 0 counts as 1.
    pub concurrent_requests: usize,
}

/// Says how many requests at once the host of a URL is sent, with its port. It is asked before each request, and
/// raises no limit of the settings.
#[derive(Clone)]
pub struct RequestLimits(Arc<LimitOf>);

type LimitOf = dyn Fn(&str, u16) -> Option<RequestLimit> + Send + Sync;

impl RequestLimits {
    /// Returns the limits that `limit_of` gives.
    pub fn new(limit_of: impl Fn(&str, u16) -> Option<RequestLimit> + Send + Sync + 'static) -> Self {
        Self(Arc::new(limit_of))
    }

    /// Returns no limits.
    pub fn none() -> Self {
        Self::new(|_, _| None)
    }

    /// Returns the limit of a host at a port.
    pub(crate) fn of(&self, host: &str, port: u16) -> Option<RequestLimit> {
        (self.0)(host, port)
    }
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self::none()
    }
}

impl fmt::Debug for RequestLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestLimits").finish_non_exhaustive()
    }
}
