//! Pulls that a registry counts: how many it reports as left, and how many of them stay reserved.
//!
//! Docker Hub sends with every response about a manifest how many pulls are left to an account or an
//! address (Docker documentation, "Pull usage and limits"). The nodes of a cluster pull with the same
//! account or from the same address, so the rest is not all for this process.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use crate::cache::Bounded;
use crate::credentials::Fingerprint;
use crate::error::{Failure, Reason};

/// Sent beside a limit on pulls, with the address or the account that they are counted for. API gateways send a
/// limit on requests in headers of the same names, but not this one.
const PULLS_OF: &str = "docker-ratelimit-source";
/// The one registry that is known to count pulls, whatever a proxy leaves of its headers.
pub const DOCKER_HUB: &str = "registry-1.docker.io";
/// A limit with a shorter window, or without one, is on requests and not on pulls. A host that has enough of
/// requests answers 429.
const MIN_WINDOW: Duration = Duration::from_hours(1);
/// No window is longer; Docker Hub's has six hours.
const MAX_WINDOW: Duration = Duration::from_hours(24);
/// How long the pulls of a copy that has begun may be missing in what the registry reports.
const IN_FLIGHT_TTL: Duration = Duration::from_mins(2);
/// Accounts at registries that are remembered.
const MAX_METERS: usize = 1024;

/// What a registry last reported of its limit on pulls; of several accounts, that with the fewest left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Pulls within the window, if it was reported.
    pub limit: Option<u64>,
    /// How many of them are left.
    pub remaining: u64,
    /// The window.
    pub window: Duration,
    /// Whether so few are left that pulls wait (see
    /// [`Settings::pull_reserve`](crate::Settings::pull_reserve)).
    pub is_short: bool,
}

/// The pulls that are left are no more than the reserve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullReserveReached {
    /// How many are left, less those of copies that have begun.
    pub remaining: u64,
    /// How many are reserved.
    pub reserve: u64,
    /// The time until what the registry reported expires.
    pub until: Duration,
    /// How long ago the registry reported it.
    pub age: Duration,
}

impl fmt::Display for PullReserveReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pulls = if self.remaining == 1 { "pull" } else { "pulls" };
        write!(f, "has {} {pulls} left, {} are kept in reserve", self.remaining, self.reserve)
    }
}

/// The host, and whose pulls it counts.
type MeterKey = (String, Option<Fingerprint>);

/// What all registries reported of their limits.
#[derive(Debug)]
pub(super) struct PullQuota {
    reserve: u64,
    meters: Mutex<Bounded<MeterKey, Meter>>,
}

#[derive(Debug)]
struct Meter {
    limit: Option<u64>,
    remaining: u64,
    recorded_at: Instant,
    window: Duration,
    /// Pulls of copies that have begun, and when. What the registry reports may not include them yet.
    in_flight: VecDeque<(Instant, u64)>,
}

impl PullQuota {
    pub(super) fn new(reserve: u64) -> Self {
        Self { reserve, meters: Mutex::new(Bounded::new(MAX_METERS)) }
    }

    /// Records what a response reports of a limit on pulls, if it does.
    pub(super) fn record(&self, host: &str, who: Option<Fingerprint>, headers: &HeaderMap) {
        let value = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let Some((remaining, Some(window))) = value("ratelimit-remaining").and_then(quantity) else { return };
        if window < MIN_WINDOW || host != DOCKER_HUB && !headers.contains_key(PULLS_OF) {
            return;
        }
        let limit = value("ratelimit-limit").and_then(quantity).map(|(limit, _)| limit);
        let (recorded_at, window) = (Instant::now(), window.min(MAX_WINDOW));
        let mut meters = self.meters.lock();
        let key = (host.to_owned(), who);
        let mut in_flight = meters.remove(&key).map(|meter| meter.in_flight).unwrap_or_default();
        in_flight.retain(|(at, _)| at.elapsed() < IN_FLIGHT_TTL);
        let meter = Meter { limit, remaining, recorded_at, window, in_flight };
        meters.insert(key, meter, window);
    }

    /// Whether a host counts pulls, as far as it has reported to any account.
    pub(super) fn counts_pulls(&self, host: &str) -> bool {
        self.meters.lock().iter().any(|((metered, _), _)| metered == host)
    }

    /// Fails if the manifest that is about to be read would be a pull of the reserve.
    pub(super) fn may_read(&self, host: &str, who: Option<Fingerprint>) -> Result<(), Failure> {
        let meters = self.meters.lock();
        let meter = meters.get(&(host.to_owned(), who));
        let Some(reached) = meter.and_then(|meter| meter.check(self.reserve, 0)) else { return Ok(()) };
        let reason = Reason::RateLimited { retry_after: Some(reached.until) };
        Err(Failure::new(reason, format!("{host} {reached}")))
    }

