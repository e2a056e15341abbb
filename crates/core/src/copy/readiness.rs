//! The conditions that follow from a plan.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::{CopyRequest, Naming, Plan, TagAction};
use crate::api::conditions::{RECONCILING, reasons};
use crate::api::{FailureReason, Mode, Overwrite, Phase};
use crate::readiness::Readiness;
use crate::text::shorten;

/// Bytes of a failure that a message quotes: what to do about it stands behind it.
const MAX_QUOTED_BYTES: usize = 640;

/// Returns the readiness that follows from a plan. `deferred` is why copies of it cannot start yet, such as
/// a cap; `object` is what kubectl names the Image by.
pub fn readiness(request: &CopyRequest, plan: &Plan, deferred: Option<&str>, object: &str) -> Readiness {
    let summary = |request, plan| summary(request, plan) + &about_cooldown(plan, object);
    let counts = plan.counts();
    let there = counts.synced + counts.kept;
    let mut readiness = if counts.matched == 0 {
        Readiness::not_ready(
            Phase::Pending,
            if plan.waiting_until.is_some() { reasons::TAGS_TOO_YOUNG } else { reasons::NO_MATCHING_TAGS },
            no_match(request, plan),
            Some((RECONCILING, reasons::PROGRESSING_WITH_RETRY)),
        )
    } else if plan.is_busy() {
        let mut message = summary(request, plan);
        if let Some(why) = deferred {
            let _ = write!(message, "; {why}");
        }
        let also = Some((RECONCILING, reasons::PROGRESSING));
        Readiness::not_ready(Phase::Running, reasons::PROGRESSING, message, also)
    } else if let Some(reason) = failure_reason(plan) {
        let message = summary(request, plan);
        if reason == reasons::DESTINATION_CONFLICT {
            Readiness::stalled(reason, message)
        } else {
            Readiness::retrying(reason, message)
        }
    } else if let (Mode::OneShot, Some(until)) = (request.mode, plan.waiting_until) {
        // Once it is ready no sync follows, and those tags would be forgotten.
        let there = summary(request, plan);
        let message = match plan.young().next() {
            // The message has it already.
            Some(_) => there,
            None => format!("{there}; others are too young (source.select.minAge) until {until}"),
        };
        let also = Some((RECONCILING, reasons::PROGRESSING_WITH_RETRY));
        Readiness::not_ready(Phase::Pending, reasons::TAGS_TOO_YOUNG, message, also)
    } else {
        Readiness::ready(summary(request, plan))
    };
    readiness.progress = Some(format!("{there}/{}", counts.matched));
    readiness
}

/// Returns the most serious reason among the failures.
fn failure_reason(plan: &Plan) -> Option<&'static str> {
    let worst = plan.failures().map(|f| f.reason).max_by_key(|reason| match reason {
        FailureReason::TagNotFound => 0,
        FailureReason::PlatformNotFound => 1,
        FailureReason::FormatUnsupported => 2,
        FailureReason::NotChecked => 3,
        FailureReason::DestinationConflict => 4,
        _ => 5,
    })?;
    Some(match worst {
        FailureReason::TagNotFound => reasons::TAG_NOT_FOUND,
        FailureReason::PlatformNotFound => reasons::PLATFORM_NOT_FOUND,
        FailureReason::FormatUnsupported => reasons::FORMAT_UNSUPPORTED,
        FailureReason::NotChecked => reasons::REGISTRY_UNREACHABLE,
        FailureReason::DestinationConflict => reasons::DESTINATION_CONFLICT,
        _ => reasons::COPY_FAILED,
    })
}

fn no_match(request: &CopyRequest, plan: &Plan) -> String {
    match (plan.waiting_until, request.min_age) {
        (Some(until), Some(min_age)) => format!(
            "every tag of {} that matches {} is younger than {min_age} (source.select.minAge); the first one is \
             copied from {until} if it still has the same content",
            request.source, request.version
        ),
        _ => format!("no tag of {} matches {}{}", request.source, request.version, excluded(plan)),
    }
}

fn excluded(plan: &Plan) -> String {
    match plan.excluded {
        0 => String::new(),
        n => format!("; {n} nearly do, kubectl imgop preview shows why not"),
    }
}

