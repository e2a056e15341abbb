//! `ImageBuilders`: an image is built from a Dockerfile, for each platform in a Job, and put under its tags.
//!
//! ```text
//! due? ─▶ check inputs ─▶ decide ─▶ preflight ─▶ begin: the status has the build, and nothing else has happened
//!                           └─────▶ running: Jobs ─▶ parts ─▶ publish: index, then tags ─▶ end
//! ```
//!
//! A build is begun by writing it into the status; only the next pass creates Jobs for it. So whatever is killed between
//! any two writes, the status knows the number of the newest build, and each Job says which part of which build it is.

mod access;
mod base_images;
mod conflicts;
mod context;
mod counters;
mod git;
mod halt;
mod inputs;
mod job;
mod last_build;
mod memory;
mod part_runs;
mod part_status;
mod publish;
mod publish_refusals;
mod pull_auth;
mod requests;
mod retention;
mod running;
mod schedule;
mod security;
mod spec_fields;
mod starting;
mod status;
mod tiers;
mod unfinished_jobs;
mod volumes;

use std::sync::Arc;
use std::time::Duration;

use imgop_core::api::conditions::{READY, find, is_true};
use imgop_core::api::{
    BuildResult, CANCEL_REQUESTED_AT_ANNOTATION, Image, ImageBuilder, ImageBuilderStatus,
    REQUESTED_AT_ANNOTATION, RESET_ANNOTATION,
};
use imgop_core::build::{BuildRequest, Decision, Retry, decide};
use imgop_core::readiness::Readiness;
use imgop_core::schedule::Recurrence;
use imgop_core::time::{remaining, saturating_add};
use imgop_registry::reference::Repository;
use jiff::Timestamp;

use crate::agent::Agent;
use crate::cluster::api_error::ApiError;
use crate::cluster::owner::Owner;
use crate::cluster::watch::Keep;
use crate::config::Config;
use crate::controller::{Failure, MAX_NAMES, Objects, PassResult, Reconcile, Report};
use crate::jobs::budget::KindCap;
use crate::metrics::{Ended, OfKind};
use crate::registry_access::default_destinations::{DEFAULTS_INTERVAL, defaulted};
use base_images::BaseImages;
use counters::BuildCounters;
use git::Commits;
use halt::Halt;
use last_build::last_build;
use memory::Memory;
use requests::Requests;
use tiers::Tiers;

/// How long a build under way waits for news of its Jobs before the next pass.
const JOB_INTERVAL: Duration = Duration::from_secs(15);
/// How long is waited for what ends by itself within moments.
const SHORT_INTERVAL: Duration = Duration::from_secs(2);
/// How often Secrets and `ConfigMaps` are read at first that cannot be used, and later.
const RECHECK_INTERVAL: Duration = Duration::from_secs(5);
const SLOW_INTERVAL: Duration = Duration::from_secs(30);
/// For how long they are read often: whoever corrects one looks on.
const RECHECK_TIME: Duration = Duration::from_mins(5);
/// How long a registry may take to answer for one build: a pass holds one of few turns.
const REGISTRY_TIMEOUT: Duration = Duration::from_mins(2);
/// How often tags are looked up of which nothing else is watched.
const TAGS_INTERVAL: Duration = Duration::from_hours(24);
/// How often what only others can change is looked at again at the least.
const OTHERS_INTERVAL: Duration = Duration::from_mins(10);

/// Returns the cap of the Jobs of builds.
pub fn job_cap(config: &Config) -> KindCap {
    KindCap {
        is_of: Owner::is_a::<ImageBuilder>,
        in_all: config.builds.max_builds.into(),
        setting: "MAX_BUILDS",
    }
}

/// The kind `ImageBuilder`, with what its passes share.
pub struct ImageBuilders {
    agent: Arc<Agent>,
    builders: Objects<ImageBuilder>,
    images: Objects<Image>,
    bases: BaseImages,
    commits: Commits,
    counters: BuildCounters,
    tiers: Tiers,
}

