//! What a look does: looks whether content is there already, sets tags, makes Jobs, and says how it
//! stands.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::StreamExt as _;
use imgop_core::api::{FailureReason, Mode, Publish, TagFailure, WaitingTag};
use imgop_core::observe::{Contents, Side, Sides};
use imgop_core::plan::{
    Action as TagAction, Copy, CopyRequest, FirstSeen, Inputs, Observed, ObservedTag, Outcome, Plan, Run,
    Seen, TagState, Waiting, plan, verdict,
};
use imgop_core::reference::{Digest, ManifestRef};
use imgop_core::registry::{Reason, RegistryError, RepositoryClient};
use imgop_core::tags::Tag;
use jiff::Timestamp;
use kube::runtime::controller::Action;

use super::jobs::{JobError, Jobs};
use super::publish::{Published, publish};
use super::pulls::{affordable, give_back, held_back};
use super::reconcile::{ApiError, LOOK_AT_JOBS, LOOK_FOR_PLACE, Look, Looked};
use super::schedule::Due;
use super::status::{Findings, TagFindings};

/// How many tags are asked for or set at once; the registry's own budget bounds it further.
const AT_ONCE: usize = 16;

/// What is known while a look acts.
struct Work<'a> {
    request: &'a CopyRequest,
    observed_at: Timestamp,
    observed: Observed,
    runs: Vec<Run>,
    failures: Vec<TagFailure>,
    taken: HashMap<Tag, String>,
    retry_now: bool,
}

/// Copies that the source has pulls for.
struct Paid {
    copies: Vec<Copy>,
    /// Of how many of them, from the first, the pulls are counted already.
    counted: usize,
    held_back: Option<HeldBack>,
}

/// Why copies that could begin do not.
pub(super) struct HeldBack {
    /// For people.
    pub message: String,
    /// When they are looked at again.
    pub wait: Duration,
}

impl HeldBack {
    fn for_a_place(message: String) -> Self {
        Self { message, wait: LOOK_FOR_PLACE }
    }
}

