//! What the next sync of an Image needs of the one that has ended: when it is, and what it need not find out again. Pure.

use std::collections::BTreeSet;

use imgop_registry::reference::Tag;
use jiff::Timestamp;

use super::{CopyRequest, Observed, Plan, PlannedTag, TagAction, Waiting};
use crate::api::{FailureReason, Mode};
use crate::schedule::Schedule;

/// Schedules the sync after one that came to this plan in the end. Returns when it is: at its regular time, sooner where
/// something failed or is old enough before, and after a growing pause where the source lacked something or a registry did
/// not answer.
pub fn schedule_next(
    schedule: &mut Schedule,
    request: &CopyRequest,
    uid: &str,
    plan: &Plan,
    now: Timestamp,
) -> Timestamp {
    let is_retried = plan.tags.is_empty() && plan.waiting_until.is_none()
        || plan.tags.iter().any(|tag| matches!(tag.action, TagAction::RetryLater(_)));
    if is_retried {
        schedule.retry_later(now);
    } else {
        schedule.retries = 0;
        schedule.next = Some(request.recurrence.next(uid, now));
    }
    let next = not_after(schedule.next.unwrap_or(now), plan);
    schedule.next = Some(next);
    next
}

/// Returns a time that is not later than the next try of a failed tag, or than when a tag that is too young is
/// old enough.
fn not_after(next: Timestamp, plan: &Plan) -> Timestamp {
    [plan.next_attempt(), plan.waiting_until].into_iter().flatten().fold(next, Timestamp::min)
}

/// Returns since when tags show their content, without tags that the destination has by now. That of the
/// others must be remembered until it has them.
pub fn still_waiting<'a>(observed: &'a Observed, plan: &Plan) -> Vec<&'a Waiting> {
    let taken = plan.tags.iter().filter(|tag| matches!(tag.action, TagAction::UpToDate));
    let taken: BTreeSet<String> = taken.map(|tag| tag.source_ref.to_string()).collect();
    observed.since().filter(|waiting| !taken.contains(waiting.tag.as_str())).collect()
}

/// Returns the tags that mode `OnceByTag` need not copy again: those that the destination has, and those that
/// it had when it could be asked.
pub fn synced_once<'a>(request: &CopyRequest, plan: &'a Plan, before: &BTreeSet<Tag>) -> Vec<&'a Tag> {
    if request.mode != Mode::OnceByTag {
        return Vec::new();
    }
    // Whatever refers to a tag may come later than the tag, and is compared each time.
    let is_selected = |tag: &&PlannedTag| tag.referrer_of.is_none();
    let is_synced = |tag: &&PlannedTag| match &tag.action {
        TagAction::UpToDate | TagAction::AlreadySynced => true,
        TagAction::RetryLater(failure) if failure.reason == FailureReason::NotChecked => {
            tag.source_ref.tag().is_some_and(|tag| before.contains(tag))
        }
        _ => false,
    };
    // A content that cannot change is compared each time, which costs one answer of the destination a day.
    plan.tags.iter().filter(is_selected).filter(is_synced).filter_map(|tag| tag.source_ref.tag()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use imgop_registry::reference::Digest;

    use super::*;
    use crate::copy::Content;
    use crate::copy::fixtures::now;
    use crate::selection::SourceRef;
    use crate::time::saturating_add;

    #[test]
    fn a_tag_that_is_too_young_is_tried_again_when_it_is_old_enough() {
        let in_minutes = |minutes| saturating_add(now(), Duration::from_mins(minutes));
        let waiting = |minutes| Plan { waiting_until: Some(in_minutes(minutes)), ..Plan::default() };
        assert_eq!(not_after(in_minutes(5), &waiting(3)), in_minutes(3));
        assert_eq!(not_after(in_minutes(5), &waiting(4000)), in_minutes(5), "and new tags are found before");
        assert_eq!(not_after(in_minutes(5), &Plan::default()), in_minutes(5));
    }

    #[test]
    fn what_waits_is_kept_in_every_mode_and_what_was_copied_is_not() {
        let waits = |tag: &str| Waiting {
            tag: tag.parse().unwrap(),
            digest: Digest::of(b"a"),
            content: Content::NotAsked,
            since: now(),
            until: now(),
        };
        let planned = |tag: &str, action| PlannedTag {
            source_ref: SourceRef::Tag(tag.parse().unwrap()),
            destination_tag: tag.parse().unwrap(),
            referrer_of: None,
            action,
        };
        let observed = Observed {
            waiting: vec![waits("absent"), waits("moved")],
            remembered: vec![waits("copied"), waits("copying")],
            ..Observed::default()
        };
        let plan = Plan {
            tags: vec![
                planned("moved", TagAction::Young(now())),
                planned("copied", TagAction::UpToDate),
                planned("copying", TagAction::Wait),
            ],
            ..Plan::default()
        };
        let kept: Vec<&str> = still_waiting(&observed, &plan).iter().map(|w| w.tag.as_str()).collect();
        assert_eq!(kept, ["absent", "moved", "copying"]);
    }
}
