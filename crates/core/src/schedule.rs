//! When an object is due for a sync, whatever its kind. Pure.

mod cron;
mod recurrence;
mod time_zone;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::conditions::{RECONCILING, find, reasons};
use crate::api::{Phase, REQUESTED_AT_ANNOTATION, RESET_ANNOTATION, Scheduled};
pub use cron::{CronError, CronSchedule};
pub(crate) use recurrence::RecurrenceFields;
pub use recurrence::{Recurrence, Uptime, next_regular};
pub use time_zone::{TimeZoneError, time_zones};

use crate::time::{backoff, clamp_ahead, jitter, remaining, saturating_add};

/// The first pause after something was not there or did not answer; each one after it is twice as long.
const FIRST_RETRY: Duration = Duration::from_mins(1);
/// The longest of these pauses.
pub const MAX_RETRY: Duration = Duration::from_mins(10);
/// How long after a requested sync the next one begins at the earliest: whoever asks in a loop gets the last
/// request acted on, and no storm.
const MIN_REQUEST_INTERVAL: Duration = Duration::from_secs(5);
/// Over how long the first syncs after a restart are spread.
const START_JITTER: Duration = Duration::from_mins(1);
/// The longest token of a request. It is repeated in the status, which must stay small.
const MAX_REQUEST_LENGTH: usize = 128;
/// The longest value that asks for a reset: it may name a tag.
const MAX_RESET_LENGTH: usize = 253;

/// Why an object is due for a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Its spec is new.
    SpecChanged,
    /// A sync was requested.
    Requested,
    /// A sync is under way.
    InProgress,
    /// Its time has come.
    Scheduled,
}

impl Due {
    /// Returns whether the user is waiting for this sync, so that nothing remembered is good enough.
    pub fn is_asked_for(self) -> bool {
        matches!(self, Self::SpecChanged | Self::Requested)
    }
}

/// What is known of an object that may be due.
#[derive(Debug, Clone, Copy, Default)]
pub struct Candidate<'a> {
    /// Its UID.
    pub uid: &'a str,
    /// The generation of its spec.
    pub generation: Option<i64>,
    /// The generation that its status is of.
    pub observed_generation: Option<i64>,
    /// The token of a request that was not acted on yet.
    pub request: Option<&'a str>,
    /// The same of a request to try again what failed.
    pub reset: Option<&'a str>,
    /// Whether its status says that a sync is under way.
    pub in_progress: bool,
    /// Whether its last sync ended well.
    pub completed: bool,
    /// Whether nothing is due any more once the last sync ended well.
    pub once: bool,
    /// When the last sync ended that is recorded.
    pub last: Option<Timestamp>,
    /// When something is due before its regular time, as what was too young is old enough then.
    pub awaited: Option<Timestamp>,
}

impl<'a> Candidate<'a> {
    /// Returns what is known of an object. `last_sync` is the time that its status records.
    pub(crate) fn of(object: &'a impl Scheduled, last_sync: Option<&Time>) -> Self {
        let (metadata, last_pass) = (object.meta(), object.last_pass());
        let annotations = metadata.annotations.as_ref();
        let reconciling = find(last_pass.conditions, RECONCILING);
        Self {
            uid: metadata.uid.as_deref().unwrap_or_default(),
            generation: metadata.generation,
            observed_generation: last_pass.observed_generation,
            request: open_request(annotations, REQUESTED_AT_ANNOTATION, last_pass.handled_request),
            reset: open_reset(annotations, last_pass.handled_reset),
            in_progress: reconciling.is_some_and(|condition| condition.reason == reasons::PROGRESSING),
            completed: last_pass.phase == Some(Phase::Completed),
            once: false,
            last: last_sync.map(|time| time.0),
            awaited: None,
        }
    }

    /// Returns whether its spec is another one than that which its status is of.
    pub fn is_spec_new(&self) -> bool {
        self.observed_generation != self.generation
    }
}

