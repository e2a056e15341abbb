//! The state of each server, whoever sends requests to it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use url::Url;

use super::circuit_breaker::CircuitBreaker;
use super::concurrency_limit::ConcurrencyLimit;
use super::error_response::unquoted_error_of;
use super::message::{Request, Response};
use crate::error::Failure;

/// From this many servers on, idle ones are evicted.
const MAX_HOSTS: usize = 4096;

/// All servers of this process. Whoever may create an Image names them, so there may be many.
///
/// No [`Bounded`](crate::cache::Bounded) map: what is evicted depends on the state of the host.
#[derive(Debug, Default)]
pub(super) struct Hosts(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    by_key: HashMap<HostKey, Arc<Host>>,
    sweep_at: usize,
}

/// A server as connections see it: where nothing listens on the plain port of a name, the port with TLS
/// may work.
///
/// A bulk API may share its server with the registry. Its failures and pauses must not hold back the
/// registry's own requests, so single attempts have a state of their own.
#[derive(Debug, PartialEq, Eq, Hash)]
struct HostKey {
    scheme: String,
    name: String,
    port: Option<u16>,
    is_single_attempt: bool,
}

#[derive(Debug)]
pub(super) struct Host {
    pub(super) concurrency: ConcurrencyLimit,
    pub(super) breaker: CircuitBreaker,
}

impl Hosts {
    /// Returns the server that a request goes to; a new one takes `concurrency` requests at a time.
    pub(super) fn of(&self, request: &Request, concurrency: usize) -> Arc<Host> {
        let mut known = self.0.lock();
        let key = HostKey::new(&request.url, request.is_single_attempt);
        if let Some(host) = known.by_key.get(&key) {
            return host.clone();
        }
        if known.by_key.len() >= known.sweep_at.max(MAX_HOSTS) {
            // Whoever may create an Image can name hosts that ask for long pauses, too.
            let is_crowded = known.by_key.len() >= 4 * MAX_HOSTS;
            let stays =
                |host: &Arc<Host>| Arc::strong_count(host) > 1 || !is_crowded && host.breaker.is_rejecting();
            known.by_key.retain(|_, host| stays(host));
            // Where all of them are in use, not every request checks each.
            known.sweep_at = known.by_key.len() + MAX_HOSTS / 4;
        }
        let host = Arc::new(Host {
            concurrency: ConcurrencyLimit::new(concurrency),
            breaker: CircuitBreaker::default(),
        });
        known.by_key.insert(key, host.clone());
        host
    }
}

impl HostKey {
    fn new(url: &Url, is_single_attempt: bool) -> Self {
        let name = url.host_str().unwrap_or_default().to_owned();
        Self { scheme: url.scheme().to_owned(), name, port: url.port_or_known_default(), is_single_attempt }
    }
}

impl Host {
    /// Records the outcome of a request after all its retries. A 429 is a healthy server's.
    ///
    /// All who send requests to this server see what is recorded, so it quotes none of its words.
    pub(super) fn record(&self, outcome: &Result<Response, Failure>) {
        match outcome {
            Ok(response) if response.status.as_u16() == 429 => self.breaker.record_success(),
            Ok(response) => self.breaker.record_failure(&unquoted_error_of(response)),
            Err(failure) => self.breaker.record_failure(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn request(url: &str) -> Request {
        Request::get(url.parse().unwrap(), 0)
    }

    fn is_same(hosts: &Hosts, a: &Request, b: &Request) -> bool {
        Arc::ptr_eq(&hosts.of(a, 1), &hosts.of(b, 1))
    }

    #[test]
    fn a_server_is_known_by_its_scheme_and_its_port() {
        let hosts = Hosts::default();
        let tls = request("https://r.example.com/v2/a");
        assert!(is_same(&hosts, &tls, &request("https://r.example.com:443/v2/b")));
        for other in ["http://r.example.com/v2/a", "http://r.example.com:443/", "https://r.example.com:5000/"]
        {
            assert!(!is_same(&hosts, &tls, &request(other)), "{other}");
        }
        assert!(!is_same(&hosts, &tls, &Request { is_single_attempt: true, ..tls.clone() }));
    }

    #[tokio::test(start_paused = true)]
    async fn of_ever_new_servers_those_are_kept_that_are_in_use_open_or_paused() {
        let hosts = Hosts::default();
        let nth = |n: usize| request(&format!("https://r{n}.example.com/"));
        let used = hosts.of(&nth(0), 1);
        hosts.of(&nth(1), 1).breaker.pause(None, Duration::from_hours(1));
        for _ in 0..9 {
            hosts.of(&nth(2), 1).breaker.record_failure(&Failure::protocol("down"));
        }
        for n in 3..4 * MAX_HOSTS {
            hosts.of(&nth(n), 1);
        }
        assert!(hosts.0.lock().by_key.len() <= MAX_HOSTS + MAX_HOSTS / 4);
        assert!(Arc::ptr_eq(&used, &hosts.of(&nth(0), 1)));
        assert!(hosts.of(&nth(1), 1).breaker.paused_for(None).is_some());
        assert!(hosts.of(&nth(2), 1).breaker.open_error().is_some());
    }
}
