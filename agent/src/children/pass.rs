//! A pass over an object that keeps Images: what is the same whatever its kind. Such an object is called a mirror here.

use std::time::Duration;

use imgop_core::api::conditions::reasons;
use imgop_core::api::{LastPass, Scheduled};
use imgop_core::readiness::Readiness;
use imgop_core::schedule::{Candidate, Due, Recurrence};
use jiff::Timestamp;
use kube::Resource as _;

use super::changes::Situation;
use super::status::{MirrorStatus, next_status};
use super::{
    CORRECTION_INTERVAL, Changes, ChildImages, ChildMemory, Children, Conclusion, Desired, Findings, Gone,
    Keeper, Looks, Mirrored, Requests, WRITE_INTERVAL,
};
use crate::agent::Agent;
use crate::cluster::api_error::ApiError;
use crate::cluster::owner::Owner;
use crate::cluster::rights::{Right, Role};
use crate::controller::{Failure, PassResult, Reconcile, Report};

/// How long lies between two statuses in which nothing is new but numbers.
const NUMBERS_INTERVAL: Duration = Duration::from_mins(1);

/// A kind whose objects keep Images.
pub(crate) trait KeepsImages: Reconcile<Kind: Scheduled, Status: MirrorStatus> {
    /// Who writes its Images.
    const KEEPER: Keeper;
    /// How long lies between two looks at the Images, unless a user waits for one: each status of an Image calls for one.
    const LOOK_INTERVAL: Duration;

    /// Returns all Images.
    fn images(&self) -> &ChildImages;

    /// Returns what tells when a mirror is due.
    fn candidate(mirror: &Self::Kind) -> Candidate<'_>;
}

/// What only passes of a kind find out.
type Observed<R> = <<R as Reconcile>::Status as MirrorStatus>::Observed;

/// One pass over one mirror.
pub(crate) struct Pass<'a, R: KeepsImages> {
    pub mirrors: &'a R,
    pub mirror: &'a R::Kind,
    pub owner: Owner,
    pub candidate: Candidate<'a>,
    pub requests: Requests,
    pub now: Timestamp,
}

impl<'a, R: KeepsImages> Pass<'a, R> {
    pub fn new(mirrors: &'a R, mirror: &'a R::Kind, looks: &Looks, now: Timestamp) -> Self {
        let candidate = R::candidate(mirror);
        let requests = looks.requests(&candidate, mirror.is_suspended(), now);
        Self { mirrors, mirror, owner: Owner::of(mirror), candidate, requests, now }
    }

