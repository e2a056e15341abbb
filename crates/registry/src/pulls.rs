//! Pulls that a registry counts: how many it says are left, and how many of them stay untouched.
//!
//! Docker Hub tells with every answer about a manifest how many pulls are left to an account or an
//! address (Docker documentation, "Pull usage and limits"). The nodes of a cluster pull from the same
//! account or address, so what is left is not all ours.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::RepositoryClient;
use super::access::Fingerprint;
use super::address::host;
use super::error::{Failure, Reason};

/// How long a number is believed whose window was not said: it may be a limit on requests, whose
/// windows are seconds.
const NO_WINDOW: Duration = Duration::from_mins(1);
/// No window is longer; Docker Hub's has six hours.
const LONGEST_WINDOW: Duration = Duration::from_hours(24);
/// How long the pulls of a copy that was begun may not show in what the registry says.
const UNDER_WAY: Duration = Duration::from_mins(2);
/// Accounts at registries that are remembered; those heard of longest ago are forgotten beyond this.
const MOST_METERS: usize = 1024;

/// What a registry last said of its limit on pulls. Of several accounts it is what is worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Pulls within the window, if it was said.
    pub limit: Option<u64>,
    /// How many of them are left.
    pub remaining: u64,
    /// Whether so few are left that pulls wait (see
    /// [`Settings::pull_reserve`](super::Settings::pull_reserve)).
    pub is_short: bool,
}

/// So few pulls are left that the rest is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullReserveReached {
    /// How many are left, less those of copies that have begun.
    pub remaining: u64,
    /// How many are kept.
    pub reserve: u64,
    /// After how long at the latest the registry's word is not believed any more.
    pub until: Duration,
    /// How long ago the registry said it.
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

/// What all registries said of their limits.
#[derive(Debug)]
pub(super) struct Pulls {
    reserve: u64,
    meters: Mutex<HashMap<MeterKey, Meter>>,
}

#[derive(Debug)]
struct Meter {
    limit: Option<u64>,
    remaining: u64,
    heard: Instant,
    window: Duration,
    /// Pulls of copies that were begun, and when. The registry's word may not include them yet.
    begun: VecDeque<(Instant, u64)>,
}

impl Pulls {
    pub(super) fn new(reserve: u64) -> Self {
        Self { reserve, meters: Mutex::default() }
    }

    /// Takes note of what an answer says of the limit, if it does.
    pub(super) fn hear(&self, host: &str, who: Option<Fingerprint>, headers: &HeaderMap) {
        let value = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let Some((remaining, window)) = value("ratelimit-remaining").and_then(quantity) else { return };
        let limit = value("ratelimit-limit").and_then(quantity).map(|(limit, _)| limit);
        let (heard, window) = (Instant::now(), window.unwrap_or(NO_WINDOW).min(LONGEST_WINDOW));
        let mut meters = self.meters();
        let key = (host.to_owned(), who);
        let mut begun = meters.remove(&key).map(|meter| meter.begun).unwrap_or_default();
        begun.retain(|(at, _)| at.elapsed() < UNDER_WAY);
        if meters.len() >= MOST_METERS
            && let Some(oldest) =
                meters.iter().min_by_key(|(_, meter)| meter.heard).map(|(key, _)| key.clone())
        {
            meters.remove(&oldest);
        }
        meters.insert(key, Meter { limit, remaining, heard, window, begun });
    }

    /// Whether a host counts pulls, as far as it has said so to anybody.
    pub(super) fn counts_pulls(&self, host: &str) -> bool {
        self.meters().keys().any(|(metered, _)| metered == host)
    }

    /// Whether one manifest may be read.
    pub(super) fn may_read(&self, host: &str, who: Option<Fingerprint>) -> Result<(), Failure> {
        let mut meters = self.meters();
        let Some(short) = fresh(&mut meters, &(host.to_owned(), who)).and_then(|m| m.short(self.reserve, 0))
        else {
            return Ok(());
        };
        let reason = Reason::RateLimited { retry_after: Some(short.until) };
        Err(Failure::new(reason, format!("{host} {short}")))
    }

