//! What is done with a tag, by what is seen, what was tried, and what is asked for.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::copy::fixtures::{now, observed_tag, request};
use crate::copy::{MadeIndex, MadeOf, Origin, Seen};
use imgop_registry::oci::Platforms;

mod failed;

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn run(tag: &str, content: &str, attempt: u32, outcome: Outcome) -> Run {
    Run {
        copy: Copy {
            source_ref: SourceRef::Tag(tag.parse().unwrap()),
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
    unrecorded_failures: u32,
    conflicts: HashMap<Tag, String>,
    cooldown: Cooldown,
    retry_now: bool,
    reset_at: Option<Timestamp>,
    now: Timestamp,
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
        unrecorded_failures: 0,
        conflicts: HashMap::new(),
        cooldown: Cooldown::of_minutes(60),
        retry_now: false,
        reset_at: None,
        now: now(),
    }
}

impl Case {
    fn plan(&self, runs: &[Run]) -> Plan {
        plan(Inputs {
            request: &self.request,
            observed: &self.observed,
            runs,
            failures: &self.failures,
            unrecorded_failures: self.unrecorded_failures,
            conflicts: &self.conflicts,
            cooldown: self.cooldown,
            retry_now: self.retry_now,
            reset_at: self.reset_at,
            now: self.now,
        })
    }

    fn action(&self, runs: &[Run]) -> TagAction {
        self.plan(runs).tags.remove(0).action
    }
}

#[test]
fn a_tag_of_a_list_that_the_source_lacks_fails_alone_and_a_pattern_among_them_says_where_it_goes() {
    let mut case = v1(Seen::Absent);
    let mut spec = crate::copy::fixtures::spec("quay.io/a/b", "");
    spec.source.tags = vec!["v1".into(), "v2.x".into()];
    case.request = CopyRequest::parse(&spec).unwrap();
    case.observed.tags.push(observed_tag("v2.x", Seen::Absent, Seen::Absent));
    let plan = case.plan(&[]);
    assert_eq!(plan.copies().count(), 1, "the other one is copied");
    let failures: Vec<_> =
        plan.failures().map(|failure| (failure.reason, failure.message.as_str())).collect();
    assert_eq!(
        failures,
        [(
            FailureReason::TagNotFound,
            "quay.io/a/b has no tag v2.x; source.tags holds exact tags, and a pattern goes into source.version",
        )]
    );
}

fn attempt(action: &TagAction) -> u32 {
    match action {
        TagAction::Copy(copy) | TagAction::Publish(copy) => copy.attempt,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_missing_or_different_tag_is_copied_and_an_equal_one_is_not() {
    assert_eq!(attempt(&v1(Seen::Absent).action(&[])), 1);
    assert_eq!(attempt(&v1(Seen::Present(digest("b"))).action(&[])), 1);
    assert_eq!(v1(Seen::Present(digest("a"))).action(&[]), TagAction::UpToDate);
}

#[test]
fn near_misses_that_are_not_kept_are_counted() {
    let mut case = v1(Seen::Absent);
    let tag = "v1-a".parse().unwrap();
    case.observed.excluded =
        vec![crate::selection::Excluded { tag, reason: crate::selection::Exclusion::Candidate }];
    case.observed.excluded_beyond = 4_000;
    assert_eq!(case.plan(&[]).counts().excluded, 4_001);
}

#[test]
fn if_missing_keeps_what_is_there() {
    let mut case = v1(Seen::Present(digest("b")));
    case.request.overwrite = Overwrite::IfMissing;
    assert_eq!(case.action(&[]), TagAction::Keep);
    assert_eq!(case.plan(&[]).counts().kept, 1);
}

#[test]
fn a_tag_that_moved_to_something_too_young_stays_as_it_is() {
    let mut case = v1(Seen::Present(digest("b")));
    let until = now() + Duration::from_hours(1);
    let waits = |content| crate::copy::Waiting {
        tag: "v1".parse().unwrap(),
        digest: digest(content),
        content: Content::NotAsked,
        since: now(),
        until,
    };
    case.observed.waiting = vec![waits("a")];
    let plan = case.plan(&[]);
    assert_eq!((&plan.tags[0].action, plan.waiting_until), (&TagAction::Young(until), Some(until)));
    assert_eq!((plan.counts().kept, plan.is_busy(), plan.copies().count()), (1, false, 0));
    case.observed.waiting = vec![waits("what it showed before")];
    assert_eq!(attempt(&case.action(&[])), 1);
}

#[test]
fn a_running_copy_is_waited_for() {
    assert_eq!(v1(Seen::Absent).action(&[run("v1", "a", 1, Outcome::Running)]), TagAction::Wait);
}

#[test]
fn a_run_of_other_content_does_not_count() {
    let runs = [run("v1", "old", 1, Outcome::Running), run("v2", "a", 1, Outcome::Running)];
    assert_eq!(attempt(&v1(Seen::Absent).action(&runs)), 1);
    let runs = [run("v1", "old", 1, Outcome::Succeeded)];
    assert!(matches!(v1(Seen::Present(digest("old"))).action(&runs), TagAction::Copy(_)));
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
    let TagAction::BackOff(failure) = action else { panic!("{action:?}") };
    assert_eq!(failure.attempts, 1);
    assert_eq!(failure.next_attempt.unwrap().0, now() + Duration::from_secs(10));
    let long_ago = now() - Duration::from_hours(1);
    assert_eq!(attempt(&v1(Seen::Absent).action(&[run("v1", "a", 1, failed(long_ago))])), 2);
}

#[test]
fn the_last_try_counts() {
    let runs = [run("v1", "a", 2, Outcome::Running), run("v1", "a", 1, failed(now()))];
    assert_eq!(v1(Seen::Absent).action(&runs), TagAction::Wait);
}

#[test]
fn what_was_interrupted_once_is_repeated_at_once_and_then_waits() {
    let at = now();
    for outcome in [Outcome::Interrupted { at }, Outcome::ContentGone { at }] {
        assert_eq!(attempt(&v1(Seen::Absent).action(&[run("v1", "a", 1, outcome.clone())])), 2);
        let action = v1(Seen::Absent).action(&[run("v1", "a", 2, outcome.clone())]);
        assert!(matches!(action, TagAction::BackOff(_)), "{action:?}");
    }
}

#[test]
fn a_tag_whose_turn_did_not_come_is_copied_at_once_however_often_and_has_not_failed() {
    for tries in [1, 2, 7] {
        let left = run("v1", "a", tries, Outcome::NotBegun { at: now() });
        assert_eq!(attempt(&v1(Seen::Absent).action(&[left])), tries + 1);
    }
}

#[test]
fn a_tag_that_could_not_be_set_is_set_again_without_a_job() {
    let unpublished = |at| Outcome::Unpublished { tries: 2, message: "HTTP 503".into(), at };
    let action = v1(Seen::Absent).action(&[run("v1", "a", 1, unpublished(now()))]);
    let TagAction::BackOff(failure) = action else { panic!("{action:?}") };
    assert_eq!((failure.reason, failure.attempts), (FailureReason::PublishFailed, 2));
    let long_ago = now() - Duration::from_hours(1);
    assert!(matches!(
        v1(Seen::Absent).action(&[run("v1", "a", 1, unpublished(long_ago))]),
        TagAction::Publish(_)
    ));
}

#[test]
fn a_tag_that_belongs_to_another_image_is_not_copied() {
    let mut case = v1(Seen::Present(digest("b")));
    case.conflicts = [("v1".parse().unwrap(), "Image \"older\" keeps it".to_owned())].into();
    let plan = case.plan(&[]);
    let failures: Vec<_> = plan.failures().collect();
    assert_eq!(failures[0].reason, FailureReason::DestinationConflict);
    assert_eq!((plan.copies().count(), plan.publications().count()), (0, 0));
    // Nor is what a Job pushed before that was known.
    assert_eq!(case.plan(&[run("v1", "a", 1, Outcome::Succeeded)]).publications().count(), 0);
    case.observed.tags[0].destination = Seen::Present(digest("a"));
    assert_eq!(case.action(&[]), TagAction::UpToDate, "equal content is no conflict");
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
    assert_eq!(failures[0].message, "quay.io/a/b has no tag v0");
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
    insta::assert_snapshot!(failure.message, @"not there for linux/arm64, linux/s390x (spec.platforms); its platforms: linux/amd64, windows/amd64");
    let many = (0..199).map(|n| format!("linux/a{n}")).collect();
    if let Some(tag) = case.observed.tags.last_mut() {
        tag.content = Content::NoPlatform(many);
    }
    let plan = case.plan(&[]);
    let message = &plan.failures().next().unwrap().message;
    assert!(message.ends_with("linux/a18, linux/a19 and 179 more"), "{message}");
}

#[test]
fn a_tag_in_an_unsupported_format_gets_no_job_and_no_try_by_time() {
    let mut case = v1(Seen::Absent);
    let unsupported = Seen::Unsupported("v0: it is in Docker's old format".to_owned());
    case.observed.tags.push(observed_tag("v0", unsupported, Seen::Absent));
    let plan = case.plan(&[]);
    assert_eq!(plan.copies().count(), 1);
    let failure = plan.failures().next().unwrap();
    assert_eq!((failure.reason, failure.attempts), (FailureReason::FormatUnsupported, 0));
    assert_eq!((failure.message.as_str(), plan.next_attempt()), ("v0: it is in Docker's old format", None));
}

#[test]
fn an_index_that_is_made_is_copied_by_its_parts_and_known_by_its_own_digest() {
    let mut case = v1(Seen::Present(digest("a")));
    let of = MadeOf { origin: Origin::PlatformsOf(digest("a")), parts: vec![digest("amd64")] };
    case.observed.tags[0].content =
        Content::Made(MadeIndex { digest: digest("r"), of: of.clone(), platforms: Vec::new() });
    let TagAction::Copy(copy) = case.action(&[]) else { panic!("the destination has all platforms") };
    assert_eq!((&copy.digest, copy.made_of.as_ref()), (&digest("r"), Some(&of)));
    let runs = [Run { copy: copy.clone(), outcome: Outcome::Succeeded }];
    assert_eq!(case.action(&runs), TagAction::Publish(copy));
    case.observed.tags[0].destination = Seen::Present(digest("r"));
    assert_eq!(case.action(&runs), TagAction::UpToDate);
}

#[test]
fn what_could_not_be_asked_is_neither_copied_nor_synced() {
    let mut case = v1(Seen::Unknown("HTTP 503".into()));
    case.observed.tags.push(observed_tag("v0", Seen::Unknown("HTTP 503".into()), Seen::Absent));
    let plan = case.plan(&[]);
    assert_eq!((plan.copies().count(), plan.counts().synced, plan.counts().failed), (0, 0, 2));
}

#[test]
fn what_only_the_destination_has_under_a_referrers_tag_stays() {
    let mut case = v1(Seen::Present(digest("b")));
    case.observed.tags[0].referrer_of = Some(digest("image"));
    assert_eq!(attempt(&case.action(&[])), 1);
    case.observed.tags[0].has_own = true;
    assert_eq!(case.action(&[]), TagAction::Keep);
}

#[test]
fn a_content_that_was_copied_in_parts_is_published_in_parts_whatever_is_known_of_it() {
    let mut done = run("v1", "a", 1, Outcome::Succeeded);
    let made_of = MadeOf { origin: Origin::AllOf(digest("a")), parts: vec![digest("b"), digest("c")] };
    done.copy.made_of = Some(made_of);
    assert_eq!(v1(Seen::Absent).action(&[done.clone()]), TagAction::Publish(done.copy.clone()));
    let mut case = v1(Seen::Absent);
    case.observed.copy_in_parts(&done.copy.destination_tag, done.copy.made_of.as_ref().unwrap());
    assert_eq!(case.action(&[]), TagAction::Copy(done.copy), "its digest is the source's");
}

#[test]
fn a_tag_that_its_registry_does_not_let_change_is_kept_while_it_shows_the_same() {
    let refused =
        |shows: Option<&str>| run("v1", "a", 1, Outcome::Immutable { shows: shows.map(digest), at: now() });
    let case = v1(Seen::Present(digest("b")));
    for shows in [Some("b"), None] {
        assert_eq!(case.action(&[refused(shows)]), TagAction::Keep, "{shows:?}");
    }
    assert!(
        matches!(case.action(&[refused(Some("c"))]), TagAction::BackOff(_)),
        "it shows something else by now"
    );
    let gone = v1(Seen::Absent).action(&[refused(Some("b"))]);
    assert!(matches!(gone, TagAction::BackOff(_)), "it is not there any more: {gone:?}");
}