    pub fn agent(&self) -> &'a Agent {
        self.mirrors.agent()
    }

    pub fn namespace(&self) -> &'a str {
        self.mirror.meta().namespace.as_deref().unwrap_or_default()
    }

    pub fn name(&self) -> &'a str {
        self.mirror.meta().name.as_deref().unwrap_or_default()
    }

    /// Returns the Images of the mirror.
    pub fn children(&self) -> Children<'_> {
        let Self { mirrors, owner, requests, now, .. } = self;
        Children { agent: self.agent(), all: mirrors.images(), owner, keeper: R::KEEPER, requests, now: *now }
    }

    /// Returns why everything is to be looked at anew, if it is. An error says how long nothing is to be done.
    pub fn due(&self, recurrence: &Recurrence, looks: &mut Looks) -> Result<Option<Due>, Duration> {
        looks.schedule.next(&self.candidate, recurrence, &self.agent().uptime(), self.now);
        let due = looks.due(&self.candidate, &self.requests, self.now);
        match looks.too_early(due, R::LOOK_INTERVAL, self.now) {
            Some(wait) => Err(wait),
            None => Ok(due),
        }
    }

    /// Suspends the Images of a mirror that is suspended. Nothing else of them is changed.
    pub async fn suspend(
        &self,
        looks: &mut Looks,
        memory: &mut ChildMemory,
    ) -> Result<Conclusion<Observed<R>>, ApiError> {
        self.suspend_images(&self.children().mirrored(), looks, memory).await?;
        let wait = looks.is_busy.then_some(WRITE_INTERVAL).or(memory.suspension_wait());
        let LastPass { conditions, phase, .. } = self.mirror.last_pass();
        let (readiness, generation) = memory.suspended(conditions, phase);
        let findings = Findings { generation, ..Findings::of(readiness, Requests::default()) };
        Ok(Conclusion { findings: Some(findings), wait, has_looked: false })
    }

    /// Suspends these Images.
    pub async fn suspend_images(
        &self,
        mirrored: &[Mirrored],
        looks: &mut Looks,
        memory: &mut ChildMemory,
    ) -> Result<(), ApiError> {
        let children = self.children();
        children.forget_shown(mirrored, memory);
        looks.is_busy = children.suspend(mirrored, memory).await?;
        Ok(())
    }

    /// Compares the Images that are asked for with those that there are, and writes what differs, up to as much as a pass
    /// may. Returns all that differs, and how many writes the watch does not show yet.
    pub async fn keep<'d>(
        &self,
        desired: &'d [Desired],
        mirrored: &[Mirrored],
        gone: Gone<'_>,
        (looks, memory): (&mut Looks, &mut ChildMemory),
    ) -> Result<(Changes<'d>, usize), ApiError> {
        let children = self.children();
        children.forget_shown(mirrored, memory);
        let is_resuming = children.resume(mirrored, memory).await?;
        let occupants = children.occupants(desired, mirrored);
        let situation =
            Situation { desired, mirrored, occupants: &occupants, requests: &self.requests, gone };
        let changes = situation.changes();
        let has_written = children.write(&changes, memory).await?;
        looks.is_busy = has_written || is_resuming;
        let is_open = |desired: &Desired| !children.is_refused(desired, memory);
        let writes = changes.writes.iter().filter(|one| is_open(one.desired)).count();
        let open = writes + changes.prune.len() + usize::from(is_resuming);
        // What no watch shows is looked at once more, and not waited for.
        looks.shown_by = if open > 0 { memory.shown_by() } else { None };
        Ok((changes, open))
    }

    /// Returns the end of a pass that could not go on. What is asked of a mirror that is suspended waits until it is resumed.
    pub fn halt(&self, readiness: Readiness, wait: Option<Duration>) -> Conclusion<Observed<R>> {
        let is_suspended = self.mirror.is_suspended();
        let handled = if is_suspended { Requests::default() } else { self.requests.clone() };
        let findings = Findings { has_ended: !is_suspended, ..Findings::of(readiness, handled) };
        Conclusion { findings: Some(findings), wait, has_looked: true }
    }

    /// Returns the end of a pass for which the agent lacks a right in a namespace, or in all of them where that is empty.
    /// `message` says so.
    pub fn halt_without_right(
        &self,
        message: &str,
        (right, namespace): (Right, &str),
        looks: &mut Looks,
    ) -> Conclusion<Observed<R>> {
        let how = self.agent().rights.how_to_grant(right, namespace);
        let message = format!("{message} (checked again every 30 s); {how}");
        let wait = looks.schedule.wait(CORRECTION_INTERVAL, self.now);
        let reason = match right.role {
            Role::WORKLOADS => reasons::WORKLOADS_NOT_ALLOWED,
            _ => reasons::NAMESPACE_NOT_ENABLED,
        };
        self.halt(Readiness::stalled(reason, message), Some(wait))
    }

    /// Returns the end of a pass that has compared the Images with what is asked for. `open` is how many writes the watch
    /// does not show yet.
    pub fn conclude(
        &self,
        (readiness, observed): (Readiness, Observed<R>),
        open: usize,
        wait: Option<Duration>,
        looks: &mut Looks,
    ) -> Conclusion<Observed<R>> {
        let mut findings =
            Findings { observed: Some(observed), ..Findings::of(readiness, Requests::default()) };
        if open == 0 {
            findings.handled = self.requests.clone();
            findings.has_ended = std::mem::take(&mut looks.is_syncing);
        }
        // How far it has come can wait; an end and a new spec cannot.
        let is_soon = looks.is_reported(R::LOOK_INTERVAL, self.now);
        let is_left_out = open > 0 && is_soon && !self.candidate.is_spec_new();
        Conclusion { findings: (!is_left_out).then_some(findings), wait, has_looked: true }
    }

    /// Returns what the controller is told of a pass that ended so.
    pub fn result(
        &self,
        conclusion: Conclusion<Observed<R>>,
        looks: &mut Looks,
        memory: &mut ChildMemory,
    ) -> PassResult<R::Status> {
        let Conclusion { findings, wait, has_looked } = conclusion;
        let mut next = wait.into_iter().chain(self.request_delay(looks)).min();
        let report = findings.and_then(|findings| {
            let completed = findings.has_ended.then_some(0);
            let (old, generation) = (R::status(self.mirror), self.mirror.meta().generation);
            let status = next_status(old, generation, findings, memory.take_has_written(), self.now);
            let is_news = old.is_none_or(|old| status.is_news(old));
            if !is_news && looks.is_reported(NUMBERS_INTERVAL, self.now) {
                next = next.into_iter().chain([NUMBERS_INTERVAL]).min();
                return None;
            }
            looks.reported = Some(self.now);
            Some(Report { status, completed, names: Vec::new(), is_progress: false })
        });
        PassResult { report, next, has_looked }
    }

    /// Returns how long a request that was made must wait.
    fn request_delay(&self, looks: &Looks) -> Option<Duration> {
        let is_suspended = self.mirror.is_suspended();
        self.requests.delay(&self.candidate, is_suspended, &looks.schedule, self.now)
    }
}

/// Returns the status of a mirror that no pass can help.
pub(crate) fn stalled<S: MirrorStatus>(old: Option<&S>, failure: &Failure<'_>, now: Timestamp) -> S {
    let readiness = Readiness::stalled(failure.reason, failure.message);
    next_status(old, failure.generation, Findings::of(readiness, Requests::default()), false, now)
}
