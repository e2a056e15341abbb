//! Image mirrors: an inventory is read, and kept as Images.
//!
//! ```text
//! files ─▶ inventory ─▶ expansion ─▶ changes (pure) ─▶ Images, a few a second ─▶ findings ─▶ status
//!                                      ▲
//!                              Images that are there
//! ```
//!
//! A pass works out everything again from the spec, its files and the Images that there are. Copying is the Images' own:
//! no registry is asked here.

mod desired;
mod findings;
mod halt;
mod inputs;
mod kept;
mod status;
mod suspension;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use imgop_core::api::{
    ImageMirror, ImageMirrorSpec, ImageMirrorStatus, MIRROR_LABEL, PRUNE_ANNOTATION, REQUESTED_AT_ANNOTATION,
    RESET_ANNOTATION,
};
use imgop_core::inventory::Inventory;
use imgop_core::readiness::Readiness;
use imgop_core::schedule::{Candidate, Due, Recurrence};
use jiff::Timestamp;

use crate::agent::Agent;
use crate::children::{ChildImages, ChildMemory, Children, Keeper, Looks, Requests};
use crate::cluster::api_error::ApiError;
use crate::cluster::owner::Owner;
use crate::cluster::watch::Keep;
use crate::controller::{Failure, PassResult, Reconcile, Report};
use findings::{Conclusion, Findings};
use halt::Halt;
use kept::{InventoryRoom, KeptInventory};
use status::next_status;
use versions::{SharedSources, VersionMemory};

/// Who writes the Images of mirrors.
const KEEPER: Keeper =
    Keeper { manager: "imgop-mirror", suspender: "imgop-mirror-suspend", label: MIRROR_LABEL };

/// How long lies between two looks at the Images, unless a user waits for one: each status of an Image calls for one.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// How long is waited for what ends by itself within moments.
const SHORT_INTERVAL: Duration = Duration::from_secs(5);
/// The largest object that is kept: 5,000 entries, each with some tags.
const MAX_OBJECT: usize = 1536 * 1024;

/// The kind `ImageMirror`, with what its passes share.
pub struct ImageMirrors {
    agent: Arc<Agent>,
    images: ChildImages,
    room: InventoryRoom,
    sources: SharedSources,
}

impl ImageMirrors {
    /// Returns the kind, whose Images are among these.
    pub fn new(agent: Arc<Agent>, images: ChildImages) -> Self {
        Self { agent, images, room: InventoryRoom::default(), sources: SharedSources::default() }
    }
}

/// What is remembered of an ImageMirror between two passes.
#[derive(Debug, Default)]
pub struct Memory {
    looks: Looks,
    /// What was read, if there is room for it.
    inventory: Option<KeptInventory>,
    children: ChildMemory,
    versions: VersionMemory,
}

impl Reconcile for ImageMirrors {
    type Kind = ImageMirror;
    type Status = ImageMirrorStatus;
    type Memory = Memory;

    const KEEP: Keep = Keep {
        annotations: &[REQUESTED_AT_ANNOTATION, RESET_ANNOTATION, PRUNE_ANNOTATION],
        max_bytes: MAX_OBJECT,
        ..Keep::OBJECT
    };

    fn agent(&self) -> &Arc<Agent> {
        &self.agent
    }

    fn status(mirror: &ImageMirror) -> Option<&ImageMirrorStatus> {
        mirror.status.as_ref()
    }

    async fn pass(
        &self,
        mirror: &ImageMirror,
        memory: &mut Memory,
        now: Timestamp,
    ) -> Result<PassResult<ImageMirrorStatus>, ApiError> {
        let pass = Pass::new(self, mirror, memory, now);
        let Conclusion { findings, wait, has_looked } = match pass.run(memory).await {
            Ok(conclusion) => conclusion,
            Err(halt) => pass.halted(halt, memory)?,
        };
        let wait = wait.into_iter().chain(pass.request_delay(memory)).min();
        let report = findings.map(|findings| {
            let completed = findings.has_ended.then_some(0);
            let has_written = memory.children.take_has_written();
            memory.looks.reported = Some(now);
            let status = next_status(mirror, findings, has_written, now);
            Report { status, completed, names: Vec::new(), is_progress: false }
        });
        Ok(PassResult { report, next: wait, has_looked })
    }

