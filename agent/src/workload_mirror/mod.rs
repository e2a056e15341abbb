//! Workload mirrors: what runs is seen, and kept as Images.
//!
//! ```text
//! watches of pods and workloads ─▶ groups ─▶ usage ─▶ plan (pure, in core) ─▶ Images, a few a second ─▶ findings ─▶ status
//!                                    │                  ▲        ▲
//!                                    └ cannot be pulled ┴ origins   Images that are there
//! ```
//!
//! A pass works out everything again from the spec, from what runs and from the Images that there are. Copying is the
//! Images' own: a registry is asked only for what pods cannot pull, for the mode Observe, and for `$arch`.

mod architectures;
mod findings;
mod gather;
mod halt;
mod observe;
mod on_the_fly;
mod opt_outs;
mod owners;
mod registries;
mod status;
mod targets;
mod unasked;
pub mod workloads;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use imgop_core::api::{
    ImageMirror, REQUESTED_AT_ANNOTATION, RESET_ANNOTATION, WORKLOAD_MIRROR_LABEL, WorkloadKind,
    WorkloadMirror, WorkloadMirrorStatus, WorkloadMode,
};
use imgop_core::schedule::{Candidate, Due, Recurrence};
use imgop_core::workloads::{WorkloadRequest, kinds_read};
use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::children::{self, ChildImages, ChildMemory, Keeper, KeepsImages, Looks, Requests};
use crate::cluster::api_error::ApiError;
use crate::cluster::group_rights::GroupRights;
use crate::cluster::owner::Owner;
use crate::cluster::rights::Right;
use crate::cluster::watch::Keep;
use crate::controller::{Failure, Objects, PassResult, Reconcile, Report};
use halt::Halt;
use on_the_fly::OnTheFly;
use opt_outs::OptOuts;
use owners::Owners;
use status::Observed;
use workloads::{Asking, Workloads};

/// How long is waited for what ends by itself within moments.
const SHORT_INTERVAL: Duration = Duration::from_secs(5);

/// The kind `WorkloadMirror`, with what its passes share.
pub struct WorkloadMirrors {
    agent: Arc<Agent>,
    images: ChildImages,
    workloads: Workloads,
    others: Others,
    owners: Owners,
    opt_outs: OptOuts,
    group_rights: GroupRights,
}

/// All mirrors, whose targets are no sources.
#[derive(Debug, Clone)]
pub struct Others {
    /// Those of inventories.
    pub image_mirrors: Objects<ImageMirror>,
    /// Those of workloads.
    pub workload_mirrors: Objects<WorkloadMirror>,
}

impl WorkloadMirrors {
    /// Returns the kind, which sees these workloads and keeps Images among these.
    pub fn new(agent: Arc<Agent>, images: ChildImages, workloads: Workloads, others: Others) -> Self {
        let client = || agent.client.clone();
        let (owners, opt_outs) = (Owners::new(client()), OptOuts::new(client()));
        let group_rights = GroupRights::new(client());
        Self { agent, images, workloads, others, owners, opt_outs, group_rights }
    }
}

/// Watches what runs for all `WorkloadMirrors`, while there are any, until `stop`.
pub async fn watch_workloads(
    workloads: Workloads,
    agent: Arc<Agent>,
    mirrors: Objects<WorkloadMirror>,
    stop: CancellationToken,
) {
    let asking = Mirrors { agent: agent.clone(), mirrors };
    workloads.run(agent, asking, stop).await;
}

/// What all `WorkloadMirrors` ask of the watches.
struct Mirrors {
    agent: Arc<Agent>,
    mirrors: Objects<WorkloadMirror>,
}

impl Asking for Mirrors {
    fn kinds(&self) -> HashSet<WorkloadKind> {
        let active = self.mirrors.all().filter(|mirror| !mirror.spec.suspend);
        active.flat_map(|mirror| kinds_read(&mirror.spec)).collect()
    }

    fn wake(&self) {
        self.mirrors.all().for_each(|mirror| self.agent.jobs.wake(&Owner::of(&mirror)));
    }
}

/// What is remembered of a WorkloadMirror between two passes.
#[derive(Debug, Default)]
pub struct Memory {
    looks: Looks,
    children: ChildMemory,
    on_the_fly: OnTheFly,
    observed: observe::Observations,
    architectures: architectures::Architectures,
    namespaces: gather::KnownNamespaces,
    /// Since when the watches have not listed all that is looked at.
    unlisted_since: Option<Timestamp>,
    /// The spec, by its generation, and the requests for which all was last looked for again.
    asked: Option<(Option<i64>, Requests)>,
    /// When that was: what workloads said before is asked for again.
    asked_at: Option<Instant>,
}

impl Reconcile for WorkloadMirrors {
    type Kind = WorkloadMirror;
    type Status = WorkloadMirrorStatus;
    type Memory = Memory;

    const KEEP: Keep = Keep { annotations: &[REQUESTED_AT_ANNOTATION, RESET_ANNOTATION], ..Keep::OBJECT };

    fn agent(&self) -> &Arc<Agent> {
        &self.agent
    }