impl ImageBuilders {
    /// Returns the kind, whose objects are these, beside Images that may have the same tags.
    pub fn new(agent: Arc<Agent>, builders: Objects<ImageBuilder>, images: Objects<Image>) -> Self {
        let counters = BuildCounters::new(&agent.metrics, &agent.config.metrics, &builders);
        let of_builders = agent.destinations.clone();
        let builders = builders.completed_by(move |builder| of_builders.completed(builder));
        let of_images = agent.destinations.clone();
        let images = images.completed_by(move |image| of_images.completed(image));
        let (bases, commits, tiers) = (BaseImages::default(), Commits::default(), Tiers::default());
        Self { agent, builders, images, bases, commits, counters, tiers }
    }
}

impl Reconcile for ImageBuilders {
    type Kind = ImageBuilder;
    type Status = ImageBuilderStatus;
    type Memory = Memory;

    const KEEP: Keep = Keep {
        annotations: &[REQUESTED_AT_ANNOTATION, RESET_ANNOTATION, CANCEL_REQUESTED_AT_ANNOTATION],
        ..Keep::OBJECT
    };

    fn agent(&self) -> &Arc<Agent> {
        &self.agent
    }

    fn status(builder: &ImageBuilder) -> Option<&ImageBuilderStatus> {
        builder.status.as_ref()
    }

    fn hosts(builder: &ImageBuilder) -> Vec<String> {
        let image = builder.spec.image.name.parse::<Repository>().ok();
        let image = image.map(|repository| repository.host().as_str().to_owned());
        let mut hosts: Vec<String> = image.into_iter().collect();
        hosts.extend(builder.spec.registries.iter().map(|registry| registry.host.clone()));
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }

    async fn pass(
        &self,
        builder: &ImageBuilder,
        memory: &mut Memory,
        now: Timestamp,
    ) -> Result<PassResult<ImageBuilderStatus>, ApiError> {
        let next_check = memory.schedule.next;
        let is_new = builder.status.as_ref().and_then(|status| status.observed_generation)
            != builder.metadata.generation;
        let (completed, incomplete) = self.agent.destinations.complete_if_possible(builder, is_new).await;
        let (builder, completion) = (completed.object.as_ref(), completed.completion.as_ref());
        let destination = defaulted(&builder.spec.image.name, completion);
        let is_known = incomplete.is_none();
        let pass = Pass::new(self, builder, memory, now);
        let result = match incomplete {
            None => pass.run(memory).await,
            Some(incomplete) => Err(Halt::Access(incomplete)),
        };
        let conclusion = match result {
            Ok(conclusion) => conclusion,
            Err(halt) => pass.halted(halt, memory)?,
        };
        let Conclusion { status, ended, is_progress, wait } = pass.acted_on_reset(conclusion);
        let report = status.map(|mut status| {
            if is_known {
                status::show_defaults(&mut status, destination);
            }
            memory.reports(builder, &status);
            let completed = ended.map(|_| u32::from(ended == Some(BuildResult::Succeeded)));
            let is_progress = is_progress && status.build == pass.status.build;
            let tags = status.image.iter().flat_map(|image| &image.tags).filter(|_| completed == Some(1));
            Report { names: tags.take(MAX_NAMES).cloned().collect(), is_progress, status, completed }
        });
        let wait = wait.into_iter().chain(pass.request_delay(memory)).chain(pass.job_interval()).min();
        let wait = wait.into_iter().chain(completion.map(|_| DEFAULTS_INTERVAL)).min();
        // A look ends with the time of the next one.
        let has_ended = report.as_ref().is_some_and(|report| report.completed.is_some());
        let has_looked = has_ended || next_check.is_some() && next_check != memory.schedule.next;
        Ok(PassResult { report, next: wait, has_looked })
    }