    /// Counts the pulls of a copy that begins now, if enough are left besides the reserve.
    pub(super) fn reserve(
        &self,
        host: &str,
        who: Option<Fingerprint>,
        pulls: u64,
    ) -> Result<(), PullReserveReached> {
        let mut meters = self.meters.lock();
        let Some(meter) = meters.get_mut(&(host.to_owned(), who)) else { return Ok(()) };
        if let Some(reached) = meter.check(self.reserve, pulls) {
            return Err(reached);
        }
        meter.in_flight.push_back((Instant::now(), pulls));
        Ok(())
    }

    /// Releases pulls that were counted for a copy that did not begin after all.
    pub(super) fn release(&self, host: &str, who: Option<Fingerprint>, mut pulls: u64) {
        let mut meters = self.meters.lock();
        let Some(meter) = meters.get_mut(&(host.to_owned(), who)) else { return };
        for (_, reserved) in meter.in_flight.iter_mut().rev() {
            let less = pulls.min(*reserved);
            *reserved -= less;
            pulls -= less;
        }
        meter.in_flight.retain(|(_, pulls)| *pulls > 0);
    }

    /// Returns what holds now, by host.
    pub(super) fn limits(&self) -> BTreeMap<String, RateLimit> {
        let meters = self.meters.lock();
        let mut limits: BTreeMap<String, RateLimit> = BTreeMap::new();
        for ((host, _), meter) in meters.iter() {
            let is_short = meter.check(self.reserve, 0).is_some();
            let limit =
                RateLimit { limit: meter.limit, remaining: meter.remaining, window: meter.window, is_short };
            let known = limits.entry(host.clone()).or_insert(limit);
            if limit.remaining < known.remaining {
                *known = limit;
            }
        }
        limits
    }
}

impl Meter {
    /// Returns the shortage if `pulls` more would touch the reserve. Of a small limit half is reserved, and
    /// a copy that takes more than the rest may have all of the rest, or it could never begin.
    fn check(&self, reserve: u64, pulls: u64) -> Option<PullReserveReached> {
        let reserve = self.limit.map_or(reserve, |limit| reserve.min(limit / 2));
        let max = self.limit.map_or(u64::MAX, |limit| limit - reserve);
        let in_flight = self.in_flight.iter().fold(0, |sum: u64, (_, pulls)| sum.saturating_add(*pulls));
        let remaining = self.remaining.saturating_sub(in_flight);
        (remaining < reserve.saturating_add(pulls.min(max))).then(|| PullReserveReached {
            remaining,
            reserve,
            until: self.window.saturating_sub(self.recorded_at.elapsed()),
            age: self.recorded_at.elapsed(),
        })
    }
}