    fn status(mirror: &WorkloadMirror) -> Option<&WorkloadMirrorStatus> {
        mirror.status.as_ref()
    }

    async fn pass(
        &self,
        mirror: &WorkloadMirror,
        memory: &mut Memory,
        now: Timestamp,
    ) -> Result<PassResult<WorkloadMirrorStatus>, ApiError> {
        let pass = Pass::new(self, mirror, &memory.looks, now);
        let conclusion = match Box::pin(pass.run(memory)).await {
            Ok(conclusion) => conclusion,
            Err(halt) => pass.halted(halt, memory)?,
        };
        Ok(pass.result(conclusion, &mut memory.looks, &mut memory.children))
    }

    fn stalled(
        old: Option<&WorkloadMirrorStatus>,
        failure: Failure<'_>,
        now: Timestamp,
    ) -> WorkloadMirrorStatus {
        children::stalled(old, &failure, now)
    }

    fn reported(&self, _mirror: &WorkloadMirror, report: &Report<WorkloadMirrorStatus>, now: Timestamp) {
        if report.completed.is_some() {
            self.agent.metrics.sync_ended::<WorkloadMirror>(&report.status.conditions, now);
        }
    }
}

impl KeepsImages for WorkloadMirrors {
    const KEEPER: Keeper = Keeper {
        manager: "imgop-workload-mirror",
        suspender: "imgop-workload-mirror-suspend",
        label: WORKLOAD_MIRROR_LABEL,
    };
    /// Each change of what runs calls for a look, too.
    const LOOK_INTERVAL: Duration = Duration::from_secs(5);

    fn images(&self) -> &ChildImages {
        &self.images
    }

    fn candidate(mirror: &WorkloadMirror) -> Candidate<'_> {
        Candidate::from(mirror)
    }
}

/// One pass over one WorkloadMirror.
type Pass<'a> = children::Pass<'a, WorkloadMirrors>;
type Conclusion = children::Conclusion<Observed>;

impl Pass<'_> {
    /// Looks at what runs and at the Images, if that is due, and writes what is missing.
    async fn run(&self, memory: &mut Memory) -> Result<Conclusion, Halt> {
        // What is not listed yet would be taken for missing.
        if !self.mirrors.images.are_known() || !self.mirrors.others.are_known() {
            return Err(Halt::Postponed(SHORT_INTERVAL));
        }
        let spec = &self.mirror.spec;
        let request = WorkloadRequest::parse(spec, self.namespace())?;
        let request = request.known_by(&self.agent().policies.latest());
        self.agent().config.jobs.job_refused_keys.check(&spec.job_template)?;
        // A spec that was read has a frequency.
        let recurrence = Recurrence::parse(spec.recurrence()).ok_or(Halt::Postponed(SHORT_INTERVAL))?;
        let due = self.due(&recurrence, &mut memory.looks).map_err(Halt::Postponed)?;
        memory.looks.looked = Some(self.now);
        if spec.suspend {
            memory.unlisted_since = None;
            self.may_suspend(due).await?;
            return Ok(self.suspend(&mut memory.looks, &mut memory.children).await?);
        }
        if due.is_some() {
            memory.looks.is_syncing = true;
            memory.children.forget_refusals();
        }
        if due.is_some_and(Due::is_asked_for) {
            self.look_again(memory);
        }
        self.may_work(due).await?;
        let gathered = self.gather(&request, memory).await?;
        let conclusion = self.follow(&request, gathered, memory).await?;
        if due.is_some() {
            memory.looks.ended(self.candidate.uid, &recurrence, self.now);
        }
        Ok(Conclusion { wait: memory.looks.next(conclusion.wait, self.now), ..conclusion })
    }

    /// Has what could not be asked, or was not there, looked for at once, and rights asked for, as a user waits for it: once for
    /// each spec and each request, so that a pass which does not come to its end does not begin anew.
    fn look_again(&self, memory: &mut Memory) {
        let asked = Some((self.candidate.generation, self.requests.clone()));
        if memory.asked == asked {
            return;
        }
        (memory.asked, memory.asked_at) = (asked, Some(Instant::now()));
        self.mirrors.group_rights.invalidate(self.namespace());
        memory.on_the_fly.look_again(self.now);
        memory.architectures.look_again(self.now);
        memory.observed.look_again();
    }

    /// Returns an error unless the agent may do to the Images now what it is to.
    async fn may_work(&self, due: Option<Due>) -> Result<(), Halt> {
        if self.mirror.spec.mode != WorkloadMode::Active {
            return self.may_suspend(due).await;
        }
        let missing = self.children().missing_right(due).await?;
        self.unless_missing(missing)
    }

    /// Returns an error unless the agent may suspend the Images that there are.
    async fn may_suspend(&self, due: Option<Due>) -> Result<(), Halt> {
        let children = self.children();
        let missing = children.missing_right_to_suspend(&children.mirrored(), due).await?;
        self.unless_missing(missing)
    }

    fn unless_missing(&self, right: Option<Right>) -> Result<(), Halt> {
        match right {
            None => Ok(()),
            Some(right) => Err(Halt::MissingRight(right, self.namespace().to_owned())),
        }
    }
}

#[cfg(test)]
mod tests;
