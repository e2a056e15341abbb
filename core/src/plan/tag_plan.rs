//! What is to be done for each tag.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    Action, Content, Copy, CopyRequest, Observed, ObservedTag, Outcome, Plan, PlannedTag, Run, TagState,
};
use crate::api::{FailureReason, Overwrite, TagFailure};
use crate::reference::Digest;
use crate::tags::Tag;

/// Everything that a plan is worked out from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// What is asked for.
    pub request: &'a CopyRequest,
    /// What both registries say.
    pub observed: &'a Observed,
    /// What the Jobs made of earlier plans.
    pub runs: &'a [Run],
    /// The failures in the status: the memory of Jobs that are gone.
    pub failures: &'a [TagFailure],
    /// Tags of the destination that belong to somebody else, and what is said of it.
    pub taken: &'a HashMap<Tag, String>,
    /// Try failed tags again now, without waiting: somebody asked for it.
    pub retry_now: bool,
    /// The time.
    pub now: Timestamp,
}

/// Works out what is to be done.
pub fn plan(inputs: Inputs<'_>) -> Plan {
    let runs = latest_runs(inputs.runs);
    let tags = inputs
        .observed
        .tags
        .iter()
        .map(|tag| PlannedTag {
            source_ref: tag.source_ref.clone(),
            destination_tag: tag.destination_tag.clone(),
            referrer_of: tag.referrer_of.clone(),
            action: action(&inputs, &runs, tag),
        })
        .collect();
    Plan {
        tags,
        excluded: inputs.observed.excluded.len() + inputs.observed.excluded_beyond,
        waiting_until: inputs.observed.waiting.iter().map(|waiting| waiting.until).min(),
    }
}

/// The last try of each content for each tag.
fn latest_runs(runs: &[Run]) -> HashMap<(&Tag, &Digest), &Run> {
    let mut latest: HashMap<(&Tag, &Digest), &Run> = HashMap::new();
    for run in runs {
        let known = latest.entry((&run.copy.destination_tag, &run.copy.digest)).or_insert(run);
        if run.copy.attempt > known.copy.attempt {
            *known = run;
        }
    }
    latest
}

fn action(inputs: &Inputs<'_>, runs: &HashMap<(&Tag, &Digest), &Run>, tag: &ObservedTag) -> Action {
    let digest = match (tag.state(), tag.digest()) {
        (TagState::UpToDate, _) => return Action::UpToDate,
        (TagState::AlreadySynced, _) => return Action::AlreadySynced,
        (TagState::NotFound, _) => {
            return Action::LookAgain(failure(
                tag,
                FailureReason::TagNotFound,
                format!("{} has no {}", inputs.request.source, tag.source_ref),
            ));
        }
        (TagState::PlatformNotFound, _) => {
            let message = no_platform(inputs.request, tag);
            return Action::LookAgain(failure(tag, FailureReason::PlatformNotFound, message));
        }
        (TagState::Differs, _) if inputs.request.overwrite == Overwrite::IfMissing => return Action::Keep,
        (TagState::Missing | TagState::Differs, Some(digest)) => match tag.waits(&inputs.observed.waiting) {
            Some(waiting) => return Action::Young(waiting.until),
            None => digest,
        },
        _ => {
            let why = tag.unknown_because().unwrap_or("the destination was not asked");
            return Action::LookAgain(failure(tag, FailureReason::NotChecked, why.to_owned()));
        }
    };
    if let Some(why) = inputs.taken.get(&tag.destination_tag) {
        return Action::LookAgain(failure(tag, FailureReason::DestinationConflict, why.clone()));
    }
    let Some(run) = runs.get(&(&tag.destination_tag, digest)).copied() else {
        return match recorded(inputs.failures, tag, digest) {
            Some(failed) => copy_or_back_off(inputs, tag, digest, failed.clone()),
            None => Action::Copy(copy(tag, digest, 1)),
        };
    };
    let attempt = run.copy.attempt;
    let failed = |reason, message: &str, at: Timestamp, tries: u32| TagFailure {
        attempts: tries,
        digest: Some(digest.to_string()),
        next_attempt: at.checked_add(retry_delay(tries)).ok().map(Time),
        ..failure(tag, reason, message.to_owned())
    };
    match &run.outcome {
        Outcome::Running => Action::Wait,
        Outcome::Succeeded => Action::Publish(copy(tag, digest, attempt)),
        // Once is bad luck; what keeps happening must not become a storm of Jobs.
        Outcome::ContentGone { .. } | Outcome::Interrupted { .. } if attempt == 1 => {
            Action::Copy(copy(tag, digest, 2))
        }
        Outcome::ContentGone { at } => {
            let failed = failed(FailureReason::PublishFailed, CONTENT_GONE, *at, attempt);
            copy_or_back_off(inputs, tag, digest, failed)
        }
        Outcome::Interrupted { at } => {
            let failed = failed(FailureReason::PodNotStarted, NEVER_RAN, *at, attempt);
            copy_or_back_off(inputs, tag, digest, failed)
        }
        Outcome::Unpublished { tries, message, at } => {
            let failed = failed(FailureReason::PublishFailed, message, *at, *tries);
            if is_due(inputs, &failed) {
                Action::Publish(copy(tag, digest, attempt))
            } else {
                Action::BackOff(failed)
            }
        }
        Outcome::Failed { reason, message, at } => {
            copy_or_back_off(inputs, tag, digest, failed(*reason, message, *at, attempt))
        }
    }
}

