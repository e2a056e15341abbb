//! What a pass found out about an Image, and what of it is reported and remembered.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use imgop_core::api::conditions::{NewCondition, READY, find, reasons};
use imgop_core::api::{
    Counts, DefaultedDestination, FailureReason, Mode, Phase, PruneStatus, TagFailure, WaitingTag,
};
use imgop_core::copy::ContentCache;
use imgop_core::copy::{
    CopyRequest, FirstSeen, Naming, Outcome, Plan, PlannedTag, TagAction, Waiting, readiness, schedule_next,
    still_waiting, synced_once,
};
use imgop_core::creation::CreateField;
use imgop_core::readiness::Readiness;
use imgop_core::time::remaining;
use imgop_registry::reference::{Digest, Tag};
use jiff::Timestamp;

use super::job_results::JobResults;
use super::memory::Memory;
use super::pass_state::{Execution, PassState, observation_ttl};
use super::requests::Requests;
use super::{JOB_INTERVAL, Pass};
use crate::jobs::delay::Delay;
use crate::tag_claims::dispute_message;

/// For how long what was observed is kept of an Image that has nothing to do but wait: thousands may.
const MAX_KEPT_WHILE_WAITING: Duration = Duration::from_mins(10);

/// How a pass ends: with what is reported, and when the next one is.
pub(super) struct Conclusion {
    /// What is reported; none leaves the status as it is.
    pub findings: Option<Findings>,
    /// When the next pass is; none waits for a change.
    pub wait: Option<Duration>,
}

impl Conclusion {
    /// Leaves the status as it is.
    pub fn unchanged(wait: impl Into<Option<Duration>>) -> Self {
        Self { findings: None, wait: wait.into() }
    }
}

/// What a pass found out about an Image.
#[derive(Debug, Clone)]
pub struct Findings {
    /// Conditions, phase and progress.
    pub readiness: Readiness,
    /// What is known of the tags; none when the registries could not be asked, and then what was
    /// known before stays.
    pub tags: Option<TagFindings>,
    /// The requests that were acted on.
    pub handled: Requests,
    /// The tags that the sync copied, if it has ended.
    pub ended: Option<Vec<Tag>>,
    /// The generation of the spec that the conditions are of; the Image's own if none.
    pub generation: Option<i64>,
    /// Where tags go, if the spec does not say everything of it.
    pub destination: Option<DefaultedDestination>,
    /// What became of tags that are no longer selected; none leaves what was known.
    pub prune: Option<Box<PruneStatus>>,
}

impl Findings {
    /// Returns the findings of a sync that has ended without any answer about tags.
    pub fn of(readiness: Readiness, handled: Requests) -> Self {
        let ended = Some(Vec::new());
        Self { readiness, tags: None, handled, ended, generation: None, destination: None, prune: None }
    }
}

/// What is known of the tags.
#[derive(Debug, Clone)]
pub struct TagFindings {
    /// How many are in which state.
    pub counts: Counts,
    /// Those that failed.
    pub failures: Vec<TagFailure>,
    /// Those that mode `OnceByTag` need not compare again.
    pub already_synced: Vec<String>,
    /// The source that those are of.
    pub synced_from: Option<String>,
    /// The tag that a fixed tag of the destination shows, where it is the newest of several.
    pub set_from: Option<String>,
    /// Those that are too young, newest version first.
    pub waiting: Vec<WaitingTag>,
    /// When the next failed one is tried again.
    pub next_attempt: Option<Timestamp>,
    /// A hash of the Secrets with which tags failed, if any did.
    pub credentials: Option<String>,
}

