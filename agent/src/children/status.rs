//! The status of an object that keeps Images: what is the same whatever its kind. Pure, and equal to the old one when
//! nothing is new.

use imgop_core::api::conditions::{self, READY, is_true};
use imgop_core::api::{MirrorConflict, MirrorFailure, Phase};
use imgop_core::text::shorten;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::Findings;
use crate::cluster::status::WithConditions;

/// The status of a kind that keeps Images.
pub(crate) trait MirrorStatus: WithConditions + Default {
    /// What only passes of this kind find out.
    type Observed;
    /// Bytes of a status as JSON.
    const MAX_BYTES: usize;
    /// Bytes of a message of a condition.
    const MAX_MESSAGE_BYTES: usize;

    /// Returns the fields that all such kinds have: what [`mirror_status_frame`](super::mirror_status_frame) writes.
    fn frame(&mut self) -> Frame<'_>;

    /// Takes over what a pass found out.
    fn observe(&mut self, observed: Self::Observed, now: Timestamp);

    /// Returns how many tags are at their targets.
    fn synced(&self) -> u32;

    /// Leaves out one thing that a list names; returns whether there was any.
    fn leave_out_one(&mut self) -> bool {
        self.frame().leave_out_one()
    }

    /// Returns whether the status says more than an old one, but for numbers that can wait a little.
    fn is_news(&self, _old: &Self) -> bool {
        true
    }
}

/// What the statuses of all kinds hold that keep Images.
pub(crate) struct Frame<'a> {
    pub conditions: &'a mut Vec<Condition>,
    pub observed_generation: &'a mut Option<i64>,
    pub phase: &'a mut Option<Phase>,
    pub progress: &'a mut Option<String>,
    pub conflicts: &'a mut Vec<MirrorConflict>,
    pub failing: &'a mut Vec<MirrorFailure>,
    pub last_sync_time: &'a mut Option<Time>,
    pub last_successful_sync_time: &'a mut Option<Time>,
    pub last_handled_requested_at: &'a mut Option<String>,
    pub last_handled_reset: &'a mut Option<String>,
}

impl Frame<'_> {
    pub fn leave_out_one(self) -> bool {
        if self.conflicts.len() >= self.failing.len() {
            self.conflicts.pop().is_some()
        } else {
            self.failing.pop().is_some()
        }
    }
}

/// Writes [`MirrorStatus::frame`] for a status that has fields of these names.
macro_rules! mirror_status_frame {
    () => {
        fn frame(&mut self) -> $crate::children::Frame<'_> {
            $crate::children::Frame {
                conditions: &mut self.conditions,
                observed_generation: &mut self.observed_generation,
                phase: &mut self.phase,
                progress: &mut self.progress,
                conflicts: &mut self.conflicts,
                failing: &mut self.failing,
                last_sync_time: &mut self.last_sync_time,
                last_successful_sync_time: &mut self.last_successful_sync_time,
                last_handled_requested_at: &mut self.last_handled_requested_at,
                last_handled_reset: &mut self.last_handled_reset,
            }
        }
    };
}
pub(crate) use mirror_status_frame;

/// Returns the next status of an object of this generation. `has_written` is whether Images were changed since the last
/// one.
pub(crate) fn next_status<S: MirrorStatus>(
    old: Option<&S>,
    generation: Option<i64>,
    findings: Findings<S::Observed>,
    has_written: bool,
    now: Timestamp,
) -> S {
    let Findings { mut readiness, observed, handled, generation: of, .. } = findings;
    for condition in &mut readiness.conditions {
        condition.message = shorten(&condition.message, S::MAX_MESSAGE_BYTES).into_owned();
    }
    let mut new = old.cloned().unwrap_or_default();
    let synced = new.synced();
    let frame = new.frame();
    let was_ready = is_true(frame.conditions, READY);
    *frame.conditions = conditions::merge(frame.conditions, readiness.conditions, of.or(generation), now);
    *frame.observed_generation = generation;
    *frame.phase = Some(readiness.phase);
    replace(frame.progress, readiness.progress);
    replace(frame.last_handled_requested_at, handled.sync);
    replace(frame.last_handled_reset, handled.reset);
    let Some(observed) = observed else { return new };
    new.observe(observed, now);
    let has_changed = has_written || new.synced() > synced;
    note_times(&mut new.frame(), has_changed, was_ready, now);
    let is_too_long = |status: &S| serde_json::to_vec(status).is_ok_and(|json| json.len() > S::MAX_BYTES);
    // References may be long.
    while is_too_long(&new) && new.leave_out_one() {}
    new
}

/// Replaces a value by a new one, if there is any.
fn replace<T>(value: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *value = new;
    }
}

/// Notes when Images were changed, and when all of them were ready after that.
fn note_times(frame: &mut Frame<'_>, has_changed: bool, was_ready: bool, now: Timestamp) {
    let now = Some(Time(now));
    let is_news = has_changed && *frame.last_sync_time != now || !was_ready;
    if has_changed {
        frame.last_sync_time.clone_from(&now);
    }
    if is_true(frame.conditions, READY) && is_news {
        *frame.last_successful_sync_time = now;
    }
}

/// Returns a number as statuses hold it.
pub(crate) fn as_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
