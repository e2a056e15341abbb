//! What a pass found out about a mirror and its Images, and what follows for its conditions. Pure but for the writes.

use imgop_core::api::conditions::reasons;
use imgop_core::api::{
    MAX_NAMED_IN_STATUS, MirrorConflict, MirrorPrune, MirroredChildren, PRUNE_ANNOTATION, prune_release,
};
use imgop_core::copy::MAX_TAGS_PER_IMAGE;
use imgop_core::inventory::{Expansion, Inventory};
use imgop_core::readiness::Readiness;

use super::desired::{desired, gone};
use super::halt::{Halt, Unreadable};
use super::status::Observed;
use super::versions::Versions;
use super::{Conclusion, Memory, Pass};
use crate::children::{Gone, Mirrored, Standing, as_u32};

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
        let desired = desired(self.name(), spec, inventory, &expansion);
        let left = gone(self.name(), &desired, &mirrored);
        let gone = match spec.prune {
            MirrorPrune::Never => Gone::Kept,
            MirrorPrune::Children if self.is_prune_released() => Gone::Deleted(&left),
            MirrorPrune::Children => Gone::DeletedUnlessMany(&left),
        };
        let remembered = (&mut memory.looks, &mut memory.children);
        let (changes, open) = self.keep(&desired, &mirrored, gone, remembered).await?;
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
        // A user, or an administrator, may let it be resumed at any moment.
        let again = memory.children.suspension_wait();
        let wait = versions.wait.into_iter().chain(again).min();
        Ok(self.conclude(view.findings(versions), open, wait, &mut memory.looks))
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
    fn findings(&self, versions: Versions) -> (Readiness, Observed) {
        let observed = self.observed(versions);
        let mut readiness = self.readiness(&observed);
        readiness.conditions.push(self.standing.condition());
        readiness.progress = Some(format!("{}/{}", observed.children.ready, observed.children.desired));
        (readiness, observed)
    }

    fn observed(&self, versions: Versions) -> Observed {
        let conflicts =
            self.expansion.conflicts.iter().take(MAX_NAMED_IN_STATUS).map(|conflict| MirrorConflict {
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
            versions,
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
