//! What a pass found out about a mirror and its Images, and what follows for its conditions. Pure but for the writes.

use std::time::Duration;

use imgop_core::api::conditions::reasons;
use imgop_core::api::{
    MirrorConflict, MirrorFailure, MirrorPrune, MirrorTags, MirroredChildren, PRUNE_ANNOTATION, prune_release,
};
use imgop_core::copy::MAX_TAGS_PER_IMAGE;
use imgop_core::inventory::{Expansion, Inventory};
use imgop_core::readiness::Readiness;

use super::desired::desired;
use super::halt::{Halt, Unreadable};
use super::versions::Versions;
use super::{LOOK_INTERVAL, Memory, Pass};
use crate::children::{Desired, Gone, Mirrored, Requests, Situation, Standing};

/// Conflicts that are named.
const MAX_NAMED: usize = 20;

/// How a pass ends: with what is reported, and when the next one is.
pub(super) struct Conclusion {
    /// What is reported; none leaves the status as it is.
    pub findings: Option<Findings>,
    /// When the next pass is; none waits for a change.
    pub wait: Option<Duration>,
    /// Whether the Images were looked at.
    pub has_looked: bool,
}

impl Conclusion {
    /// Leaves the status as it is.
    pub fn unchanged(wait: Duration) -> Self {
        Self { findings: None, wait: Some(wait), has_looked: false }
    }
}

/// What a pass found out.
#[derive(Debug, Clone)]
pub(super) struct Findings {
    /// Conditions, phase and progress.
    pub readiness: Readiness,
    /// What is known of the Images.
    pub observed: Option<Observed>,
    /// What was handed on.
    pub handled: Requests,
    /// Whether what made the mirror due has come to its end.
    pub has_ended: bool,
    /// The generation that the conditions are of, if it is another one than the spec's.
    pub generation: Option<i64>,
    /// What is known of version sources.
    pub versions: Option<Versions>,
}

impl Findings {
    /// Returns what is reported where the Images were not looked at.
    pub fn of(readiness: Readiness, handled: Requests) -> Self {
        Self { readiness, observed: None, handled, has_ended: false, generation: None, versions: None }
    }
}

/// What is known of the Images.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Observed {
    pub entries: u32,
    pub children: MirroredChildren,
    pub tags: MirrorTags,
    pub conflicts: Vec<MirrorConflict>,
    pub conflict_count: u32,
    pub failing: Vec<MirrorFailure>,
    /// The hash of what was read.
    pub inventory: String,
}

/// Everything that the findings are worked out from.
pub(super) struct View<'a> {
    pub inventory: (&'a Inventory, &'a str),
    pub expansion: &'a Expansion,
    pub standing: Standing<'a>,
    /// How many Images the mirror has.
    pub mirrored: usize,
    /// How many of them would be deleted if that were not held back.
    pub held: usize,
    /// How many writes the watch does not show yet.
    pub open: usize,
    /// What kubectl names the mirror by.
    pub object: &'a str,
}

