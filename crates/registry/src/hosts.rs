//! What holds for one server, whoever asks it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use url::Url;

use super::budget::Budget;
use super::error::Failure;
use super::exchange::{Answer, Call};
use super::gate::Gate;
use super::refusal::class;

/// From this many servers on, those are forgotten that nobody uses and that have asked for nothing.
const MOST_HOSTS: usize = 4096;

/// All servers that this process asks. Whoever may create an Image names them, so there may be many.
#[derive(Debug, Default)]
pub(super) struct Hosts(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    by_key: HashMap<HostKey, Arc<Host>>,
    sweep_at: usize,
}

/// A server as connections see it: where nobody answers on the plain port of a name, the one with TLS may
/// be well.
///
/// An API that is asked on the side may share its server with the registry. Whether it is ill or wants a
/// pause must not keep the registry's own requests back.
#[derive(Debug, PartialEq, Eq, Hash)]
struct HostKey {
    scheme: String,
    name: String,
    port: Option<u16>,
    on_the_side: bool,
}

#[derive(Debug)]
pub(super) struct Host {
    pub(super) budget: Budget,
    pub(super) gate: Gate,
}

impl Hosts {
    /// The server that a request goes to; a new one takes `concurrency` requests at once.
    pub(super) fn of(&self, call: &Call, concurrency: usize) -> Arc<Host> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = HostKey::new(&call.url, call.once);
        if let Some(host) = known.by_key.get(&key) {
            return host.clone();
        }
        if known.by_key.len() >= known.sweep_at.max(MOST_HOSTS) {
            // Whoever may create an Image can name hosts that want long pauses, too.
            let is_crowded = known.by_key.len() >= 4 * MOST_HOSTS;
            let stays =
                |host: &Arc<Host>| Arc::strong_count(host) > 1 || !is_crowded && host.gate.is_pausing();
            known.by_key.retain(|_, host| stays(host));
            // Where all of them are needed, not everyone who comes looks at each.
            known.sweep_at = known.by_key.len() + MOST_HOSTS / 4;
        }
        let host = Arc::new(Host { budget: Budget::new(concurrency), gate: Gate::default() });
        known.by_key.insert(key, host.clone());
        host
    }
}

impl HostKey {
    fn new(url: &Url, on_the_side: bool) -> Self {
        let name = url.host_str().unwrap_or_default().to_owned();
        Self { scheme: url.scheme().to_owned(), name, port: url.port_or_known_default(), on_the_side }
    }
}

impl Host {
    /// Takes note of how a request ended after all its retries. A 429 is a healthy server's.
    ///
    /// What is noted is told to everybody who asks this server, so it holds none of the words that it said
    /// to one of them.
    pub(super) fn remember(&self, outcome: &Result<Answer, Failure>) {
        match outcome {
            Ok(answer) if answer.status.as_u16() == 429 => self.gate.answered(),
            Ok(answer) => self.gate.failed(&class(answer)),
            Err(failure) => self.gate.failed(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn call(url: &str) -> Call {
        Call::get(url.parse().unwrap(), 0)
    }

    fn is_same(hosts: &Hosts, a: &Call, b: &Call) -> bool {
        Arc::ptr_eq(&hosts.of(a, 1), &hosts.of(b, 1))
    }

    #[test]
    fn a_server_is_told_by_its_scheme_and_its_port() {
        let hosts = Hosts::default();
        let tls = call("https://r.example.com/v2/a");
        assert!(is_same(&hosts, &tls, &call("https://r.example.com:443/v2/b")));
        for other in ["http://r.example.com/v2/a", "http://r.example.com:443/", "https://r.example.com:5000/"]
        {
            assert!(!is_same(&hosts, &tls, &call(other)), "{other}");
        }
        assert!(!is_same(&hosts, &tls, &Call { once: true, ..tls.clone() }));
    }

    #[tokio::test(start_paused = true)]
    async fn of_ever_new_servers_those_are_kept_that_are_used_ill_or_pausing() {
        let hosts = Hosts::default();
        let nth = |n: usize| call(&format!("https://r{n}.example.com/"));
        let used = hosts.of(&nth(0), 1);
        hosts.of(&nth(1), 1).gate.close(None, Duration::from_hours(1));
        for _ in 0..9 {
            hosts.of(&nth(2), 1).gate.failed(&Failure::protocol("down"));
        }
        for n in 3..4 * MOST_HOSTS {
            hosts.of(&nth(n), 1);
        }
        assert!(hosts.0.lock().unwrap().by_key.len() <= MOST_HOSTS + MOST_HOSTS / 4);
        assert!(Arc::ptr_eq(&used, &hosts.of(&nth(0), 1)));
        assert!(hosts.of(&nth(1), 1).gate.closed_for(None).is_some());
        assert!(hosts.of(&nth(2), 1).gate.illness().is_some());
    }
}