/// Said when a registry loses what was pushed.
const CONTENT_GONE: &str = "the content was pushed by digest and is not there; if the registry drops untagged \
                            content, set destination.publish to Direct";
/// Said when a container never ran, more than once.
const NEVER_RAN: &str = "the container of this tag never ran, because another one of its pod failed or the node \
                         did not take the pod";

/// The failure of this content that the status remembers. One without an attempt was none of the
/// content's.
fn recorded<'a>(failures: &'a [TagFailure], tag: &ObservedTag, digest: &Digest) -> Option<&'a TagFailure> {
    let name = tag.source_ref.to_string();
    failures.iter().find(|f| f.tag == name && f.attempts > 0 && f.digest.as_deref() == Some(digest.as_str()))
}

fn copy_or_back_off(inputs: &Inputs<'_>, tag: &ObservedTag, digest: &Digest, failed: TagFailure) -> Action {
    if is_due(inputs, &failed) {
        Action::Copy(copy(tag, digest, failed.attempts.saturating_add(1)))
    } else {
        Action::BackOff(failed)
    }
}

fn is_due(inputs: &Inputs<'_>, failed: &TagFailure) -> bool {
    inputs.retry_now || failed.next_attempt.as_ref().is_none_or(|at| at.0 <= inputs.now)
}

fn copy(tag: &ObservedTag, digest: &Digest, attempt: u32) -> Copy {
    Copy {
        source_ref: tag.source_ref.clone(),
        destination_tag: tag.destination_tag.clone(),
        digest: digest.clone(),
        made_of: match &tag.content {
            Content::Made(made) => Some(made.of.clone()),
            _ => None,
        },
        attempt,
    }
}

/// Platforms that are named where none is wanted.
const MOST_PLATFORMS: usize = 20;

/// Says which platforms there are instead of those that are wanted.
fn no_platform(request: &CopyRequest, tag: &ObservedTag) -> String {
    let there = match &tag.content {
        Content::NoPlatform(there) if there.len() > MOST_PLATFORMS => {
            let more = there.len() - MOST_PLATFORMS;
            format!("{} and {more} more", there[..MOST_PLATFORMS].join(", "))
        }
        Content::NoPlatform(there) if !there.is_empty() => there.join(", "),
        _ => "none that is named".to_owned(),
    };
    let wanted = request.platforms.to_string().replace(',', ", ");
    format!("{} is not there for {wanted}; its platforms: {there}", tag.source_ref)
}

fn failure(tag: &ObservedTag, reason: FailureReason, message: String) -> TagFailure {
    TagFailure {
        tag: tag.source_ref.to_string(),
        reason,
        message,
        attempts: 0,
        digest: None,
        next_attempt: None,
    }
}

