//! When the agent compares both sides of an Image, as far as its status tells. A check that finds nothing to do writes
//! nothing, so what is known follows from the last sync, and from how the agent schedules the next one.

use std::time::Duration;

use imgop_core::api::conditions::reasons;
use imgop_core::api::{Image, Mode};
use imgop_core::schedule::{MAX_RETRY, Recurrence};
use jiff::Timestamp;

use crate::kinds::Kind as _;
use crate::output::age::human;

/// When both sides are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    /// The last check was the last sync; the next one follows at this time, or earlier if the agent restarts.
    At(Timestamp),
    /// Both the last check and the next one are within this time, if the agent runs.
    Within(Duration),
    /// The checks follow a schedule: the last one, if the agent ran, and the next one.
    Scheduled {
        /// When the last one was.
        last: Timestamp,
        /// When the next one is.
        next: Timestamp,
    },
}

impl Checks {
    /// Returns when an Image is checked that the agent has no reason to check sooner. Nothing for one that is not
    /// checked again by itself, and for one whose next try its status tells.
    pub fn of(image: &Image, now: Timestamp) -> Option<Self> {
        let status = image.status.as_ref()?;
        let ready = image.state().ready()?;
        let is_current = status.observed_generation == image.metadata.generation;
        if image.spec.suspend || !is_current {
            return None;
        }
        let recurrence = Recurrence::parse(image.spec.recurrence())?;
        let period = recurrence.pause(now);
        if ready.status != "True" {
            let is_retried = image.state().is_retried() && status.next_sync_time.is_none();
            return is_retried.then_some(Self::Within(period.max(MAX_RETRY)));
        }
        if image.spec.mode == Mode::OneShot || ready.reason != reasons::SUCCEEDED {
            return None;
        }
        let last = status.last_sync_time.as_ref()?.0;
        let uid = image.metadata.uid.as_deref().unwrap_or_default();
        // What is old enough is copied then.
        let or_awaited =
            |regular| status.waiting.iter().map(|waiting| waiting.until.0).fold(regular, Timestamp::min);
        if let Some(last) = recurrence.last(uid, last, now) {
            // One that is to come within its jitter counts from its time.
            return Some(Self::Scheduled { last, next: or_awaited(recurrence.next(uid, last)) });
        }
        let next = or_awaited(recurrence.next(uid, last));
        Some(if next > now { Self::At(next) } else { Self::Within(period) })
    }

    /// Returns the last one as a cell of a list, where that was not the last sync.
    pub fn last_cell(self, now: Timestamp) -> Option<String> {
        match self {
            Self::At(_) => None,
            Self::Within(period) => Some(format!("<{}", age(period))),
            Self::Scheduled { last, .. } => Some(human(now.as_second() - last.as_second())),
        }
    }

    /// Returns the next one as a cell of a list.
    pub fn cell(self, now: Timestamp) -> String {
        match self {
            Self::At(next) | Self::Scheduled { next, .. } => {
                human((next.as_second() - now.as_second()).max(0))
            }
            Self::Within(period) => format!("<{}", age(period)),
        }
    }

    /// Returns them in words.
    pub fn words(self, is_ready: bool, now: Timestamp) -> String {
        match self {
            Self::At(_) => format!("last at the last sync, next in about {}", self.cell(now)),
            Self::Scheduled { last, .. } => format!(
                "last {} ago, next in about {}; one that finds nothing to do is not recorded",
                human(now.as_second() - last.as_second()),
                self.cell(now)
            ),
            Self::Within(period) if is_ready => format!(
                "about every {0}: last within {0}, next within {0}; one that finds nothing to do is not recorded",
                age(period)
            ),
            Self::Within(period) => format!("next within {}", age(period)),
        }
    }
}

