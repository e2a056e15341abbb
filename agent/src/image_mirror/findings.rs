//! What a pass found out about a mirror and its Images, and what follows for its conditions. Pure but for the writes.

use std::collections::HashMap;
use std::time::Duration;

use imgop_core::api::conditions::{CHILDREN_READY, NewCondition, reasons};
use imgop_core::api::{
    MirrorConflict, MirrorFailure, MirrorTags, MirroredChildren, PRUNE_ANNOTATION, prune_release,
};
use imgop_core::inventory::{Expansion, Inventory};
use imgop_core::readiness::Readiness;
use imgop_core::text::shorten;
use imgop_core::time::saturating_add;

use super::changes::{Changes, Desired, Situation, desired};
use super::halt::{Halt, Unreadable};
use super::mirrored::{Mirrored, State};
use super::requests::Requests;
use super::versions::Versions;
use super::writes::Refusal;
use super::{LOOK_INTERVAL, Memory, Pass};

/// Conflicts, and Images that are not ready, that are named.
const MAX_NAMED: usize = 20;
/// Bytes of a message of an Image that is quoted.
const MAX_QUOTED_BYTES: usize = 400;

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
    pub desired: &'a [Desired],
    pub mirrored: &'a [Mirrored],
    pub changes: &'a Changes<'a>,
    pub refused: &'a HashMap<String, Refusal>,
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
        let expansion = inventory.expand().map_err(|error| {
            if spec.from.is_empty() { Halt::Spec(error) } else { Unreadable::Inventory(error).into() }
        })?;
        self.forget_shown(&mirrored, memory);
        let is_resuming = self.resume(&mirrored, memory).await?;
        let desired = desired(self.name(), spec, inventory, &expansion);
        let occupants = self.occupants(&desired, &mirrored);
        let situation = Situation {
            desired: &desired,
            mirrored: &mirrored,
            occupants: &occupants,
            requests: &self.requests,
            prune: spec.prune,
            is_released: self.is_prune_released(),
        };
        let changes = situation.changes();
        let has_written = self.write(&changes, memory).await?;
        memory.is_busy = has_written || is_resuming;
        let writes = changes.writes.iter().filter(|one| !self.is_refused(one.desired, memory)).count();
        let open = writes + changes.prune.len() + usize::from(is_resuming);
        let view = View {
            inventory: (inventory, hash),
            expansion: &expansion,
            desired: &desired,
            mirrored: &mirrored,
            changes: &changes,
            refused: &memory.refused,
            open,
            object: &format!("imagemirror/{} -n {}", self.name(), self.namespace()),
        };
        let mut findings = view.findings();
        let wait = versions.wait;
        findings.versions = Some(versions);
        if open == 0 {
            findings.handled = self.requests.clone();
            findings.has_ended = std::mem::take(&mut memory.is_syncing);
        }
        let is_soon = memory.reported.is_some_and(|at| self.now < saturating_add(at, LOOK_INTERVAL));
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
        let there: HashMap<&str, &Mirrored> =
            self.mirrored.iter().map(|one| (one.name.as_str(), one)).collect();
        let current: Vec<&Mirrored> =
            self.desired.iter().filter_map(|one| there.get(one.name.as_str()).copied()).collect();
        let observed = self.observed(&current);
        let mut readiness = self.readiness(&current, &observed);
        readiness.conditions.push(children_ready(&current, &observed));
        readiness.progress = Some(format!("{}/{}", observed.children.ready, observed.children.desired));
        Findings { observed: Some(observed), ..Findings::of(readiness, Requests::default()) }
    }

    fn observed(&self, current: &[&Mirrored]) -> Observed {
        let mut tags = MirrorTags::default();
        for counts in current.iter().map(|one| one.counts) {
            tags.matched += counts.matched;
            tags.synced += counts.synced;
            tags.copying += counts.copying;
            tags.failed += counts.failed;
            tags.kept += counts.kept;
        }
        let conflicts = self.expansion.conflicts.iter().take(MAX_NAMED).map(|conflict| MirrorConflict {
            destination: conflict.destination.clone(),
            sources: conflict.sources.iter().take(2).cloned().collect(),
        });
        Observed {
            entries: as_u32(self.inventory.0.len()),
            children: MirroredChildren {
                desired: as_u32(self.desired.len()),
                current: as_u32(current.len()),
                ready: as_u32(current.iter().filter(|one| one.state == State::Ready).count()),
                prune_held: as_u32(self.changes.held),
            },
            tags,
            conflicts: conflicts.collect(),
            conflict_count: as_u32(self.expansion.conflicts.len()),
            failing: self.failing(current),
            inventory: self.inventory.1.to_owned(),
        }
    }

    /// Returns the Images that are not ready and not at work, those first that are not there at all.
    fn failing(&self, current: &[&Mirrored]) -> Vec<MirrorFailure> {
        let absent = |image: &String, reason: &str| MirrorFailure {
            image: image.clone(),
            reason: reason.to_owned(),
            tag: None,
        };
        let taken = self.changes.taken.iter().map(|name| absent(name, reasons::NAME_TAKEN));
        let mut refused: Vec<&String> = self.refused.keys().collect();
        refused.sort();
        let refused = refused.into_iter().map(|name| absent(name, reasons::IMAGE_REFUSED));
        let failing = current.iter().filter_map(|one| match &one.state {
            State::Failing { reason, tag, .. } => {
                Some(MirrorFailure { image: one.name.clone(), reason: reason.clone(), tag: tag.clone() })
            }
            _ => None,
        });
        taken.chain(refused).chain(failing).take(MAX_NAMED).collect()
    }

    fn readiness(&self, current: &[&Mirrored], observed: &Observed) -> Readiness {
        let MirroredChildren { desired, ready, prune_held, .. } = observed.children;
        let summary = format!("{ready} of {desired} Images are ready");
        let is_progressing = current.iter().any(|one| one.state == State::Progressing);
        if self.open > 0 {
            return Readiness::progressing(format!("{summary}; {} are being written", self.open));
        }
        if prune_held > 0 {
            let message = format!(
                "{prune_held} of {} Images would be deleted, as their entries are gone; that is held back: undo it, or \
                 let them go with: kubectl imgop sync {} --prune",
                self.mirrored.len(),
                self.object
            );
            return Readiness::stalled(reasons::PRUNE_HELD, message);
        }
        if let Some(name) = self.changes.taken.first() {
            let message = format!(
                "{} Images have the names of others, such as {name}: delete or rename those, or let them be taken over \
                 with the annotation imgop.skopeo.io/adopt and the name of this ImageMirror; {summary}",
                self.changes.taken.len()
            );
            return Readiness::stalled(reasons::NAME_TAKEN, message);
        }
        if let Some((name, refusal)) = self.refused.iter().min_by_key(|(name, _)| *name) {
            let message = format!(
                "{} Images are refused: {name}: {}; {summary}",
                self.refused.len(),
                shorten(&refusal.message, MAX_QUOTED_BYTES)
            );
            return Readiness::retrying(reasons::IMAGE_REFUSED, message);
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
        if is_progressing {
            return Readiness::progressing(summary);
        }
        match not_ready(current) {
            Some(message) => Readiness::retrying(reasons::IMAGES_NOT_READY, format!("{summary}; {message}")),
            None => Readiness::ready(summary),
        }
    }
}

/// Returns the condition that says how the Images stand, whatever else is wrong.
fn children_ready(current: &[&Mirrored], observed: &Observed) -> NewCondition {
    let MirroredChildren { desired, current: there, ready, .. } = observed.children;
    let is_ready = ready == desired && there == desired;
    let reason = if is_ready {
        reasons::SUCCEEDED
    } else if there < desired || current.iter().any(|one| one.state == State::Progressing) {
        reasons::PROGRESSING
    } else {
        reasons::IMAGES_NOT_READY
    };
    let message = format!("{ready} of {desired} Images are ready");
    NewCondition { type_: CHILDREN_READY, status: Some(is_ready), reason, message }
}

/// Returns what is said of the first Image that is not ready.
fn not_ready(current: &[&Mirrored]) -> Option<String> {
    current.iter().find_map(|one| match &one.state {
        State::Failing { message, .. } => {
            Some(format!("{}: {}", one.name, shorten(message, MAX_QUOTED_BYTES)))
        }
        State::Suspended => Some(format!("{} is suspended", one.name)),
        State::Ready | State::Progressing => None,
    })
}

fn as_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
