//! The Images of an object that there are.

use std::collections::BTreeMap;

use imgop_core::api::conditions::{READY, RECONCILING, find, is_true, reasons};
use imgop_core::api::{
    Counts, FailureReason, Image, ImageSpec, MIRRORED_SPEC_ANNOTATION, REQUESTED_AT_ANNOTATION,
    RESET_ANNOTATION, SUSPENDED_WITH_ANNOTATION,
};
use imgop_core::schedule::Candidate;
use jiff::Timestamp;
use serde::Deserialize;

use super::Children;

/// An Image of an object that there is.
#[derive(Debug, Clone)]
pub(crate) struct Mirrored {
    pub name: String,
    pub uid: String,
    pub created: Option<Timestamp>,
    pub spec: ImageSpec,
    /// The hash of what was last written of it.
    pub written: Option<String>,
    /// The object with which it was suspended, by a mark that others may have copied.
    pub suspended_with: Option<String>,
    pub requested_at: Option<String>,
    pub reset: Option<String>,
    pub state: State,
    pub counts: Counts,
    /// All annotations that are read of Images.
    pub annotations: BTreeMap<String, String>,
}

/// What an Image says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Ready,
    /// It works, or has not begun.
    Progressing,
    /// It waits for a user, or tries again.
    Failing {
        reason: String,
        message: String,
        /// The first tag that failed.
        tag: Option<String>,
    },
    Suspended,
}

/// What tells whose an Image is.
#[derive(Deserialize)]
struct Owned {
    metadata: OwnedMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OwnedMetadata {
    #[serde(default)]
    owner_references: Vec<OwnerPart>,
}

/// One of an Image's owners.
#[derive(Deserialize)]
pub(super) struct OwnerPart {
    uid: String,
    #[serde(default)]
    controller: bool,
}

impl OwnerPart {
    /// Returns whether it is the controller, and has this UID.
    pub(super) fn controls(&self, uid: &str) -> bool {
        self.controller && self.uid == uid
    }
}

impl Children<'_> {
    /// Returns the Images that the object controls, by their names.
    pub(crate) fn owned(&self) -> Vec<Image> {
        let uid = self.owner.uid.as_str();
        let is_ours = |owned: &Owned| owned.metadata.owner_references.iter().any(|owner| owner.controls(uid));
        let images = self.all.images.having(Some(&self.owner.namespace), is_ours);
        let mut all: Vec<Image> =
            images.filter(|image| image.metadata.deletion_timestamp.is_none()).collect();
        all.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        all
    }

    /// Returns what matters of them.
    pub(crate) fn mirrored(&self) -> Vec<Mirrored> {
        self.owned().iter().map(Mirrored::of).collect()
    }
}

impl Mirrored {
    /// Returns whether it was suspended with this object.
    pub(super) fn is_suspended_with(&self, owner: &str) -> bool {
        self.suspended_with.as_deref() == Some(owner)
    }

    pub(crate) fn of(image: &Image) -> Self {
        let annotation = |name: &str| image.metadata.annotations.as_ref()?.get(name).cloned();
        Self {
            name: image.metadata.name.clone().unwrap_or_default(),
            uid: image.metadata.uid.clone().unwrap_or_default(),
            created: image.metadata.creation_timestamp.as_ref().map(|at| at.0),
            written: annotation(MIRRORED_SPEC_ANNOTATION),
            suspended_with: annotation(SUSPENDED_WITH_ANNOTATION),
            requested_at: annotation(REQUESTED_AT_ANNOTATION),
            reset: annotation(RESET_ANNOTATION),
            state: state(image),
            counts: image.status.as_ref().and_then(|status| status.counts).unwrap_or_default(),
            annotations: image.metadata.annotations.clone().unwrap_or_default(),
            spec: image.spec.clone(),
        }
    }
}

fn state(image: &Image) -> State {
    if image.spec.suspend {
        return State::Suspended;
    }
    let Some(status) = &image.status else { return State::Progressing };
    let candidate = Candidate::from(image);
    if candidate.is_spec_new() || candidate.request.is_some() || candidate.reset.is_some() {
        return State::Progressing;
    }
    let Some(ready) = find(&status.conditions, READY) else { return State::Progressing };
    if ready.status == "True" {
        return State::Ready;
    }
    let reconciling = find(&status.conditions, RECONCILING).map(|condition| condition.reason.as_str());
    if is_true(&status.conditions, RECONCILING) && reconciling == Some(reasons::PROGRESSING) {
        return State::Progressing;
    }
    let is_lasting = |reason: FailureReason| reason != FailureReason::NotChecked;
    let failures = &status.failures;
    let first = failures.iter().find(|failure| is_lasting(failure.reason)).or(failures.first());
    State::Failing {
        reason: ready.reason.clone(),
        message: ready.message.clone(),
        tag: first.map(|failure| failure.tag.clone()),
    }
}
