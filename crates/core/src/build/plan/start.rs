//! Whether a build begins, and why.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::{BuildReason, ConcurrencyPolicy, RebuildOn};
use crate::build::key::{base_changes, source_changes};
use crate::build::{BuildKey, BuildRequest, DestinationKey, ObservedInputs};
use crate::time::saturating_add;

/// The last build that was begun, whatever became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastBuild {
    /// Its number.
    pub number: u64,
    /// The generation of the spec that it was of.
    pub generation: i64,
    /// What it was made from.
    pub inputs: ObservedInputs,
    /// The key of its spec with these inputs; none if it is not known any more.
    pub key: Option<BuildKey>,
    /// Where its image goes; none if it is not known any more.
    pub destination: Option<DestinationKey>,
    /// When it began.
    pub started_at: Timestamp,
    /// What became of it; none while it runs.
    pub end: Option<BuildEnd>,
    /// Whether it waits: none of its parts has a Job, or is about to have one. Then it is as one that has ended, but
    /// for its retries.
    pub is_waiting: bool,
}

impl LastBuild {
    /// Returns whether its parts are what the spec of this generation asks for, in the repository that it names. The
    /// same generation is the same spec, also where another version of the agent has written the key.
    pub fn is_of(&self, request: &BuildRequest, generation: i64) -> bool {
        let is_same = self.generation == generation || self.key == Some(BuildKey::new(request, &self.inputs));
        is_same && self.destination.as_ref().is_some_and(|of| of.is_at(&request.destination.repository))
    }

    /// Returns whether the spec of this generation asks for nothing but what it is. What changed may be how builds are
    /// run, such as suspend or a limit, and not what is built; a build that failed may have failed for that.
    pub fn is_all_of(&self, request: &BuildRequest, generation: i64) -> bool {
        let is_elsewhere =
            || self.destination.as_ref().is_some_and(|of| !of.is_at(&request.destination.repository));
        match self.end {
            // The default destination of the namespace may be another one.
            Some(BuildEnd::Succeeded) if self.generation == generation => !is_elsewhere(),
            _ if self.generation == generation => true,
            // It sets the tags that the spec names when it ends.
            None => self.is_of(request, generation),
            Some(BuildEnd::Failed) => false,
            Some(_) => self.is_of(request, generation) && self.has_tags_of(request),
        }
    }

    /// Returns whether its tags are those of this request.
    fn has_tags_of(&self, request: &BuildRequest) -> bool {
        self.destination.as_ref().is_some_and(|of| of.tags == DestinationKey::of(&request.destination).tags)
    }

    /// Returns whether a Job of it may run.
    pub fn is_under_way(&self) -> bool {
        self.end.is_none() && !self.is_waiting
    }
}

/// What became of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildEnd {
    /// Its image is at the registry under all its tags.
    Succeeded,
    /// It failed; its parts say whether they are tried again.
    Failed,
    /// A user ended it.
    Cancelled,
    /// It ended without an image, for a newer one to begin.
    Superseded,
}

/// What a decision is made from.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and all go together")]
pub struct Occasion<'a> {
    /// What the spec asks for.
    pub request: &'a BuildRequest,
    /// The generation of the spec.
    pub generation: i64,
    /// What a build would be made from now.
    pub inputs: &'a ObservedInputs,
    /// Whether all of these inputs were asked for just now; else they are as they were last seen.
    pub are_present: bool,
    /// The last build.
    pub last: Option<&'a LastBuild>,
    /// What a user asks for that was not acted on yet.
    pub asked: Asked,
    /// Whether `spec.suspend` is set.
    pub is_suspended: bool,
    /// Whether a tag no longer shows the last good image.
    pub is_lost: bool,
    /// Whether a Secret is another one with which the last build failed.
    pub has_other_secrets: bool,
    /// Whether a time of the schedule has come since the last build began.
    pub is_scheduled: bool,
    /// The time.
    pub now: Timestamp,
}

/// What a user asks for beside the spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Nothing.
    Nothing,
    /// A build, though nothing is new.
    Build,
    /// That what failed is tried again.
    Retry,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: the last build was made from the same.
    Nothing,
    /// Nothing, for `spec.suspend` is set and a build would begin for this reason.
    Suspended(BuildReason),
    /// The running build goes on. If there is a reason, another one begins when it has ended.
    GoOn(Option<BuildReason>),
    /// A build begins then, for this reason: `minInterval` is not over.
    WaitUntil(Timestamp, BuildReason),
    /// A build begins.
    Begin(Start),
}

