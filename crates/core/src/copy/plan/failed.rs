//! Tags that failed: when each is tried again, by its last try and by what the status records.

use imgop_registry::reference::Digest;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Inputs, failure, is_due};
use crate::api::{FailureReason, TagFailure};
use crate::copy::ObservedTag;
use crate::time::{clamp_ahead, saturating_add};

/// Returns a failure with when the tag is tried again, after this number of tries of its content, the last of which failed
/// then. Those before a reset do not count.
pub(super) fn failed_try(
    inputs: &Inputs<'_>,
    failure: TagFailure,
    digest: &Digest,
    tries: u32,
    at: Timestamp,
) -> TagFailure {
    let before = find(inputs, &failure.tag, digest).map_or(0, |known| known.attempts_before_reset.min(tries));
    let attempts = tries - before;
    let is_reset = attempts == 0 || inputs.reset_at.is_some_and(|reset| at <= reset);
    let due = saturating_add(at.min(inputs.now), inputs.cooldown.pause(failure.reason, attempts));
    TagFailure {
        attempts,
        attempts_before_reset: before,
        digest: Some(digest.to_string()),
        next_attempt: (!is_reset).then_some(Time(due)),
        ..failure
    }
}

/// Returns the failure of this content that the status records. A status can be wrong, so its next attempt is no later
/// than a pause allows.
pub(super) fn recorded(inputs: &Inputs<'_>, tag: &ObservedTag, digest: &Digest) -> Option<TagFailure> {
    let found = find(inputs, &tag.source_ref.to_string(), digest).cloned();
    let mut failed = found.or_else(|| unrecorded(inputs, tag, digest))?;
    let pause = inputs.cooldown.pause(failed.reason, failed.attempts);
    failed.next_attempt = failed.next_attempt.map(|at| Time(clamp_ahead(at.0, inputs.now, pause)));
    Some(failed)
}

/// Returns the failure by which a tag waits that an earlier process was not able to set, though its Job succeeded.
pub(super) fn unpublished(inputs: &Inputs<'_>, tag: &ObservedTag, digest: &Digest) -> Option<TagFailure> {
    find(inputs, &tag.source_ref.to_string(), digest)?;
    let failed = recorded(inputs, tag, digest)?;
    (failed.reason == FailureReason::PublishFailed && !is_due(inputs, &failed)).then_some(failed)
}

/// Returns the failure of this content that the status has. One without an attempt was none of the content's.
fn find<'a>(inputs: &Inputs<'a>, tag: &str, digest: &Digest) -> Option<&'a TagFailure> {
    let is_of_it =
        |f: &&TagFailure| f.tag == tag && f.tries() > 0 && f.digest.as_deref() == Some(digest.as_str());
    inputs.failures.iter().find(is_of_it)
}

/// Returns the failure of a content that may be one of those for which the status has no room: it waits as long
/// as the first of those that are recorded. At once, all of them would be a storm of Jobs; and with the last of
/// them it might wait without end, because each new failure moves that further.
fn unrecorded(inputs: &Inputs<'_>, tag: &ObservedTag, digest: &Digest) -> Option<TagFailure> {
    // Those without an attempt come last, so that then every failure with one is recorded.
    if inputs.unrecorded_failures == 0 || inputs.failures.iter().any(|failure| failure.tries() == 0) {
        return None;
    }
    let first = inputs.failures.iter().min_by_key(|failure| failure.next_attempt.as_ref().map(|at| at.0))?;
    Some(TagFailure {
        attempts: first.attempts,
        attempts_before_reset: first.attempts_before_reset,
        digest: Some(digest.to_string()),
        next_attempt: first.next_attempt.clone(),
        ..failure(tag, first.reason, UNRECORDED.to_owned())
    })
}

/// The message of a failure that was not recorded.
const UNRECORDED: &str = "many tags failed, this one perhaps too; it is tried again with the first of them";
