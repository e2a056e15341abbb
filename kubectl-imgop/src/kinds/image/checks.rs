//! When the agent compares both sides of an Image, as far as its status tells. A check that finds nothing to do writes
//! nothing, so what is known follows from the last sync, and from how the agent schedules the next one.

use std::time::Duration;

use imgop_core::api::conditions::reasons;
use imgop_core::api::{Frequency, Image, Mode};
use imgop_core::schedule::{MAX_RETRY, next_regular};
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
        let period = image.spec.frequency.parse::<Frequency>().ok()?.period();
        if ready.status != "True" {
            let is_retried = image.state().is_retried() && status.next_sync_time.is_none();
            return is_retried.then_some(Self::Within(period.max(MAX_RETRY)));
        }
        if image.spec.mode == Mode::OneShot || ready.reason != reasons::SUCCEEDED {
            return None;
        }
        let last = status.last_sync_time.as_ref()?.0;
        let regular = next_regular(image.metadata.uid.as_deref().unwrap_or_default(), period, last);
        // What is old enough is copied then.
        let next = status.waiting.iter().map(|waiting| waiting.until.0).fold(regular, Timestamp::min);
        Some(if next > now { Self::At(next) } else { Self::Within(period) })
    }

    /// Returns them as a cell of a list: when the next one is.
    pub fn cell(self, now: Timestamp) -> String {
        match self {
            Self::At(next) => human(next.as_second() - now.as_second()),
            Self::Within(period) => format!("<{}", age(period)),
        }
    }

    /// Returns them in words.
    pub fn words(self, is_ready: bool, now: Timestamp) -> String {
        match self {
            Self::At(_) => format!("last at the last sync, next in about {}", self.cell(now)),
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
        let regular = next_regular("u", Duration::from_hours(1), "2026-01-08T00:00:00Z".parse().unwrap());
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
