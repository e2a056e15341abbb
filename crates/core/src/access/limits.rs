//! What the agent asks of a registry at most, whichever namespace it works for.

use imgop_registry::reference::RegistryHost;

use super::AccessPolicy;

/// How many requests a registry is sent at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConcurrencyLimit {
    /// One of the names of the registry, the same for all of them.
    pub registry: String,
    /// The smallest number that an object gives.
    pub requests: u32,
}

impl AccessPolicy {
    /// Returns how many requests at once the registry with this name is sent at most, if any object says so. It counts
    /// for all its names together; which repositories, actions and namespaces an object is about does not matter.
    pub fn concurrency_limit(&self, host: &RegistryHost) -> Option<ConcurrencyLimit> {
        let mut limiting =
            self.grants().filter_map(|grant| Some((grant, grant.limits.concurrent_requests?))).peekable();
        // Most clusters have none, and this is asked before each request.
        limiting.peek()?;
        let names = self.names_of(host);
        let fitting = limiting.filter(|(grant, _)| grant.is_of_registry(&names));
        let requests = fitting.map(|(_, requests)| requests).min()?;
        let places = names.iter().filter_map(RegistryHost::place);
        let registry = places.map(|(name, port)| format!("{name}:{port}")).min()?;
        Some(ConcurrencyLimit { registry, requests })
    }
}
