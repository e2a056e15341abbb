//! What is to be done for each tag.

mod failed;

use std::collections::HashMap;
use std::ops::ControlFlow;

use imgop_registry::reference::{Digest, Tag};
use jiff::Timestamp;

use super::{Content, Cooldown, Copy, CopyRequest, Naming, Observed, ObservedTag, Outcome, Run, TagState};
use crate::api::{Counts, FailureReason, Overwrite, TagFailure};
use crate::selection::{Pattern, Range, SourceRef, Version};
use failed::{failed_try, recorded, unpublished};

/// What is to be done, tag by tag, newest version first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The tags that are selected.
    pub tags: Vec<PlannedTag>,
    /// How many were near misses.
    pub excluded: usize,
    /// When the first one of those that are too young is old enough; none if there are none.
    pub waiting_until: Option<Timestamp>,
    /// How many tags failed so often that they are left alone for the cooldown.
    pub in_cooldown: usize,
}

/// One tag, and what is to be done for it.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedTag {
    /// The tag, or the digest, at the source.
    pub source_ref: SourceRef,
    /// The tag at the destination.
    pub destination_tag: Tag,
    /// What it refers to, if it is no tag that the version selects.
    pub referrer_of: Option<Digest>,
    /// What is to be done.
    pub action: TagAction,
}

/// What is to be done for a tag.
#[derive(Debug, Clone, PartialEq)]
pub enum TagAction {
    /// Nothing: the destination has it.
    UpToDate,
    /// Nothing: the destination has it, and mode `OnceByTag` has copied it or it never moves.
    AlreadySynced,
    /// Nothing: it exists with other content, which `overwrite: IfMissing` or a registry with immutable tags keeps, or
    /// which holds signatures of the destination's own.
    Keep,
    /// Nothing for now: it exists with other content, and what the source has is too young for
    /// `select.minAge` until then.
    Young(Timestamp),
    /// Wait: a Job copies it.
    Wait,
    /// Make a Job that copies it.
    Copy(Copy),
    /// The content is at the destination; let the tag point at it.
    Publish(Copy),
    /// It failed, and is tried again at `failure.next_attempt`.
    BackOff(TagFailure),
    /// The source does not have it, or a registry could not be asked: it is observed again later.
    RetryLater(TagFailure),
}

impl Plan {
    /// Returns the copies that need a Job.
    pub fn copies(&self) -> impl Iterator<Item = &Copy> {
        self.tags.iter().filter_map(|t| match &t.action {
            TagAction::Copy(copy) => Some(copy),
            _ => None,
        })
    }

    /// Returns the copies whose content is there and whose tag is not.
    pub fn publications(&self) -> impl Iterator<Item = &Copy> {
        self.tags.iter().filter_map(|t| match &t.action {
            TagAction::Publish(copy) => Some(copy),
            _ => None,
        })
    }

    /// Returns the tags that failed, or that could not be checked.
    pub fn failures(&self) -> impl Iterator<Item = &TagFailure> {
        self.tags.iter().filter_map(|t| match &t.action {
            TagAction::BackOff(failure) | TagAction::RetryLater(failure) => Some(failure),
            _ => None,
        })
    }

    /// Returns whether something is to be done or waited for now.
    pub fn is_busy(&self) -> bool {
        self.tags
            .iter()
            .any(|t| matches!(t.action, TagAction::Copy(_) | TagAction::Publish(_) | TagAction::Wait))
    }

    /// Returns until when tags stay as they are because of their age.
    pub fn young(&self) -> impl Iterator<Item = Timestamp> {
        self.tags.iter().filter_map(|t| match &t.action {
            TagAction::Young(until) => Some(*until),
            _ => None,
        })
    }

    /// Returns the tag of the source that the fixed tag of the destination shows, where it is the newest of
    /// several.
    pub fn set_from(&self, request: &CopyRequest) -> Option<&Tag> {
        if !matches!(request.naming, Naming::Fixed(_)) || !request.version.is_selector() {
            return None;
        }
        let shown = self.tags.iter().find(|tag| tag.referrer_of.is_none())?;
        match (&shown.action, &shown.source_ref) {
            (TagAction::UpToDate | TagAction::AlreadySynced, SourceRef::Tag(tag)) => Some(tag),
            _ => None,
        }
    }

    /// Returns when the next failed tag is tried again.
    pub fn next_attempt(&self) -> Option<Timestamp> {
        self.failures().filter_map(|f| f.next_attempt.as_ref()).map(|t| t.0).min()
    }

    /// Returns how many tags are in which state.
    pub fn counts(&self) -> Counts {
        let mut counts =
            Counts { matched: as_u32(self.tags.len()), excluded: as_u32(self.excluded), ..Counts::default() };
        for tag in &self.tags {
            let count = match tag.action {
                TagAction::UpToDate | TagAction::AlreadySynced => &mut counts.synced,
                TagAction::Keep | TagAction::Young(_) => &mut counts.kept,
                TagAction::Wait | TagAction::Copy(_) | TagAction::Publish(_) => &mut counts.copying,
                TagAction::BackOff(_) | TagAction::RetryLater(_) => &mut counts.failed,
            };
            *count += 1;
        }
        counts
    }
}