fn summary(request: &CopyRequest, plan: &Plan) -> String {
    let counts = plan.counts();
    let there = counts.synced + counts.kept;
    let tags = if counts.matched == 1 { "tag is" } else { "tags are" };
    let mut text = format!("{there} of {} {tags} at {}", counts.matched, destination(request, plan));
    let young = plan.young().count();
    let kept = plan.tags.iter().filter(|tag| tag.action == TagAction::Keep);
    let (kept, own): (Vec<_>, Vec<_>) =
        kept.partition(|tag| tag.referrer_of.is_none() || request.overwrite == Overwrite::IfMissing);
    if !kept.is_empty() {
        let why = match request.overwrite {
            Overwrite::IfMissing => "overwrite: IfMissing",
            Overwrite::IfDifferent => "its registry's tags are immutable",
        };
        let _ = write!(text, "; {} kept with other content ({why})", kept.len());
    }
    if !own.is_empty() {
        let _ = write!(text, "; {} kept with signatures and the like of their own", own.len());
    }
    if let Some(until) = plan.young().min() {
        let _ = match young {
            1 => write!(text, "; 1 stays as it is until {until} (source.select.minAge)"),
            _ => write!(text, "; {young} stay as they are, the first until {until} (source.select.minAge)"),
        };
    }
    if counts.copying > 0 {
        let _ = write!(text, "; {} being copied", counts.copying);
    }
    // One failure in full is worth more than a list that is cut off; status.failures has them all.
    let mut failures = plan.failures();
    if let Some(first) = failures.next() {
        let _ = write!(
            text,
            "; {} failed: {}: {}",
            counts.failed,
            first.tag,
            shorten(&first.message, MAX_QUOTED_BYTES)
        );
        if let Some(next) = &first.next_attempt {
            let tries = if first.attempts == 1 { "try" } else { "tries" };
            let _ = write!(text, " ({} {tries}, the next one at {})", first.attempts, to_the_second(next.0));
        }
        if failures.next().is_some() {
            let _ = write!(text, " (and others, see status.failures)");
        }
    }
    text
}

/// Returns what ends the pause of tags that are left alone for it, if there are any.
fn about_cooldown(plan: &Plan, object: &str) -> String {
    let left_alone = match plan.in_cooldown {
        0 => return String::new(),
        1 => "1 tag that keeps failing is".to_owned(),
        several => format!("{several} tags that keep failing are"),
    };
    format!(
        "; {left_alone} left alone for a while (FAILURE_COOLDOWN_MINUTES of the agent); to try at once: kubectl imgop \
         sync {object} --retry"
    )
}

