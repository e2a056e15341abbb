//! Images: the tags that a spec selects are copied from one repository to another.
//!
//! ```text
//! access ─▶ observe ─▶ plan ─▶ probe ─▶ plan ─▶ publish ─▶ plan ─▶ execute ─▶ findings ─▶ status
//! ```
//!
//! A pass works out everything again from the spec, the status, the Jobs and the registries, so a crash
//! between any two writes costs nothing. Each step hands its values on to the next one; what is remembered
//! until the next pass stands in [`memory`].

mod access;
mod counters;
mod execute;
mod failures;
mod findings;
mod inputs;
mod job;
mod job_batches;
mod job_results;
mod memory;
mod native_job;
mod native_results;
mod obsolete_jobs;
mod pass_state;
mod places;
mod present_content;
mod prune;
mod reloads;
mod repository;
mod requests;
mod status;
mod used_images;

use std::sync::Arc;
use std::time::Duration;

use imgop_core::api::{
    ADOPT_ANNOTATION, Destination, FOUND_TAGS_ANNOTATION, Image, ImageBuilder, ImageSpec, ImageStatus,
    MIRRORED_SPEC_ANNOTATION, Mode, ON_THE_FLY_LABEL, REQUESTED_AT_ANNOTATION, RESET_ANNOTATION,
    SUSPENDED_WITH_ANNOTATION, Source, UNUSED_SINCE_ANNOTATION,
};
use imgop_core::copy::{CopyRequest, KnownBlobs, ReadAhead};
use imgop_core::readiness::Readiness;
use imgop_core::time::remaining;
use imgop_registry::reference::Repository;
use jiff::Timestamp;

use crate::agent::Agent;
use crate::cluster::api_error::ApiError;
use crate::cluster::owner::Owner;
use crate::cluster::watch::Keep;
use crate::controller::{Failure, MAX_NAMES, Objects, PassResult, Reconcile, Report};
use crate::registry_access::default_destinations::{DEFAULTS_INTERVAL, defaulted};
use crate::tag_claims::{BuilderClaims, Conflicts};
use access::Access;
use counters::CopyCounters;
use failures::Halt;
use findings::{Conclusion, Findings};
use imgop_core::default_destination::Completion;
use imgop_core::schedule::{Candidate, Due};
use memory::Memory;
use obsolete_jobs::wait_for;
use pass_state::PassState;
use requests::Requests;
use status::{count, is_progress, next_status};
use used_images::UsedImages;

/// How long a sync under way waits for news of its Jobs before the next pass.
const JOB_INTERVAL: Duration = Duration::from_secs(15);
/// How long it waits for what ends by itself within moments, as a Job of the same name that is being deleted.
const SHORT_INTERVAL: Duration = Duration::from_secs(5);
/// How often the Secrets of an Image are read whose credentials are refused.
const SECRET_INTERVAL: Duration = Duration::from_secs(30);
/// How long both registries may take to answer for one Image, besides the pages of tag lists, and then how long tags
/// may be set: a pass holds one of few turns.
const REGISTRY_TIMEOUT: Duration = Duration::from_mins(2);

/// Bytes of the manifests that are kept for tags which are set once Jobs have ended, and for how long: that of a usual Job.
const MAX_READ_AHEAD: usize = 1 << 20;
const READ_AHEAD_TTL: Duration = Duration::from_mins(10);

/// The kind `Image`, with what its passes share.
pub struct Images {
    agent: Arc<Agent>,
    /// Which Image a tag belongs to that several select.
    pub(crate) conflicts: Conflicts,
    claims: BuilderClaims,
    counters: CopyCounters,
    /// Which repositories hold which blobs.
    blobs: KnownBlobs,
    /// Manifests of what Jobs are going to copy.
    read_ahead: ReadAhead,
    /// What pods and workloads use, where that keeps tags.
    in_use: UsedImages,
}

impl Images {
    /// Returns the kind, whose objects are these.
    pub fn new(agent: Arc<Agent>, images: Objects<Image>) -> Self {
        let destinations = agent.destinations.clone();
        let images = images.completed_by(move |image| destinations.completed(image));
        let counters = CopyCounters::new(&agent.metrics, &agent.config.metrics, &images);
        let conflicts = Conflicts::new(images);
        let claims = BuilderClaims::new(Objects::new([]));
        let (blobs, in_use) = (KnownBlobs::default(), UsedImages::default());
        let read_ahead = ReadAhead::new(MAX_READ_AHEAD, READ_AHEAD_TTL);
        Self { agent, conflicts, claims, counters, blobs, read_ahead, in_use }
    }

    /// Returns the same kind beside these `ImageBuilders`, which may have the same tags.
    #[must_use]
    pub fn beside(self, builders: Objects<ImageBuilder>) -> Self {
        let destinations = self.agent.destinations.clone();
        let builders = builders.completed_by(move |builder| destinations.completed(builder));
        Self { claims: BuilderClaims::new(builders), ..self }
    }
}

#[cfg(test)]
impl Images {
    pub(crate) fn tags_copied(&self) -> u64 {
        self.counters.tags_copied.get()
    }
}

