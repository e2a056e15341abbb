//! The end of a look: says how it stands, what is remembered, and when to look again.

use std::collections::{HashMap, HashSet};

use imgop_core::api::{FailureReason, Mode, TagFailure, WaitingTag};
use imgop_core::copy::ContentCache;
use imgop_core::copy::{
    Copy, CopyRequest, FirstSeen, Observed, Outcome, Plan, TagAction, Waiting, readiness,
};
use imgop_registry::reference::Digest;
use imgop_registry::reference::Tag;
use kube::runtime::controller::Action;

use super::act::{HeldBack, Work};
use super::jobs::Jobs;
use super::reconcile::{LOOK_AT_JOBS, Look, Looked};
use super::status::{Findings, TagFindings};

impl Look<'_> {
    /// The tags that are too young, and those of which something is known that must not be forgotten
    /// before the destination has them. They are remembered here as well, because the status keeps only
    /// so many.
    fn waiting(&mut self, work: &Work<'_>, planned: &Plan) -> Vec<WaitingTag> {
        let waiting = waiting(&work.observed, planned);
        let at = |tag: &&Waiting| (tag.tag.clone(), FirstSeen { digest: tag.digest.clone(), at: tag.since });
        self.memory.first_seen = waiting.iter().map(at).collect();
        waiting.into_iter().map(WaitingTag::from).collect()
    }

    /// Says how it stands, and when to look again.
    pub(super) fn conclude(
        &mut self,
        work: &Work<'_>,
        planned: &Plan,
        jobs: &Jobs<'_>,
        held_back: Option<&HeldBack>,
    ) -> Looked {
        let request = work.request;
        let status = self.status();
        let suspended = self.image.spec.suspend;
        let is_busy = planned.tags.iter().any(|tag| match tag.action {
            TagAction::Wait | TagAction::Publish(_) => true,
            TagAction::Copy(_) => !suspended,
            _ => false,
        });
        let tags = TagFindings {
            counts: planned.counts(),
            failures: failures(planned, &status.failures),
            already_synced: already_synced(request, planned, &status.tag_already_synced),
            synced_from: (request.mode == Mode::OnceByTag).then(|| request.synced_from(&self.image.spec)),
            waiting: self.waiting(work, planned),
            next_attempt: planned.next_attempt(),
        };
        // What became of the last try of a content matters until its tag is there.
        let is_open = |copy: &Copy| {
            work.observed.tags.iter().zip(&planned.tags).any(|(observed, t)| {
                t.destination_tag == copy.destination_tag
                    && observed.digest() == Some(&copy.digest)
                    && !matches!(t.action, TagAction::UpToDate | TagAction::AlreadySynced | TagAction::Keep)
            })
        };
        let last: HashMap<(Tag, Digest), u32> =
            self.memory.outcomes.keys().fold(HashMap::new(), |mut last, copy| {
                let attempt = last.entry((copy.destination_tag.clone(), copy.digest.clone())).or_default();
                *attempt = copy.attempt.max(*attempt);
                last
            });
        let is_last = |copy: &Copy| {
            last.get(&(copy.destination_tag.clone(), copy.digest.clone())) == Some(&copy.attempt)
        };
        self.memory.outcomes.retain(|copy, _| is_open(copy) && is_last(copy));
        if request.mode != Mode::OneShot {
            self.memory.keep(&work.observed, self.now);
        }
        // A manifest that was read counts as a pull, in every mode.
        self.memory.contents = ContentCache::of(request, &work.observed);
        // Tags whose content was there already have no Job; after a restart only the Jobs tell.
        let by_jobs = jobs.copied_since(status.last_sync_time.as_ref().map(|t| t.0), planned);
        let copied = by_jobs.max(self.memory.published);
        if !is_busy {
            self.memory.published = 0;
        }
        if suspended && !is_busy {
            return self.suspended(Some(tags), copied);
        }
        let mut findings = Findings::of(
            readiness(request, planned, held_back.map(|held| held.message.as_str())),
            self.open_request(),
        );
        findings.tags = Some(tags);
        findings.ended = (!is_busy).then_some(copied);
        if suspended {
            findings.generation = status.observed_generation;
            findings.handled_request = None;
        } else {
            findings.generation = self.image.metadata.generation;
        }
        let wait = if is_busy {
            self.memory.observed = Some((work.observed_at, work.observed.clone()));
            let runs = work.runs.iter().any(|run| run.outcome == Outcome::Running);
            held_back.map_or(LOOK_AT_JOBS, |held| if runs { held.wait.min(LOOK_AT_JOBS) } else { held.wait })
        } else {
            self.memory.observed = None;
            self.memory.probed.clear();
            self.memory.mounted.clear();
            self.memory.blobs.clear();
            self.rest(request, planned)
        };
        Looked { findings: Some(findings), again: Action::requeue(wait) }
    }
}

