//! How the Images of an object stand, all of them together. Pure.

use std::collections::HashMap;

use imgop_core::api::conditions::{CHILDREN_READY, NewCondition, reasons};
use imgop_core::api::{MAX_NAMED_IN_STATUS, MirrorFailure, MirrorTags};
use imgop_core::readiness::Readiness;
use imgop_core::text::shorten;

use super::{Changes, Desired, Mirrored, State};

/// Bytes of a message of an Image that is quoted.
pub(super) const MAX_QUOTED_BYTES: usize = 400;

/// The Images that an object asks for, as far as they are there.
#[derive(Debug)]
pub(crate) struct Standing<'a> {
    pub desired: usize,
    pub current: Vec<&'a Mirrored>,
    changes: &'a Changes<'a>,
    /// Images that the API server refused, and why.
    refused: &'a [(&'a str, &'a str)],
}

impl<'a> Standing<'a> {
    pub fn of(
        desired: &[Desired],
        mirrored: &'a [Mirrored],
        changes: &'a Changes<'a>,
        refused: &'a [(&'a str, &'a str)],
    ) -> Self {
        let there: HashMap<&str, &Mirrored> = mirrored.iter().map(|one| (one.name.as_str(), one)).collect();
        let current = desired.iter().filter_map(|one| there.get(one.name.as_str()).copied());
        Self { desired: desired.len(), current: current.collect(), changes, refused }
    }

    pub fn ready(&self) -> usize {
        self.current.iter().filter(|one| one.state == State::Ready).count()
    }

    pub fn is_progressing(&self) -> bool {
        self.current.iter().any(|one| one.state == State::Progressing)
    }

    /// Returns how many are ready, for people.
    pub fn summary(&self) -> String {
        format!("{} of {} Images are ready", self.ready(), self.desired)
    }

    /// Returns the sums of their tags.
    pub fn tags(&self) -> MirrorTags {
        let mut tags = MirrorTags::default();
        for counts in self.current.iter().map(|one| one.counts) {
            tags.matched += counts.matched;
            tags.synced += counts.synced;
            tags.copying += counts.copying;
            tags.failed += counts.failed;
            tags.kept += counts.kept;
        }
        tags
    }

    /// Returns the Images that are not ready and not at work, those first that are not there at all.
    pub fn failing(&self) -> Vec<MirrorFailure> {
        let absent = |image: &str, reason: &str| MirrorFailure {
            image: image.to_owned(),
            reason: reason.to_owned(),
            tag: None,
        };
        let taken = self.changes.taken.iter().map(|name| absent(name, reasons::NAME_TAKEN));
        let not_kept = self.changes.not_kept.iter().map(|(name, _)| absent(name, reasons::IMAGE_NOT_KEPT));
        let refused = self.refused.iter().map(|(name, _)| absent(name, reasons::IMAGE_REFUSED));
        let failing = self.current.iter().filter_map(|one| match &one.state {
            State::Failing { reason, tag, .. } => {
                Some(MirrorFailure { image: one.name.clone(), reason: reason.clone(), tag: tag.clone() })
            }
            _ => None,
        });
        taken.chain(not_kept).chain(refused).chain(failing).take(MAX_NAMED_IN_STATUS).collect()
    }

    /// Returns what is reported where Images are not there that should be. `kind` is that of their owner.
    pub fn absent(&self, kind: &str) -> Option<Readiness> {
        let summary = self.summary();
        if let Some(name) = self.changes.taken.first() {
            let message = format!(
                "{} Images have the names of others, such as {name}: delete or rename those, or let them be taken over \
                 with the annotation imgop.skopeo.io/adopt and the name of this {kind}; {summary}",
                self.changes.taken.len()
            );
            return Some(Readiness::stalled(reasons::NAME_TAKEN, message));
        }
        if let Some((name, why)) = self.changes.not_kept.first() {
            let message = format!(
                "{} Images exist and are not kept up to date, such as {name}: {why}; {summary}",
                self.changes.not_kept.len()
            );
            return Some(Readiness::stalled(reasons::IMAGE_NOT_KEPT, message));
        }
        let (name, refusal) = self.refused.first()?;
        let message = format!(
            "{} Images are refused: {name}: {}; {summary}",
            self.refused.len(),
            shorten(refusal, MAX_QUOTED_BYTES)
        );
        Some(Readiness::retrying(reasons::IMAGE_REFUSED, message))
    }

    /// Returns what is reported of Images that are all there.
    pub fn readiness(&self) -> Readiness {
        let summary = self.summary();
        if self.is_progressing() {
            return Readiness::progressing(summary);
        }
        match self.not_ready() {
            Some(message) => Readiness::retrying(reasons::IMAGES_NOT_READY, format!("{summary}; {message}")),
            None => Readiness::ready(summary),
        }
    }

    /// Returns what is said of the first Image that is not ready.
    fn not_ready(&self) -> Option<String> {
        self.current.iter().find_map(|one| match &one.state {
            State::Failing { message, .. } => {
                Some(format!("{}: {}", one.name, shorten(message, MAX_QUOTED_BYTES)))
            }
            State::Suspended => Some(format!("{} is suspended", one.name)),
            State::Ready | State::Progressing => None,
        })
    }

    /// Returns the condition that says how the Images stand, whatever else is wrong.
    pub fn condition(&self) -> NewCondition {
        let is_ready = self.ready() == self.desired && self.current.len() == self.desired;
        let reason = if is_ready {
            reasons::SUCCEEDED
        } else if !self.changes.not_kept.is_empty() {
            reasons::IMAGE_NOT_KEPT
        } else if self.current.len() < self.desired || self.is_progressing() {
            reasons::PROGRESSING
        } else {
            reasons::IMAGES_NOT_READY
        };
        NewCondition { type_: CHILDREN_READY, status: Some(is_ready), reason, message: self.summary() }
    }
}
