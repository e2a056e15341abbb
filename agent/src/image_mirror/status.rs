//! The next status of an ImageMirror. Pure, and equal to the old one when nothing is new.

use imgop_core::api::conditions::{self, READY, is_true};
use imgop_core::api::{ImageMirror, ImageMirrorStatus, InventoryRead};
use imgop_core::text::shorten;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::findings::{Findings, Observed};
use crate::cluster::status::WithConditions;

/// Bytes of a status as JSON.
const MAX_STATUS_BYTES: usize = 16 * 1024;
/// Bytes of a message.
const MAX_MESSAGE_BYTES: usize = 1_536;

impl WithConditions for ImageMirrorStatus {
    fn conditions(&mut self) -> &mut Vec<Condition> {
        &mut self.conditions
    }
}

/// Returns the next status. `has_written` is whether Images were changed since the last one.
pub(super) fn next_status(
    mirror: &ImageMirror,
    mut findings: Findings,
    has_written: bool,
    now: Timestamp,
) -> ImageMirrorStatus {
    for condition in &mut findings.readiness.conditions {
        condition.message = shorten(&condition.message, MAX_MESSAGE_BYTES).into_owned();
    }
    let old = mirror.status.clone().unwrap_or_default();
    let generation = findings.generation.or(mirror.metadata.generation);
    let handled = findings.handled;
    let mut new = ImageMirrorStatus {
        conditions: conditions::merge(&old.conditions, findings.readiness.conditions, generation, now),
        observed_generation: mirror.metadata.generation,
        phase: Some(findings.readiness.phase),
        progress: findings.readiness.progress.or_else(|| old.progress.clone()),
        last_handled_requested_at: handled.sync.or_else(|| old.last_handled_requested_at.clone()),
        last_handled_reset: handled.reset.or_else(|| old.last_handled_reset.clone()),
        ..old.clone()
    };
    if let Some(versions) = findings.versions {
        (new.proposals, new.failed_updates) = (versions.proposals, versions.failed);
    }
    let Some(observed) = findings.observed else { return new };
    let has_copied = observed.tags.synced > old.tags.map_or(0, |tags| tags.synced);
    add(&mut new, observed, now);
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

fn add(status: &mut ImageMirrorStatus, observed: Observed, now: Timestamp) {
    let Observed { entries, children, tags, conflicts, conflict_count, failing, inventory } = observed;
    status.entries = Some(entries);
    status.children = Some(children);
    status.tags = Some(tags);
    (status.conflicts, status.conflict_count, status.failing) = (conflicts, conflict_count, failing);
    if status.inventory.as_ref().is_none_or(|read| read.hash != inventory) {
        status.inventory = Some(InventoryRead { hash: inventory, time: Time(now) });
    }
}

/// Leaves out what there is no room for: references may be long.
fn bound(status: &mut ImageMirrorStatus) {
    let is_too_long = |status: &ImageMirrorStatus| {
        serde_json::to_vec(status).is_ok_and(|json| json.len() > MAX_STATUS_BYTES)
    };
    while is_too_long(status) {
        let proposed = status.proposals.as_mut().filter(|proposals| proposals.tags.len() > 10);
        let longer = if let Some(proposals) = proposed {
            proposals.tags.pop().is_some()
        } else if status.conflicts.len() >= status.failing.len() {
            status.conflicts.pop().is_some()
        } else {
            status.failing.pop().is_some()
        };
        if !longer {
            return;
        }
    }
}
