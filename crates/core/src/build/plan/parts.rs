//! What is to be done for each platform of a build.

use std::time::Duration;

use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::Digest;
use jiff::Timestamp;

use crate::build::{BuildFailure, BuildRequest};
use crate::time::{clamp_ahead, saturating_add};

/// The longest that a part waits for another try: a clock that was ahead must not hold it for longer.
const MAX_WAIT: Duration = Duration::from_hours(24);

/// A try of one platform with the inputs of the build.
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
    /// Its manifest was at the registry and is no longer: an untagged one that the registry cleaned away.
    Lost,
    /// It failed then.
    Failed(BuildFailure, Timestamp),
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
}

/// Returns what is to be done for each platform. What succeeded is never built again for another one's sake.
pub fn parts(request: &BuildRequest, runs: &[PartRun], now: Timestamp) -> Vec<PlannedPart> {
    let platforms = request.platforms.iter();
    platforms
        .map(|platform| {
            let mut tries: Vec<&PartRun> = runs.iter().filter(|run| &run.platform == platform).collect();
            tries.sort_by_key(|run| run.attempt);
            PlannedPart { platform: platform.clone(), action: action(request, &tries, now) }
        })
        .collect()
}

fn action(request: &BuildRequest, tries: &[&PartRun], now: Timestamp) -> PartAction {
    let Some(newest) = tries.last() else { return PartAction::Build(1) };
    let next = PartAction::Build(newest.attempt.saturating_add(1));
    let (failure, at) = match &newest.state {
        PartState::Running => return PartAction::Wait,
        PartState::Built(digest) => return PartAction::Built(digest.clone()),
        PartState::Lost => return next,
        PartState::Failed(failure, at) => (*failure, *at),
    };
    let counts = |run: &&&PartRun| matches!(run.state, PartState::Failed(failure, _) if failure != BuildFailure::Interrupted);
    let counted = u32::try_from(tries.iter().filter(counts).count()).unwrap_or(u32::MAX);
    let check = request.frequency.period();
    let Some(delay) = failure.delay(counted, request.retries, check) else {
        return PartAction::Failed(failure);
    };
    let due = clamp_ahead(saturating_add(at, delay), now, MAX_WAIT.min(delay));
    if due <= now { next } else { PartAction::BackOff(failure, due) }
}