/// A build that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Its number, higher than that of every build before it.
    pub number: u64,
    /// Why.
    pub reason: BuildReason,
    /// What is new, in one line.
    pub changes: Option<String>,
    /// The running build that it takes the place of.
    pub replaces: Option<u64>,
}

/// Returns what is to be done.
pub fn decide(occasion: &Occasion<'_>) -> Decision {
    let running = occasion.last.filter(|last| last.end.is_none());
    let Some((reason, changes)) = reason(occasion) else {
        return running.map_or(Decision::Nothing, |_| Decision::GoOn(None));
    };
    if occasion.is_suspended {
        return running.map_or(Decision::Suspended(reason), |_| Decision::GoOn(Some(reason)));
    }
    // What runs may be what was asked for, so that it is not ended for that.
    let is_unknown = reason == BuildReason::Requested && changes.is_none();
    // Where builds take longer than it is from one time to the next, one would never end.
    let is_scheduled = reason == BuildReason::Schedule;
    let forbids = is_scheduled || occasion.request.concurrency == ConcurrencyPolicy::Forbid;
    let earliest = earliest(occasion, reason).filter(|earliest| *earliest > occasion.now);
    match (running, earliest) {
        (Some(running), _) if (forbids || is_unknown) && running.is_under_way() => {
            Decision::GoOn(Some(reason))
        }
        (Some(_), Some(_)) => Decision::GoOn(Some(reason)),
        (None, Some(earliest)) => Decision::WaitUntil(earliest, reason),
        (_, None) => Decision::Begin(Start {
            number: occasion.last.map_or(1, |last| last.number.saturating_add(1)),
            reason,
            changes,
            replaces: running.map(|running| running.number),
        }),
    }
}

/// Returns why a build would begin, and what is new.
fn reason(occasion: &Occasion<'_>) -> Option<(BuildReason, Option<String>)> {
    let Occasion { request, generation, inputs, last, .. } = *occasion;
    let Some(last) = last else { return Some((BuildReason::Created, None)) };
    if !last.is_all_of(request, generation) {
        let changes = format!("generation {} → {generation}", last.generation);
        return Some((BuildReason::SpecChanged, Some(changes)));
    }
    let source = source_changes(&last.inputs, inputs);
    let bases = base_changes(&last.inputs, inputs);
    let changes = source.clone().or_else(|| bases.clone());
    // A build that runs and is made from what is there now is what was requested.
    let is_requested_one = last.is_under_way() && changes.is_none() && occasion.are_present;
    if occasion.asked == Asked::Build && !is_requested_one {
        return Some((BuildReason::Requested, changes));
    }
    let watches = |what| request.rebuild_on.contains(&what);
    if let Some(changes) = source.filter(|_| watches(RebuildOn::Source)) {
        return Some((BuildReason::SourceChanged, Some(changes)));
    }
    if let Some(changes) = bases.filter(|_| watches(RebuildOn::BaseImage)) {
        return Some((BuildReason::BaseImageMoved, Some(changes)));
    }
    if occasion.is_scheduled {
        return Some((BuildReason::Schedule, changes));
    }
    let may_end_otherwise = occasion.has_other_secrets || occasion.asked == Asked::Retry;
    if may_end_otherwise && last.end == Some(BuildEnd::Failed) {
        return Some((BuildReason::Retry, None));
    }
    if last.end == Some(BuildEnd::Superseded) {
        // With the same spec, a ConfigMap changed during the build: nothing that a user asked for.
        let is_same_spec = last.generation == generation;
        let reason = if is_same_spec { BuildReason::SourceChanged } else { BuildReason::SpecChanged };
        return Some((reason, changes));
    }
    let is_lost = occasion.is_lost && last.end == Some(BuildEnd::Succeeded);
    is_lost.then_some((BuildReason::TagLost, None))
}

/// Returns before when a build may not begin; none if it is asked for.
fn earliest(occasion: &Occasion<'_>, reason: BuildReason) -> Option<Timestamp> {
    let waits = matches!(
        reason,
        BuildReason::SourceChanged
            | BuildReason::BaseImageMoved
            | BuildReason::Schedule
            | BuildReason::TagLost
    );
    let interval: Duration = occasion.request.min_interval;
    // A clock that was ahead must not silence an object for longer than the interval.
    let started = occasion.last.filter(|_| waits)?.started_at.min(occasion.now);
    Some(saturating_add(started, interval))
}