fn age(period: Duration) -> String {
    human(i64::try_from(period.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn now() -> Timestamp {
        "2026-01-08T00:10:00Z".parse().unwrap()
    }

    /// An Image that is synced every hour, the last time 10 minutes ago, with changes.
    fn checks(changes: &Value) -> Option<Checks> {
        let mut image = json!({
            "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": "x", "uid": "u", "generation": 1 },
            "spec": { "mode": "Recurrent", "frequency": "1h", "source": { "name": "a/b", "version": "1" },
                "destination": { "name": "c/d" } },
            "status": { "observedGeneration": 1, "lastSyncTime": "2026-01-08T00:00:00Z", "conditions": [
                { "type": "Ready", "status": "True", "reason": "Succeeded", "message": "there",
                  "lastTransitionTime": "2026-01-08T00:00:00Z" } ] },
        });
        for (path, value) in changes.as_object().unwrap() {
            *image.pointer_mut(path).unwrap() = value.clone();
        }
        Checks::of(&serde_json::from_value(image).unwrap(), now())
    }

    #[test]
    fn a_healthy_image_is_checked_as_the_agent_schedules_it() {
        let hourly = Recurrence::Every("1h".parse().unwrap());
        let regular = hourly.next("u", "2026-01-08T00:00:00Z".parse().unwrap());
        assert_eq!(checks(&json!({})), Some(Checks::At(regular)));
        let idle = checks(&json!({ "/status/lastSyncTime": "2026-01-07T00:00:00Z" }));
        assert_eq!(idle, Some(Checks::Within(Duration::from_hours(1))));
        let waiting = json!([{ "tag": "1", "digest": "d", "since": "2026-01-07T00:00:00Z", "until": "2026-01-08T00:20:00Z" }]);
        let mut status =
            json!({ "observedGeneration": 1, "lastSyncTime": "2026-01-08T00:00:00Z", "waiting": waiting });
        status["conditions"] = json!([{ "type": "Ready", "status": "True", "reason": "Succeeded", "message": "",
            "lastTransitionTime": "2026-01-08T00:00:00Z" }]);
        assert_eq!(
            checks(&json!({ "/status": status })),
            Some(Checks::At("2026-01-08T00:20:00Z".parse().unwrap()))
        );
    }

    #[test]
    fn the_checks_of_a_schedule_follow_from_it_however_long_ago_the_last_sync_was() {
        let spec = json!({ "mode": "Recurrent", "frequency": "5m", "schedule": "0 3 * * *", "timeZone": "Europe/Berlin",
            "source": { "name": "a/b", "version": "1" }, "destination": { "name": "c/d" } });
        let of = |last: &str| checks(&json!({ "/spec": spec, "/status/lastSyncTime": last })).unwrap();
        let told = ["2026-01-01T00:00:00Z", "2026-01-08T00:00:00Z"]
            .map(|last| format!("{} {}", of(last).cell(now()), of(last).words(true, now())));
        insta::assert_snapshot!(told.join("\n"), @"
        110m last 22h ago, next in about 110m; one that finds nothing to do is not recorded
        110m last 10m ago, next in about 110m; one that finds nothing to do is not recorded
        ");
    }

    #[test]
    fn what_is_not_checked_by_itself_has_no_next_check() {
        assert_eq!(checks(&json!({ "/spec/mode": "OneShot" })), None);
        assert_eq!(checks(&json!({ "/metadata/generation": 2 })), None);
        let suspended = json!({ "mode": "Recurrent", "suspend": true, "source": { "name": "a/b", "version": "1" },
            "destination": { "name": "c/d" } });
        assert_eq!(checks(&json!({ "/spec": suspended })), None);
    }

    #[test]
    fn what_failed_is_tried_again_within_the_longest_pause() {
        let condition = |type_: &str, status: &str, reason: &str| {
            json!({ "type": type_, "status": status, "reason": reason, "message": "",
                "lastTransitionTime": "2026-01-08T00:00:00Z" })
        };
        let ready = condition("Ready", "False", "TagNotFound");
        let retried = json!([ready.clone(), condition("Reconciling", "True", "ProgressingWithRetry")]);
        let expected = Some(Checks::Within(Duration::from_hours(1)));
        assert_eq!(checks(&json!({ "/status/conditions": retried })), expected);
        let stalled = json!([ready, condition("Stalled", "True", "TagNotFound")]);
        assert_eq!(checks(&json!({ "/status/conditions": stalled })), None);
    }

    #[test]
    fn checks_are_told_in_words_and_in_a_cell() {
        let known = Checks::At("2026-01-08T00:12:30Z".parse().unwrap());
        let within = Checks::Within(Duration::from_mins(5));
        let told = [(known, true), (within, true), (within, false)]
            .map(|(checks, is_ready)| format!("{}: {}", checks.cell(now()), checks.words(is_ready, now())));
        insta::assert_snapshot!(told.join("\n"), @"
        2m30s: last at the last sync, next in about 2m30s
        <5m: about every 5m: last within 5m, next within 5m; one that finds nothing to do is not recorded
        <5m: next within 5m
        ");
    }
}