/// Since when tags show what they show, but for those that have been copied since they were looked at.
fn waiting<'a>(observed: &'a Observed, planned: &Plan) -> Vec<&'a Waiting> {
    let taken = planned.tags.iter().filter(|tag| matches!(tag.action, TagAction::UpToDate));
    let taken: HashSet<String> = taken.map(|tag| tag.source_ref.to_string()).collect();
    observed.since().filter(|waiting| !taken.contains(waiting.tag.as_str())).collect()
}

/// The failures of the plan, and those of copies that are tried again: how often is remembered
/// nowhere else if their Jobs go.
fn failures(planned: &Plan, recorded: &[TagFailure]) -> Vec<TagFailure> {
    let tried_again = |failure: &&TagFailure| {
        let open = |t: &imgop_core::copy::PlannedTag| match &t.action {
            TagAction::Copy(copy) | TagAction::Publish(copy) => {
                failure.digest.as_deref() == Some(copy.digest.as_str())
            }
            TagAction::Wait => true,
            _ => false,
        };
        failure.attempts > 0
            && planned.tags.iter().any(|t| t.source_ref.to_string() == failure.tag && open(t))
    };
    let mut all: Vec<TagFailure> =
        planned.failures().chain(recorded.iter().filter(tried_again)).cloned().collect();
    // The list is cut: what must be remembered comes first.
    all.sort_by_key(|failure| failure.attempts == 0);
    all
}

/// The tags that mode `OnceByTag` need not copy again: those that the destination has, and those that
/// it had when it could be asked.
fn already_synced(request: &CopyRequest, planned: &Plan, before: &[String]) -> Vec<String> {
    if request.mode != Mode::OnceByTag {
        return Vec::new();
    }
    // Whatever refers to a tag may come later than the tag, and is compared each time.
    let is_meant = |tag: &&imgop_core::copy::PlannedTag| tag.referrer_of.is_none();
    let is_synced = |tag: &&imgop_core::copy::PlannedTag| match &tag.action {
        TagAction::UpToDate | TagAction::AlreadySynced => true,
        TagAction::RetryLater(failure) if failure.reason == FailureReason::NotChecked => {
            before.contains(&tag.source_ref.to_string())
        }
        _ => false,
    };
    planned.tags.iter().filter(is_meant).filter(is_synced).map(|tag| tag.source_ref.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use imgop_core::copy::{Content, PlannedTag};
    use imgop_registry::reference::ManifestRef;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn what_waits_is_kept_in_every_mode_and_what_was_copied_is_not() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let waits = |tag: &str| Waiting {
            tag: tag.parse().unwrap(),
            digest: Digest::of(b"a"),
            content: Content::NotAsked,
            since: now,
            until: now,
        };
        let planned = |tag: &str, action| PlannedTag {
            source_ref: ManifestRef::Tag(tag.parse().unwrap()),
            destination_tag: tag.parse().unwrap(),
            referrer_of: None,
            action,
        };
        let observed = Observed {
            waiting: vec![waits("absent"), waits("moved")],
            remembered: vec![waits("copied"), waits("copying")],
            ..Observed::default()
        };
        let plan = Plan {
            tags: vec![
                planned("moved", TagAction::Young(now)),
                planned("copied", TagAction::UpToDate),
                planned("copying", TagAction::Wait),
            ],
            ..Plan::default()
        };
        let kept: Vec<&str> = waiting(&observed, &plan).iter().map(|w| w.tag.as_str()).collect();
        assert_eq!(kept, ["absent", "moved", "copying"]);
    }
}