fn as_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Everything that a plan is worked out from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// What is asked for.
    pub request: &'a CopyRequest,
    /// What both registries answered.
    pub observed: &'a Observed,
    /// What the Jobs made of earlier plans.
    pub runs: &'a [Run],
    /// The failures in the status: what is left of Jobs that are deleted.
    pub failures: &'a [TagFailure],
    /// How many more tags failed than the status has room for.
    pub unrecorded_failures: u32,
    /// Tags of the destination that belong to another Image, with the message for people.
    pub conflicts: &'a HashMap<Tag, String>,
    /// How long a tag is left alone that keeps failing.
    pub cooldown: Cooldown,
    /// Whether failed tags that are not in the cooldown are tried again now, without waiting: a sync was requested.
    pub retry_now: bool,
    /// What failed until then is tried again at once: all of it was reset.
    pub reset_at: Option<Timestamp>,
    /// The time.
    pub now: Timestamp,
}

/// Works out what is to be done.
pub fn plan(inputs: Inputs<'_>) -> Plan {
    let runs = latest_runs(inputs.runs);
    let tags: Vec<PlannedTag> = inputs
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
    let is_in_cooldown = |tag: &&PlannedTag| matches!(&tag.action, TagAction::BackOff(failed) if inputs.cooldown.holds(failed));
    Plan {
        in_cooldown: tags.iter().filter(is_in_cooldown).count(),
        tags,
        excluded: inputs.observed.excluded.len() + inputs.observed.excluded_beyond,
        waiting_until: inputs.observed.waiting.iter().map(|waiting| waiting.until).min(),
    }
}

fn latest_runs(runs: &[Run]) -> LatestRuns<'_> {
    let mut latest = LatestRuns::new();
    for run in runs {
        let known = latest.entry((&run.copy.destination_tag, &run.copy.digest)).or_insert(run);
        if run.copy.attempt > known.copy.attempt {
            *known = run;
        }
    }
    latest
}

/// The last run of each content for each tag.
type LatestRuns<'a> = HashMap<(&'a Tag, &'a Digest), &'a Run>;

fn action(inputs: &Inputs<'_>, runs: &LatestRuns<'_>, tag: &ObservedTag) -> TagAction {
    let digest = match to_copy(inputs, tag) {
        ControlFlow::Continue(digest) => digest,
        ControlFlow::Break(action) => return action,
    };
    if let Some(why) = inputs.conflicts.get(&tag.destination_tag) {
        return TagAction::RetryLater(failure(tag, FailureReason::DestinationConflict, why.clone()));
    }
    match runs.get(&(&tag.destination_tag, digest)).copied() {
        Some(run) => after(inputs, run, tag, digest),
        None => match recorded(inputs, tag, digest) {
            Some(failed) => copy_or_back_off(inputs, tag, digest, failed),
            None => TagAction::Copy(copy(tag, digest, 1)),
        },
    }
}

/// Returns the content that the destination should get, or what is done for the tag instead.
fn to_copy<'t>(inputs: &Inputs<'_>, tag: &'t ObservedTag) -> ControlFlow<TagAction, &'t Digest> {
    let retry =
        |reason, message: String| ControlFlow::Break(TagAction::RetryLater(failure(tag, reason, message)));
    match (tag.state(), tag.digest()) {
        (TagState::UpToDate, _) => ControlFlow::Break(TagAction::UpToDate),
        (TagState::AlreadySynced, _) => ControlFlow::Break(TagAction::AlreadySynced),
        (TagState::NotFound, _) => {
            retry(FailureReason::TagNotFound, not_found(inputs.request, &tag.source_ref))
        }
        (TagState::PlatformNotFound, _) => {
            retry(FailureReason::PlatformNotFound, no_platform(inputs.request, tag))
        }
        (TagState::FormatUnsupported, _) => {
            retry(FailureReason::FormatUnsupported, tag.unsupported_because().unwrap_or_default().to_owned())
        }
        (TagState::Differs, _) if tag.has_own || inputs.request.overwrite == Overwrite::IfMissing => {
            ControlFlow::Break(TagAction::Keep)
        }
        (TagState::Missing | TagState::Differs, Some(digest)) => match tag.waits(&inputs.observed.waiting) {
            Some(waiting) => ControlFlow::Break(TagAction::Young(waiting.until)),
            None => ControlFlow::Continue(digest),
        },
        _ => {
            let why = tag.unknown_because().unwrap_or("the destination was not asked");
            retry(FailureReason::NotChecked, why.to_owned())
        }
    }
}