/// How long to wait after the nth failed try: 10 s, doubled each time, 15 minutes at most.
pub fn retry_delay(attempt: u32) -> Duration {
    const FIRST: u64 = 10;
    const LONGEST: u64 = 15 * 60;
    let doubled = 1_u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX);
    Duration::from_secs(FIRST.saturating_mul(doubled).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Platforms;
    use crate::plan::fixtures::{now, observed_tag, request};
    use crate::plan::{MadeIndex, MadeOf, Origin, Seen};
    use crate::reference::ManifestRef;

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn run(tag: &str, content: &str, attempt: u32, outcome: Outcome) -> Run {
        Run {
            copy: Copy {
                source_ref: ManifestRef::Tag(tag.parse().unwrap()),
                destination_tag: tag.parse().unwrap(),
                digest: digest(content),
                made_of: None,
                attempt,
            },
            outcome,
        }
    }

    fn failed(at: Timestamp) -> Outcome {
        Outcome::Failed { reason: FailureReason::CopyFailed, message: "exit code 1".into(), at }
    }

    struct Case {
        request: CopyRequest,
        observed: Observed,
        failures: Vec<TagFailure>,
        taken: HashMap<Tag, String>,
        retry_now: bool,
    }

    /// `v1` with content `a` at the source.
    fn v1(destination: Seen) -> Case {
        Case {
            request: request("v1"),
            observed: Observed {
                tags: vec![observed_tag("v1", Seen::Present(digest("a")), destination)],
                ..Observed::default()
            },
            failures: Vec::new(),
            taken: HashMap::new(),
            retry_now: false,
        }
    }

    impl Case {
        fn plan(&self, runs: &[Run]) -> Plan {
            plan(Inputs {
                request: &self.request,
                observed: &self.observed,
                runs,
                failures: &self.failures,
                taken: &self.taken,
                retry_now: self.retry_now,
                now: now(),
            })
        }

        fn action(&self, runs: &[Run]) -> Action {
            self.plan(runs).tags.remove(0).action
        }
    }

    fn attempt(action: &Action) -> u32 {
        match action {
            Action::Copy(copy) | Action::Publish(copy) => copy.attempt,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_missing_or_different_tag_is_copied_and_an_equal_one_is_not() {
        assert_eq!(attempt(&v1(Seen::Absent).action(&[])), 1);
        assert_eq!(attempt(&v1(Seen::Present(digest("b"))).action(&[])), 1);
        assert_eq!(v1(Seen::Present(digest("a"))).action(&[]), Action::UpToDate);
    }

    #[test]
    fn near_misses_that_are_not_kept_are_counted() {
        let mut case = v1(Seen::Absent);
        let tag = "v1-a".parse().unwrap();
        case.observed.excluded =
            vec![crate::tags::Excluded { tag, reason: crate::tags::Exclusion::Candidate }];
        case.observed.excluded_beyond = 4_000;
        assert_eq!(case.plan(&[]).counts().excluded, 4_001);
    }

    #[test]
    fn if_missing_keeps_what_is_there() {
        let mut case = v1(Seen::Present(digest("b")));
        case.request.overwrite = Overwrite::IfMissing;
        assert_eq!(case.action(&[]), Action::Keep);
        assert_eq!(case.plan(&[]).counts().kept, 1);
    }

    #[test]
    fn a_tag_that_moved_to_something_too_young_stays_as_it_is() {
        let mut case = v1(Seen::Present(digest("b")));
        let until = now() + Duration::from_hours(1);
        let waits = |content| crate::plan::Waiting {
            tag: "v1".parse().unwrap(),
            digest: digest(content),
            content: Content::NotAsked,
            since: now(),
            until,
        };
        case.observed.waiting = vec![waits("a")];
        let plan = case.plan(&[]);
        assert_eq!((&plan.tags[0].action, plan.waiting_until), (&Action::Young(until), Some(until)));
        assert_eq!((plan.counts().kept, plan.is_busy(), plan.copies().count()), (1, false, 0));
        case.observed.waiting = vec![waits("what it showed before")];
        assert_eq!(attempt(&case.action(&[])), 1);
    }

    #[test]
    fn a_running_copy_is_waited_for() {
        assert_eq!(v1(Seen::Absent).action(&[run("v1", "a", 1, Outcome::Running)]), Action::Wait);
    }

    #[test]
    fn a_run_of_other_content_does_not_count() {
        let runs = [run("v1", "old", 1, Outcome::Running), run("v2", "a", 1, Outcome::Running)];
        assert_eq!(attempt(&v1(Seen::Absent).action(&runs)), 1);
        let runs = [run("v1", "old", 1, Outcome::Succeeded)];
        assert!(matches!(v1(Seen::Present(digest("old"))).action(&runs), Action::Copy(_)));
    }

    #[test]
    fn b4_a_succeeded_job_is_published_and_counts_only_once_the_destination_answers() {
        let runs = [run("v1", "a", 3, Outcome::Succeeded)];
        let plan = v1(Seen::Absent).plan(&runs);
        assert_eq!(plan.publications().count(), 1);
        assert_eq!(plan.counts().synced, 0);
        let plan = v1(Seen::Present(digest("a"))).plan(&runs);
        assert_eq!((plan.publications().count(), plan.counts().synced), (0, 1));
    }

    #[test]
    fn b4_a_failed_copy_is_never_synced_and_waits_longer_each_time() {
        let action = v1(Seen::Absent).action(&[run("v1", "a", 1, failed(now()))]);
        let Action::BackOff(failure) = action else { panic!("{action:?}") };
        assert_eq!(failure.attempts, 1);
        assert_eq!(failure.next_attempt.unwrap().0, now() + Duration::from_secs(10));
        let long_ago = now() - Duration::from_hours(1);
        assert_eq!(attempt(&v1(Seen::Absent).action(&[run("v1", "a", 1, failed(long_ago))])), 2);
        let delays: Vec<u64> = [1, 2, 3, 7, 8, 64, 1000].map(|n| retry_delay(n).as_secs()).to_vec();
        assert_eq!(delays, [10, 20, 40, 640, 900, 900, 900]);
    }

    #[test]
    fn a_failure_outlives_its_job() {
        let mut case = v1(Seen::Absent);
        let Action::BackOff(failure) = case.action(&[run("v1", "a", 4, failed(now()))]) else { panic!() };
        case.failures = vec![failure.clone()];
        assert_eq!(case.action(&[]), Action::BackOff(failure));
        case.retry_now = true;
        assert_eq!(attempt(&case.action(&[])), 5);
    }

    #[test]
    fn a_failure_of_other_content_is_forgotten() {
        let mut case = v1(Seen::Absent);
        let Action::BackOff(failure) = case.action(&[run("v1", "a", 4, failed(now()))]) else { panic!() };
        case.failures = vec![TagFailure { digest: Some(digest("old").to_string()), ..failure }];
        assert_eq!(attempt(&case.action(&[])), 1);
    }

    #[test]
    fn the_last_try_counts() {
        let runs = [run("v1", "a", 2, Outcome::Running), run("v1", "a", 1, failed(now()))];
        assert_eq!(v1(Seen::Absent).action(&runs), Action::Wait);
    }

    #[test]
    fn what_was_interrupted_once_is_repeated_at_once_and_then_waits() {
        let at = now();
        for outcome in [Outcome::Interrupted { at }, Outcome::ContentGone { at }] {
            assert_eq!(attempt(&v1(Seen::Absent).action(&[run("v1", "a", 1, outcome.clone())])), 2);
            let action = v1(Seen::Absent).action(&[run("v1", "a", 2, outcome.clone())]);
            assert!(matches!(action, Action::BackOff(_)), "{action:?}");
        }
    }

    #[test]
    fn a_tag_that_could_not_be_set_is_set_again_without_a_job() {
        let unpublished = |at| Outcome::Unpublished { tries: 2, message: "HTTP 503".into(), at };
        let action = v1(Seen::Absent).action(&[run("v1", "a", 1, unpublished(now()))]);
        let Action::BackOff(failure) = action else { panic!("{action:?}") };
        assert_eq!((failure.reason, failure.attempts), (FailureReason::PublishFailed, 2));
        let long_ago = now() - Duration::from_hours(1);
        assert!(matches!(
            v1(Seen::Absent).action(&[run("v1", "a", 1, unpublished(long_ago))]),
            Action::Publish(_)
        ));
    }

    #[test]
    fn a_tag_that_belongs_to_another_image_is_not_copied() {
        let mut case = v1(Seen::Present(digest("b")));
        case.taken = [("v1".parse().unwrap(), "Image \"older\" keeps it".to_owned())].into();
        let plan = case.plan(&[]);
        let failures: Vec<_> = plan.failures().collect();
        assert_eq!(failures[0].reason, FailureReason::DestinationConflict);
        assert_eq!((plan.copies().count(), plan.publications().count()), (0, 0));
        // Nor is what a Job pushed before that was known.
        assert_eq!(case.plan(&[run("v1", "a", 1, Outcome::Succeeded)]).publications().count(), 0);
        case.observed.tags[0].destination = Seen::Present(digest("a"));
        assert_eq!(case.action(&[]), Action::UpToDate, "equal content is nobody's loss");
    }

    #[test]
    fn a_tag_that_is_absent_at_the_source_is_reported_alone() {
        let mut case = v1(Seen::Absent);
        case.observed.tags.push(observed_tag("v0", Seen::Absent, Seen::Absent));
        let plan = case.plan(&[]);
        assert_eq!(plan.copies().count(), 1);
        let failures: Vec<_> = plan.failures().collect();
        assert_eq!(failures.len(), 1);
        assert_eq!(failures[0].reason, FailureReason::TagNotFound);
        assert_eq!(failures[0].message, "quay.io/a/b has no v0");
    }

    #[test]
    fn a_tag_without_a_wanted_platform_is_reported_alone_and_says_what_there_is() {
        let mut case = v1(Seen::Absent);
        case.request.platforms = Platforms::parse(&["linux/s390x".into(), "linux/arm64".into()]).unwrap();
        let mut other = observed_tag("v0", Seen::Present(digest("b")), Seen::Present(digest("b")));
        other.content = Content::NoPlatform(vec!["linux/amd64".into(), "windows/amd64".into()]);
        case.observed.tags.push(other);
        let plan = case.plan(&[]);
        assert_eq!(plan.copies().count(), 1);
        let failure = plan.failures().next().unwrap();
        assert_eq!((failure.reason, failure.attempts), (FailureReason::PlatformNotFound, 0));
        insta::assert_snapshot!(failure.message, @"v0 is not there for linux/arm64, linux/s390x; its platforms: linux/amd64, windows/amd64");
        let many = (0..199).map(|n| format!("linux/a{n}")).collect();
        if let Some(tag) = case.observed.tags.last_mut() {
            tag.content = Content::NoPlatform(many);
        }
        let plan = case.plan(&[]);
        let message = &plan.failures().next().unwrap().message;
        assert!(message.ends_with("linux/a18, linux/a19 and 179 more"), "{message}");
    }

    #[test]
    fn an_index_that_is_made_is_copied_by_its_parts_and_known_by_its_own_digest() {
        let mut case = v1(Seen::Present(digest("a")));
        let of = MadeOf { origin: Origin::PlatformsOf(digest("a")), parts: vec![digest("amd64")] };
        case.observed.tags[0].content =
            Content::Made(MadeIndex { digest: digest("r"), of: of.clone(), platforms: Vec::new() });
        let Action::Copy(copy) = case.action(&[]) else { panic!("the destination has all platforms") };
        assert_eq!((&copy.digest, copy.made_of.as_ref()), (&digest("r"), Some(&of)));
        let runs = [Run { copy: copy.clone(), outcome: Outcome::Succeeded }];
        assert_eq!(case.action(&runs), Action::Publish(copy));
        case.observed.tags[0].destination = Seen::Present(digest("r"));
        assert_eq!(case.action(&runs), Action::UpToDate);
    }

    #[test]
    fn what_could_not_be_asked_is_neither_copied_nor_synced() {
        let mut case = v1(Seen::Unknown("HTTP 503".into()));
        case.observed.tags.push(observed_tag("v0", Seen::Unknown("HTTP 503".into()), Seen::Absent));
        let plan = case.plan(&[]);
        assert_eq!((plan.copies().count(), plan.counts().synced, plan.counts().failed), (0, 0, 2));
    }
}
