//! What is to be done for each platform of a build.

use std::time::Duration;

use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::Digest;
use jiff::Timestamp;

use crate::build::{BuildFailure, BuildRequest, Retry};
use crate::time::{clamp_ahead, saturating_add};

/// The longest that a part waits for another try: a clock that was ahead must not hold it for longer.
const MAX_WAIT: Duration = Duration::from_hours(24);

/// A try of one platform in a build: those of other builds, also of the same inputs, are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRun {
    /// The platform.
    pub platform: PlatformSelector,
    /// Which try it is, from 1.
    pub attempt: u32,
    /// What became of it.
    pub state: PartState,
}

/// What became of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartState {
    /// Its Job runs.
    Running,
    /// Its manifest is at the registry.
    Built(Digest),
    /// It failed then.
    Failed(BuildFailure, Timestamp),
    /// It failed, and its Job is gone. It is to be tried again then, if at all.
    Gone(BuildFailure, Option<Timestamp>),
}

/// A platform, and what is to be done for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPart {
    /// The platform.
    pub platform: PlatformSelector,
    /// What is to be done.
    pub action: PartAction,
}

/// What is to be done for a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartAction {
    /// Make a Job: this is its try.
    Build(u32),
    /// Wait: a Job builds it.
    Wait,
    /// Nothing: its manifest is at the registry.
    Built(Digest),
    /// It failed, and is tried again then.
    BackOff(BuildFailure, Timestamp),
    /// It failed, and is not tried again with the same inputs.
    Failed(BuildFailure),
    /// It would be tried, but no image can come of it: another platform failed for good.
    GiveUp,
}

/// Returns what is to be done for each platform. What succeeded is never built again for another one's sake, and
/// where one failed for good no other is tried any more: what runs may end. What failed until `reset_at` and would be
/// tried again later is tried now: a user asks for it.
pub fn parts(
    request: &BuildRequest,
    runs: &[PartRun],
    reset_at: Option<Timestamp>,
    now: Timestamp,
) -> Vec<PlannedPart> {
    let planned = request.platforms.iter().map(|platform| {
        let mut tries: Vec<&PartRun> = runs.iter().filter(|run| &run.platform == platform).collect();
        tries.sort_by_key(|run| run.attempt);
        PlannedPart { platform: platform.clone(), action: action(request, &tries, reset_at, now) }
    });
    let mut planned: Vec<PlannedPart> = planned.collect();
    let has_failed = planned.iter().any(|part| matches!(part.action, PartAction::Failed(_)));
    let is_why = |part: &PlannedPart| {
        matches!(part.action, PartAction::Failed(_)) && !may_be_given_up(request, &part.platform, runs)
    };
    let has_why = planned.iter().any(is_why);
    for part in &mut planned {
        let gives_up = match part.action {
            PartAction::Build(_) | PartAction::BackOff(..) => has_failed,
            // It was so in an earlier pass.
            PartAction::Failed(_) => has_why && may_be_given_up(request, &part.platform, runs),
            PartAction::Wait | PartAction::Built(_) | PartAction::GiveUp => false,
        };
        if gives_up {
            part.action = PartAction::GiveUp;
        }
    }
    planned
}

/// Returns whether a part that is not tried again may have been given up for another one: its newest try failed in a way
/// that is tried again by itself.
fn may_be_given_up(request: &BuildRequest, platform: &PlatformSelector, runs: &[PartRun]) -> bool {
    let newest = runs.iter().filter(|run| run.platform == *platform).max_by_key(|run| run.attempt);
    // Whether there is a next try does not hang on when inputs are checked.
    let retry = |failure: BuildFailure, run: &PartRun| failure.delay(run.attempt, request.retries, MAX_WAIT);
    newest.is_some_and(|run| match run.state {
        PartState::Gone(failure, None) => retry(failure, run).is_some(),
        _ => false,
    })
}

fn action(
    request: &BuildRequest,
    tries: &[&PartRun],
    reset_at: Option<Timestamp>,
    now: Timestamp,
) -> PartAction {
    let Some(newest) = tries.last() else { return PartAction::Build(1) };
    let next = PartAction::Build(newest.attempt.saturating_add(1));
    let (failure, at) = match &newest.state {
        PartState::Running => return PartAction::Wait,
        PartState::Built(digest) => return PartAction::Built(digest.clone()),
        PartState::Failed(failure, at) => (*failure, *at),
        PartState::Gone(failure, None) => return PartAction::Failed(*failure),
        // When it failed is not known any more; only what failed before the reset has no Job at that moment.
        PartState::Gone(_, Some(_)) if reset_at == Some(now) => return next,
        PartState::Gone(failure, Some(due)) => return back_off(*failure, *due, MAX_WAIT, next, now),
    };
    let check = request.recurrence.pause(at);
    let Some(delay) = failure.delay(alike(failure, tries), request.retries, check) else {
        return PartAction::Failed(failure);
    };
    if reset_at.is_some_and(|reset| at <= reset) {
        return next;
    }
    back_off(failure, saturating_add(at, delay), delay, next, now)
}

/// Returns the next try if it is due, and else that it is waited for, no longer than `longest`.
fn back_off(
    failure: BuildFailure,
    due: Timestamp,
    longest: Duration,
    next: PartAction,
    now: Timestamp,
) -> PartAction {
    let due = clamp_ahead(due, now, MAX_WAIT.min(longest));
    if due <= now { next } else { PartAction::BackOff(failure, due) }
}

/// Returns how many tries ended in a way that is retried as this one is: in a row where pods were ended, and else in
/// all, so that a network that failed takes no try from a RUN. Whatever deletes Jobs ends pods: tries of which nothing
/// is known were in that row.
fn alike(failure: BuildFailure, tries: &[&PartRun]) -> u32 {
    let is_alike = |run: &&&PartRun| match run.state {
        PartState::Failed(other, _) | PartState::Gone(other, _) => other.retry() == failure.retry(),
        PartState::Running | PartState::Built(_) => false,
    };
    let count = match failure.retry() {
        Retry::AtOnce => {
            let row = tries.iter().rev().take_while(is_alike).count();
            let gone = if row == tries.len() { tries.first().map_or(0, |first| first.attempt) } else { 0 };
            row.saturating_add(usize::try_from(gone.saturating_sub(1)).unwrap_or(usize::MAX))
        }
        _ => tries.iter().filter(is_alike).count(),
    };
    u32::try_from(count).unwrap_or(u32::MAX)
}