/// When an object is due by itself, as this process knows it.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    /// When the next sync is due; none for an object that this process has not reconciled yet.
    pub next: Option<Timestamp>,
    /// How many times in a row something was not there or did not answer.
    pub retries: u32,
    /// When the last requested sync began.
    pub last_request: Option<Timestamp>,
}

impl Schedule {
    /// Returns when the next sync is due, and decides it for an object that this process has not reconciled
    /// yet: at once if it was never synced or the last sync failed, else when it is due after the last one.
    pub fn next(
        &mut self,
        candidate: &Candidate<'_>,
        recurrence: &Recurrence,
        uptime: &Uptime,
        now: Timestamp,
    ) -> Timestamp {
        let Candidate { uid, last, awaited, completed, .. } = *candidate;
        let first = || {
            if !completed {
                return uptime.started;
            }
            let regular = recurrence.resume(uid, last, uptime, now);
            let spread = saturating_add(uptime.started, jitter(uid, START_JITTER));
            awaited.map_or(regular, |awaited| regular.min(awaited.max(spread)))
        };
        // A clock that was ahead must not silence an object for as long.
        let max = remaining(recurrence.next(uid, now), now).max(Duration::from_hours(1));
        *self.next.insert(clamp_ahead(self.next.unwrap_or_else(first), now, max))
    }

    /// Returns why an object is due, if it is.
    pub fn due(&self, candidate: &Candidate<'_>, now: Timestamp) -> Option<Due> {
        if candidate.is_spec_new() {
            return Some(Due::SpecChanged);
        }
        if self.request(candidate, now).or(self.reset(candidate, now)).is_some() {
            return Some(Due::Requested);
        }
        if candidate.in_progress {
            return Some(Due::InProgress);
        }
        let is_done = candidate.once && candidate.completed;
        (!is_done && self.next.is_some_and(|next| next <= now)).then_some(Due::Scheduled)
    }

    /// Returns the request that is acted on now: one that comes too soon after another one waits.
    pub fn request<'a>(&self, candidate: &Candidate<'a>, now: Timestamp) -> Option<&'a str> {
        candidate.request.filter(|_| self.request_delay(now).is_none())
    }

    /// Returns the request to try again what failed that is acted on now.
    pub fn reset<'a>(&self, candidate: &Candidate<'a>, now: Timestamp) -> Option<&'a str> {
        candidate.reset.filter(|_| self.request_delay(now).is_none())
    }

    /// Returns how long a request that was not acted on yet must wait.
    pub fn request_delay(&self, now: Timestamp) -> Option<Duration> {
        let earliest = saturating_add(self.last_request?, MIN_REQUEST_INTERVAL);
        let delay = remaining(earliest, now).min(MIN_REQUEST_INTERVAL);
        (!delay.is_zero()).then_some(delay)
    }

    /// Counts one more retry. Returns how long to wait for it.
    pub fn retry_later(&mut self, now: Timestamp) -> Duration {
        self.retries = self.retries.saturating_add(1);
        self.wait(retry_delay(self.retries), now)
    }

    /// Makes the object due after this wait, which it returns.
    pub fn wait(&mut self, wait: Duration, now: Timestamp) -> Duration {
        self.next = Some(saturating_add(now, wait));
        wait
    }

    /// Returns when the next retry is, for as long as the pauses grow. After that, saying when the next one
    /// is would be a write every ten minutes for as long as a mistake stands.
    pub fn growing_retry(&self) -> Option<Timestamp> {
        self.next.filter(|_| is_backing_off(self.retries))
    }
}

/// Returns the token of a request that was not acted on yet, from the annotation of this name; `handled` is the last one
/// that was.
pub fn open_request<'a>(
    annotations: Option<&'a BTreeMap<String, String>>,
    name: &str,
    handled: Option<&str>,
) -> Option<&'a str> {
    open(annotations, name, handled, MAX_REQUEST_LENGTH)
}