    /// Counts the pulls of a copy that begins now, if there are enough besides the reserve.
    pub(super) fn take(
        &self,
        host: &str,
        who: Option<Fingerprint>,
        pulls: u64,
    ) -> Result<(), PullReserveReached> {
        let mut meters = self.meters();
        let Some(meter) = fresh(&mut meters, &(host.to_owned(), who)) else { return Ok(()) };
        if let Some(short) = meter.short(self.reserve, pulls) {
            return Err(short);
        }
        meter.begun.push_back((Instant::now(), pulls));
        Ok(())
    }

    /// Forgets pulls that were counted for a copy that did not begin after all.
    pub(super) fn give_back(&self, host: &str, who: Option<Fingerprint>, mut pulls: u64) {
        let mut meters = self.meters();
        let Some(meter) = meters.get_mut(&(host.to_owned(), who)) else { return };
        for (_, begun) in meter.begun.iter_mut().rev() {
            let less = pulls.min(*begun);
            *begun -= less;
            pulls -= less;
        }
        meter.begun.retain(|(_, pulls)| *pulls > 0);
    }

    /// What holds now, by host.
    pub(super) fn limits(&self) -> BTreeMap<String, RateLimit> {
        let mut meters = self.meters();
        meters.retain(|_, meter| meter.is_believed());
        let mut limits: BTreeMap<String, RateLimit> = BTreeMap::new();
        for ((host, _), meter) in meters.iter() {
            let is_short = meter.short(self.reserve, 0).is_some();
            let limit = RateLimit { limit: meter.limit, remaining: meter.remaining, is_short };
            let known = limits.entry(host.clone()).or_insert(limit);
            if limit.remaining < known.remaining {
                *known = limit;
            }
        }
        limits
    }

    // Each operation leaves the map whole, whatever panics elsewhere.
    fn meters(&self) -> MutexGuard<'_, HashMap<MeterKey, Meter>> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RepositoryClient {
    /// Counts the pulls of a copy that is about to begin, unless the registry says that too few are
    /// left. One that has said nothing of a limit has none.
    pub fn reserve_pulls(&self, pulls: u64) -> Result<(), PullReserveReached> {
        let Ok(base) = self.url("") else { return Ok(()) };
        self.shared.transport.pulls.take(&host(&base), self.identity(), pulls)
    }

    /// Forgets pulls that were counted for a copy that did not begin after all.
    pub fn release_pulls(&self, pulls: u64) {
        if let Ok(base) = self.url("") {
            self.shared.transport.pulls.give_back(&host(&base), self.identity(), pulls);
        }
    }

    /// Whether the registry has said that it counts pulls.
    pub fn counts_pulls(&self) -> bool {
        self.url("").is_ok_and(|base| self.shared.transport.pulls.counts_pulls(&host(&base)))
    }
}

fn fresh<'a>(meters: &'a mut HashMap<MeterKey, Meter>, key: &MeterKey) -> Option<&'a mut Meter> {
    meters.get_mut(key).filter(|meter| meter.is_believed())
}

impl Meter {
    /// Once the window is over, the number says nothing.
    fn is_believed(&self) -> bool {
        self.heard.elapsed() < self.window
    }

    /// Whether `pulls` more would touch the reserve. Of a small limit half is kept, and a copy that
    /// takes more than the rest may have all of the rest, or it could never begin.
    fn short(&self, reserve: u64, pulls: u64) -> Option<PullReserveReached> {
        let reserve = self.limit.map_or(reserve, |limit| reserve.min(limit / 2));
        let most = self.limit.map_or(u64::MAX, |limit| limit - reserve);
        let begun = self.begun.iter().map(|(_, pulls)| pulls).fold(0, |a: u64, b| a.saturating_add(*b));
        let remaining = self.remaining.saturating_sub(begun);
        (remaining < reserve.saturating_add(pulls.min(most))).then(|| PullReserveReached {
            remaining,
            reserve,
            until: self.window.saturating_sub(self.heard.elapsed()),
            age: self.heard.elapsed(),
        })
    }
}

