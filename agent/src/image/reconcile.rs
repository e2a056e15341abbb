//! One look at an Image: everything is worked out again from its spec, its status, its Jobs and
//! the registries, so a crash between any two writes costs nothing.

use std::time::Duration;

use imgop_core::api::conditions::{NewCondition, READY, reasons};
use imgop_core::api::{Image, ImageSpec, ImageStatus, Mode, Phase};
use imgop_core::observe::{Known, Limits, ObserveError, Side, Sides, observe};
use imgop_core::plan::{
    Action as TagAction, Copy, CopyRequest, Inputs, Observed, Outcome, Plan, Run, Verdict, plan, verdict,
};
use imgop_core::registry::Reason;
use jiff::Timestamp;
use kube::runtime::controller::Action;

use super::access::{self, AccessError, NamespaceSecrets};
use super::jobs::Jobs;
use super::memory::Remembered;
use super::publish::{Published, publish};
use super::schedule::{self, Due};
use super::secrets::Freshness;
use super::status::{Findings, TagFindings};
use crate::context::Context;

/// How long a sync under way waits for news of its Jobs before it looks by itself.
const LOOK_AT_JOBS: Duration = Duration::from_secs(15);
/// How long it waits for a place for a Job.
pub(super) const LOOK_FOR_PLACE: Duration = Duration::from_secs(5);
/// How often the Secrets of a refused Image are looked at.
pub(super) const LOOK_AT_SECRETS: Duration = Duration::from_secs(30);
/// The API server did not do what we asked; tried again with growing pauses.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ApiError(#[from] Box<kube::Error>);

impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> Self {
        Self(Box::new(error))
    }
}

/// What a look came to.
pub struct Looked {
    /// What is to be said; none leaves the status as it is.
    pub findings: Option<Findings>,
    /// When to look again.
    pub again: Action,
}

impl Looked {
    pub(super) fn nothing(again: Action) -> Self {
        Self { findings: None, again }
    }

    pub(super) fn verdict(verdict: Verdict, request: Option<String>, after: Duration) -> Self {
        let findings = Findings { verdict, tags: None, handled_request: request, ended: Some(0) };
        Self { findings: Some(findings), again: Action::requeue(after) }
    }
}

/// One look at one Image.
pub struct Look<'a> {
    /// The agent.
    pub context: &'a Context,
    /// The Image.
    pub image: &'a Image,
    /// What is remembered of it.
    pub memory: &'a mut Remembered,
    /// The time.
    pub now: Timestamp,
}

