//! The next status of a WorkloadMirror. Pure, and equal to the old one when nothing is new.

use imgop_core::api::conditions::{self, READY, is_true};
use imgop_core::api::{WorkloadMirror, WorkloadMirrorStatus};
use imgop_core::text::shorten;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::findings::{Findings, Observed};
use crate::cluster::status::WithConditions;

/// Bytes of a status as JSON.
const MAX_STATUS_BYTES: usize = 8 * 1024;
/// Bytes of a message.
const MAX_MESSAGE_BYTES: usize = 1_024;

impl WithConditions for WorkloadMirrorStatus {
    fn conditions(&mut self) -> &mut Vec<Condition> {
        &mut self.conditions
    }
}

/// Returns the next status. `has_written` is whether Images were changed since the last one.
pub(super) fn next_status(
    mirror: &WorkloadMirror,
    mut findings: Findings,
    has_written: bool,
    now: Timestamp,
) -> WorkloadMirrorStatus {
    for condition in &mut findings.readiness.conditions {
        condition.message = shorten(&condition.message, MAX_MESSAGE_BYTES).into_owned();
    }
    let old = mirror.status.clone().unwrap_or_default();
    let generation = findings.generation.or(mirror.metadata.generation);
    let handled = findings.handled;
    let mut new = WorkloadMirrorStatus {
        conditions: conditions::merge(&old.conditions, findings.readiness.conditions, generation, now),
        observed_generation: mirror.metadata.generation,
        phase: Some(findings.readiness.phase),
        progress: findings.readiness.progress.or_else(|| old.progress.clone()),
        last_handled_requested_at: handled.sync.or_else(|| old.last_handled_requested_at.clone()),
        last_handled_reset: handled.reset.or_else(|| old.last_handled_reset.clone()),
        ..old.clone()
    };
    let Some(Observed { counts, conflicts, conflict_count, failing }) = findings.observed else {
        return new;
    };
    let has_copied = counts.synced > old.counts.map_or(0, |counts| counts.synced);
    new.counts = Some(counts);
    (new.conflicts, new.conflict_count, new.failing) = (conflicts, conflict_count, failing);
    if has_written || has_copied {
        new.last_sync_time = Some(Time(now));
    }
    let is_news = new.last_sync_time != old.last_sync_time || !is_true(&old.conditions, READY);
    if is_true(&new.conditions, READY) && is_news {
        new.last_successful_sync_time = Some(Time(now));
    }
    bound(&mut new);
    new
}

/// Returns whether a status says more than that more or less runs.
pub(super) fn is_news(old: Option<&WorkloadMirrorStatus>, new: &WorkloadMirrorStatus) -> bool {
    let Some(old) = old else { return true };
    let mut new = new.clone();
    if let (Some(new), Some(old)) = (&mut new.counts, &old.counts) {
        (new.pods, new.workloads) = (old.pods, old.workloads);
    }
    new != *old
}

/// Leaves out what there is no room for: references may be long.
fn bound(status: &mut WorkloadMirrorStatus) {
    let is_too_long = |status: &WorkloadMirrorStatus| {
        serde_json::to_vec(status).is_ok_and(|json| json.len() > MAX_STATUS_BYTES)
    };
    while is_too_long(status) {
        let longer = if status.conflicts.len() >= status.failing.len() {
            status.conflicts.pop().is_some()
        } else {
            status.failing.pop().is_some()
        };
        if !longer {
            return;
        }
    }
}