    fn stalled(old: Option<&ImageMirrorStatus>, failure: Failure<'_>, now: Timestamp) -> ImageMirrorStatus {
        // The spec is not known: it may be what cannot be decoded.
        let mut mirror = ImageMirror::new("", ImageMirrorSpec::default());
        (mirror.status, mirror.metadata.generation) = (old.cloned(), failure.generation);
        let findings = Findings::of(Readiness::stalled(failure.reason, failure.message), Requests::default());
        next_status(&mirror, findings, false, now)
    }

    fn reported(&self, _mirror: &ImageMirror, report: &Report<ImageMirrorStatus>, now: Timestamp) {
        if report.completed.is_some() {
            self.agent.metrics.sync_ended::<ImageMirror>(&report.status.conditions, now);
        }
    }
}

/// One pass over one ImageMirror.
struct Pass<'a> {
    mirrors: &'a ImageMirrors,
    mirror: &'a ImageMirror,
    owner: Owner,
    candidate: Candidate<'a>,
    requests: Requests,
    now: Timestamp,
}

impl<'a> Pass<'a> {
    fn new(mirrors: &'a ImageMirrors, mirror: &'a ImageMirror, memory: &Memory, now: Timestamp) -> Self {
        let candidate = Candidate::from(mirror);
        let requests = memory.looks.requests(&candidate, mirror.spec.suspend, now);
        Self { mirrors, mirror, owner: Owner::of(mirror), candidate, requests, now }
    }

    /// Looks at the inventory and at the Images, if that is due, and writes what is missing.
    async fn run(&self, memory: &mut Memory) -> Result<Conclusion, Halt> {
        // What is not listed yet would be taken for missing.
        if !self.mirrors.images.are_known() {
            return Err(Halt::Postponed(SHORT_INTERVAL));
        }
        let recurrence = Recurrence::parse(self.mirror.spec.recurrence()).ok_or(Halt::Recurrence)?;
        self.agent().config.jobs.job_refused_keys.check(&self.mirror.spec.job_template)?;
        let uptime = self.agent().uptime();
        memory.looks.schedule.next(&self.candidate, &recurrence, &uptime, self.now);
        let due = memory.looks.due(&self.candidate, &self.requests, self.now);
        if let Some(wait) = memory.looks.too_early(due, LOOK_INTERVAL, self.now) {
            return Err(Halt::Postponed(wait));
        }
        self.may_work(due).await?;
        memory.looks.looked = Some(self.now);
        if self.mirror.spec.suspend {
            return self.suspend(memory).await;
        }
        if due.is_some() {
            memory.looks.is_syncing = true;
            memory.children.forget_refusals();
        }
        let read = self.inventory(due.is_some(), memory).await?;
        let mut inventory = Inventory::clone(&read.inventory);
        let mirrored = self.children().mirrored();
        let is_asked_for = due.is_some_and(Due::is_asked_for);
        let versions = self.add_versions(&mut inventory, &mirrored, is_asked_for, memory).await?;
        let conclusion = self.follow((&inventory, &read.hash), mirrored, versions, memory).await?;
        if due.is_some() {
            memory.looks.ended(self.uid(), &recurrence, self.now);
        }
        Ok(Conclusion { wait: memory.looks.next(conclusion.wait, self.now), ..conclusion })
    }

    fn agent(&self) -> &'a Agent {
        &self.mirrors.agent
    }

    fn uid(&self) -> &'a str {
        self.candidate.uid
    }

    fn namespace(&self) -> &'a str {
        self.mirror.metadata.namespace.as_deref().unwrap_or_default()
    }

    fn name(&self) -> &'a str {
        self.mirror.metadata.name.as_deref().unwrap_or_default()
    }

    /// Returns how long a request that was made must wait.
    fn request_delay(&self, memory: &Memory) -> Option<Duration> {
        let is_suspended = self.mirror.spec.suspend;
        self.requests.delay(&self.candidate, is_suspended, &memory.looks.schedule, self.now)
    }

    fn children(&self) -> Children<'_> {
        let Self { mirrors, owner, requests, now, .. } = self;
        let (agent, all) = (self.agent(), &mirrors.images);
        Children { agent, all, owner, keeper: KEEPER, requests, now: *now }
    }
}

#[cfg(test)]
mod tests;