impl Pass<'_> {
    /// Returns the end of a pass that came to its end: what is reported of it, and when the next one is.
    pub(super) fn conclude(
        &self,
        state: &PassState<'_>,
        execution: &Execution,
        jobs: &JobResults,
        memory: &mut Memory,
    ) -> Conclusion {
        let (plan, delay) = (&execution.plan, execution.delay.as_ref());
        let is_suspended = self.image.spec.suspend;
        self.images.counters.in_cooldown.set(self.uid(), plan.in_cooldown);
        let is_busy = has_work(plan, is_suspended);
        if !is_busy {
            let pushed = memory.sync.as_ref().map(|sync| &sync.pushed);
            self.images.counters.sync_ended(&self.image.spec, &state.observed, plan, pushed);
        }
        let tags = self.tag_findings(state, plan, memory);
        let synced = tags.already_synced.iter().filter_map(|tag| tag.parse().ok()).collect();
        memory.cache().already_synced = (tags.synced_from.clone(), synced);
        remember(state, plan, memory);
        // Tags whose content was there already have no Job; after a restart only the Jobs are left to count.
        let last_sync = self.image.status.as_ref().and_then(|status| status.last_sync_time.as_ref());
        let by_jobs = jobs.copied_since(last_sync.map(|time| time.0), plan);
        let published = &memory.sync().published;
        let copied = if by_jobs.len() > published.len() { by_jobs } else { published.clone() };
        if is_suspended && !is_busy {
            memory.end_sync();
            return self.suspended(Some(tags), copied);
        }
        let message = delay.map(Delay::message).or_else(|| jobs.waits_for_node());
        let object = format!("{} -n {}", self.owner.name, self.namespace());
        let message = message.or_else(|| last_refusal(plan, &tags.failures));
        let mut readiness = readiness(state.request, plan, message.as_deref(), &object);
        readiness.add(dispute_message(&state.disputed));
        for policy in &state.yielded {
            readiness.add(policy.message(CreateField::Destination, &state.request.destination));
        }
        let mut findings = Findings::of(readiness, self.requests.clone());
        findings.tags = Some(tags);
        findings.ended = (!is_busy).then_some(copied);
        if is_suspended {
            findings.generation = self.ready_generation();
            findings.handled = Requests::default();
        }
        let wait = if is_busy {
            let for_jobs = state.is_any_running().then_some(JOB_INTERVAL);
            let wait = delay.map_or(Some(JOB_INTERVAL), Delay::retry_after).into_iter().chain(for_jobs).min();
            let ttl = observation_ttl(state.request, self.now).min(MAX_KEPT_WHILE_WAITING);
            let is_needed = memory.has_started() || wait.is_some_and(|wait| wait < ttl);
            // The status that is written now brings another pass, which need not ask again.
            let is_kept = is_needed || !state.is_remembered;
            memory.keep_observed(is_kept.then(|| (state.observed_at, state.observed.clone())));
            if is_needed || state.is_remembered { wait } else { Some(JOB_INTERVAL) }
        } else {
            memory.end_sync();
            let wait = self.schedule_next(state.request, plan, memory);
            Some(if memory.has_started() { wait.min(JOB_INTERVAL) } else { wait })
        };
        Conclusion { findings: Some(findings), wait }
    }

    fn tag_findings(&self, state: &PassState<'_>, plan: &Plan, memory: &Memory) -> TagFindings {
        let (request, status) = (state.request, self.status());
        let failures = failures(plan, &state.failures);
        let has_failed = failures.iter().any(|failure| failure.tries() > 0);
        let synced = synced_once(request, plan, &self.synced_before(request, memory));
        TagFindings {
            counts: plan.counts(),
            failures,
            credentials: has_failed.then(|| state.credentials.clone()),
            already_synced: synced.into_iter().map(Tag::to_string).collect(),
            synced_from: (request.mode == Mode::OnceByTag).then(|| request.synced_from(&self.image.spec)),
            set_from: set_from(request, plan, status.set_from.as_deref()),
            waiting: still_waiting(&state.observed, plan).into_iter().map(WaitingTag::from).collect(),
            next_attempt: plan.next_attempt(),
        }
    }

    /// Returns the end of a pass over a suspended Image: no new Jobs. Ready keeps its status and its generation:
    /// a spec that was never synced is observed, and not certified.
    pub(super) fn suspended(&self, tags: Option<TagFindings>, copied: Vec<Tag>) -> Conclusion {
        let status = self.status();
        let ready = find(&status.conditions, READY);
        let findings = Findings {
            readiness: Readiness {
                conditions: vec![NewCondition {
                    type_: READY,
                    status: ready.and_then(|c| c.status.to_lowercase().parse().ok()),
                    reason: reasons::SUSPENDED,
                    message: "spec.suspend is set; no sync is started".to_owned(),
                }],
                phase: status.phase.filter(|phase| *phase != Phase::Running).unwrap_or(Phase::Pending),
                progress: None,
            },
            generation: self.ready_generation(),
            ended: tags.as_ref().map(|_| copied),
            tags,
            handled: Requests::default(),
            destination: None,
            prune: None,
        };
        Conclusion { findings: Some(findings), wait: None }
    }

    /// Returns the generation of the spec that Ready is of.
    fn ready_generation(&self) -> Option<i64> {
        let status = self.image.status.as_ref()?;
        find(&status.conditions, READY).and_then(|ready| ready.observed_generation)
    }

    /// Schedules the next sync, and returns how long nothing is to be done until then.
    fn schedule_next(&self, request: &CopyRequest, plan: &Plan, memory: &mut Memory) -> Duration {
        let next = schedule_next(&mut memory.schedule, request, self.uid(), plan, self.now);
        remaining(next, self.now).max(Duration::from_secs(1))
    }
}

/// Returns whether something is to be done or waited for now. A suspended Image begins no copies.
fn has_work(plan: &Plan, is_suspended: bool) -> bool {
    plan.tags.iter().any(|tag| match tag.action {
        TagAction::Wait | TagAction::Publish(_) => true,
        TagAction::Copy(_) => !is_suspended,
        _ => false,
    })
}

