//! What a pass does: it sets the tags whose content is at the destination already, and creates Jobs for the
//! rest, as many as the source's pulls and the budget of Jobs allow.

use std::collections::HashSet;
use std::time::Duration;

use imgop_core::api::{FailureReason, Side};
use imgop_core::copy::{Copy, CopyRequest, Observed, Outcome, Plan, Run, Seen, TagAction, TagState};
use imgop_registry::RegistryError;
use imgop_registry::reference::Tag;
use jiff::Timestamp;
use tokio::time::Instant;

use super::failures::Halt;
use super::findings::State;
use super::job::{batches, in_order, job};
use super::memory::{Memory, SyncInProgress};
use super::mounts::{PublishedContent, Scope, learn, mount};
use super::outcome::CopyJobs;
use super::pulls::{affordable, give_back, reserve_message};
use super::settle::{Publication, is_refusal, probe, publish_all};
use super::{Access, PLACE_INTERVAL, Pass, REGISTRY_TIMEOUT};
use crate::jobs::{Created, JobError};
use crate::registry_access::JobSecretError;
use crate::schedule::Due;

/// What became of a plan.
pub(super) struct Execution {
    /// The plan, in which what was begun is waited for.
    pub plan: Plan,
    /// Why copies that could begin do not.
    pub deferred: Option<Deferred>,
}

/// Why copies that could begin do not.
pub(super) struct Deferred {
    /// For people.
    pub message: String,
    /// When they are tried again.
    pub wait: Duration,
}

/// Copies for which Jobs were created, and why there are not more of them.
struct Begun {
    copies: Vec<Copy>,
    full: Option<String>,
    error: Option<Halt>,
}

