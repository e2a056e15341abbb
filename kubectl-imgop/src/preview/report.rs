//! From what both registries answered, and the plan that the agent makes of it, to a preview. Pure.

use imgop_core::api::{FailureReason, Mode};
use imgop_core::copy::{Content, Observed, ObservedTag, Plan, PlannedTag, Seen, TagAction, TagState};
use imgop_core::selection::Exclusion;

use super::cluster_images::Conflicts;
use super::document::{API_VERSION, Action, ExcludedReport, Report, TagReport};
use super::targets::{Rest, Target};
use crate::kinds::endpoint_text::creation;
use crate::kinds::image::{narrowing, prune};

impl Report {
    /// Returns the preview of what was observed, and of what is planned for it.
    pub fn new(target: &Target, observed: &Observed, plan: &Plan, conflicts: &Conflicts) -> Self {
        let (request, has_destination) = (&target.request, target.has_destination);
        let tags = observed.tags.iter().zip(&plan.tags);
        let excluded = observed.excluded.iter().map(|excluded| ExcludedReport {
            tag: excluded.tag.to_string(),
            reason: target.wording.of(&excluded.reason.to_string()),
            is_candidate: excluded.reason == Exclusion::Candidate,
            is_young: matches!(excluded.reason, Exclusion::TooYoung { .. }),
        });
        Self {
            api_version: API_VERSION,
            image: target.image.clone(),
            source: request.source.to_string(),
            destination: has_destination.then(|| request.destination.to_string()),
            version: request.version.to_string(),
            listed: observed.listed,
            tags: tags.map(|(tag, planned)| TagReport::new(target, tag, planned)).collect(),
            excluded: excluded.collect(),
            excluded_beyond: observed.excluded_beyond,
            suspended: target.rest == Some(Rest::Suspended),
            done: target.rest == Some(Rest::Done),
            conflicts_unknown: conflicts.unknown.clone(),
            conflicts_in_namespace_only: conflicts.in_namespace_only,
            transfer: None,
            failure: None,
            narrowing: narrowing(&target.spec),
            run_keeps: target.image.is_some() && !target.is_of_cluster && target.spec.mode == Mode::OnceByTag,
            prune: prune(&target.spec, target.manifest.as_ref().and_then(|image| image.status.as_ref())),
            creation: creation(target.spec.destination.create.as_deref())
                .filter(|_| has_destination)
                .unwrap_or_default(),
            wording: target.wording,
        }
    }

    /// Returns whether the agent would copy something.
    pub fn has_work(&self) -> bool {
        !self.suspended && !self.done && self.tags.iter().any(TagReport::is_copied)
    }

    /// Returns whether the agent copies something for certain: no older Image can own all of it.
    pub fn is_certain_work(&self) -> bool {
        self.has_work() && self.conflicts_unknown.is_none()
    }

    /// Returns the number of tags of which it is not known whether they would be copied.
    pub fn unchecked(&self) -> usize {
        self.tags.iter().filter(|tag| tag.state == TagState::NotChecked).count()
    }

    /// Returns whether a tag has none of the selected platforms.
    pub fn lacks_platforms(&self) -> bool {
        self.tags.iter().any(|tag| tag.state == TagState::PlatformNotFound)
    }

    /// Returns whether a tag is in a format that cannot be copied.
    pub fn has_unsupported(&self) -> bool {
        self.tags.iter().any(|tag| tag.state == TagState::FormatUnsupported)
    }

    /// Returns whether a tag belongs to another Image.
    pub fn has_conflict(&self) -> bool {
        self.tags.iter().any(|tag| tag.conflict.is_some())
    }
}

impl TagReport {
    fn new(target: &Target, tag: &ObservedTag, planned: &PlannedTag) -> Self {
        let state = tag.state();
        let mut report = Self {
            tag: tag.source_ref.to_string(),
            destination_tag: target.has_destination.then(|| tag.destination_tag.to_string()),
            state,
            action: None,
            source_digest: tag.source.digest().cloned(),
            destination_digest: tag.destination.digest().cloned(),
            no_source_digest: no_digest(&tag.source),
            no_destination_digest: no_digest(&tag.destination),
            content_digest: match &tag.content {
                Content::Made(made) => Some(made.digest.clone()),
                _ => None,
            },
            platforms: match &tag.content {
                Content::Whole(platforms) => platforms.clone(),
                Content::Made(made) => made.platforms.clone(),
                _ => Vec::new(),
            },
            pushed: None,
            created: None,
            size: None,
            referrer_kinds: Vec::new(),
            referrer_of: tag.referrer_of.clone(),
            conflict: None,
            reason: match state {
                TagState::NotChecked => tag.unknown_because().map(str::to_owned),
                TagState::PlatformNotFound => Some(platforms_at_source(&tag.content)),
                TagState::FormatUnsupported => tag.unsupported_because().map(str::to_owned),
                _ => None,
            },
            next_attempt: None,
        };
        if target.has_destination {
            report.act(target, tag, &planned.action);
        }
        report
    }

    /// Adds what the agent does.
    fn act(&mut self, target: &Target, tag: &ObservedTag, action: &TagAction) {
        self.action = Some(match action {
            TagAction::UpToDate | TagAction::AlreadySynced => Action::None,
            TagAction::Copy(_) | TagAction::Publish(_) | TagAction::Wait => Action::Copy,
            TagAction::Keep => {
                let own = "the destination has signatures of its own there, which stay";
                self.reason = tag.has_own.then(|| own.to_owned());
                Action::Keep
            }
            TagAction::Young(until) => {
                if let Some(min_age) = target.request.min_age {
                    let reason = Exclusion::TooYoung { min_age, until: *until };
                    self.reason = Some(target.wording.of(&reason.to_string()));
                }
                Action::Wait
            }
            TagAction::BackOff(failure) => {
                self.reason = Some(failure.message.clone());
                self.next_attempt = failure.next_attempt.as_ref().map(|time| time.0);
                Action::RetryLater
            }
            TagAction::RetryLater(failure) => {
                if failure.reason == FailureReason::DestinationConflict {
                    self.conflict = Some(failure.message.clone());
                }
                Action::CheckLater
            }
        });
    }

    /// Returns whether the agent copies this tag, now or after a pause.
    pub fn is_copied(&self) -> bool {
        matches!(self.action, Some(Action::Copy | Action::RetryLater))
    }
}

/// Returns what stands for a digest: there is none, it is unknown, or it was not requested.
fn no_digest(seen: &Seen) -> &'static str {
    match seen {
        Seen::Absent => "<none>",
        Seen::Unsupported(_) | Seen::Unknown(_) => "<unknown>",
        Seen::NotAsked | Seen::Present(_) => "",
    }
}

fn platforms_at_source(content: &Content) -> String {
    match content {
        Content::NoPlatform(there) if !there.is_empty() => format!("its platforms: {}", there.join(", ")),
        _ => "it has no platform".to_owned(),
    }
}