/// Returns the same of the annotation that asks to try again what failed.
pub fn open_reset<'a>(
    annotations: Option<&'a BTreeMap<String, String>>,
    handled: Option<&str>,
) -> Option<&'a str> {
    open(annotations, RESET_ANNOTATION, handled, MAX_RESET_LENGTH)
}

fn open<'a>(
    annotations: Option<&'a BTreeMap<String, String>>,
    name: &str,
    handled: Option<&str>,
    max_length: usize,
) -> Option<&'a str> {
    let token = annotations?.get(name)?.as_str();
    (token.len() <= max_length && handled != Some(token)).then_some(token)
}

/// Returns how long to wait before the nth retry.
fn retry_delay(retries: u32) -> Duration {
    backoff(FIRST_RETRY, MAX_RETRY, retries.saturating_sub(1))
}

fn is_backing_off(retries: u32) -> bool {
    retries > 0 && retry_delay(retries) < MAX_RETRY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    /// An object that is synced again and again, and whose last sync ended well.
    fn completed() -> Candidate<'static> {
        Candidate {
            uid: "6f1d9a52-0000-4000-8000-000000000001",
            generation: Some(1),
            observed_generation: Some(1),
            completed: true,
            ..Candidate::default()
        }
    }

    fn once() -> Candidate<'static> {
        Candidate { once: true, ..completed() }
    }

    fn due(candidate: &Candidate<'_>, next: Option<Timestamp>) -> Option<Due> {
        Schedule { next, ..Schedule::default() }.due(candidate, now())
    }

    fn long_ago() -> Timestamp {
        now() - Duration::from_hours(1)
    }

    #[test]
    fn a_new_or_changed_spec_is_due_at_once() {
        let new = Candidate { generation: Some(1), once: true, ..Candidate::default() };
        assert_eq!(due(&new, None), Some(Due::SpecChanged));
        assert_eq!(due(&Candidate { generation: Some(2), ..once() }, None), Some(Due::SpecChanged));
    }

    #[test]
    fn a_one_shot_that_is_done_stays_done() {
        assert_eq!(due(&once(), Some(long_ago())), None);
        assert_eq!(due(&completed(), Some(long_ago())), Some(Due::Scheduled));
        let later = Some(saturating_add(now(), Duration::from_secs(1)));
        assert_eq!(due(&completed(), later), None);
    }

    #[test]
    fn a_request_is_acted_on_once() {
        let annotations = Some([(REQUESTED_AT_ANNOTATION.to_owned(), "t1".to_owned())].into());
        let request = open_request(annotations.as_ref(), REQUESTED_AT_ANNOTATION, None);
        assert_eq!(due(&Candidate { request, ..once() }, None), Some(Due::Requested));
        let request = open_request(annotations.as_ref(), REQUESTED_AT_ANNOTATION, Some("t1"));
        assert_eq!(due(&Candidate { request, ..once() }, None), None);
        let long = Some([(REQUESTED_AT_ANNOTATION.to_owned(), "t".repeat(200))].into());
        assert_eq!(
            open_request(long.as_ref(), REQUESTED_AT_ANNOTATION, None),
            None,
            "it would stand in the status"
        );
    }

    #[test]
    fn a_reset_is_acted_on_once_and_no_sooner_after_another_request_than_one_is() {
        let annotations = Some([(RESET_ANNOTATION.to_owned(), "v1@t1".to_owned())].into());
        let reset = open_reset(annotations.as_ref(), None);
        let candidate = Candidate { reset, ..once() };
        assert_eq!((reset, due(&candidate, None)), (Some("v1@t1"), Some(Due::Requested)));
        let last_request = Some(now() - Duration::from_secs(1));
        let schedule = Schedule { last_request, ..Schedule::default() };
        assert_eq!((schedule.due(&candidate, now()), schedule.reset(&candidate, now())), (None, None));
        assert_eq!(open_reset(annotations.as_ref(), Some("v1@t1")), None);
        let long = Some([(RESET_ANNOTATION.to_owned(), "t".repeat(254))].into());
        assert_eq!(open_reset(long.as_ref(), None), None, "it would stand in the status");
    }

    #[test]
    fn requests_in_a_loop_begin_a_sync_every_five_seconds_and_the_last_one_counts() {
        let candidate = Candidate { request: Some("t2"), ..completed() };
        let since = |seconds: u64| {
            let last_request = Some(now() - Duration::from_secs(seconds));
            let schedule = Schedule { last_request, ..Schedule::default() };
            (
                schedule.due(&candidate, now()),
                schedule.request(&candidate, now()),
                schedule.request_delay(now()),
            )
        };
        assert_eq!(since(1), (None, None, Some(Duration::from_secs(4))));
        assert_eq!(since(5), (Some(Due::Requested), Some("t2"), None));
        let ahead = Some(now() + Duration::from_hours(9));
        let schedule = Schedule { last_request: ahead, ..Schedule::default() };
        assert_eq!(schedule.request_delay(now()), Some(MIN_REQUEST_INTERVAL), "a clock that was ahead");
    }

    #[test]
    fn a_sync_under_way_goes_on_after_a_restart() {
        assert_eq!(due(&Candidate { in_progress: true, ..completed() }, None), Some(Due::InProgress));
    }

    fn every(frequency: &str) -> Recurrence {
        Recurrence::Every(frequency.parse().unwrap())
    }

    fn uptime() -> Uptime {
        Uptime { started: now(), earlier_heartbeat: None }
    }

    #[test]
    fn b20_a_restart_is_no_stampede() {
        let first =
            |candidate: &Candidate<'_>| Schedule::default().next(candidate, &every("5m"), &uptime(), now());
        let all: Vec<Timestamp> =
            (0..100).map(|n| first(&Candidate { uid: &format!("uid-{n}"), ..completed() })).collect();
        let minute = saturating_add(now(), Duration::from_mins(1));
        assert!(all.iter().all(|at| (now()..=minute).contains(at)));
        let in_one_second = all.iter().filter(|at| at.as_second() == all[0].as_second()).count();
        assert!(in_one_second < 20, "{in_one_second} of 100 in one second");
        assert_eq!(first(&Candidate { completed: false, ..completed() }), now());
    }

    #[test]
    fn after_a_restart_an_object_is_due_when_it_was_and_sooner_only_for_what_is_awaited() {
        let first =
            |candidate: Candidate<'_>| Schedule::default().next(&candidate, &every("1d"), &uptime(), now());
        let recent = Candidate { last: Some(long_ago()), ..completed() };
        assert_eq!(first(recent), next_regular(recent.uid, Duration::from_hours(24), long_ago()));
        let awaited = Some(now() + Duration::from_hours(2));
        assert_eq!(Some(first(Candidate { awaited, ..recent })), awaited);
        let passed = first(Candidate { awaited: Some(long_ago()), ..recent });
        assert!(passed >= now() && passed < now() + Duration::from_mins(1));
        assert_eq!(first(Candidate { completed: false, ..recent }), now());
    }

    #[test]
    fn a_clock_that_was_ahead_silences_no_object() {
        let next = Some(now() + Duration::from_hours(9_000));
        let mut schedule = Schedule { next, ..Schedule::default() };
        let next = schedule.next(&completed(), &every("5m"), &uptime(), now());
        assert_eq!((next, schedule.next), (now() + Duration::from_hours(1), Some(next)));
    }

    #[test]
    fn pauses_grow_to_ten_minutes() {
        let pauses = [1, 2, 3, 4, 5, 100].map(|n| retry_delay(n).as_secs());
        assert_eq!(pauses, [60, 120, 240, 480, 600, 600]);
        assert_eq!([0, 1, 4, 5, 100].map(is_backing_off), [false, true, true, false, false]);
    }
}