/// Keeps what later passes need of this one.
fn remember(state: &PassState<'_>, plan: &Plan, memory: &mut Memory) {
    let first_seen = |w: &Waiting| (w.tag.clone(), FirstSeen { digest: w.digest.clone(), at: w.since });
    // The status keeps a bounded number of them.
    memory.cache().first_seen = still_waiting(&state.observed, plan).into_iter().map(first_seen).collect();
    let open = open_copies(state, plan);
    let mut last: HashMap<(Tag, Digest), u32> = HashMap::new();
    for copy in memory.outcomes.keys() {
        let attempt = last.entry((copy.destination_tag.clone(), copy.digest.clone())).or_default();
        *attempt = copy.attempt.max(*attempt);
    }
    // What became of the last try of a content matters until its tag is there, and also where it cannot be put there.
    let kept = contents(state, plan, |action| *action == TagAction::Keep);
    memory.outcomes.retain(|copy, outcome| {
        let content = (copy.destination_tag.clone(), copy.digest.clone());
        let is_of = |contents: &HashSet<(&Tag, &Digest)>| contents.contains(&(&content.0, &content.1));
        let is_refused = matches!(outcome, Outcome::Immutable { .. });
        (is_of(&open) || is_refused && is_of(&kept)) && last.get(&content) == Some(&copy.attempt)
    });
    if state.request.mode != Mode::OneShot {
        memory.keep_answers(&state.observed, state.now);
    }
    // A manifest that was read counts as a pull, in every mode.
    memory.cache().contents = ContentCache::of(state.request, &state.observed);
}

/// Returns the contents that tags do not show yet, by tag.
fn open_copies<'a>(state: &'a PassState<'_>, plan: &'a Plan) -> HashSet<(&'a Tag, &'a Digest)> {
    let is_done = |action: &TagAction| {
        matches!(action, TagAction::UpToDate | TagAction::AlreadySynced | TagAction::Keep)
    };
    contents(state, plan, |action| !is_done(action))
}

/// Returns the contents of the source for which something like this is done, by tag.
fn contents<'a>(
    state: &'a PassState<'_>,
    plan: &'a Plan,
    is_such: impl Fn(&TagAction) -> bool,
) -> HashSet<(&'a Tag, &'a Digest)> {
    let both = state.observed.tags.iter().zip(&plan.tags);
    both.filter(|(_, planned)| is_such(&planned.action))
        .filter_map(|(observed, planned)| Some((&planned.destination_tag, observed.digest()?)))
        .collect()
}

/// Returns the tag of the source that the fixed tag of the destination shows; `before` while it shows none.
fn set_from(request: &CopyRequest, planned: &Plan, before: Option<&str>) -> Option<String> {
    if !matches!(request.naming, Naming::Fixed(_)) || !request.version.is_selector() {
        return None;
    }
    planned.set_from(request).map(Tag::as_str).or(before).map(str::to_owned)
}

/// Returns the failures of the plan, and those of copies that are tried again: how often is remembered
/// nowhere else if their Jobs go. For them no pause is left.
fn failures(planned: &Plan, recorded: &[TagFailure]) -> Vec<TagFailure> {
    let tried_again = |failure: &&TagFailure| {
        let open = |t: &PlannedTag| match &t.action {
            TagAction::Copy(copy) | TagAction::Publish(copy) => {
                failure.digest.as_deref() == Some(copy.digest.as_str())
            }
            TagAction::Wait => true,
            _ => false,
        };
        failure.tries() > 0 && planned.tags.iter().any(|t| t.source_ref.to_string() == failure.tag && open(t))
    };
    let without_pause = |failure: &TagFailure| TagFailure { next_attempt: None, ..failure.clone() };
    let tried_again = recorded.iter().filter(tried_again).map(without_pause);
    let mut all: Vec<TagFailure> = planned.failures().cloned().chain(tried_again).collect();
    // The list is cut: what must be remembered comes first.
    all.sort_by_key(|failure| failure.tries() == 0);
    all
}

/// Returns why the pod of a tag that is tried again did not start before: what keeps it from starting is not seen for a
/// while in each try.
fn last_refusal(planned: &Plan, failures: &[TagFailure]) -> Option<String> {
    let is_tried = |tag: &str| {
        let waits = |t: &PlannedTag| t.action == TagAction::Wait && t.source_ref.to_string() == tag;
        planned.tags.iter().any(waits)
    };
    let mut refused = failures.iter().filter(|failure| failure.reason == FailureReason::PodNotStarted);
    let failure = refused.find(|failure| is_tried(&failure.tag))?;
    Some(format!("{} is tried again; last time: {}", failure.tag, failure.message))
}
