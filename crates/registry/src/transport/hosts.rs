//! The state of each server, whoever sends requests to it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use url::Url;

use super::circuit_breaker::CircuitBreaker;
use super::concurrency_limit::ConcurrencyLimit;
use super::error_response::unquoted_error_of;
use super::message::{Request, Response};
use crate::cache::Bounded;
use crate::error::Failure;

/// Repositories of one server whose failures are remembered, and for how long after the last.
const MAX_FAILING_REPOSITORIES: usize = 256;
const FAILING_TTL: Duration = Duration::from_hours(1);

/// From this many servers on, idle ones are evicted.
const MAX_HOSTS: usize = 4096;

/// All servers of this process. Whoever may create an Image names them, so there may be many.
///
/// No [`Bounded`] map: what is evicted depends on the state of the host.
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

/// A server, and what fails there.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) concurrency: Arc<ConcurrencyLimit>,
    /// The blobs that are read from it at a time. They do not share the limit of the other requests: what is read
    /// may be sent to the same host, and would wait for itself.
    pub(super) downloads: Arc<ConcurrencyLimit>,
    /// Open while the server does not respond, or has errors for each repository that is asked for.
    pub(super) breaker: CircuitBreaker,
    /// Of repositories for which it responds with errors: those of others may be in order, as where one of
    /// them is a cache of a registry that is down.
    repositories: Mutex<Bounded<String, Arc<CircuitBreaker>>>,
    /// Those that have had errors since it last responded without one.
    in_a_row: Mutex<HashSet<String>>,
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
            let stays = |host: &Arc<Host>| Arc::strong_count(host) > 1 || !is_crowded && host.is_rejecting();
            known.by_key.retain(|_, host| stays(host));
            // Where all of them are in use, not every request checks each.
            known.sweep_at = known.by_key.len() + MAX_HOSTS / 4;
        }
        let host = Arc::new(Host {
            concurrency: Arc::new(ConcurrencyLimit::new(concurrency)),
            downloads: Arc::new(ConcurrencyLimit::new(concurrency)),
            breaker: CircuitBreaker::default(),
            repositories: Mutex::new(Bounded::new(MAX_FAILING_REPOSITORIES)),
            in_a_row: Mutex::default(),
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
    /// Returns the failure to report while no request may be sent for this one's repository.
    pub(super) fn open_error(&self, request: &Request) -> Option<Failure> {
        let of_repository = || self.failing(request).and_then(|breaker| breaker.open_error());
        self.breaker.open_error().or_else(of_repository)
    }

    /// Lets a request through, as a probe where a breaker is open.
    pub(super) fn try_acquire(&self, request: &Request) -> Result<(), Failure> {
        self.breaker.try_acquire()?;
        self.failing(request).map_or(Ok(()), |breaker| breaker.try_acquire())
    }

    /// Records a response that is no error of the server's.
    pub(super) fn record_success(&self, request: &Request) {
        self.breaker.record_success();
        self.in_a_row.lock().clear();
        self.repositories.lock().remove(&repository(&request.url).to_owned());
    }

    /// Records the outcome of a request after all its retries. A 429 is a healthy server's.
    ///
    /// All who send requests to this server see what is recorded, so it quotes none of its words.
    pub(super) fn record(&self, request: &Request, outcome: &Result<Response, Failure>) {
        match outcome {
            Ok(response) if response.status.as_u16() == 429 => self.record_success(request),
            Ok(response) => self.record_error(request, &unquoted_error_of(response)),
            Err(failure) => self.breaker.record_failure(failure),
        }
    }

    /// Records an error of the server. Of one repository it counts once for the server as a whole.
    fn record_error(&self, request: &Request, failure: &Failure) {
        let path = repository(&request.url).to_owned();
        let failing = self.failing(request).unwrap_or_default();
        failing.record_failure(failure);
        self.repositories.lock().insert(path.clone(), failing, FAILING_TTL);
        let mut in_a_row = self.in_a_row.lock();
        if in_a_row.len() < MAX_FAILING_REPOSITORIES && in_a_row.insert(path) {
            self.breaker.record_failure(failure);
        }
    }

    fn failing(&self, request: &Request) -> Option<Arc<CircuitBreaker>> {
        self.repositories.lock().get(&repository(&request.url).to_owned()).cloned()
    }

    fn is_rejecting(&self) -> bool {
        self.breaker.is_rejecting()
            || self.repositories.lock().iter().any(|(_, failing)| failing.is_rejecting())
    }
}

/// Returns the part of a path that names a repository; all of it where it is none of the distribution API.
fn repository(url: &Url) -> &str {
    const CONTENTS: [&str; 4] = ["/manifests/", "/tags/", "/blobs/", "/referrers/"];
    let path = url.path();
    let end = CONTENTS.iter().filter_map(|contents| path.rfind(contents)).min();
    &path[..end.unwrap_or(path.len())]
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn errors_for_one_repository_do_not_hold_back_the_others_of_a_server() {
        let host = Hosts::default().of(&request("https://r.example.com/"), 1);
        let at = |repository: &str| request(&format!("https://r.example.com/v2/{repository}/manifests/v1"));
        let (broken, fine) = (at("remote/app"), at("team/app"));
        let failed = |request: &Request| {
            let (url, headers) = (request.url.clone(), reqwest::header::HeaderMap::new());
            let (status, body) = (reqwest::StatusCode::BAD_GATEWAY, bytes::Bytes::new());
            Ok(Response::new(url, status, headers, body))
        };
        for _ in 0..9 {
            host.record(&broken, &failed(&broken));
        }
        assert!(host.open_error(&broken).is_some() && host.open_error(&fine).is_none());
        assert!(host.open_error(&request("https://r.example.com/v2/remote/app/tags/list?n=1000")).is_some());
        host.record_success(&broken);
        assert!(host.open_error(&broken).is_none());
        for _ in 0..9 {
            host.record(&broken, &Err(Failure::protocol("no connection")));
        }
        assert!(host.open_error(&fine).is_some(), "a server that does not respond responds to no request");
        host.record_success(&broken);
        for n in 0..9 {
            let one = at(&format!("team/{n}"));
            host.record(&one, &failed(&one));
        }
        assert!(host.open_error(&fine).is_some(), "one that has errors for all is down");
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