impl Reconcile for Images {
    type Kind = Image;
    type Status = ImageStatus;
    type Memory = Memory;

    const KEEP: Keep = Keep {
        annotations: &[
            REQUESTED_AT_ANNOTATION,
            RESET_ANNOTATION,
            // Those that an ImageMirror reads.
            MIRRORED_SPEC_ANNOTATION,
            SUSPENDED_WITH_ANNOTATION,
            ADOPT_ANNOTATION,
            FOUND_TAGS_ANNOTATION,
            // One that a WorkloadMirror reads.
            UNUSED_SINCE_ANNOTATION,
        ],
        labels: &[ON_THE_FLY_LABEL],
        ..Keep::OBJECT
    };

    fn agent(&self) -> &Arc<Agent> {
        &self.agent
    }

    fn status(image: &Image) -> Option<&ImageStatus> {
        image.status.as_ref()
    }

    fn hosts(image: &Image) -> Vec<String> {
        let repositories = [&image.spec.source.name, &image.spec.destination.name];
        let repositories = repositories.into_iter().filter_map(|name| name.parse::<Repository>().ok());
        let mut hosts: Vec<String> =
            repositories.map(|repository| repository.host().as_str().to_owned()).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }

    async fn pass(
        &self,
        image: &Image,
        memory: &mut Memory,
        now: Timestamp,
    ) -> Result<PassResult<ImageStatus>, ApiError> {
        let is_new =
            image.status.as_ref().and_then(|status| status.observed_generation) != image.metadata.generation;
        let (completed, incomplete) = self.agent.destinations.complete_if_possible(image, is_new).await;
        let (image, completion) = (completed.object.as_ref(), completed.completion.as_ref());
        if completion.is_some() {
            self.conflicts.seen(image);
        }
        // What is not known for a while is as it was.
        let known = || image.status.as_ref().and_then(|status| status.destination.clone());
        let destination = match incomplete {
            None => defaulted(&image.spec.destination.name, completion),
            Some(_) => known(),
        };
        let mut pass = Pass::new(self, image, memory, now);
        if has_moved(image, completion) {
            // Another destination is as a new spec.
            pass.candidate.observed_generation = None;
            pass.requests = Requests::of(&pass.candidate, image.spec.suspend, memory, now);
        }
        let result = match incomplete {
            None => pass.run(memory).await,
            Some(incomplete) => Err(Halt::Access(incomplete)),
        };
        let Conclusion { findings, wait } = match result {
            Ok(conclusion) => conclusion,
            Err(halt) => pass.halted(halt, memory)?,
        };
        let report = findings.map(|mut findings| {
            let completed = findings.ended.as_ref().map(|copied| count(copied));
            let names = findings.ended.iter().flatten().take(MAX_NAMES).map(ToString::to_string).collect();
            findings.destination = destination;
            let status = next_status(image, findings, memory.schedule.growing_retry(), now);
            let is_progress = completed.is_none() && is_progress(image.status.as_ref(), &status);
            Report { status, completed, names, is_progress }
        });
        // A request that came too soon after another one is acted on in a moment.
        let wait = wait.into_iter().chain(pass.request_delay(memory)).min();
        let wait = wait.into_iter().chain(completion.map(|_| DEFAULTS_INTERVAL)).min();
        memory.shrink();
        let has_looked = report.as_ref().is_some_and(|report| report.completed.is_some());
        Ok(PassResult { report, next: wait, has_looked })
    }

    fn stalled(old: Option<&ImageStatus>, failure: Failure<'_>, now: Timestamp) -> ImageStatus {
        // The spec is not known: it may be what cannot be decoded.
        let spec = ImageSpec::new(Mode::OneShot, Source::default(), Destination::default());
        let mut image = Image::new("", spec);
        (image.status, image.metadata.generation) = (old.cloned(), failure.generation);
        let findings = Findings::of(Readiness::stalled(failure.reason, failure.message), Requests::default());
        let destination = old.and_then(|old| old.destination.clone());
        next_status(&image, Findings { destination, ..findings }, None, now)
    }

    fn reported(&self, _image: &Image, report: &Report<ImageStatus>, now: Timestamp) {
        let Some(copied) = report.completed else { return };
        self.counters.tags_copied.inc_by(copied.into());
        self.agent.metrics.sync_ended::<Image>(&report.status.conditions, now);
    }

    fn seen(&self, image: &Image) {
        self.conflicts.seen(image);
    }

    fn evict(&self, exists: &(dyn Fn(&str) -> bool + Sync)) {
        self.conflicts.evict(exists);
        self.counters.in_cooldown.evict(exists);
    }
}

/// One pass over one Image.
struct Pass<'a> {
    images: &'a Images,
    image: &'a Image,
    owner: Owner,
    candidate: Candidate<'a>,
    requests: Requests,
    now: Timestamp,
}

impl<'a> Pass<'a> {
    fn new(images: &'a Images, image: &'a Image, memory: &Memory, now: Timestamp) -> Self {
        let candidate = Candidate::from(image);
        let requests = Requests::of(&candidate, image.spec.suspend, memory, now);
        Self { images, image, owner: Owner::of(image), candidate, requests, now }
    }

