//! The next status of an Image. Pure, and equal to the old one when nothing is new: a sync that finds nothing to
//! do writes nothing.

use imgop_core::api::conditions::{self, reasons};
use imgop_core::api::{HistoryEntry, Image, ImageStatus, TagFailure, WaitingTag};
use imgop_core::readiness::Readiness;
use imgop_registry::reference::Tag;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde::Serialize;

use super::findings::Findings;
use crate::cluster::status::WithConditions;

/// How many syncs are remembered.
const MAX_HISTORY: usize = 20;
/// Bytes of the tags that an entry of the history names: three of the longest, or dozens of usual ones.
const MAX_NAMED_BYTES: usize = 400;
/// How many failures are shown; their number stands in the counts.
const MAX_FAILURES: usize = 50;
/// How many tags that are too young are remembered.
const MAX_WAITING: usize = 100;
/// Bytes of a status as JSON: etcd and every watch carry it.
const MAX_STATUS_BYTES: usize = 32 * 1024;
/// Bytes of all but conditions and lists.
const OTHER_BYTES: usize = 2 * 1024;
/// Bytes of the failures.
const MAX_FAILURES_BYTES: usize = 11 * 1024;
/// Failures whose messages are whole; the others keep their beginnings.
const WHOLE_FAILURES: usize = 3;
/// Bytes of the message of each other failure.
const MAX_SHORT_MESSAGE_BYTES: usize = 96;
/// Bytes of the tags that are too young.
const MAX_WAITING_BYTES: usize = 16 * 1024;

/// Bytes of a message. It quotes servers, nodes and sources, and the status must stay small.
const MAX_MESSAGE_BYTES: usize = 1_024;

impl WithConditions for ImageStatus {
    fn conditions(&mut self) -> &mut Vec<Condition> {
        &mut self.conditions
    }
}

/// Returns the next status. `next_retry` is when what was not there, or did not answer, is tried again; it is
/// reported for as long as its pauses grow.
pub fn next_status(
    image: &Image,
    mut findings: Findings,
    next_retry: Option<Timestamp>,
    now: Timestamp,
) -> ImageStatus {
    for condition in &mut findings.readiness.conditions {
        shorten(&mut condition.message, MAX_MESSAGE_BYTES);
    }
    let (old, handled) = (image.status.clone().unwrap_or_default(), findings.handled);
    let generation = findings.generation.or(image.metadata.generation);
    let ready =
        findings.readiness.conditions.iter().any(|c| c.type_ == conditions::READY && c.status == Some(true));
    let was_observed = findings.tags.is_some();
    let next_attempt = findings.tags.as_ref().and_then(|tags| tags.next_attempt);
    let next_retry = next_retry.filter(|_| is_retried(&findings.readiness));
    let next_sync_time = next_attempt.into_iter().chain(next_retry).min().map(Time);
    let mut new = ImageStatus {
        conditions: conditions::merge(&old.conditions, findings.readiness.conditions, generation, now),
        observed_generation: image.metadata.generation,
        phase: Some(findings.readiness.phase),
        progress: findings.readiness.progress.or_else(|| old.progress.clone()),
        last_handled_requested_at: handled.sync.clone().or_else(|| old.last_handled_requested_at.clone()),
        last_handled_reset: handled.reset_token.clone().or_else(|| old.last_handled_reset.clone()),
        destination: findings.destination,
        prune: findings
            .prune
            .or_else(|| old.prune.clone())
            .filter(|_| image.spec.destination.prune.is_some()),
        ..old.clone()
    };
    if let Some(tags) = findings.tags {
        new.counts = Some(tags.counts);
        let mut left = MAX_STATUS_BYTES - OTHER_BYTES;
        left = left.saturating_sub(bytes(&new.conditions) + bytes(&new.history) + bytes(&new.prune));
        new.failures = failures(tags.failures, &mut left);
        new.waiting = within(oldest(tags.waiting), MAX_WAITING_BYTES, &mut left);
        // Those beyond are remembered until this process ends, and then compared.
        new.tag_already_synced = within(tags.already_synced, MAX_STATUS_BYTES, &mut left);
        new.synced_from = tags.synced_from;
        new.set_from = tags.set_from;
        new.credentials = tags.credentials;
    } else {
        handled.reset.iter().for_each(|reset| reset.apply_to(&mut new.failures));
    }
    let Some(copied) = findings.ended else { return ImageStatus { next_sync_time, ..new } };
    if !copied.is_empty() {
        remember_sync(&mut new, &copied, now);
    }
    // A pass that a registry refused is no sync, and a later next one alone is no news.
    if new != old && was_observed {
        new.last_sync_time = Some(Time(now));
        if ready {
            new.last_successful_sync_time = Some(Time(now));
        }
    }
    ImageStatus { next_sync_time, ..new }
}

