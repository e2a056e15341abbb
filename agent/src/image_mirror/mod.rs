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

mod changes;
mod findings;
mod halt;
mod inputs;
mod mirrored;
mod requests;
mod status;
mod suspension;
mod versions;
mod writes;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use imgop_core::api::conditions::{READY, find, is_true};
use imgop_core::api::{
    Image, ImageMirror, ImageMirrorSpec, ImageMirrorStatus, PRUNE_ANNOTATION, REQUESTED_AT_ANNOTATION,
    RESET_ANNOTATION,
};
use imgop_core::inventory::Inventory;
use imgop_core::readiness::Readiness;
use imgop_core::schedule::{Candidate, Due, Recurrence, Schedule};
use imgop_core::time::{remaining, saturating_add};
use jiff::Timestamp;

use crate::agent::Agent;
use crate::cluster::api_error::ApiError;
use crate::cluster::owner::Owner;
use crate::cluster::watch::Keep;
use crate::controller::{Failure, Objects, PassResult, Reconcile, Report};
use crate::metrics::{Ended, OfKind};
use findings::{Conclusion, Findings};
use halt::Halt;
use requests::Requests;
use status::next_status;
use versions::VersionMemory;
use writes::{Pace, Refusal, Sent};

/// How long lies between two looks at the Images, unless a user waits for one: each status of an Image calls for one.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// When the next Images are written of more than a pass writes.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);
/// How long is waited for what ends by itself within moments.
const SHORT_INTERVAL: Duration = Duration::from_secs(5);
/// How often it is looked at what a user may correct at any moment: rights, an Image in the way.
const CORRECTION_INTERVAL: Duration = Duration::from_secs(30);
/// The largest object that is kept: 5,000 entries, each with some tags.
const MAX_OBJECT: usize = 1536 * 1024;

/// The kind `ImageMirror`, with what its passes share.
pub struct ImageMirrors {
    agent: Arc<Agent>,
    /// All Images, from the one watch that there is of them.
    images: Objects<Image>,
    pace: Pace,
}

impl ImageMirrors {
    /// Returns the kind, whose Images are among these.
    pub fn new(agent: Arc<Agent>, images: Objects<Image>) -> Self {
        Self { agent, images, pace: Pace::default() }
    }
}

/// What is remembered of an ImageMirror between two passes.
#[derive(Debug, Default)]
pub struct Memory {
    schedule: Schedule,
    /// What was read, while something is to be written.
    inventory: Option<(Inventory, String)>,
    /// What was written to Images and the watch has not shown since.
    sent: HashMap<String, Sent>,
    /// Images that the API server refused.
    refused: HashMap<String, Refusal>,
    /// When the Images were last looked at.
    looked: Option<Timestamp>,
    /// When a status was last reported.
    reported: Option<Timestamp>,
    /// Whether Images were written just now, or more are to be.
    is_busy: bool,
    /// Whether what made the mirror due has not come to its end.
    is_syncing: bool,
    /// The requests that are being handed on.
    handing: Requests,
    /// Whether Images were changed since the last report.
    has_written: bool,
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
            let has_written = std::mem::take(&mut memory.has_written);
            memory.reported = Some(now);
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
        if report.completed.is_none() {
            return;
        }
        let (metrics, conditions) = (&self.agent.metrics, &report.status.conditions);
        let of_kind = OfKind::of::<ImageMirror>();
        if is_true(conditions, READY) {
            metrics.last_success.get_or_create(&of_kind).set(now.as_second());
        }
        if let Some(ready) = find(conditions, READY) {
            let ended = Ended { kind: of_kind.kind, reason: ready.reason.clone() };
            metrics.syncs.get_or_create(&ended).inc();
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
        let requests = Requests::of(&candidate, mirror.spec.suspend, memory, now);
        Self { mirrors, mirror, owner: Owner::of(mirror), candidate, requests, now }
    }

    /// Looks at the inventory and at the Images, if that is due, and writes what is missing.
    async fn run(&self, memory: &mut Memory) -> Result<Conclusion, Halt> {
        // What is not listed yet would be taken for missing.
        if !self.mirrors.images.are_known() {
            return Err(Halt::Postponed(SHORT_INTERVAL));
        }
        let recurrence = Recurrence::parse(self.mirror.spec.recurrence()).ok_or(Halt::Recurrence)?;
        let uptime = self.agent().uptime();
        memory.schedule.next(&self.candidate, &recurrence, &uptime, self.now);
        let due = self.due(memory);
        if let Some(wait) = self.too_early(due, memory) {
            return Err(Halt::Postponed(wait));
        }
        self.may_work(due).await?;
        memory.looked = Some(self.now);
        if self.mirror.spec.suspend {
            return self.suspend(memory).await;
        }
        if due.is_some() {
            (memory.inventory, memory.is_syncing) = (None, true);
            memory.refused.clear();
        }
        let (mut inventory, hash) = self.inventory(memory).await?;
        let mirrored = self.mirrored();
        let is_asked_for = due.is_some_and(Due::is_asked_for);
        let versions = self.add_versions(&mut inventory, &mirrored, is_asked_for, memory).await?;
        let conclusion = self.follow((&inventory, &hash), mirrored, versions, memory).await?;
        memory.inventory = memory.is_busy.then_some((inventory, hash));
        if due.is_some() {
            memory.schedule.retries = 0;
            memory.schedule.next = Some(recurrence.next(self.uid(), self.now));
        }
        Ok(self.until_next(conclusion, memory))
    }

    /// Returns why all of the inventory is to be read anew, if it is.
    fn due(&self, memory: &mut Memory) -> Option<Due> {
        let due = memory.schedule.due(&self.candidate, self.now)?;
        match due {
            Due::InProgress => None,
            // It is being handed to the Images.
            Due::Requested if memory.is_busy && memory.handing == self.requests => None,
            Due::Requested => {
                memory.schedule.last_request = Some(self.now);
                memory.handing = self.requests.clone();
                Some(due)
            }
            Due::SpecChanged | Due::Scheduled => Some(due),
        }
    }

    /// Returns how long nothing is to be done, because the Images were looked at just now.
    fn too_early(&self, due: Option<Due>, memory: &Memory) -> Option<Duration> {
        if due.is_some() || memory.is_busy {
            return None;
        }
        let next = saturating_add(memory.looked?, LOOK_INTERVAL);
        Some(remaining(next, self.now)).filter(|wait| !wait.is_zero())
    }

    fn until_next(&self, conclusion: Conclusion, memory: &Memory) -> Conclusion {
        let regular = memory.schedule.next.map(|next| remaining(next, self.now).max(WRITE_INTERVAL));
        let soon = memory.is_busy.then_some(WRITE_INTERVAL);
        Conclusion { wait: conclusion.wait.into_iter().chain(regular).chain(soon).min(), ..conclusion }
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
        let Candidate { request, reset, .. } = self.candidate;
        let is_waiting = request.is_some() && self.requests.sync.is_none()
            || reset.is_some() && self.requests.reset.is_none() && !self.mirror.spec.suspend;
        memory.schedule.request_delay(self.now).filter(|_| is_waiting)
    }
}

#[cfg(test)]
mod tests;
