//! One look at an Image: everything is worked out again from its spec, its status, its Jobs and
//! the registries, so a crash between any two writes costs nothing.

use std::time::Duration;

use imgop_core::api::Side;
use imgop_core::api::conditions::{NewCondition, READY, RECONCILING, find, reasons};
use imgop_core::api::{Image, ImageSpec, ImageStatus, Mode, Phase};
use imgop_core::copy::{CopyRequest, Observed, Plan, Readiness, TagAction, first_seen};
use imgop_core::copy::{Limits, ObserveError, Sides, observe};
use imgop_registry::reference::Repository;
use jiff::Timestamp;
use kube::runtime::controller::Action;

use super::access::{self, AccessError, NamespaceSecrets, Resolved};
use super::aws;
use super::jobs::Jobs;
use super::memory::Remembered;
use super::schedule::{self, Due};
use super::secrets::Freshness;
use super::status::{Findings, TagFindings};
use crate::context::Context;

/// How long a sync under way waits for news of its Jobs before it looks by itself.
pub(super) const LOOK_AT_JOBS: Duration = Duration::from_secs(15);
/// How long it waits for a place for a Job.
pub(super) const LOOK_FOR_PLACE: Duration = Duration::from_secs(5);
/// How long both registries may take to answer for one Image, and then how long tags may be settled: it
/// holds one of few places.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);
/// How long after its start the agent waits until it knows the Images of all namespaces.
pub(super) const KNOWN_BY: Duration = Duration::from_mins(1);
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

    pub(super) fn readiness(readiness: Readiness, request: Option<String>, after: Duration) -> Self {
        Self { findings: Some(Findings::of(readiness, request)), again: Action::requeue(after) }
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
        if self.context.budget.unfinished(self.uid()) > 0 {
            // Whatever this look comes to, places whose Jobs have ended are free.
            Jobs::recount(self.context, self.image).await?;
        }
        if self.image.spec.suspend && !self.is_under_way() {
            return Ok(self.suspended(None, 0));
        }
        let request = match CopyRequest::parse(&self.image.spec) {
            Ok(request) => request,
            Err(error) => {
                let said = Readiness::stalled(reasons::INVALID_SPEC, error.to_string());
                return Ok(Looked {
                    again: Action::await_change(),
                    ..Looked::readiness(said, self.open_request(), Duration::ZERO)
                });
            }
        };
        let period = request.frequency.period();
        let next = *self
            .memory
            .next_look
            .get_or_insert_with(|| schedule::first_look(self.image, period, self.context.started));
        // A clock that was ahead must not silence an Image for as long.
        let next = next.min(schedule::later(self.now, period.max(Duration::from_hours(1))));
        self.memory.next_look = Some(next);
        match schedule::due(self.image, Some(next), self.now) {
            _ if self.image.spec.suspend => self.sync(&request, Due::InProgress).await,
            Some(due) => self.sync(&request, due).await,
            None => {
                self.set_what_ended(&request).await?;
                if self.memory.started.is_empty() {
                    return Ok(Looked::nothing(self.until_next(&request, next)));
                }
                // A Job that does not start is noticed by time alone.
                let wait = schedule::until(next, self.now).clamp(Duration::from_secs(1), LOOK_AT_JOBS);
                Ok(Looked::nothing(Action::requeue(wait)))
            }
        }
    }

    /// Whether a sync was begun whose copies may still run.
    fn is_under_way(&self) -> bool {
        let status = self.status();
        let reconciling = find(&status.conditions, RECONCILING);
        reconciling.is_some_and(|c| c.reason == reasons::PROGRESSING)
            || self.context.budget.unfinished(self.uid()) > 0
    }

    fn uid(&self) -> &str {
        self.image.metadata.uid.as_deref().unwrap_or_default()
    }

    pub(super) fn open_request(&self) -> Option<String> {
        schedule::open_request(self.image).map(str::to_owned)
    }

    pub(super) fn status(&self) -> ImageStatus {
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

    /// No new Jobs. Ready keeps what it said, and of which generation: a spec that was never synced
    /// must not be ready because the one before it was.
    pub(super) fn suspended(&self, tags: Option<TagFindings>, copied: u32) -> Looked {
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
            generation: status.observed_generation,
            ended: tags.as_ref().map(|_| copied),
            tags,
            handled_request: None,
            written_to: None,
        };
        Looked { findings: Some(findings), again: Action::await_change() }
    }

    async fn sync(&mut self, request: &CopyRequest, due: Due) -> Result<Looked, ApiError> {
        // A namespace that cannot be watched must not stop all others, so this has an end.
        let is_early = self.now < schedule::later(self.context.started, KNOWN_BY);
        if is_early && !self.context.rivals.are_known() {
            return Ok(Looked::nothing(Action::requeue(LOOK_FOR_PLACE)));
        }
        // Before anything can fail: a second look must not believe what this one doubts.
        let generation = self.image.metadata.generation;
        if matches!(due, Due::SpecChanged | Due::Requested) || self.memory.generation != generation {
            self.memory.doubt();
            self.memory.generation = generation;
        }
        // After a restart alone the destination is believed, or it would cost a pull for each tag.
        if due == Due::SpecChanged {
            self.memory.doubt_contents();
        }
        if !self.context.may_work_in(self.image.metadata.namespace.as_deref().unwrap_or_default()).await? {
            return Ok(self.not_enabled());
        }
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
    pub(super) async fn sides(
        &self,
        request: &CopyRequest,
        due: Due,
    ) -> Result<(Sides, Vec<String>), AccessError> {
        // A registry that refused is asked again only with other Secrets, so they must be new.
        let routine = matches!(due, Due::Scheduled | Due::InProgress) && self.memory.blocked.is_none();
        let from = NamespaceSecrets {
            secrets: &self.context.secrets,
            namespace: self.image.metadata.namespace.as_deref().unwrap_or_default(),
            freshness: if routine { Freshness::Believed } else { Freshness::Now },
        };
        let at_source = self.side(&from, Side::Source, &request.source).await?;
        let at_destination = self.side(&from, Side::Destination, &request.destination).await?;
        let registries = &self.context.registries;
        let sides = Sides {
            source: registries.repository(&request.source, &at_source.access),
            destination: Some(registries.repository(&request.destination, &at_destination.access)),
        };
        Ok((sides, [at_source.secrets, at_destination.secrets].concat()))
    }

    /// How one side is reached: with its Secrets, and with AWS's credentials where the Image asks for them.
    async fn side(
        &self,
        from: &NamespaceSecrets<'_>,
        side: Side,
        repository: &Repository,
    ) -> Result<Resolved, AccessError> {
        let ImageSpec { source, destination, .. } = &self.image.spec;
        let (credentials, tls) = match side {
            Side::Source => (source.credentials.as_ref(), &source.tls),
            Side::Destination => (destination.credentials.as_ref(), &destination.tls),
        };
        let resolved = access::resolve(from, side, repository, credentials, tls).await?;
        aws::lend(self.context, self.image, side, repository.host(), from.freshness, resolved).await
    }

    /// What both registries say: asked anew when a sync begins, remembered while its Jobs run, but no
    /// longer than a period, so that one slow tag does not hide what happens to the others.
    async fn observed(
        &mut self,
        sides: &Sides,
        request: &CopyRequest,
        due: Due,
    ) -> Result<(Timestamp, Observed), ObserveError> {
        let believed = request.frequency.period().max(Duration::from_mins(1));
        let before = match self.memory.observed.take() {
            Some(known) if due == Due::InProgress && self.now < schedule::later(known.0, believed) => {
                return Ok(known);
            }
            before => before,
        };
        // Who asks for a sync wants to know what is there now, on both sides.
        if due == Due::Requested {
            sides.source.invalidate_tag_lists();
            if let Some(destination) = &sides.destination {
                destination.invalidate_tag_lists();
            }
        }
        let status = self.status();
        let mut known = self.memory.known(self.now);
        known.first_seen = first_seen(&status.waiting);
        known.first_seen.extend(self.memory.first_seen.clone());
        // What was copied from elsewhere, or to elsewhere, says nothing of this.
        let same = status.synced_from.is_none_or(|from| from == request.synced_from(&self.image.spec));
        if request.mode == Mode::OnceByTag && same {
            known.already_synced =
                status.tag_already_synced.iter().filter_map(|tag| tag.parse().ok()).collect();
        }
        let limits = Limits { max_tags: self.context.config.max_tags_per_image.into(), ..Limits::default() };
        let answer = match tokio::time::timeout(PATIENCE, observe(sides, request, &known, limits)).await {
            Ok(observed) => observed.map(|observed| (self.now, observed)),
            Err(_) => Err(ObserveError::TooSlow { seconds: PATIENCE.as_secs() }),
        };
        if answer.is_err() && !self.memory.started.is_empty() {
            // The Jobs that run were made for this, and it is enough to set their tags.
            self.memory.observed = before;
        }
        answer
    }

    /// Counts one more disappointment and says how long to wait.
    pub(super) fn look_again(&mut self) -> Duration {
        self.memory.look_agains = self.memory.look_agains.saturating_add(1);
        let wait = schedule::look_again_delay(self.memory.look_agains);
        self.memory.next_look = Some(schedule::later(self.now, wait));
        wait
    }

    /// How long nothing is to be done.
    pub(super) fn rest(&mut self, request: &CopyRequest, planned: &Plan) -> Duration {
        let looks_again = planned.tags.is_empty() && planned.waiting_until.is_none()
            || planned.tags.iter().any(|t| matches!(t.action, TagAction::RetryLater(_)));
        let mut next = schedule::next_look(self.image, request.frequency.period(), self.now);
        if looks_again {
            self.look_again();
            next = self.memory.next_look.unwrap_or(next);
        } else {
            self.memory.look_agains = 0;
        }
        next = schedule::not_after(next, planned);
        self.memory.next_look = Some(next);
        schedule::until(next, self.now).max(Duration::from_secs(1))
    }
}