    /// Begins or goes on with a sync if one is due.
    async fn run(&self, memory: &mut Memory) -> Result<Conclusion, Halt> {
        let is_under_way = self.candidate.in_progress || self.agent().jobs.count(&self.owner).unfinished > 0;
        if self.image.spec.suspend && !is_under_way {
            return Ok(self.suspended(None, Vec::new()));
        }
        let request = CopyRequest::parse(&self.image.spec)?;
        self.agent().config.jobs.job_refused_keys.check(&self.image.spec.job_template)?;
        let uptime = self.agent().uptime();
        let next = memory.schedule.next(&self.candidate, &request.recurrence, &uptime, self.now);
        match memory.schedule.due(&self.candidate, self.now) {
            _ if self.image.spec.suspend => self.sync(&request, Due::InProgress, memory).await,
            Some(due) => self.sync(&request, due, memory).await,
            None => {
                self.publish_finished_jobs(&request, memory).await?;
                let next = self.idle(next, memory);
                if next.is_none() {
                    memory.drop_answers();
                }
                Ok(Conclusion::unchanged(next))
            }
        }
    }

    /// Does one step of a sync, and returns what is reported of it.
    async fn sync(&self, request: &CopyRequest, due: Due, memory: &mut Memory) -> Result<Conclusion, Halt> {
        self.invalidate(due, memory);
        self.may_work(due).await?;
        let access = self.access(request, due, memory).await?;
        if self.resets_all(&access) {
            memory.sync().reset_at = Some(self.now);
        }
        let jobs_before = self.agent().jobs.of_owner(&self.owner, self.now);
        self.invalidate_put_tags(request, &jobs_before, memory);
        let remembered = memory.sync().observed.as_ref().map(|(at, _)| *at);
        let mut observed = self.observe(&access, request, due, memory).await?;
        let is_remembered = remembered == Some(observed.0);
        memory.sync().note_how(&mut observed.1, self.image.spec.engine.into());
        // Also if the API server fails this pass, the tags of Jobs that run are set by it.
        memory.sync().observed = Some(observed.clone());
        if let Some(end) = self.end_obsolete_jobs(request, &jobs_before, memory).await? {
            return Ok(end);
        }
        self.replace_waiting_jobs(request, &jobs_before, memory).await?;
        let outdated = self.outdated_copies(request, &jobs_before, &observed.1, memory);
        let jobs = self.give_up_stuck_jobs(request, memory).await?;
        self.record_vanished_jobs(&jobs, memory);
        let state = self.state(request, observed, &jobs, due, memory);
        let uploads = jobs.uploads(self.job_namespace(&access));
        let mut state =
            PassState { is_remembered, uploads, credentials: access.credentials.clone(), ..state };
        wait_for(&outdated, &mut state);
        let plan = self.publish_present(&access, &mut state, memory).await?;
        let execution = self.execute(&access, plan, &mut state, memory).await?;
        let mut conclusion = self.conclude(&state, &execution, &jobs, memory);
        if let Some(findings) = &mut conclusion.findings {
            self.prune(&access, &state, &execution.plan, findings, memory).await;
        }
        Ok(conclusion)
    }

    fn agent(&self) -> &'a Agent {
        &self.images.agent
    }

    fn uid(&self) -> &'a str {
        self.candidate.uid
    }

    fn namespace(&self) -> &'a str {
        self.image.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// Returns the namespace in which its Jobs run.
    fn job_namespace(&self, access: &Access) -> &'a str {
        if access.lent.is_some() { self.agent().jobs.lent_namespace() } else { self.namespace() }
    }

    fn status(&self) -> ImageStatus {
        self.image.status.clone().unwrap_or_default()
    }

    /// Returns how long an Image of which nothing is due is left alone.
    fn idle(&self, next: Timestamp, memory: &Memory) -> Option<Duration> {
        let wait = remaining(next, self.now).max(Duration::from_secs(1));
        match memory.has_started() {
            // A Job that does not start is noticed by time alone.
            true => Some(wait.min(JOB_INTERVAL)),
            false if self.candidate.once && self.candidate.completed => None,
            false => Some(wait),
        }
    }

    /// Returns how long a request that was made must wait.
    fn request_delay(&self, memory: &Memory) -> Option<Duration> {
        let Candidate { request, reset, .. } = self.candidate;
        let is_waiting = request.is_some() && self.requests.sync.is_none()
            || reset.is_some() && self.requests.reset_token.is_none() && !self.image.spec.suspend;
        memory.schedule.request_delay(self.now).filter(|_| is_waiting)
    }
}

/// Returns whether an Image has another destination than the last time, although its spec may be the same.
fn has_moved(image: &Image, completion: Option<&Completion>) -> bool {
    match image.status.as_ref().and_then(|status| status.destination.as_ref()) {
        Some(before) => before.repository != image.spec.destination.name,
        None => completion.is_some_and(|completion| completion.repository.is_some()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
