//! When a tag that failed is tried again, and how often it was tried.

use proptest::prelude::*;

use super::*;

/// The failure that is waited for.
fn failure(action: TagAction) -> TagFailure {
    match action {
        TagAction::BackOff(failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failure_outlives_its_job() {
    let mut case = v1(Seen::Absent);
    let TagAction::BackOff(failure) = case.action(&[run("v1", "a", 4, failed(now()))]) else { panic!() };
    case.failures = vec![failure.clone()];
    assert_eq!(case.action(&[]), TagAction::BackOff(failure));
    case.retry_now = true;
    assert_eq!(attempt(&case.action(&[])), 5);
}

#[test]
fn a_failure_of_other_content_is_forgotten() {
    let mut case = v1(Seen::Absent);
    let TagAction::BackOff(failure) = case.action(&[run("v1", "a", 4, failed(now()))]) else { panic!() };
    case.failures = vec![TagFailure { digest: Some(digest("old").to_string()), ..failure }];
    assert_eq!(attempt(&case.action(&[])), 1);
}

#[test]
fn a_next_attempt_far_ahead_in_a_status_is_clamped() {
    let mut case = v1(Seen::Absent);
    case.failures = vec![TagFailure {
        tag: "v1".into(),
        reason: FailureReason::CopyFailed,
        message: "exit code 1".into(),
        digest: Some(digest("a").to_string()),
        attempts: 2,
        attempts_before_reset: 0,
        next_attempt: Some(Time("2027-12-31T00:00:00Z".parse().unwrap())),
    }];
    let TagAction::BackOff(failure) = case.action(&[]) else { panic!() };
    assert_eq!(failure.next_attempt, Some(Time(now() + Duration::from_secs(20))));
    let ahead = run("v1", "a", 1, failed(now() + Duration::from_hours(1000)));
    let TagAction::BackOff(failure) = v1(Seen::Absent).action(&[ahead]) else { panic!() };
    assert_eq!(
        failure.next_attempt,
        Some(Time(now() + Duration::from_secs(10))),
        "a clock of a node was ahead"
    );
}

#[test]
fn a_failure_that_the_status_has_no_room_for_waits_as_long_as_the_first_of_those_that_it_holds() {
    let recorded = |tag: &str, attempts, seconds| TagFailure {
        tag: tag.to_owned(),
        reason: FailureReason::CopyFailed,
        message: "disk full".to_owned(),
        attempts,
        attempts_before_reset: 0,
        digest: Some(digest(tag).to_string()),
        next_attempt: Some(Time(now() + Duration::from_secs(seconds))),
    };
    let mut case = v1(Seen::Absent);
    case.failures = vec![recorded("v2", 3, 20), recorded("v3", 4, 30), recorded("v4", 1, 5)];
    assert_eq!(attempt(&case.action(&[])), 1, "each failure is recorded, and this tag has none");
    case.unrecorded_failures = 450;
    let TagAction::BackOff(failure) = case.action(&[]) else { panic!() };
    assert_eq!((failure.attempts, failure.next_attempt), (1, case.failures[2].next_attempt.clone()));
    case.retry_now = true;
    assert_eq!(attempt(&case.action(&[])), 2);
    case.retry_now = false;
    case.failures.push(TagFailure { attempts: 0, ..recorded("v5", 0, 0) });
    assert_eq!(attempt(&case.action(&[])), 1, "those that were never tried come last");
}

#[test]
fn a_tag_that_keeps_failing_is_left_alone_for_the_cooldown_whatever_becomes_of_its_job_and_of_the_process() {
    let mut case = v1(Seen::Absent);
    let runs = [run("v1", "a", 5, failed(now()))];
    let plan = case.plan(&runs);
    let failure = failure(plan.tags[0].action.clone());
    let due = now() + Duration::from_hours(1);
    assert_eq!((failure.attempts, failure.next_attempt.clone()), (5, Some(Time(due))));
    assert_eq!(plan.in_cooldown, 1);
    case.failures = vec![failure.clone()];
    case.now = due - Duration::from_secs(1);
    assert_eq!(case.action(&[]), TagAction::BackOff(failure), "a new process, and no Job");
    assert_eq!(case.plan(&[]).in_cooldown, 1);
    case.now = due;
    assert_eq!(attempt(&case.action(&[])), 6);
}

#[test]
fn a_request_ends_pauses_that_grow_and_no_cooldown() {
    let mut case = v1(Seen::Absent);
    case.retry_now = true;
    assert_eq!(attempt(&case.action(&[run("v1", "a", 4, failed(now()))])), 5);
    let runs = [run("v1", "a", 5, failed(now()))];
    assert_eq!(failure(case.action(&runs)).attempts, 5);
    case.cooldown = Cooldown::OFF;
    assert_eq!(attempt(&case.action(&runs)), 6, "there is none");
}

#[test]
fn other_tags_go_on_while_one_is_in_the_cooldown() {
    let mut case = v1(Seen::Absent);
    case.observed.tags.push(observed_tag("v2", Seen::Present(digest("b")), Seen::Absent));
    let plan = case.plan(&[run("v1", "a", 5, failed(now()))]);
    let copied: Vec<&str> = plan.copies().map(|copy| copy.destination_tag.as_str()).collect();
    assert_eq!((copied, plan.counts().failed), (vec!["v2"], 1));
}

#[test]
fn a_reset_tries_at_once_and_counts_anew_while_jobs_are_numbered_on() {
    let mut case = v1(Seen::Absent);
    let mut known = failure(case.action(&[run("v1", "a", 7, failed(now()))]));
    known.reset();
    case.failures = vec![known];
    // With its Job, and without.
    for runs in [vec![run("v1", "a", 7, failed(now()))], Vec::new()] {
        assert_eq!(attempt(&case.action(&runs)), 8);
    }
    let again = failure(case.action(&[run("v1", "a", 8, failed(now()))]));
    assert_eq!((again.attempts, again.attempts_before_reset), (1, 7));
    assert_eq!(again.next_attempt, Some(Time(now() + Duration::from_secs(10))));
}

#[test]
fn a_reset_of_all_tries_also_what_the_status_has_no_room_for() {
    let mut case = v1(Seen::Absent);
    let runs = [run("v1", "a", 5, failed(now()))];
    case.reset_at = Some(now() - Duration::from_secs(1));
    assert_eq!(failure(case.action(&runs)).attempts, 5, "it failed afterwards");
    case.reset_at = Some(now());
    assert_eq!(attempt(&case.action(&runs)), 6);
}

#[test]
fn a_tag_that_could_not_be_set_is_not_tried_sooner_after_a_restart_though_its_job_succeeded() {
    let mut case = v1(Seen::Absent);
    let unpublished = Outcome::Unpublished { tries: 3, message: "denied".into(), at: now() };
    let known = failure(case.action(&[run("v1", "a", 1, unpublished)]));
    assert_eq!((known.reason, known.attempts), (FailureReason::PublishFailed, 3));
    case.failures = vec![known.clone()];
    let runs = [run("v1", "a", 1, Outcome::Succeeded)];
    assert_eq!(case.action(&runs), TagAction::BackOff(known.clone()));
    case.now = known.next_attempt.unwrap().0;
    assert!(matches!(case.action(&runs), TagAction::Publish(_)));
}

/// What happens to a tag.
#[derive(Debug, Clone, Copy)]
enum Event {
    Fails(FailureReason),
    LosesItsJob,
    IsReset,
    IsForged(u32),
}

fn event() -> impl Strategy<Value = Event> {
    use FailureReason::{CopyFailed, OutOfMemory, PodNotStarted};
    let fails = prop::sample::select(vec![CopyFailed, OutOfMemory, PodNotStarted]).prop_map(Event::Fails);
    prop_oneof![6 => fails, 2 => Just(Event::LosesItsJob), 1 => Just(Event::IsReset),
        1 => any::<u32>().prop_map(Event::IsForged)]
}

proptest! {
    /// Whatever happens, the next try is after now and at most a cooldown away, and no number of a Job is used twice.
    #[test]
    fn the_next_try_is_never_now_and_never_further_away_than_the_cooldown(
        minutes in 0_u32..=120,
        events in prop::collection::vec((event(), 0_u64..10_000), 1..60),
    ) {
        let mut case = v1(Seen::Absent);
        case.cooldown = Cooldown::of_minutes(minutes);
        let longest = Duration::from_mins(if minutes == 0 { 15 } else { u64::from(minutes).max(15) });
        let (mut runs, mut last_attempt): (Vec<Run>, u32) = (Vec::new(), 0);
        for (event, seconds) in events {
            case.now += Duration::from_secs(seconds);
            match event {
                Event::Fails(reason) => {
                    let TagAction::Copy(copy) = case.action(&runs) else { continue };
                    prop_assert!(copy.attempt > last_attempt, "{} after {last_attempt}", copy.attempt);
                    last_attempt = copy.attempt;
                    let outcome = Outcome::Failed { reason, message: String::new(), at: case.now };
                    runs.push(Run { copy, outcome });
                }
                Event::LosesItsJob => runs.clear(),
                Event::IsReset => case.failures.iter_mut().for_each(TagFailure::reset),
                Event::IsForged(days) => {
                    let far = case.now + Duration::from_hours(24) * (days % 10_000);
                    case.failures.iter_mut().for_each(|failure| failure.next_attempt = Some(Time(far)));
                }
            }
            if let TagAction::BackOff(failure) = case.action(&runs) {
                let next = failure.next_attempt.clone().unwrap().0;
                prop_assert!(next > case.now, "{failure:?}");
                prop_assert!(next <= case.now + longest, "{failure:?} at {}", case.now);
                case.failures = vec![failure];
            }
        }
    }
}