    fn stalled(old: Option<&ImageBuilderStatus>, failure: Failure<'_>, now: Timestamp) -> ImageBuilderStatus {
        let mut builder = ImageBuilder::new("", imgop_core::api::ImageBuilderSpec::default());
        builder.metadata.generation = failure.generation;
        let readiness = Readiness::stalled(failure.reason, failure.message);
        status::with_readiness(old.cloned().unwrap_or_default(), &builder, readiness, now)
    }

    fn reported(&self, builder: &ImageBuilder, report: &Report<ImageBuilderStatus>, now: Timestamp) {
        self.counters.reported(builder, &report.status);
        if report.completed.is_none() {
            return;
        }
        let (metrics, conditions) = (&self.agent.metrics, &report.status.conditions);
        let of_kind = OfKind::of::<ImageBuilder>();
        if is_true(conditions, READY) {
            metrics.last_success.get_or_create(&of_kind).set(now.as_second());
        }
        if let Some(ready) = find(conditions, READY) {
            let ended = Ended { kind: of_kind.kind, reason: ready.reason.clone() };
            metrics.syncs.get_or_create(&ended).inc();
        }
    }

    fn seen(&self, builder: &ImageBuilder) {
        self.agent.jobs.know(&Owner::of(builder));
    }

    fn evict(&self, exists: &(dyn Fn(&str) -> bool + Sync)) {
        self.counters.evict(exists);
        self.agent.jobs.retain_known(exists);
    }
}

/// How a pass ends: with what is reported, and when the next one is.
struct Conclusion {
    /// What is reported; none leaves the status as it is.
    status: Option<ImageBuilderStatus>,
    /// How the build ended, if it did.
    ended: Option<BuildResult>,
    /// Whether nothing is new but how far the build has come.
    is_progress: bool,
    /// When the next pass is; none waits for a change.
    wait: Option<Duration>,
}

impl Conclusion {
    /// Leaves the status as it is.
    fn unchanged(wait: impl Into<Option<Duration>>) -> Self {
        Self { status: None, ended: None, is_progress: false, wait: wait.into() }
    }
}

/// One pass over one ImageBuilder.
#[derive(Clone)]
struct Pass<'a> {
    builders: &'a ImageBuilders,
    builder: &'a ImageBuilder,
    /// The status as it was last reported.
    status: ImageBuilderStatus,
    owner: Owner,
    /// The request that this pass acts on.
    request_token: Option<String>,
    /// The same for one to try again what failed.
    reset_token: Option<String>,
    /// The same for one to cancel.
    cancel_token: Option<String>,
    /// Whether a user waits for this pass: the spec is new, or a build or another try was requested.
    is_asked_for: bool,
    now: Timestamp,
}

impl<'a> Pass<'a> {
    fn new(builders: &'a ImageBuilders, builder: &'a ImageBuilder, memory: &Memory, now: Timestamp) -> Self {
        let status = memory.newest_status(builder);
        let Requests { build, reset, cancel } = Requests::of(builder, &status, memory, now);
        let is_new = status.observed_generation != builder.metadata.generation;
        let is_asked_for = is_new || build.is_some() || reset.is_some();
        let (request_token, reset_token, cancel_token) = (build, reset, cancel);
        let owner = Owner::of(builder);
        Self { builders, builder, status, owner, request_token, reset_token, cancel_token, is_asked_for, now }
    }