/// Reads `76;w=21600`: the number, then the window in seconds.
fn quantity(text: &str) -> Option<(u64, Option<Duration>)> {
    let mut parts = text.split(';').map(str::trim);
    let number = parts.next()?.parse().ok()?;
    let window = parts.find_map(|part| part.strip_prefix("w=")?.trim().parse().ok());
    Some((number, window.map(Duration::from_secs)))
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const HOST: &str = "registry-1.docker.io";

    fn headers(remaining: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("ratelimit-limit", "100;w=21600".parse().unwrap());
        headers.insert("ratelimit-remaining", remaining.parse().unwrap());
        headers
    }

    fn recorded(remaining: &str) -> PullQuota {
        let pulls = PullQuota::new(10);
        pulls.record(HOST, None, &headers(remaining));
        pulls
    }

    #[test]
    fn the_number_and_its_window_are_read_and_nonsense_is_not() {
        let six_hours = Some(Duration::from_hours(6));
        assert_eq!(quantity("76;w=21600"), Some((76, six_hours)));
        assert_eq!(quantity(" 76 ; x=1 ; w=21600"), Some((76, six_hours)));
        assert_eq!(quantity("0"), Some((0, None)));
        for nonsense in ["", "-1", "many;w=5", ";w=5"] {
            assert_eq!(quantity(nonsense), None, "{nonsense}");
        }
        assert_eq!(quantity("7;w=soon"), Some((7, None)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_reported_expires_with_its_window() {
        let pulls = recorded("9;w=21600");
        let error = pulls.may_read(HOST, None).unwrap_err();
        assert_eq!(error.reason, Reason::RateLimited { retry_after: Some(Duration::from_hours(6)) });
        assert_eq!(error.detail, "registry-1.docker.io has 9 pulls left, 10 are kept in reserve");
        advance(Duration::from_hours(6)).await;
        assert!(pulls.may_read(HOST, None).is_ok() && pulls.reserve(HOST, None, 50).is_ok());
        assert!(pulls.limits().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_number_of_requests_is_no_number_of_pulls() {
        for requests in ["0", "0;w=60", "0, 0;w=86400", "0;w=soon"] {
            let pulls = recorded(requests);
            assert!(pulls.may_read(HOST, None).is_ok() && !pulls.counts_pulls(HOST), "{requests}");
        }
        let pulls = recorded("0;w=3600");
        assert!(pulls.may_read(HOST, None).is_err() && pulls.counts_pulls(HOST));
        advance(Duration::from_hours(1)).await;
        assert!(!pulls.counts_pulls(HOST), "the window has ended");
    }

    #[tokio::test(start_paused = true)]
    async fn a_days_limit_of_an_api_gateway_is_none_on_pulls() {
        let (pulls, mirror) = (PullQuota::new(10), "mirror.example.com");
        let mut sent = headers("0;w=86400");
        pulls.record(mirror, None, &sent);
        assert!(pulls.may_read(mirror, None).is_ok() && !pulls.counts_pulls(mirror));
        // What Docker Hub sends, handed on by whatever stands before it.
        sent.insert(PULLS_OF, "192.0.2.1".parse().unwrap());
        pulls.record(mirror, None, &sent);
        assert!(pulls.may_read(mirror, None).is_err() && pulls.counts_pulls(mirror));
    }

    #[tokio::test(start_paused = true)]
    async fn copies_that_have_begun_count_before_the_registry_reports_them() {
        let pulls = recorded("30;w=21600");
        assert!((0..4).all(|_| pulls.reserve(HOST, None, 5).is_ok()));
        let short = pulls.reserve(HOST, None, 1).unwrap_err();
        assert_eq!(short.to_string(), "has 10 pulls left, 10 are kept in reserve");
        // The registry has not seen them all yet.
        advance(Duration::from_mins(1)).await;
        pulls.record(HOST, None, &headers("25;w=21600"));
        assert!(pulls.reserve(HOST, None, 1).is_err());
        advance(Duration::from_mins(1)).await;
        pulls.record(HOST, None, &headers("12;w=21600"));
        assert!(pulls.reserve(HOST, None, 2).is_ok());
        assert!(pulls.reserve(HOST, None, 1).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn pulls_of_copies_that_did_not_begin_are_released() {
        let pulls = recorded("30;w=21600");
        assert!((0..4).all(|_| pulls.reserve(HOST, None, 5).is_ok()));
        assert!(pulls.reserve(HOST, None, 1).is_err());
        pulls.release(HOST, None, 7);
        assert!(pulls.reserve(HOST, None, 7).is_ok() && pulls.reserve(HOST, None, 1).is_err());
        pulls.release(HOST, None, 1000);
        assert!(pulls.reserve(HOST, None, 20).is_ok(), "and no more than were reserved");
        assert!(pulls.reserve(HOST, None, 1).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_copy_larger_than_the_limit_begins_when_nothing_else_is_pulled() {
        let pulls = recorded("99;w=21600");
        assert!(pulls.reserve(HOST, None, 1000).is_err());
        pulls.record(HOST, None, &headers("100;w=21600"));
        assert!(pulls.reserve(HOST, None, 1000).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_small_limit_half_is_reserved() {
        let pulls = PullQuota::new(500);
        pulls.record(HOST, None, &headers("51;w=21600"));
        assert!(pulls.reserve(HOST, None, 1).is_ok());
        assert!(pulls.reserve(HOST, None, 1).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_are_counted_apart_and_the_worst_is_shown() {
        let someone = crate::Credential::RegistryToken("t".into()).fingerprint();
        let pulls = recorded("3;w=21600");
        pulls.record(HOST, Some(someone), &headers("90;w=21600"));
        assert!(pulls.reserve(HOST, Some(someone), 1).is_ok() && pulls.reserve(HOST, None, 1).is_err());
        assert_eq!(
            pulls.limits()[HOST],
            RateLimit { limit: Some(100), remaining: 3, window: Duration::from_hours(6), is_short: true }
        );
        assert!(pulls.counts_pulls(HOST) && !pulls.counts_pulls("quay.io"));
        let mut sent = headers("5;w=3600");
        sent.insert(PULLS_OF, "192.0.2.1".parse().unwrap());
        for i in 0..2 * MAX_METERS {
            pulls.record(&format!("{i}.example.com"), None, &sent);
        }
        assert_eq!(pulls.meters.lock().len(), MAX_METERS);
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(text in "[0-9;w= ]{0,40}", pulls: u64) {
            let meters = PullQuota::new(10);
            meters.record(HOST, None, &headers(&text));
            let _ = meters.reserve(HOST, None, pulls);
            let _ = meters.may_read(HOST, None);
        }
    }
}