impl Pass<'_> {
    /// Returns what the Jobs of the Image came to. Those that hold a place and do not start are deleted, before
    /// anything else can fail: there may be as many of them as an Image may have.
    pub(super) async fn jobs(&self, request: &CopyRequest, memory: &mut Memory) -> Result<CopyJobs, Halt> {
        let jobs = CopyJobs::new(self.agent().jobs.of_owner(self.uid(), self.now), request.route());
        for (copy, outcome) in jobs.given_up() {
            memory.outcomes.entry(copy.clone()).or_insert_with(|| outcome.clone());
        }
        for name in jobs.to_be_deleted() {
            self.agent().jobs.delete(self.namespace(), name).await?;
        }
        Ok(jobs)
    }

    /// Returns what is known of each tag: as it was observed, what its Jobs came to, and whose it is.
    pub(super) fn state<'r>(
        &self,
        request: &'r CopyRequest,
        (observed_at, observed): (Timestamp, Observed),
        jobs: &CopyJobs,
        due: Due,
        memory: &mut Memory,
    ) -> State<'r> {
        // Also if the API server fails this pass, the tags of Jobs that run are set by it.
        memory.sync().observed = Some((observed_at, observed.clone()));
        let runs = self.runs(jobs, memory);
        let is_to_be_written = |state| matches!(state, TagState::Missing | TagState::Differs);
        let differing: Vec<&Tag> = observed
            .tags
            .iter()
            .filter(|tag| is_to_be_written(tag.state()))
            .map(|tag| &tag.destination_tag)
            .collect();
        let conflicts = self.images.precedence.conflicts(self.image, request, &differing);
        State {
            request,
            observed_at,
            observed,
            runs,
            failures: self.recorded_failures(),
            conflicts,
            retry_now: due.is_asked_for(),
            now: self.now,
        }
    }

    /// Returns what became of the copies that Jobs were created for. A Job that was deleted before it ended is a
    /// failed try: creating it again at once would race with whoever deletes it.
    fn runs(&self, jobs: &CopyJobs, memory: &mut Memory) -> Vec<Run> {
        let Memory { sync, outcomes, .. } = memory;
        let started = sync.as_mut().map(|sync| &mut sync.started);
        let Some(started) = started.filter(|started| !started.is_empty()) else {
            return jobs.runs(outcomes);
        };
        let known: HashSet<Copy> = jobs.runs(outcomes).into_iter().map(|run| run.copy).collect();
        for copy in started.difference(&known) {
            let message = "its Job was deleted before it ended".to_owned();
            let outcome = Outcome::Failed { reason: FailureReason::CopyFailed, message, at: self.now };
            outcomes.insert(copy.clone(), outcome);
        }
        let runs = jobs.runs(outcomes);
        started.retain(|copy| is_running(&runs, copy));
        runs
    }

    /// Sets every tag whose content is at the destination already: because its Job has ended, or because it is
    /// found there now. Returns what remains to be done.
    pub(super) async fn publish_present(
        &self,
        access: &Access,
        plan: Plan,
        state: &mut State<'_>,
        memory: &mut Memory,
    ) -> Result<Plan, Halt> {
        let end = Instant::now() + REGISTRY_TIMEOUT;
        let mut publications: Vec<Copy> = plan.publications().cloned().collect();
        let probed = self.probe(access, &plan, state, memory.sync(), end).await;
        let probed = probed.map_err(|error| halt(access, state.request, error))?;
        let is_planned_again = !publications.is_empty() || !probed.is_empty();
        publications.extend(probed.into_iter().flatten());
        let published = self.publish(access, publications, state, memory, end).await;
        published.map_err(|error| halt(access, state.request, error))?;
        Ok(if is_planned_again { state.plan() } else { plan })
    }

    /// Asks the destination, before Jobs are created, for what they would copy: the tag may be there although a
    /// list did not name it, and its content may be there from a Job whose end was not seen. Two requests
    /// are cheaper than a pod. Returns each copy that was asked for, with those whose tags can be set.
    async fn probe(
        &self,
        access: &Access,
        plan: &Plan,
        state: &mut State<'_>,
        sync: &mut SyncInProgress,
        end: Instant,
    ) -> Result<Vec<Option<Copy>>, RegistryError> {
        let copies = if self.image.spec.suspend { Vec::new() } else { in_order(plan.copies().cloned()) };
        let room = self.room(&copies);
        let new = copies.into_iter().take(room).filter(|copy| !sync.probed.contains(copy)).collect();
        let answers = probe(&access.destination, state.request.publish, new, end).await?;
        let mut probed = Vec::new();
        for answer in answers {
            let copy = answer.copy;
            // What the tag shows besides decides whether it may be overwritten: that is for the plan.
            let is_as_observed = answer.tag.is_none() || answer.tag.as_ref() == state.at_destination(&copy);
            if let Some(digest) = answer.tag {
                state.set_destination(&copy, &Seen::Present(digest));
            }
            if answer.is_content_present {
                state.runs.push(Run { copy: copy.clone(), outcome: Outcome::Succeeded });
            }
            sync.probed.insert(copy.clone());
            probed.push((answer.is_content_present && is_as_observed).then_some(copy));
        }
        Ok(probed)
    }

    /// Sets tags, and notes what the destination answers. A refusal concerns all tags, but what was set is set.
    async fn publish(
        &self,
        access: &Access,
        copies: Vec<Copy>,
        state: &mut State<'_>,
        memory: &mut Memory,
        end: Instant,
    ) -> Result<(), RegistryError> {
        let sides = (&access.source, &access.destination);
        let (mut refusal, mut contents) = (None, Vec::new());
        for (copy, result) in publish_all(sides, state.request, copies, self.now, end).await {
            let outcome = match result {
                Ok(Publication::Shown { digest, is_put, manifest }) => {
                    if digest == copy.digest {
                        self.record_published(state.request, &copy, is_put, memory.sync());
                        contents.push(PublishedContent { digest: copy.digest.clone(), manifest });
                    }
                    state.set_destination(&copy, &Seen::Present(digest));
                    continue;
                }
                Ok(Publication::Failed(outcome)) => outcome,
                Err(error) => {
                    let tries = match memory.outcomes.get(&copy) {
                        Some(Outcome::Unpublished { tries, .. }) => tries.saturating_add(1),
                        _ => 1,
                    };
                    let message = error.to_string();
                    refusal = Some(error).filter(is_refusal).or(refusal);
                    Outcome::Unpublished { tries, message, at: self.now }
                }
            };
            state.set_outcome(&copy, &outcome);
            memory.outcomes.insert(copy, outcome);
        }
        self.learn_blobs(access, state.request, contents, memory).await;
        refusal.map_or(Ok(()), Err)
    }

    /// Counts a tag that the destination shows as planned. One that it merely shows may be another program's;
    /// one that was put was put with the credentials of this Image.
    fn record_published(&self, request: &CopyRequest, copy: &Copy, is_put: bool, sync: &mut SyncInProgress) {
        sync.published = sync.published.saturating_add(1);
        if is_put {
            let precedence = &self.images.precedence;
            precedence.record_write(self.uid(), &request.destination, &copy.destination_tag);
        }
    }

    /// Remembers which blobs the destination holds now that tags were set.
    async fn learn_blobs(
        &self,
        access: &Access,
        request: &CopyRequest,
        contents: Vec<PublishedContent>,
        memory: &mut Memory,
    ) {
        let scope = self.scope(access);
        let blobs = &mut memory.sync().blobs;
        let destination = (&access.destination, &request.destination);
        let pulls = learn(&self.images.blobs, scope, destination, contents, blobs).await;
        memory.cache.pulls_per_copy = pulls.or(memory.cache.pulls_per_copy);
    }

    /// Returns who may know of the blobs of this Image's destination.
    fn scope(&self, access: &Access) -> Scope {
        Scope { account: access.destination.account(), namespace: self.namespace().to_owned() }
    }

    /// Creates Jobs for the copies of a plan. A suspended Image begins none.
    pub(super) async fn execute(
        &self,
        access: &Access,
        mut plan: Plan,
        state: &mut State<'_>,
        memory: &mut Memory,
    ) -> Result<Execution, Halt> {
        let copies = if self.image.spec.suspend { Vec::new() } else { in_order(plan.copies().cloned()) };
        if copies.is_empty() {
            self.agent().jobs.leave_queue(self.uid());
            return Ok(Execution { plan, deferred: None });
        }
        // Copies for which there is no place now take no pulls, and stay in the plan as those that wait.
        let room = self.room(&copies);
        let pulls_each = memory.cache.pulls_per_copy.unwrap_or(1);
        let admitted = affordable(&access.source, copies[..room].to_vec(), pulls_each).await;
        let short = admitted.short.map(|reached| {
            let host = state.request.source.host();
            let (message, wait) = reserve_message(host, &reached, self.uid(), self.now);
            Deferred { message, wait }
        });
        self.mount(access, state.request, &admitted.copies, memory.sync()).await;
        let wanted = match &short {
            Some(_) => admitted.copies.clone(),
            None => [admitted.copies.as_slice(), &copies[room..]].concat(),
        };
        let begun = self.create_jobs(state.request, &wanted).await;
        give_back(&access.source, &admitted.copies, &begun.copies, pulls_each);
        memory.sync().started.extend(begun.copies.iter().cloned());
        wait_for(&mut plan, &begun.copies);
        state.runs.extend(begun.copies.into_iter().map(|copy| Run { copy, outcome: Outcome::Running }));
        let full = begun.full.map(|message| Deferred { message, wait: PLACE_INTERVAL });
        let deferred = match begun.error {
            // A quota that lets some Jobs run is no reason to give up: the rest follows them.
            Some(error) if can_wait(&error) && state.is_any_running() => {
                Some(Deferred { message: error.to_string(), wait: PLACE_INTERVAL })
            }
            Some(error) => return Err(error),
            None => short.or(full),
        };
        Ok(Execution { plan, deferred })
    }

    /// Mounts the blobs of copies that the destination's registry has. Never tried twice for one content.
    async fn mount(
        &self,
        access: &Access,
        request: &CopyRequest,
        copies: &[Copy],
        sync: &mut SyncInProgress,
    ) {
        let new = copies.iter().flat_map(Copy::parts).filter(|content| !sync.mounted.contains(*content));
        let sides = (&access.source, &access.destination);
        let mounted = mount(&self.images.blobs, self.scope(access), sides, request, new.cloned()).await;
        self.agent().metrics.blobs_mounted.inc_by(mounted.count);
        sync.mounted.extend(mounted.tried);
        sync.keep_blobs(mounted.blobs);
    }

    /// Returns how many of these copies, from the first, have a place for their Jobs now.
    fn room(&self, copies: &[Copy]) -> usize {
        let agent = self.agent();
        let batches = batches(copies, agent.config.tags_per_job.into());
        let places = agent.jobs.room(&self.owner, batches.len(), self.now);
        batches.iter().take(places).map(|(_, batch)| batch.len()).sum()
    }

    /// Creates Jobs for these copies, as many as there are places, until one is refused.
    async fn create_jobs(&self, request: &CopyRequest, copies: &[Copy]) -> Begun {
        let agent = self.agent();
        let mut begun = Begun { copies: Vec::new(), full: None, error: None };
        let (owner, batches) = (&self.owner, batches(copies, agent.config.tags_per_job.into()));
        let granted = agent.jobs.take(owner, batches.len(), self.now);
        begun.full = granted.full.map(|full| full.to_string());
        if granted.places.is_empty() {
            return begun;
        }
        for endpoint in self.endpoints(request) {
            if let Err(error) = agent.registry_access().ensure_job_secret(owner, endpoint).await {
                begun.error = Some(error.into());
                return begun;
            }
        }
        for ((order, batch), place) in batches.into_iter().zip(granted.places) {
            let job = job(owner, self.endpoints(request), request, &batch, order, &agent.config);
            match agent.jobs.create(owner, &job, place).await {
                Ok(created) => {
                    if created == Created::New {
                        self.report_job(&job, batch.len()).await;
                    }
                    begun.copies.extend(batch);
                }
                Err(error) => {
                    begun.error = Some(error.into());
                    break;
                }
            }
        }
        begun
    }

    async fn report_job(&self, job: &k8s_openapi::api::batch::v1::Job, tags: usize) {
        let agent = self.agent();
        agent.metrics.jobs_created.inc();
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let noun = if tags == 1 { "tag" } else { "tags" };
        let note = format!("Job {name} copies {tags} {noun}");
        agent.events.job_created(&self.owner, name, "CopyScheduled", "Copy", note).await;
    }

    /// Sets the tags of Jobs that have ended while a registry is in back-off, which may be an hour: the tag gets
    /// what was pushed, as it was observed when the copy began. No copy is begun, the source is asked nothing,
    /// and the status goes on to tell why.
    pub(super) async fn publish_finished_jobs(
        &self,
        request: &CopyRequest,
        memory: &mut Memory,
    ) -> Result<(), Halt> {
        let sync = memory.sync.as_ref().filter(|sync| !sync.started.is_empty());
        let Some(observed) = sync.and_then(|sync| sync.observed.clone()) else { return Ok(()) };
        if memory.blocked.is_some() {
            return Ok(());
        }
        let jobs = self.jobs(request, memory).await?;
        let runs = jobs.runs(&memory.outcomes);
        if memory.sync().started.iter().all(|copy| is_running(&runs, copy)) {
            return Ok(());
        }
        match self.may_work(Due::InProgress).await {
            Ok(()) => {}
            Err(Halt::Api(error)) => return Err(error.into()),
            Err(_) => return Ok(()),
        }
        // What is wrong with a Secret is reported by the next sync that is due.
        let Ok(access) = self.access(request, Due::InProgress, memory).await else { return Ok(()) };
        let mut state = self.state(request, observed, &jobs, Due::InProgress, memory);
        let publications = state.plan().publications().cloned().collect();
        let end = Instant::now() + REGISTRY_TIMEOUT;
        if let Err(error) = self.publish(&access, publications, &mut state, memory, end).await {
            // It is remembered of each tag, and met again by the next sync that is due.
            tracing::debug!(%error, "tags of Jobs that have ended are not set");
        }
        memory.sync().observed = Some((state.observed_at, state.observed));
        Ok(())
    }
}

/// Returns the end of a pass that a registry ends. An index that is made is read from the source before it is
/// written.
fn halt(access: &Access, request: &CopyRequest, error: RegistryError) -> Halt {
    let is_sources = error.repository() == &request.source && request.source != request.destination;
    let side = if is_sources { Side::Source } else { Side::Destination };
    Halt::Registry { side, error, secrets: access.secrets.clone() }
}

/// Returns whether the rest of the copies may wait for those that run.
fn can_wait(error: &Halt) -> bool {
    match error {
        Halt::Job(JobError::Api(_)) => false,
        Halt::JobSecret(JobSecretError::Api(error)) => !error.is_transient(),
        _ => true,
    }
}

/// Returns whether a Job for this copy has not ended.
fn is_running(runs: &[Run], copy: &Copy) -> bool {
    runs.iter().any(|run| run.copy == *copy && run.outcome == Outcome::Running)
}

/// Changes a plan so that it waits for copies that were begun.
fn wait_for(plan: &mut Plan, begun: &[Copy]) {
    for tag in &mut plan.tags {
        if matches!(&tag.action, TagAction::Copy(copy) if begun.contains(copy)) {
            tag.action = TagAction::Wait;
        }
    }
}
