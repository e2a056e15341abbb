//! When the API server was last asked, and when it last answered: each watch is renewed once a minute,
//! so a process that no longer asks is stuck, and one that gets no answer knows nothing new.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::http::{Response, StatusCode};
use kube::client::ClientBuilder;
use kube::{Client, Config};
use tower::util::{MapRequestLayer, MapResponseLayer};

use crate::cluster::write_gate::{GateLayer, GatedConnections};
use crate::leader_election::Leadership;

/// A process that has sent no request for as long is stuck.
const STUCK: Duration = Duration::from_mins(5);
/// The last answer of the API server is too old to rely on: a watch and a half.
const STALE: Duration = Duration::from_secs(90);

/// When the API server was last asked, and when it last answered. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Heartbeat(Arc<Beats>);

#[derive(Debug)]
struct Beats {
    began: Instant,
    asked: AtomicU64,
    answered: AtomicU64,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self::new()
    }
}

impl Heartbeat {
    /// Returns one that begins now, as if the API server had just answered.
    pub fn new() -> Self {
        Self(Arc::new(Beats {
            began: Instant::now(),
            asked: AtomicU64::default(),
            answered: AtomicU64::default(),
        }))
    }

    /// Returns a client whose requests and answers are noted, that changes something only while this process leads, and
    /// whose connections end where it does not lead any more.
    pub fn client(&self, config: Config, leadership: &Leadership) -> Result<Client, kube::Error> {
        let asking = self.0.clone();
        let asked = MapRequestLayer::new(move |request| {
            asking.asked.store(asking.now(), Ordering::Relaxed);
            request
        });
        // A failed connection is no response and does not pass here.
        let answering = self.0.clone();
        let answered = MapResponseLayer::new(move |response: Response<_>| answering.note(response));
        let gated = GateLayer::new(leadership.write_gate());
        let connections = GatedConnections::new(leadership.connection_gate());
        let builder = ClientBuilder::try_from((config, connections))?;
        Ok(builder.with_layer(&gated).with_layer(&answered).with_layer(&asked).build())
    }

    /// Returns a client whose answers are noted, for requests that go on whatever else is stuck.
    pub fn client_apart(&self, config: Config) -> Result<Client, kube::Error> {
        let answering = self.0.clone();
        let answered = MapResponseLayer::new(move |response: Response<_>| answering.note(response));
        Ok(ClientBuilder::try_from(config)?.with_layer(&answered).build())
    }

    /// From now on requests are expected.
    pub fn begin(&self) {
        self.0.asked.store(self.0.now(), Ordering::Relaxed);
    }

    /// Returns whether nothing was asked for so long that the process must be stuck.
    pub fn is_stuck(&self) -> bool {
        self.0.age(&self.0.asked) > STUCK
    }

    /// Returns whether the API server has not answered for so long that what is known may be wrong.
    pub fn is_stale(&self) -> bool {
        self.0.age(&self.0.answered) > STALE
    }

    /// Returns how long ago the API server last answered.
    pub fn silence(&self) -> Duration {
        self.0.age(&self.0.answered)
    }

    /// Returns one that has been silent for as long already.
    #[cfg(test)]
    pub fn silent_for(age: Duration) -> Self {
        let began = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
        Self(Arc::new(Beats { began, asked: AtomicU64::default(), answered: AtomicU64::default() }))
    }
}

impl Beats {
    fn now(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    fn note<B>(&self, response: Response<B>) -> Response<B> {
        // A proxy's error is no answer of the API server, nor is a rejected token.
        let status = response.status();
        if !status.is_server_error() && status != StatusCode::UNAUTHORIZED {
            self.answered.store(self.now(), Ordering::Relaxed);
        }
        response
    }

    fn age(&self, beat: &AtomicU64) -> Duration {
        Duration::from_secs(self.now().saturating_sub(beat.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use imgop_fakes::{ScriptedRegistry, reply};
    use tokio::time::timeout;

    use super::*;
    use crate::leader_election::Clock;

    #[test]
    fn silence_is_first_stale_and_then_stuck() {
        let state = |seconds| {
            let heartbeat = Heartbeat::silent_for(Duration::from_secs(seconds));
            (heartbeat.is_stale(), heartbeat.is_stuck())
        };
        assert_eq!(state(60), (false, false));
        assert_eq!(state(100), (true, false));
        assert_eq!(state(310), (true, true));
    }

    #[tokio::test]
    async fn asking_in_vain_is_alive_but_not_ready() {
        let heartbeat = Heartbeat::silent_for(Duration::from_mins(10));
        // Nothing listens there.
        let config = Config::new("http://127.0.0.1:9".parse().unwrap());
        let client = heartbeat.client(config, &Leadership::unelected()).unwrap();
        assert!(client.apiserver_version().await.is_err());
        assert!(heartbeat.is_stale() && !heartbeat.is_stuck());
    }

    /// Reads pass the client's own gate at all times: what keeps them is the one of its connections.
    #[tokio::test]
    async fn a_connection_that_is_idle_when_the_lead_is_lost_carries_no_other_request() {
        let server = ScriptedRegistry::start(|_| reply(200, &[], "{}")).await;
        let now = Arc::new(AtomicU64::new(5));
        let shown = now.clone();
        let clock = Clock::new(move || Duration::from_secs(shown.load(Ordering::SeqCst)));
        let leadership = Leadership::new(clock);
        leadership.lead_until(Duration::from_secs(10));
        let config = Config::new(format!("http://{}", server.address).parse().unwrap());
        let client = Heartbeat::new().client(config, &leadership).unwrap();
        let read = || {
            let request = Request::get("/version").body(Vec::new()).unwrap();
            timeout(Duration::from_mins(1), client.request_text(request))
        };
        assert_eq!(read().await.unwrap().unwrap(), "{}");
        now.store(10, Ordering::SeqCst);
        assert!(read().await.unwrap().is_err(), "neither over that connection nor over a new one");
        assert_eq!(server.seen().len(), 1);
        leadership.lead_until(Duration::from_secs(20));
        assert_eq!(read().await.unwrap().unwrap(), "{}", "the lease was renewed");
        assert!(server.connections() > 1, "that connection has ended");
    }
}