/// Adds a sync to the history, with the tags that it copied.
fn remember_sync(status: &mut ImageStatus, copied: &[Tag], now: Timestamp) {
    let failed = status.counts.map(|counts| counts.failed);
    let mut room = MAX_NAMED_BYTES;
    let tags: Vec<String> = copied.iter().take(room).map(ToString::to_string).collect();
    let tags = within(tags, room, &mut room);
    let copied = Some(count(copied));
    status.history.push(HistoryEntry { performed_at: Time(now), copied, tags, failed });
    let surplus = status.history.len().saturating_sub(MAX_HISTORY);
    status.history.drain(..surplus);
}

/// Returns how many tags these are.
pub fn count(tags: &[Tag]) -> u32 {
    u32::try_from(tags.len()).unwrap_or(u32::MAX)
}

/// Returns whether nothing is new in a status but how far the sync has come.
pub fn is_progress(old: Option<&ImageStatus>, new: &ImageStatus) -> bool {
    let Some(old) = old.filter(|old| *old != new) else { return false };
    let conditions = new.conditions.iter().map(|condition| {
        let is_same = |other: &&Condition| {
            other.type_ == condition.type_
                && other.status == condition.status
                && other.reason == condition.reason
                && other.observed_generation == condition.observed_generation
        };
        old.conditions.iter().find(is_same).unwrap_or(condition).clone()
    });
    let without_progress = ImageStatus {
        conditions: conditions.collect(),
        progress: old.progress.clone(),
        counts: old.counts,
        tag_already_synced: old.tag_already_synced.clone(),
        ..new.clone()
    };
    without_progress == *old
}

/// Returns the failures that a status keeps.
fn failures(mut failures: Vec<TagFailure>, left: &mut usize) -> Vec<TagFailure> {
    failures.truncate(MAX_FAILURES);
    for (n, failure) in failures.iter_mut().enumerate() {
        let is_whole = n < WHOLE_FAILURES;
        shorten(&mut failure.message, if is_whole { MAX_MESSAGE_BYTES } else { MAX_SHORT_MESSAGE_BYTES });
    }
    within(failures, MAX_FAILURES_BYTES, left)
}

/// Returns as many of these, from the first, as have no more bytes than `max_bytes` and than there are `left`, and
/// takes theirs from those.
fn within<T: Serialize>(mut list: Vec<T>, max_bytes: usize, left: &mut usize) -> Vec<T> {
    let (room, mut taken) = (max_bytes.min(*left), 0);
    let fits = |item: &&T| {
        let with_it = taken + bytes(*item) + 1;
        let fits = with_it <= room;
        taken = if fits { with_it } else { taken };
        fits
    };
    let count = list.iter().take_while(fits).count();
    *left -= taken;
    list.truncate(count);
    list
}

/// Returns how many bytes this has as JSON.
fn bytes(item: &impl Serialize) -> usize {
    serde_json::to_vec(item).map_or(usize::MAX / 2, |json| json.len())
}

/// Truncates a message to this many bytes: its beginning names what failed.
fn shorten(message: &mut String, max_bytes: usize) {
    const DOTS: &str = "…";
    if message.len() <= max_bytes {
        return;
    }
    let mut end = max_bytes - DOTS.len();
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.truncate(end);
    message.push_str(DOTS);
}

/// Returns those of the waiting tags that a status keeps, in the same order. The youngest are left out: they lose
/// the least if their wait begins anew after a restart.
fn oldest(mut waiting: Vec<WaitingTag>) -> Vec<WaitingTag> {
    let mut times: Vec<Timestamp> = waiting.iter().map(|tag| tag.since.0).collect();
    times.sort_unstable();
    if let Some(last) = times.get(MAX_WAITING.saturating_sub(1)) {
        let older = times.partition_point(|time| time < last);
        let mut as_old = MAX_WAITING.saturating_sub(older);
        waiting.retain(|tag| {
            let is_as_old = tag.since.0 == *last && as_old > 0;
            as_old -= usize::from(is_as_old);
            tag.since.0 < *last || is_as_old
        });
    }
    waiting
}

/// Returns whether the sync failed as a whole and is tried again without a change.
fn is_retried(readiness: &Readiness) -> bool {
    readiness
        .conditions
        .iter()
        .any(|c| c.type_ == conditions::RECONCILING && c.reason == reasons::PROGRESSING_WITH_RETRY)
}

#[cfg(test)]
mod tests;