/// `76;w=21600`: the number, then the window in seconds.
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

    fn heard(remaining: &str) -> Pulls {
        let pulls = Pulls::new(10);
        pulls.hear(HOST, None, &headers(remaining));
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
    async fn what_was_heard_ages_out_with_its_window() {
        let pulls = heard("9;w=21600");
        let error = pulls.may_read(HOST, None).unwrap_err();
        assert_eq!(error.reason, Reason::RateLimited { retry_after: Some(Duration::from_hours(6)) });
        assert_eq!(error.detail, "registry-1.docker.io has 9 pulls left, 10 are kept in reserve");
        advance(Duration::from_hours(6)).await;
        assert!(pulls.may_read(HOST, None).is_ok() && pulls.take(HOST, None, 50).is_ok());
        assert!(pulls.limits().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_number_without_a_window_is_believed_for_a_minute() {
        let pulls = heard("0");
        assert!(pulls.may_read(HOST, None).is_err());
        advance(Duration::from_mins(1)).await;
        assert!(pulls.may_read(HOST, None).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn copies_that_have_begun_count_before_the_registry_says_so() {
        let pulls = heard("30;w=21600");
        assert!((0..4).all(|_| pulls.take(HOST, None, 5).is_ok()));
        let short = pulls.take(HOST, None, 1).unwrap_err();
        assert_eq!(short.to_string(), "has 10 pulls left, 10 are kept in reserve");
        // The registry has not seen them all yet.
        advance(Duration::from_mins(1)).await;
        pulls.hear(HOST, None, &headers("25;w=21600"));
        assert!(pulls.take(HOST, None, 1).is_err());
        advance(Duration::from_mins(1)).await;
        pulls.hear(HOST, None, &headers("12;w=21600"));
        assert!(pulls.take(HOST, None, 2).is_ok());
        assert!(pulls.take(HOST, None, 1).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn pulls_of_copies_that_did_not_begin_are_given_back() {
        let pulls = heard("30;w=21600");
        assert!((0..4).all(|_| pulls.take(HOST, None, 5).is_ok()));
        assert!(pulls.take(HOST, None, 1).is_err());
        pulls.give_back(HOST, None, 7);
        assert!(pulls.take(HOST, None, 7).is_ok() && pulls.take(HOST, None, 1).is_err());
        pulls.give_back(HOST, None, 1000);
        assert!(pulls.take(HOST, None, 20).is_ok(), "and no more than were taken");
        assert!(pulls.take(HOST, None, 1).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_copy_larger_than_the_limit_begins_when_nothing_else_is_pulled() {
        let pulls = heard("99;w=21600");
        assert!(pulls.take(HOST, None, 1000).is_err());
        pulls.hear(HOST, None, &headers("100;w=21600"));
        assert!(pulls.take(HOST, None, 1000).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_small_limit_half_is_kept() {
        let pulls = Pulls::new(500);
        pulls.hear(HOST, None, &headers("51;w=21600"));
        assert!(pulls.take(HOST, None, 1).is_ok());
        assert!(pulls.take(HOST, None, 1).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_are_counted_apart_and_the_worst_is_shown() {
        let someone = super::super::Credential::RegistryToken("t".into()).fingerprint();
        let pulls = heard("3;w=21600");
        pulls.hear(HOST, Some(someone), &headers("90;w=21600"));
        assert!(pulls.take(HOST, Some(someone), 1).is_ok() && pulls.take(HOST, None, 1).is_err());
        assert_eq!(pulls.limits()[HOST], RateLimit { limit: Some(100), remaining: 3, is_short: true });
        assert!(pulls.counts_pulls(HOST) && !pulls.counts_pulls("quay.io"));
        for i in 0..2 * MOST_METERS {
            pulls.hear(&format!("{i}.example.com"), None, &headers("5"));
        }
        assert_eq!(pulls.meters().len(), MOST_METERS);
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(text in "[0-9;w= ]{0,40}", pulls: u64) {
            let meters = Pulls::new(10);
            meters.hear(HOST, None, &headers(&text));
            let _ = meters.take(HOST, None, pulls);
            let _ = meters.may_read(HOST, None);
        }
    }
}
