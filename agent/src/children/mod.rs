//! The Images that an object of another kind keeps in its namespace: what is to be done to them, and how it is written.
//!
//! ```text
//! desired (of the kind) ─┐
//!                        ├─▶ changes (pure) ─▶ writes, a few a second of all kinds together ─▶ findings ─▶ status
//! Images that are there ─┘
//! ```

mod changes;
mod findings;
mod looks;
mod mirrored;
mod pass;
mod requests;
mod rights;
mod standing;
mod status;
mod suspension;
#[cfg(test)]
pub(crate) mod testing;
mod writes;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use imgop_core::api::Image;
use jiff::Timestamp;

use crate::agent::Agent;
use crate::cluster::owner::Owner;
use crate::controller::Objects;
pub(crate) use changes::{Changes, Desired, Gone};
#[cfg(test)]
pub(crate) use changes::{Occupant, Situation};
pub(crate) use findings::{Conclusion, Findings};
pub(crate) use looks::{Looks, WRITE_INTERVAL};
pub(crate) use mirrored::{Mirrored, State};
pub(crate) use pass::{KeepsImages, Pass, stalled};
pub(crate) use requests::Requests;
pub(crate) use standing::Standing;
#[cfg(test)]
pub(crate) use status::next_status;
pub(crate) use status::{Frame, MirrorStatus, as_u32, mirror_status_frame};
use writes::{Pace, Refusal, Sent};

/// How often it is looked at what a user may correct at any moment: rights, an Image in the way.
pub(crate) const CORRECTION_INTERVAL: Duration = Duration::from_secs(30);

/// All Images, and how fast other kinds write them. Cloning shares it.
#[derive(Debug, Clone)]
pub struct ChildImages {
    /// All Images, from the one watch that there is of them.
    images: Objects<Image>,
    pace: Arc<Pace>,
}

impl ChildImages {
    /// Returns these Images, which all who hold this write at one pace.
    pub fn new(images: Objects<Image>) -> Self {
        Self { images, pace: Arc::default() }
    }

    /// Returns whether all Images are known: what is not listed yet would be taken for missing.
    pub(crate) fn are_known(&self) -> bool {
        self.images.are_known()
    }

    /// Returns all Images, one after the other.
    pub(crate) fn images(&self) -> &Objects<Image> {
        &self.images
    }
}

/// Who writes Images for a kind, and how they are marked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keeper {
    /// Who writes them, in server-side apply.
    pub manager: &'static str,
    /// Who suspends them with their owner: a manager of its own, so that nothing else of them changes.
    pub suspender: &'static str,
    /// The label that names their owner.
    pub label: &'static str,
}

/// The Images of one object.
pub(crate) struct Children<'a> {
    pub agent: &'a Agent,
    pub all: &'a ChildImages,
    pub owner: &'a Owner,
    pub keeper: Keeper,
    /// What users ask for, which all Images are handed.
    pub requests: &'a Requests,
    pub now: Timestamp,
}

/// What is remembered of the Images of one object between two passes. All of it may be lost.
#[derive(Debug, Default)]
pub(crate) struct ChildMemory {
    /// What was written to Images and the watch has not shown since.
    sent: HashMap<String, Sent>,
    /// Images that the API server refused.
    refused: HashMap<String, Refusal>,
    /// Images that stay suspended, although they carry the mark of having been suspended with the object: it is another's.
    marked_by_others: HashSet<String>,
    /// Whether Images were changed since this was last asked for.
    has_written: bool,
}

impl ChildMemory {
    /// Returns whether Images were changed since this was last asked for.
    pub fn take_has_written(&mut self) -> bool {
        std::mem::take(&mut self.has_written)
    }

    /// Lets what the API server refused be tried again, but for suspensions, which are by themselves.
    pub fn forget_refusals(&mut self) {
        self.refused.retain(|_, refusal| refusal.is_of_suspension());
    }

    /// Returns when an Image is tried again that could not be suspended or resumed: who can help may at any moment.
    pub fn suspension_wait(&self) -> Option<Duration> {
        self.refused.values().any(Refusal::is_of_suspension).then_some(CORRECTION_INTERVAL)
    }

    /// Returns the names of the Images that the API server refused, in their order, and why.
    pub fn refused(&self) -> Vec<(&str, &str)> {
        let refused = self.refused.iter();
        let mut all: Vec<_> =
            refused.map(|(name, refusal)| (name.as_str(), refusal.message.as_str())).collect();
        all.sort_unstable();
        all
    }
}
