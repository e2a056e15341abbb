//! What is done for each platform.

use super::*;

fn run(platform: &str, attempt: u32, state: PartState) -> PartRun {
    PartRun { platform: platform.parse().unwrap(), attempt, state }
}

fn actions(request: &BuildRequest, runs: &[PartRun]) -> Vec<PartAction> {
    parts(request, runs, None, now()).into_iter().map(|part| part.action).collect()
}

#[test]
fn a_part_that_succeeded_is_not_built_again_for_the_others_sake() {
    let request = request(|spec| spec.retries = 1);
    assert_eq!(actions(&request, &[]), [PartAction::Build(1), PartAction::Build(1)]);
    let digest = Digest::of(b"amd64");
    let built = run("linux/amd64", 1, PartState::Built(digest.clone()));
    let failed = |failure, seconds| run("linux/arm64", 1, PartState::Failed(failure, ago(seconds)));
    let with = |other: PartRun| actions(&request, &[built.clone(), other]).remove(1);
    assert_eq!(with(run("linux/arm64", 1, PartState::Running)), PartAction::Wait);
    assert_eq!(with(failed(BuildFailure::StepFailed, 60)), PartAction::Build(2));
    let due = now() + Duration::from_secs(20);
    assert_eq!(
        with(failed(BuildFailure::StepFailed, 10)),
        PartAction::BackOff(BuildFailure::StepFailed, due)
    );
    assert_eq!(with(failed(BuildFailure::OutOfMemory, 999)), PartAction::Failed(BuildFailure::OutOfMemory));
    assert_eq!(actions(&request, &[built])[0], PartAction::Built(digest));
}

#[test]
fn where_one_platform_failed_for_good_no_other_is_tried_any_more_and_what_runs_may_end() {
    let request = request(|_| {});
    let arm64 = run("linux/arm64", 1, PartState::Failed(BuildFailure::StepFailed, now()));
    let with = |state| actions(&request, &[run("linux/amd64", 1, state), arm64.clone()]).remove(0);
    for failure in [BuildFailure::PodNotStarted, BuildFailure::BaseImageNotFound, BuildFailure::PushFailed] {
        assert_eq!(with(PartState::Failed(failure, now())), PartAction::GiveUp);
        assert_eq!(with(PartState::Failed(failure, ago(86_400))), PartAction::GiveUp, "though it is due");
    }
    let alone = actions(&request, std::slice::from_ref(&arm64));
    assert_eq!(alone[0], PartAction::GiveUp, "it was never begun");
    assert_eq!(with(PartState::Running), PartAction::Wait);
    let digest = Digest::of(b"amd64");
    assert_eq!(with(PartState::Built(digest.clone())), PartAction::Built(digest));
}

#[test]
fn an_interrupted_part_is_built_again_at_once_and_does_not_count() {
    let request = request(|_| {});
    let interrupted =
        |attempt| run("linux/amd64", attempt, PartState::Failed(BuildFailure::Interrupted, now()));
    assert_eq!(actions(&request, &[interrupted(1)])[0], PartAction::Build(2));
    let due = now() + Duration::from_secs(30);
    let twice = actions(&request, &[interrupted(1), interrupted(2)]);
    assert_eq!(twice[0], PartAction::BackOff(BuildFailure::Interrupted, due), "not for ever at once");
    let step = run("linux/amd64", 3, PartState::Failed(BuildFailure::StepFailed, now()));
    let one_retry = BuildRequest { retries: 1, ..request };
    let after = actions(&one_retry, &[interrupted(1), interrupted(2), step]);
    assert!(matches!(after[0], PartAction::BackOff(BuildFailure::StepFailed, _)), "{after:?}");
}

#[test]
fn whatever_deletes_jobs_is_not_answered_with_one_job_after_the_other() {
    let request = request(|_| {});
    let vanished = |attempt| run("linux/amd64", attempt, PartState::Failed(BuildFailure::Interrupted, now()));
    assert_eq!(actions(&request, &[vanished(1)])[0], PartAction::Build(2));
    let due = now() + Duration::from_mins(2);
    let fourth = actions(&request, &[vanished(4)]);
    assert_eq!(fourth[0], PartAction::BackOff(BuildFailure::Interrupted, due), "the first three are gone");
    let step = run("linux/amd64", 3, PartState::Failed(BuildFailure::StepFailed, now()));
    assert_eq!(actions(&request, &[step, vanished(4)])[0], PartAction::Build(5), "not in a row");
}