impl Look<'_> {
    /// Does what is to be done, and says how it stands. A suspended Image begins no copies.
    pub(super) async fn act(
        &mut self,
        request: &CopyRequest,
        sides: &Sides,
        (observed_at, observed): (Timestamp, Observed),
        due: Due,
        secrets: Vec<String>,
    ) -> Result<Looked, ApiError> {
        let jobs = Jobs::of(self.context, self.image, request.route(), self.now).await?;
        let runs = self.runs(&jobs);
        let retry_now = matches!(due, Due::Requested | Due::SpecChanged);
        let differing: Vec<&Tag> = observed
            .tags
            .iter()
            .filter(|tag| is_to_be_written(tag))
            .map(|tag| &tag.destination_tag)
            .collect();
        let taken = self.context.rivals.taken(self.image, request, &differing);
        let failures = self.status().failures;
        let mut work = Work { request, observed_at, observed, runs, failures, taken, retry_now };
        if let Some(destination) = &sides.destination
            && let Err(error) = self.settle((&sides.source, destination), &jobs, &mut work).await
        {
            // An index that is made is read from the source before it is written.
            let is_sources = error.repository() == &request.source && request.source != request.destination;
            let side = if is_sources { Side::Source } else { Side::Destination };
            return Ok(self.registry_failed(side, &error, secrets));
        }
        if let Some(destination) = &sides.destination {
            self.learn(request, destination).await;
        }
        let copies: Vec<Copy> =
            if self.image.spec.suspend { Vec::new() } else { self.plan(&work).copies().cloned().collect() };
        let Paid { copies, counted, mut held_back } = self.affordable(request, sides, copies, &jobs).await;
        self.mount(request, sides, &copies[..jobs.room(copies.len()).min(copies.len())]).await;
        if !copies.is_empty() {
            let made = jobs.make(request, &copies).await;
            let each = self.memory.pulls_of_a_copy.unwrap_or(1);
            give_back(&sides.source, &copies[..counted], &made.copies, each);
            self.memory.started.extend(made.copies.iter().cloned());
            work.runs.extend(made.copies.into_iter().map(|copy| Run { copy, outcome: Outcome::Running }));
            held_back = held_back.or(made.full.map(|full| HeldBack::for_a_place(full.to_string())));
            if let Some(error) = made.error {
                // A quota that lets some Jobs run is no reason to give up: the rest follows them.
                if matches!(error, JobError::Api(_))
                    || !work.runs.iter().any(|r| r.outcome == Outcome::Running)
                {
                    return self.job_failed(error);
                }
                held_back = Some(HeldBack::for_a_place(error.to_string()));
            }
        }
        // A copy that was not started is planned again, and one that was is waited for.
        let planned = self.plan(&work);
        for (copy, outcome) in jobs.stuck() {
            self.memory.outcomes.entry(copy).or_insert(outcome);
        }
        jobs.drop_stuck().await?;
        Ok(self.conclude(&work, &planned, &jobs, held_back.as_ref()))
    }

    /// The copies that the source has pulls for, and why the others wait. Those for which there is no
    /// place now count no pulls, and stay to be named as such.
    async fn affordable(
        &self,
        request: &CopyRequest,
        sides: &Sides,
        mut copies: Vec<Copy>,
        jobs: &Jobs<'_>,
    ) -> Paid {
        let later = copies.split_off(jobs.room(copies.len()).min(copies.len()));
        let found = affordable(&sides.source, copies, self.memory.pulls_of_a_copy.unwrap_or(1)).await;
        let counted = found.copies.len();
        let Some(short) = found.short else {
            return Paid { copies: [found.copies, later].concat(), counted, held_back: None };
        };
        let uid = self.image.metadata.uid.as_deref().unwrap_or_default();
        let held_back = Some(held_back(request.source.host(), &short, uid, self.now));
        Paid { copies: found.copies, counted, held_back }
    }

    fn plan(&self, work: &Work<'_>) -> Plan {
        plan(Inputs {
            request: work.request,
            observed: &work.observed,
            runs: &work.runs,
            failures: &work.failures,
            taken: &work.taken,
            retry_now: work.retry_now,
            now: self.now,
        })
    }

    /// What became of the copies that Jobs were made for. A Job that somebody deleted before it ended
    /// is a failed try: making it again at once would race with whoever deletes it.
    fn runs(&mut self, jobs: &Jobs<'_>) -> Vec<Run> {
        let runs = jobs.runs(&self.memory.outcomes);
        let unfinished = |copy: &Copy| runs.iter().any(|r| r.copy == *copy && r.outcome == Outcome::Running);
        let vanished = |copy: &Copy| !runs.iter().any(|run| run.copy == *copy);
        let at = self.now;
        for copy in self.memory.started.iter().filter(|copy| vanished(copy)) {
            let message = "its Job was deleted before it ended".to_owned();
            let outcome = Outcome::Failed { reason: FailureReason::CopyFailed, message, at };
            self.memory.outcomes.insert(copy.clone(), outcome);
        }
        self.memory.started.retain(|copy| unfinished(copy));
        jobs.runs(&self.memory.outcomes)
    }

    /// Looks whether what is to be copied is there already, and sets the tags whose content is.
    async fn settle(
        &mut self,
        (source, destination): (&RepositoryClient, &RepositoryClient),
        jobs: &Jobs<'_>,
        work: &mut Work<'_>,
    ) -> Result<(), RegistryError> {
        if !self.image.spec.suspend {
            let copies: Vec<Copy> = self.plan(work).copies().cloned().collect();
            let new = copies.iter().take(jobs.room(copies.len())).filter(|c| !self.memory.probed.contains(c));
            let new: Vec<Copy> = new.cloned().collect();
            self.probe(destination, new, work).await?;
        }
        let publications: Vec<Copy> = self.plan(work).publications().cloned().collect();
        self.publish_all((source, destination), publications, work).await
    }

    /// Before a Job is made: the tag may be there although a list did not name it, and its content may
    /// be there from a Job that nobody saw the end of. Two questions are cheaper than a pod.
    async fn probe(
        &mut self,
        destination: &RepositoryClient,
        copies: Vec<Copy>,
        work: &mut Work<'_>,
    ) -> Result<(), RegistryError> {
        let staged = work.request.publish == Publish::Staged;
        let asked = futures::stream::iter(copies).map(|copy| async move {
            let tag = destination.head(&ManifestRef::Tag(copy.destination_tag.clone())).await;
            let content = match &tag {
                Ok(None) if staged => has_all(destination, copy.parts()).await,
                // Of a tag that was copied whole the parts are there.
                Ok(_) if copy.made_of.is_some() => has_all(destination, copy.parts()).await,
                _ => Ok(false),
            };
            (copy, tag, content)
        });
        let answers: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
        let mut probed = Vec::new();
        for (copy, tag, content) in answers {
            match (&tag, &content) {
                (Err(error), _) | (_, Err(error)) if is_refusal(error) => return Err(error.clone()),
                _ => {}
            }
            if let Ok(Some(there)) = tag {
                work.seen(&copy, &Seen::Present(there.digest));
            }
            if matches!(content, Ok(true)) {
                work.runs.push(Run { copy: copy.clone(), outcome: Outcome::Succeeded });
            }
            probed.push(copy);
        }
        self.memory.probed.extend(probed);
        Ok(())
    }

    /// Sets every tag whose content is there. What the destination answers is what the plan is
    /// worked out from next. A refusal concerns all tags, but what was set is set.
    async fn publish_all(
        &mut self,
        sides: (&RepositoryClient, &RepositoryClient),
        copies: Vec<Copy>,
        work: &mut Work<'_>,
    ) -> Result<(), RegistryError> {
        let (request, at) = (work.request, self.now);
        let setting = futures::stream::iter(copies)
            .map(|copy| async move { (publish(sides, request, &copy, at).await, copy) });
        let results: Vec<_> = setting.buffer_unordered(AT_ONCE).collect().await;
        let mut refusal = None;
        for (result, copy) in results {
            let outcome = match result {
                Ok(Published::Seen(seen)) => {
                    if seen.digest() == Some(&copy.digest) {
                        self.memory.published = self.memory.published.saturating_add(1);
                        let uid = self.image.metadata.uid.as_deref().unwrap_or_default();
                        self.context.rivals.wrote(uid, &request.destination, &copy.destination_tag);
                        self.memory.landed.push(copy.digest.clone());
                    }
                    work.seen(&copy, &seen);
                    continue;
                }
                Ok(Published::Failed(outcome)) => outcome,
                Err(error) => {
                    let tries = match self.memory.outcomes.get(&copy) {
                        Some(Outcome::Unpublished { tries, .. }) => tries.saturating_add(1),
                        _ => 1,
                    };
                    let message = error.to_string();
                    if is_refusal(&error) {
                        refusal = Some(error);
                    }
                    Outcome::Unpublished { tries, message, at }
                }
            };
            work.became(&copy, &outcome);
            self.memory.outcomes.insert(copy, outcome);
        }
        refusal.map_or(Ok(()), Err)
    }

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
    fn conclude(
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
        self.memory.contents = Contents::of(request, &work.observed);
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
            verdict(request, planned, held_back.map(|held| held.message.as_str())),
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

impl Work<'_> {
    /// The destination has answered for a tag.
    fn seen(&mut self, copy: &Copy, seen: &Seen) {
        for tag in self.observed.tags.iter_mut().filter(|t| t.destination_tag == copy.destination_tag) {
            tag.destination = seen.clone();
        }
    }

    /// A copy has come to something else than its Job says.
    fn became(&mut self, copy: &Copy, outcome: &Outcome) {
        for run in self.runs.iter_mut().filter(|run| run.copy == *copy) {
            run.outcome = outcome.clone();
        }
    }
}

fn is_to_be_written(tag: &ObservedTag) -> bool {
    matches!(tag.state(), TagState::Missing | TagState::Differs)
}

fn is_refusal(error: &RegistryError) -> bool {
    matches!(error.reason(), Reason::Unauthorized | Reason::Forbidden)
}

/// Whether the destination has everything that would be copied.
async fn has_all(destination: &RepositoryClient, parts: &[Digest]) -> Result<bool, RegistryError> {
    for part in parts {
        if destination.head(&ManifestRef::Digest(part.clone())).await?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
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
        let open = |t: &imgop_core::plan::PlannedTag| match &t.action {
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
    let is_meant = |tag: &&imgop_core::plan::PlannedTag| tag.referrer_of.is_none();
    let is_synced = |tag: &&imgop_core::plan::PlannedTag| match &tag.action {
        TagAction::UpToDate | TagAction::AlreadySynced => true,
        TagAction::LookAgain(failure) if failure.reason == FailureReason::NotChecked => {
            before.contains(&tag.source_ref.to_string())
        }
        _ => false,
    };
    planned.tags.iter().filter(is_meant).filter(is_synced).map(|tag| tag.source_ref.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use imgop_core::plan::{Content, PlannedTag};

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