impl Pass<'_> {
    /// Compares the Images with the inventory, writes what differs, and returns what is reported.
    pub(super) async fn follow(
        &self,
        (inventory, hash): (&Inventory, &str),
        mirrored: Vec<Mirrored>,
        versions: Versions,
        memory: &mut Memory,
    ) -> Result<Conclusion, Halt> {
        let spec = &self.mirror.spec;
        // As the plugin does, unless the agent copies fewer tags of an Image.
        let max_tags = self.agent().config.max_tags_per_image.min(MAX_TAGS_PER_IMAGE);
        let expansion = inventory.expand_within(max_tags.into()).map_err(|error| {
            if spec.from.is_empty() { Halt::Spec(error) } else { Unreadable::Inventory(error).into() }
        })?;
        let children = self.children();
        children.forget_shown(&mirrored, &mut memory.children);
        let is_resuming = children.resume(&mirrored, &mut memory.children).await?;
        let desired = desired(self.name(), spec, inventory, &expansion);
        let occupants = children.occupants(&desired, &mirrored);
        let situation = Situation {
            desired: &desired,
            mirrored: &mirrored,
            occupants: &occupants,
            requests: &self.requests,
            gone: match spec.prune {
                MirrorPrune::Never => Gone::Kept,
                MirrorPrune::Children if self.is_prune_released() => Gone::Deleted,
                MirrorPrune::Children => Gone::DeletedUnlessMany,
            },
        };
        let changes = situation.changes();
        let has_written = children.write(&changes, &mut memory.children).await?;
        memory.looks.is_busy = has_written || is_resuming;
        let is_open = |desired: &Desired| !children.is_refused(desired, &memory.children);
        let writes = changes.writes.iter().filter(|one| is_open(one.desired)).count();
        let open = writes + changes.prune.len() + usize::from(is_resuming);
        let refused = memory.children.refused();
        let view = View {
            inventory: (inventory, hash),
            expansion: &expansion,
            standing: Standing::of(&desired, &mirrored, &changes, &refused),
            mirrored: mirrored.len(),
            held: changes.held,
            open,
            object: &format!("imagemirror/{} -n {}", self.name(), self.namespace()),
        };
        let mut findings = view.findings();
        // A user, or an administrator, may let it be resumed at any moment.
        let again = memory.children.suspension_wait();
        let wait = versions.wait.into_iter().chain(again).min();
        findings.versions = Some(versions);
        if open == 0 {
            findings.handled = self.requests.clone();
            findings.has_ended = std::mem::take(&mut memory.looks.is_syncing);
        }
        let is_soon = memory.looks.is_reported(LOOK_INTERVAL, self.now);
        let is_left_out = open > 0 && is_soon && !self.candidate.is_spec_new();
        Ok(Conclusion { findings: (!is_left_out).then_some(findings), wait, has_looked: true })
    }

    /// Returns whether a user has let the Images go that this generation of the spec does not ask for. That holds for
    /// the sync with which it was asked for, and not for what files say later.
    fn is_prune_released(&self) -> bool {
        let annotations = self.mirror.metadata.annotations.as_ref();
        let released = annotations.and_then(|annotations| annotations.get(PRUNE_ANNOTATION));
        let (Some(generation), Some(sync)) = (self.mirror.metadata.generation, &self.requests.sync) else {
            return false;
        };
        released.is_some_and(|released| *released == prune_release(generation, sync))
    }
}

impl View<'_> {
    pub(super) fn findings(&self) -> Findings {
        let observed = self.observed();
        let mut readiness = self.readiness(&observed);
        readiness.conditions.push(self.standing.condition());
        readiness.progress = Some(format!("{}/{}", observed.children.ready, observed.children.desired));
        Findings { observed: Some(observed), ..Findings::of(readiness, Requests::default()) }
    }

    fn observed(&self) -> Observed {
        let conflicts = self.expansion.conflicts.iter().take(MAX_NAMED).map(|conflict| MirrorConflict {
            destination: conflict.destination.clone(),
            sources: conflict.sources.iter().take(2).cloned().collect(),
        });
        Observed {
            entries: as_u32(self.inventory.0.len()),
            children: MirroredChildren {
                desired: as_u32(self.standing.desired),
                current: as_u32(self.standing.current.len()),
                ready: as_u32(self.standing.ready()),
                prune_held: as_u32(self.held),
            },
            tags: self.standing.tags(),
            conflicts: conflicts.collect(),
            conflict_count: as_u32(self.expansion.conflicts.len()),
            failing: self.standing.failing(),
            inventory: self.inventory.1.to_owned(),
        }
    }

    fn readiness(&self, observed: &Observed) -> Readiness {
        let (held, summary) = (self.held, self.standing.summary());
        if self.open > 0 {
            return Readiness::progressing(format!("{summary}; {} are being written", self.open));
        }
        if held > 0 {
            let message = format!(
                "{held} of {} Images would be deleted, as their entries are gone; that is held back: undo it, or let \
                 them go with: kubectl imgop sync {} --prune",
                self.mirrored, self.object
            );
            return Readiness::stalled(reasons::PRUNE_HELD, message);
        }
        if let Some(absent) = self.standing.absent("ImageMirror") {
            return absent;
        }
        if let Some(conflict) = self.expansion.conflicts.first() {
            let message = format!(
                "{} tags are not mirrored because several sources would become them: {} of {}; give one of them another \
                 targetName, or exclude it; {summary}",
                observed.conflict_count,
                conflict.destination,
                conflict.sources.join(" and ")
            );
            return Readiness::stalled(reasons::ENTRIES_CONFLICT, message);
        }
        self.standing.readiness()
    }
}

fn as_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