impl Look<'_> {
    /// Looks, and does what is to be done.
    pub async fn run(mut self) -> Result<Looked, ApiError> {
        if self.image.spec.suspend {
            return Ok(self.suspended());
        }
        let request = match CopyRequest::parse(&self.image.spec) {
            Ok(request) => request,
            Err(error) => {
                let said = Verdict::stalled(reasons::INVALID_SPEC, error.to_string());
                return Ok(Looked {
                    again: Action::await_change(),
                    ..Looked::verdict(said, self.open_request(), Duration::ZERO)
                });
            }
        };
        let period = request.frequency.period();
        let next = *self
            .memory
            .next_look
            .get_or_insert_with(|| schedule::first_look(self.image, period, self.context.started));
        let open_jobs = self.context.budget.unfinished(self.uid()) > 0;
        let Some(due) = schedule::due(self.image, Some(next), open_jobs, self.now) else {
            return Ok(Looked::nothing(self.until_next(&request, next)));
        };
        self.sync(&request, due).await
    }

    fn uid(&self) -> &str {
        self.image.metadata.uid.as_deref().unwrap_or_default()
    }

    pub(super) fn open_request(&self) -> Option<String> {
        schedule::open_request(self.image).map(str::to_owned)
    }

    fn status(&self) -> ImageStatus {
        self.image.status.clone().unwrap_or_default()
    }

    /// A `OneShot` that is done waits for a change and for nothing else.
    fn until_next(&self, request: &CopyRequest, next: Timestamp) -> Action {
        let completed = self.image.status.as_ref().is_some_and(|s| s.phase == Some(Phase::Completed));
        if request.mode == Mode::OneShot && completed {
            return Action::await_change();
        }
        Action::requeue(schedule::until(next, self.now).max(Duration::from_secs(1)))
    }

    /// No new Jobs; what runs is finished, and Ready keeps what it said last.
    fn suspended(&self) -> Looked {
        let status = self.status();
        let ready = imgop_core::api::conditions::find(&status.conditions, READY);
        let findings = Findings {
            verdict: Verdict {
                conditions: vec![NewCondition {
                    type_: READY,
                    status: ready.and_then(|c| c.status.to_lowercase().parse().ok()),
                    reason: reasons::SUSPENDED,
                    message: "spec.suspend is set; no sync is started".to_owned(),
                }],
                phase: status.phase.unwrap_or(Phase::Pending),
                progress: None,
            },
            tags: None,
            handled_request: None,
            ended: None,
        };
        Looked { findings: Some(findings), again: Action::await_change() }
    }

    async fn sync(&mut self, request: &CopyRequest, due: Due) -> Result<Looked, ApiError> {
        let (sides, secrets) = match self.sides(request, due).await {
            Ok(sides) => sides,
            Err(error) => return self.access_failed(error),
        };
        if let Some(blocked) = &self.memory.blocked {
            let unchanged = blocked.secrets == secrets && self.now < blocked.until;
            if unchanged && matches!(due, Due::Scheduled | Due::InProgress) {
                self.memory.next_look = Some(schedule::later(self.now, LOOK_AT_SECRETS));
                return Ok(Looked::nothing(Action::requeue(LOOK_AT_SECRETS)));
            }
        }
        let observed = match self.observed(&sides, request, due).await {
            Ok(observed) => observed,
            Err(error) => return Ok(self.observe_failed(error, secrets)),
        };
        self.memory.blocked = None;
        self.act(request, &sides, observed, due, secrets).await
    }

    /// Reads the Secrets and makes the two clients.
    async fn sides(&self, request: &CopyRequest, due: Due) -> Result<(Sides, Vec<String>), AccessError> {
        // A registry that refused is asked again only with other Secrets, so they must be new.
        let routine = matches!(due, Due::Scheduled | Due::InProgress) && self.memory.blocked.is_none();
        let from = NamespaceSecrets {
            secrets: &self.context.secrets,
            namespace: self.image.metadata.namespace.as_deref().unwrap_or_default(),
            freshness: if routine { Freshness::Believed } else { Freshness::Now },
        };
        let ImageSpec { source, destination, .. } = &self.image.spec;
        let (credentials, tls) = (source.credentials.as_ref(), &source.tls);
        let at_source = access::resolve(&from, Side::Source, &request.source, credentials, tls).await?;
        let (credentials, tls) = (destination.credentials.as_ref(), &destination.tls);
        let at_destination =
            access::resolve(&from, Side::Destination, &request.destination, credentials, tls).await?;
        let registries = &self.context.registries;
        let sides = Sides {
            source: registries.repository(&request.source, &at_source.access),
            destination: Some(registries.repository(&request.destination, &at_destination.access)),
        };
        Ok((sides, [at_source.secrets, at_destination.secrets].concat()))
    }

    /// What both registries say: asked anew when a sync begins, remembered while its Jobs run.
    async fn observed(
        &mut self,
        sides: &Sides,
        request: &CopyRequest,
        due: Due,
    ) -> Result<Observed, ObserveError> {
        if due == Due::InProgress
            && let Some(observed) = self.memory.observed.take()
        {
            return Ok(observed);
        }
        let mut known = Known::default();
        if request.mode == Mode::OnceByTag {
            known.already_synced =
                self.status().tag_already_synced.iter().filter_map(|tag| tag.parse().ok()).collect();
        }
        // Who asks for a sync, or changes the spec, wants the truth and not what we remember.
        if matches!(due, Due::Scheduled | Due::InProgress) {
            known.at_destination = self.memory.believed(self.now);
        }
        let limits = Limits { max_tags: self.context.config.max_tags_per_image.into(), ..Limits::default() };
        observe(sides, request, &known, limits).await
    }

    /// Counts one more disappointment and says how long to wait.
    pub(super) fn look_again(&mut self) -> Duration {
        self.memory.look_agains = self.memory.look_agains.saturating_add(1);
        let wait = schedule::look_again_delay(self.memory.look_agains);
        self.memory.next_look = Some(schedule::later(self.now, wait));
        wait
    }

    /// Sets tags, makes Jobs, and says how it stands.
    async fn act(
        &mut self,
        request: &CopyRequest,
        sides: &Sides,
        mut observed: Observed,
        due: Due,
        secrets: Vec<String>,
    ) -> Result<Looked, ApiError> {
        let jobs = Jobs::of(self.context, self.image, self.now).await?;
        let mut runs = jobs.runs(&self.memory.outcomes);
        // What became of a copy after its Job matters for as long as the Job says otherwise.
        self.memory.outcomes.retain(|copy, _| runs.iter().any(|run| run.copy == *copy));
        let failures = self.status().failures;
        let retry_now = due == Due::Requested;
        let now = self.now;
        let work_out = |observed: &Observed, runs: &[Run]| {
            plan(Inputs { request, observed, runs, failures: &failures, retry_now, now })
        };
        let mut planned = work_out(&observed, &runs);
        if planned.publications().next().is_some() {
            if let Err(error) = self.publish_all(request, sides, &planned, &mut observed, &mut runs).await {
                return Ok(self.registry_failed(Side::Destination, &error, secrets));
            }
            planned = work_out(&observed, &runs);
        }
        let copies: Vec<Copy> = planned.copies().cloned().collect();
        let mut held_back = None;
        if !copies.is_empty() {
            let made = match jobs.make(request, &copies).await {
                Ok(made) => made,
                Err(error) => return self.job_failed(error),
            };
            runs.extend(made.copies.into_iter().map(|copy| Run { copy, outcome: Outcome::Running }));
            held_back = made.full.map(|full| full.to_string());
        }
        jobs.drop_stuck(&failures).await?;
        // A copy that was not started is planned again, and one that was is waited for.
        let planned = work_out(&observed, &runs);
        Ok(self.conclude(request, &planned, observed, &jobs, held_back.as_deref()))
    }

    /// Sets every tag whose content is there. What the destination answers is what the plan is
    /// worked out from next.
    async fn publish_all(
        &mut self,
        request: &CopyRequest,
        sides: &Sides,
        planned: &Plan,
        observed: &mut Observed,
        runs: &mut [Run],
    ) -> Result<(), imgop_core::registry::RegistryError> {
        let Some(destination) = &sides.destination else { return Ok(()) };
        let copies: Vec<Copy> = planned.publications().cloned().collect();
        let now = self.now;
        let results =
            futures::future::join_all(copies.iter().map(|copy| publish(destination, request, copy, now)))
                .await;
        for (copy, result) in copies.into_iter().zip(results) {
            match result {
                Ok(Published::Seen(seen)) => {
                    for tag in observed.tags.iter_mut().filter(|t| t.destination_tag == copy.destination_tag)
                    {
                        tag.destination = seen.clone();
                    }
                }
                Ok(Published::Failed(outcome)) => self.remember_outcome(copy, outcome, runs),
                Err(error) if matches!(error.reason(), Reason::Unauthorized | Reason::Forbidden) => {
                    return Err(error);
                }
                Err(error) => {
                    let outcome = Outcome::Failed {
                        reason: imgop_core::api::FailureReason::PublishFailed,
                        message: error.to_string(),
                        at: now,
                    };
                    self.remember_outcome(copy, outcome, runs);
                }
            }
        }
        Ok(())
    }

    fn remember_outcome(&mut self, copy: Copy, outcome: Outcome, runs: &mut [Run]) {
        for run in runs.iter_mut().filter(|run| run.copy == copy) {
            run.outcome = outcome.clone();
        }
        self.memory.outcomes.insert(copy, outcome);
    }

    /// Says how it stands, and when to look again.
    fn conclude(
        &mut self,
        request: &CopyRequest,
        planned: &Plan,
        observed: Observed,
        jobs: &Jobs<'_>,
        held_back: Option<&str>,
    ) -> Looked {
        let status = self.status();
        let busy = planned.is_busy();
        let findings = Findings {
            verdict: verdict(request, planned, held_back),
            tags: Some(TagFindings {
                counts: planned.counts(),
                failures: planned.failures().cloned().collect(),
                already_synced: already_synced(request, planned),
                next_attempt: planned.next_attempt(),
            }),
            handled_request: self.open_request(),
            ended: (!busy).then(|| jobs.copied_since(status.last_sync_time.as_ref().map(|t| t.0), planned)),
        };
        self.memory.keep(&observed, self.now);
        let wait = if busy {
            self.memory.observed = Some(observed);
            if held_back.is_some() { LOOK_FOR_PLACE } else { LOOK_AT_JOBS }
        } else {
            self.memory.observed = None;
            self.rest(request, planned)
        };
        Looked { findings: Some(findings), again: Action::requeue(wait) }
    }

    /// How long nothing is to be done.
    fn rest(&mut self, request: &CopyRequest, planned: &Plan) -> Duration {
        let looks_again = planned.tags.is_empty()
            || planned.tags.iter().any(|t| matches!(t.action, TagAction::LookAgain(_)));
        let mut next = schedule::next_look(self.image, request.frequency.period(), self.now);
        if looks_again {
            self.look_again();
            next = self.memory.next_look.unwrap_or(next);
        } else {
            self.memory.look_agains = 0;
        }
        if let Some(attempt) = planned.next_attempt() {
            next = next.min(attempt);
        }
        self.memory.next_look = Some(next);
        schedule::until(next, self.now).max(Duration::from_secs(1))
    }
}

/// The tags that mode `OnceByTag` need not copy again: only those that the destination has.
fn already_synced(request: &CopyRequest, planned: &Plan) -> Vec<String> {
    if request.mode != Mode::OnceByTag {
        return Vec::new();
    }
    planned
        .tags
        .iter()
        .filter(|t| matches!(t.action, TagAction::UpToDate | TagAction::AlreadySynced))
        .map(|t| t.source_ref.to_string())
        .collect()
}