/// Returns what follows on the last run of a content.
fn after(inputs: &Inputs<'_>, run: &Run, tag: &ObservedTag, digest: &Digest) -> TagAction {
    let attempt = run.copy.attempt;
    let failed = |reason, message: &str, at, tries| {
        failed_try(inputs, failure(tag, reason, message.to_owned()), digest, tries, at)
    };
    let failed = match &run.outcome {
        Outcome::Running => return TagAction::Wait,
        Outcome::Succeeded => {
            return match unpublished(inputs, tag, digest) {
                Some(failed) => TagAction::BackOff(failed),
                None => TagAction::Publish(as_copied(run, tag, digest)),
            };
        }
        // Once is bad luck; what keeps happening must not become a storm of Jobs.
        Outcome::ContentGone { .. } | Outcome::Interrupted { .. } if attempt == 1 => {
            return TagAction::Copy(copy(tag, digest, 2));
        }
        // Each of its Jobs takes all of its time, so that these are no storm.
        Outcome::NotBegun { .. } => return TagAction::Copy(copy(tag, digest, attempt.saturating_add(1))),
        Outcome::Unpublished { tries, message, at } => {
            let failed = failed(FailureReason::PublishFailed, message, *at, *tries);
            if is_due(inputs, &failed) {
                return TagAction::Publish(as_copied(run, tag, digest));
            }
            return TagAction::BackOff(failed);
        }
        Outcome::ContentGone { at } => failed(FailureReason::PublishFailed, CONTENT_GONE, *at, attempt),
        Outcome::Interrupted { at } => failed(FailureReason::PodNotStarted, NEVER_RAN, *at, attempt),
        Outcome::Immutable { shows, .. } if is_kept(tag, shows.as_ref()) => return TagAction::Keep,
        Outcome::Immutable { at, .. } => failed(FailureReason::PublishFailed, IMMUTABLE, *at, attempt),
        Outcome::Failed { reason, message, at } => failed(*reason, message, *at, attempt),
    };
    if is_due(inputs, &failed) {
        TagAction::Copy(copy(tag, digest, attempt.saturating_add(1)))
    } else {
        TagAction::BackOff(failed)
    }
}

/// Whether a tag still shows what the registry did not let it be changed from.
fn is_kept(tag: &ObservedTag, shows: Option<&Digest>) -> bool {
    tag.state() == TagState::Differs && shows.is_none_or(|shows| tag.destination.digest() == Some(shows))
}

/// The message where a tag was immutable and shows something else by now.
const IMMUTABLE: &str = "the registry did not let the tag be changed, because its tags are immutable";
/// The message where a registry loses what was pushed.
const CONTENT_GONE: &str = "the content was pushed by digest and is not there; if the registry drops untagged \
                            content, set destination.publish to Direct";
/// The message where a container never ran, or was ended from outside, more than once.
const NEVER_RAN: &str = "the container of this tag never ran or was ended before it was copied, because another one of its \
                         pod failed or the node did not keep the pod";

fn copy_or_back_off(
    inputs: &Inputs<'_>,
    tag: &ObservedTag,
    digest: &Digest,
    failed: TagFailure,
) -> TagAction {
    if is_due(inputs, &failed) {
        TagAction::Copy(copy(tag, digest, failed.tries().saturating_add(1)))
    } else {
        TagAction::BackOff(failed)
    }
}

fn is_due(inputs: &Inputs<'_>, failed: &TagFailure) -> bool {
    let is_over = failed.next_attempt.as_ref().is_none_or(|at| at.0 <= inputs.now);
    is_over || inputs.retry_now && !inputs.cooldown.holds(failed)
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

/// Returns the copy of a run whose content is at the destination, in parts or not.
fn as_copied(run: &Run, tag: &ObservedTag, digest: &Digest) -> Copy {
    Copy { made_of: run.copy.made_of.clone(), ..copy(tag, digest, run.copy.attempt) }
}

/// Returns the message that the source does not have a tag, or a content. What stands in `source.tags` is never a pattern.
fn not_found(request: &CopyRequest, what: &SourceRef) -> String {
    let text = what.to_string();
    let is_no_tag = |text: &str| Pattern::looks_like(text) || Range::looks_like(text);
    let hint = match request.version {
        Version::Tags(_) if is_no_tag(&text) => {
            "; source.tags holds exact tags, and a pattern goes into source.version"
        }
        _ => "",
    };
    let title = if matches!(what, SourceRef::Tag(_)) { "tag " } else { "" };
    format!("{} has no {title}{text}{hint}", request.source)
}

/// Platforms that are named where none is wanted.
const MAX_PLATFORMS: usize = 20;

/// Returns the message with the platforms there are instead of those that are wanted.
fn no_platform(request: &CopyRequest, tag: &ObservedTag) -> String {
    let there = match &tag.content {
        Content::NoPlatform(there) if there.len() > MAX_PLATFORMS => {
            let more = there.len() - MAX_PLATFORMS;
            format!("{} and {more} more", there[..MAX_PLATFORMS].join(", "))
        }
        Content::NoPlatform(there) if !there.is_empty() => there.join(", "),
        _ => "none that is named".to_owned(),
    };
    let wanted = request.platforms.to_string().replace(',', ", ");
    format!("not there for {wanted} (spec.platforms); its platforms: {there}")
}

fn failure(tag: &ObservedTag, reason: FailureReason, message: String) -> TagFailure {
    TagFailure {
        tag: tag.source_ref.to_string(),
        reason,
        message,
        attempts: 0,
        attempts_before_reset: 0,
        digest: None,
        next_attempt: None,
    }
}

#[cfg(test)]
mod tests;