/// Returns a time as a status has it, so that a message is the same before and after a restart.
fn to_the_second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Returns the repository; with the tag where there is one that the source does not name.
fn destination(request: &CopyRequest, plan: &Plan) -> String {
    match plan.tags.as_slice() {
        [only] if request.naming != Naming::Keep => {
            format!("{}:{}", request.destination, only.destination_tag)
        }
        _ => request.destination.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::TagFailure;
    use crate::copy::fixtures::{now, observed_tag, request};
    use crate::copy::{Cooldown, Inputs, Observed, ObservedTag, Seen, plan};
    use imgop_registry::reference::Digest;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn judge(tags: Vec<ObservedTag>) -> String {
        judge_for(&request("v2.13.x"), tags)
    }

    fn plan_of(request: &CopyRequest, tags: Vec<ObservedTag>) -> Plan {
        let observed = Observed { tags, ..Observed::default() };
        plan(Inputs {
            request,
            observed: &observed,
            runs: &[],
            failures: &[],
            unrecorded_failures: 0,
            conflicts: &std::collections::HashMap::new(),
            cooldown: Cooldown::OFF,
            reset_at: None,
            retry_now: false,
            now: now(),
        })
    }

    fn judge_for(request: &CopyRequest, tags: Vec<ObservedTag>) -> String {
        let plan = plan_of(request, tags);
        let readiness = readiness(request, &plan, None, "app -n team-a");
        let mut text = format!("{:?} {}\n", readiness.phase, readiness.progress.unwrap());
        for c in readiness.conditions {
            let _ = writeln!(text, "{}={:?} {}: {}", c.type_, c.status, c.reason, c.message);
        }
        text
    }

    fn here(content: &[u8]) -> Seen {
        Seen::Present(Digest::of(content))
    }

    #[test]
    fn ready_is_true_only_when_every_tag_is_there() {
        insta::assert_snapshot!(judge(vec![observed_tag("v2.13.1", here(b"a"), here(b"a"))]), @r"
        Completed 1/1
        Ready=Some(true) Succeeded: 1 of 1 tag is at registry.example.com/mirror
        ");
        insta::assert_snapshot!(judge(vec![observed_tag("v2.13.1", here(b"a"), here(b"a")), observed_tag("v2.13.0", here(b"b"), Seen::Absent)]), @r"
        Running 1/2
        Ready=Some(false) Progressing: 1 of 2 tags are at registry.example.com/mirror; 1 being copied
        Reconciling=Some(true) Progressing: 1 of 2 tags are at registry.example.com/mirror; 1 being copied
        ");
    }

    #[test]
    fn one_tag_that_gets_another_name_is_named_with_it() {
        let renaming = CopyRequest { naming: Naming::Fixed("stable".parse().unwrap()), ..request("v2.13.1") };
        let tag = |destination| ObservedTag {
            destination_tag: "stable".parse().unwrap(),
            ..observed_tag("v2.13.1", here(b"a"), destination)
        };
        insta::assert_snapshot!(judge_for(&renaming, vec![tag(here(b"a"))]), @"
        Completed 1/1
        Ready=Some(true) Succeeded: 1 of 1 tag is at registry.example.com/mirror:stable
        ");
        insta::assert_snapshot!(judge_for(&renaming, vec![tag(Seen::Absent)]), @"
        Running 0/1
        Ready=Some(false) Progressing: 0 of 1 tag is at registry.example.com/mirror:stable; 1 being copied
        Reconciling=Some(true) Progressing: 0 of 1 tag is at registry.example.com/mirror:stable; 1 being copied
        ");
    }

    #[test]
    fn an_absent_tag_is_named_and_looked_for_again() {
        insta::assert_snapshot!(judge(vec![observed_tag("v2.13.1", here(b"a"), here(b"a")), observed_tag("v2.13.0", Seen::Absent, Seen::Absent)]), @r"
        Failed 1/2
        Ready=Some(false) TagNotFound: 1 of 2 tags are at registry.example.com/mirror; 1 failed: v2.13.0: quay.io/a/b has no tag v2.13.0
        Reconciling=Some(true) ProgressingWithRetry: 1 of 2 tags are at registry.example.com/mirror; 1 failed: v2.13.0: quay.io/a/b has no tag v2.13.0
        ");
    }

    #[test]
    fn a_tag_that_is_left_alone_is_reported_with_what_tries_it_at_once_whatever_its_failure_says() {
        let request = request("v2.13.1");
        let failed = |message: &str| {
            let mut plan = plan_of(&request, vec![observed_tag("v2.13.1", here(b"a"), Seen::Absent)]);
            plan.in_cooldown = 1;
            plan.tags[0].action = TagAction::BackOff(TagFailure {
                tag: "v2.13.1".into(),
                reason: FailureReason::CopyFailed,
                message: message.into(),
                digest: None,
                attempts: 5,
                attempts_before_reset: 0,
                next_attempt: Some(Time(now() + std::time::Duration::from_millis(3_600_400))),
            });
            readiness(&request, &plan, None, "app -n team-a").conditions.remove(0).message
        };
        insta::assert_snapshot!(failed("disk full"), @"0 of 1 tag is at registry.example.com/mirror; 1 failed: v2.13.1: disk full (5 tries, the next one at 2026-11-21T13:00:00Z); 1 tag that keeps failing is left alone for a while (FAILURE_COOLDOWN_MINUTES of the agent); to try at once: kubectl imgop sync app -n team-a --retry");
        let long = failed(&"x".repeat(5_000));
        assert!(long.len() < 1_024 && long.ends_with("kubectl imgop sync app -n team-a --retry"), "{long}");
    }

    #[test]
    fn a_tag_of_an_older_image_stalls_this_one() {
        let request = request("v2.13.x");
        let tags = vec![observed_tag("v2.13.1", here(b"a"), here(b"b"))];
        let observed = Observed { tags, ..Observed::default() };
        let why = "Image \"older\" keeps it; give one of them another destination".to_owned();
        let plan = plan(Inputs {
            request: &request,
            observed: &observed,
            runs: &[],
            failures: &[],
            unrecorded_failures: 0,
            conflicts: &[("v2.13.1".parse().unwrap(), why)].into(),
            cooldown: Cooldown::OFF,
            reset_at: None,
            retry_now: true,
            now: now(),
        });
        let conditions = readiness(&request, &plan, None, "app -n team-a").conditions;
        let text: Vec<String> =
            conditions.iter().map(|c| format!("{} {}: {}", c.type_, c.reason, c.message)).collect();
        insta::assert_snapshot!(text.join("\n"), @r#"
        Ready DestinationConflict: 0 of 1 tag is at registry.example.com/mirror; 1 failed: v2.13.1: Image "older" keeps it; give one of them another destination
        Stalled DestinationConflict: 0 of 1 tag is at registry.example.com/mirror; 1 failed: v2.13.1: Image "older" keeps it; give one of them another destination
        "#);
    }

    #[test]
    fn tags_that_are_all_too_young_are_no_match_and_the_first_time_is_named() {
        let mut spec = crate::copy::fixtures::spec("quay.io/a/b", "v2.13.x");
        spec.source.select = Some(crate::api::Select { min_age: Some("72h".into()), ..Default::default() });
        let request = CopyRequest::parse(&spec).unwrap();
        let waits = |tag: &str, hours: u64| crate::copy::Waiting {
            tag: tag.parse().unwrap(),
            digest: Digest::of(b"a"),
            content: crate::copy::Content::NotAsked,
            since: now(),
            until: now() + std::time::Duration::from_hours(hours),
        };
        let observed =
            Observed { waiting: vec![waits("v2.13.2", 72), waits("v2.13.1", 48)], ..Observed::default() };
        let (request, observed) = (&request, &observed);
        let inputs = Inputs {
            request,
            observed,
            runs: &[],
            failures: &[],
            unrecorded_failures: 0,
            conflicts: &std::collections::HashMap::new(),
            cooldown: Cooldown::OFF,
            reset_at: None,
            retry_now: false,
            now: now(),
        };
        let readiness = readiness(request, &plan(inputs), None, "app -n team-a");
        assert_eq!(
            (readiness.conditions[0].reason, readiness.phase),
            (reasons::TAGS_TOO_YOUNG, Phase::Pending)
        );
        insta::assert_snapshot!(readiness.conditions[0].message, @"every tag of quay.io/a/b that matches v2.13.x is younger than 3d (source.select.minAge); the first one is copied from 2026-11-23T12:00:00Z if it still has the same content");
    }

    #[test]
    fn a_one_shot_is_not_done_while_some_of_its_tags_are_too_young() {
        let mut request = request("v2.13.x");
        let plan = plan_of(&request, vec![observed_tag("v2.13.1", here(b"a"), here(b"a"))]);
        let plan = Plan { waiting_until: Some(now()), ..plan };
        assert_eq!(
            readiness(&request, &plan, None, "app -n team-a").phase,
            Phase::Completed,
            "it is synced again anyway"
        );
        request.mode = Mode::OneShot;
        let readiness = readiness(&request, &plan, None, "app -n team-a");
        assert_eq!(
            (readiness.phase, readiness.conditions[0].reason),
            (Phase::Pending, reasons::TAGS_TOO_YOUNG)
        );
        insta::assert_snapshot!(readiness.conditions[0].message, @"1 of 1 tag is at registry.example.com/mirror; others are too young (source.select.minAge) until 2026-11-21T12:00:00Z");
    }

    #[test]
    fn a_tag_that_moved_and_waits_leaves_the_rest_ready() {
        let mut request = request("v2.13.x");
        let mut plan = plan_of(
            &request,
            vec![
                observed_tag("v2.13.1", here(b"a"), here(b"a")),
                observed_tag("v2.13.0", here(b"c"), here(b"b")),
            ],
        );
        plan.tags[1].action = TagAction::Young(now());
        plan.waiting_until = Some(now());
        let of = readiness(&request, &plan, None, "app -n team-a");
        assert_eq!((of.phase, of.progress.as_deref()), (Phase::Completed, Some("2/2")));
        assert_eq!(of.conditions[0].status, Some(true));
        insta::assert_snapshot!(of.conditions[0].message, @"2 of 2 tags are at registry.example.com/mirror; 1 stays as it is until 2026-11-21T12:00:00Z (source.select.minAge)");
        request.mode = Mode::OneShot;
        let of = readiness(&request, &plan, None, "app -n team-a");
        assert_eq!((of.phase, of.conditions[0].reason), (Phase::Pending, reasons::TAGS_TOO_YOUNG));
        plan.tags[0].action = TagAction::Young(now());
        insta::assert_snapshot!(summary(&request, &plan), @"2 of 2 tags are at registry.example.com/mirror; 2 stay as they are, the first until 2026-11-21T12:00:00Z (source.select.minAge)");
    }

    #[test]
    fn a_pattern_without_matches_is_not_ready() {
        insta::assert_snapshot!(judge(Vec::new()), @r"
        Pending 0/0
        Ready=Some(false) NoMatchingTags: no tag of quay.io/a/b matches v2.13.x
        Reconciling=Some(true) ProgressingWithRetry: no tag of quay.io/a/b matches v2.13.x
        ");
    }
}