#[test]
fn what_a_network_spoils_takes_no_try_from_a_failing_run() {
    let request = request(|spec| spec.retries = 1);
    let failed = |attempt, failure| run("linux/amd64", attempt, PartState::Failed(failure, ago(3600)));
    let pushes = [1, 2, 3].map(|attempt| failed(attempt, BuildFailure::PushFailed));
    let mut runs = pushes.to_vec();
    runs.push(failed(4, BuildFailure::StepFailed));
    assert_eq!(actions(&request, &runs)[0], PartAction::Build(5));
    runs.push(failed(5, BuildFailure::StepFailed));
    assert_eq!(actions(&request, &runs)[0], PartAction::Failed(BuildFailure::StepFailed));
}

#[test]
fn a_clock_that_was_ahead_holds_no_part() {
    let later = now() + Duration::from_hours(9000);
    let failed = run("linux/amd64", 1, PartState::Failed(BuildFailure::PushFailed, later));
    let due = now() + Duration::from_secs(30);
    assert_eq!(actions(&request(|_| {}), &[failed])[0], PartAction::BackOff(BuildFailure::PushFailed, due));
}

#[test]
fn a_failed_part_whose_job_is_gone_waits_as_its_status_says() {
    let request = request(|_| {});
    let gone =
        |due| actions(&request, &[run("linux/amd64", 3, PartState::Gone(BuildFailure::PodNotStarted, due))]);
    let later = now() + Duration::from_mins(1);
    assert_eq!(gone(Some(later))[0], PartAction::BackOff(BuildFailure::PodNotStarted, later));
    assert_eq!(gone(Some(now()))[0], PartAction::Build(4));
    assert_eq!(gone(None)[0], PartAction::Failed(BuildFailure::PodNotStarted));
}

#[test]
fn a_part_that_was_given_up_is_not_why_the_build_failed() {
    let both = request(|spec| spec.retries = 2);
    let gone = |platform: &str, failure| run(platform, 1, PartState::Gone(failure, None));
    let with = |amd64, arm64| actions(&both, &[amd64, arm64]);
    let memory = || run("linux/arm64", 1, PartState::Failed(BuildFailure::OutOfMemory, now()));
    let why = PartAction::Failed(BuildFailure::OutOfMemory);
    for failure in [
        BuildFailure::PodNotStarted,
        BuildFailure::Interrupted,
        BuildFailure::PlatformUnavailable,
        BuildFailure::StepFailed,
    ] {
        let given_up = || gone("linux/amd64", failure);
        assert_eq!(with(given_up(), memory()), [PartAction::GiveUp, why.clone()], "{failure:?}");
        let both_gone = with(given_up(), gone("linux/arm64", BuildFailure::OutOfMemory));
        assert_eq!(both_gone, [PartAction::GiveUp, why.clone()], "{failure:?}");
        let running = run("linux/arm64", 1, PartState::Running);
        assert_eq!(with(given_up(), running), [PartAction::Failed(failure), PartAction::Wait]);
    }
    let by_itself = run("linux/amd64", 3, PartState::Gone(BuildFailure::StepFailed, None));
    let last = PartAction::Failed(BuildFailure::StepFailed);
    assert_eq!(with(by_itself, memory()), [last, why], "it was the last try");
}

#[test]
fn what_would_be_tried_later_is_tried_at_once_after_a_reset_and_what_failed_for_good_is_not() {
    let request = request(|_| {});
    let after = |state: PartState, reset_at| {
        let runs = [run("linux/amd64", 2, state)];
        parts(&request, &runs, reset_at, now()).remove(0).action
    };
    let failed = |failure, seconds| PartState::Failed(failure, ago(seconds));
    let unreachable = BuildFailure::RegistryUnreachable;
    assert!(matches!(after(failed(unreachable, 5), None), PartAction::BackOff(..)));
    assert_eq!(after(failed(unreachable, 5), Some(ago(1))), PartAction::Build(3));
    let afterwards = after(failed(unreachable, 1), Some(ago(5)));
    assert!(matches!(afterwards, PartAction::BackOff(..)), "it failed again: {afterwards:?}");
    let gone = || PartState::Gone(unreachable, Some(now() + Duration::from_mins(9)));
    assert_eq!(after(gone(), Some(now())), PartAction::Build(3));
    assert!(matches!(after(gone(), Some(ago(5))), PartAction::BackOff(..)));
    let for_good = after(failed(BuildFailure::OutOfMemory, 5), Some(now()));
    assert_eq!(for_good, PartAction::Failed(BuildFailure::OutOfMemory));
}
