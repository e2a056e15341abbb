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
mod versions;

use std::sync::Arc;
use std::time::Duration;

use imgop_core::api::{
    ImageMirror, ImageMirrorStatus, MIRROR_LABEL, PRUNE_ANNOTATION, REQUESTED_AT_ANNOTATION, RESET_ANNOTATION,
};
use imgop_core::inventory::Inventory;
use imgop_core::schedule::{Candidate, Due, Recurrence};
use jiff::Timestamp;

use crate::agent::Agent;
use crate::children::{self, ChildImages, ChildMemory, Keeper, KeepsImages, Looks};
use crate::cluster::api_error::ApiError;
use crate::cluster::watch::Keep;
use crate::controller::{Failure, PassResult, Reconcile, Report};
use halt::Halt;
use kept::{InventoryRoom, KeptInventory};
use status::Observed;
use versions::{SharedSources, VersionMemory};

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
        let pass = Pass::new(self, mirror, &memory.looks, now);
        let conclusion = match pass.run(memory).await {
            Ok(conclusion) => conclusion,
            Err(halt) => pass.halted(halt, memory)?,
        };
        Ok(pass.result(conclusion, &mut memory.looks, &mut memory.children))
    }

    fn stalled(old: Option<&ImageMirrorStatus>, failure: Failure<'_>, now: Timestamp) -> ImageMirrorStatus {
        children::stalled(old, &failure, now)
    }

    fn reported(&self, _mirror: &ImageMirror, report: &Report<ImageMirrorStatus>, now: Timestamp) {
        if report.completed.is_some() {
            self.agent.metrics.sync_ended::<ImageMirror>(&report.status.conditions, now);
        }
    }
}

impl KeepsImages for ImageMirrors {
    const KEEPER: Keeper =
        Keeper { manager: "imgop-mirror", suspender: "imgop-mirror-suspend", label: MIRROR_LABEL };
    const LOOK_INTERVAL: Duration = Duration::from_secs(10);

    fn images(&self) -> &ChildImages {
        &self.images
    }

    fn candidate(mirror: &ImageMirror) -> Candidate<'_> {
        Candidate::from(mirror)
    }
}

/// One pass over one ImageMirror.
type Pass<'a> = children::Pass<'a, ImageMirrors>;
type Conclusion = children::Conclusion<Observed>;

impl Pass<'_> {
    /// Looks at the inventory and at the Images, if that is due, and writes what is missing.
    async fn run(&self, memory: &mut Memory) -> Result<Conclusion, Halt> {
        // What is not listed yet would be taken for missing.
        if !self.mirrors.images.are_known() {
            return Err(Halt::Postponed(SHORT_INTERVAL));
        }
        let recurrence = Recurrence::parse(self.mirror.spec.recurrence()).ok_or(Halt::Recurrence)?;
        self.agent().config.jobs.job_refused_keys.check(&self.mirror.spec.job_template)?;
        let due = self.due(&recurrence, &mut memory.looks).map_err(Halt::Postponed)?;
        self.may_work(due).await?;
        memory.looks.looked = Some(self.now);
        if self.mirror.spec.suspend {
            memory.inventory = None;
            return Ok(self.suspend(&mut memory.looks, &mut memory.children).await?);
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
            memory.looks.ended(self.candidate.uid, &recurrence, self.now);
        }
        Ok(Conclusion { wait: memory.looks.next(conclusion.wait, self.now), ..conclusion })
    }
}

#[cfg(test)]
mod tests;