    async fn run(&self, memory: &mut Memory) -> Result<Conclusion, Halt> {
        let last = last_build(&self.status);
        let is_running = last.as_ref().is_some_and(|last| last.end.is_none());
        if let Some(token) = &self.cancel_token {
            return self.cancel(token, last.as_ref().filter(|_| is_running)).await;
        }
        let request = BuildRequest::parse(&self.builder.spec)?;
        self.agent().config.jobs.job_refused_keys.check(&self.builder.spec.job_template)?;
        self.begin_reset(memory);
        self.keep_finished_jobs().await?;
        self.remember_spec(last.as_ref(), memory);
        let is_check = self.is_check_due(&request, last.as_ref(), memory);
        let seen = self.seen(&request, last.as_ref(), is_check, memory).await?;
        let held = self.held(memory);
        match decide(&self.occasion(&request, last.as_ref(), &seen)) {
            Decision::Begin(_) if held.is_some() && !is_running => Ok(Conclusion::unchanged(held)),
            Decision::Begin(start) => self.start_or_go_on(&request, last.as_ref(), &start, memory).await,
            Decision::GoOn(next) => match &last {
                Some(last) => {
                    let conclusion = self.go_on(&request, last, memory).await?;
                    Ok(match next {
                        None => self.acknowledged(conclusion),
                        Some(_) => self.still_requested(conclusion),
                    })
                }
                None => Ok(Conclusion::unchanged(SHORT_INTERVAL)),
            },
            Decision::WaitUntil(at, _) => {
                let wait = remaining(at, self.now).max(Duration::from_secs(1));
                Ok(self.at_rest(&request, &seen, Some(at), memory.schedule.wait(wait, self.now)))
            }
            Decision::Suspended(reason) => Ok(self.report(status::suspended(&self.status, reason), None)),
            // What keeps a build from beginning stands in the conditions until it is tried again.
            Decision::Nothing if held.is_some() => Ok(Conclusion::unchanged(held)),
            Decision::Nothing => {
                let wait = if is_check || self.is_asked_for {
                    self.schedule_check(&request, memory)
                } else {
                    self.idle(memory)
                };
                Ok(self.at_rest(&request, &seen, None, wait))
            }
        }
    }

    fn agent(&self) -> &'a Agent {
        &self.builders.agent
    }

    fn namespace(&self) -> &'a str {
        self.builder.metadata.namespace.as_deref().unwrap_or_default()
    }

    fn generation(&self) -> i64 {
        self.builder.metadata.generation.unwrap_or_default()
    }

    fn with_readiness(&self, status: ImageBuilderStatus, readiness: Readiness) -> ImageBuilderStatus {
        status::with_readiness(status, self.builder, readiness, self.now)
    }

    /// Returns the end of a pass with this status.
    fn reported(
        &self,
        status: ImageBuilderStatus,
        readiness: Readiness,
        wait: impl Into<Option<Duration>>,
    ) -> Conclusion {
        let status = self.with_readiness(status, readiness);
        Conclusion { status: Some(status), ended: None, is_progress: false, wait: wait.into() }
    }

    /// Returns how often what made a build fail, or kept it from beginning, is looked at again.
    fn check_interval(&self, retry: Retry) -> Duration {
        match (retry, Recurrence::parse(self.builder.spec.recurrence())) {
            (Retry::OnSecret, _) => SLOW_INTERVAL,
            (_, Some(Recurrence::Every(frequency))) => frequency.period().max(OTHERS_INTERVAL),
            // The next time of a schedule may be months away, or in a moment.
            (_, Some(at)) => remaining(at.next(&self.owner.uid, self.now), self.now).min(OTHERS_INTERVAL),
            (_, None) => OTHERS_INTERVAL,
        }
    }

    /// Returns how long nothing is begun because it could not be a moment ago, unless a user waits for it.
    fn held(&self, memory: &Memory) -> Option<Duration> {
        let until = memory.held_until.filter(|until| *until > self.now && !self.is_asked_for)?;
        Some(remaining(until, self.now))
    }
}

/// Returns how long Secrets and `ConfigMaps` are left alone that could not be used since then.
fn recheck_pause(since: Timestamp, now: Timestamp) -> Duration {
    if now < saturating_add(since, RECHECK_TIME) { RECHECK_INTERVAL } else { SLOW_INTERVAL }
}

#[cfg(test)]
pub(crate) mod tests;
