//! What the object of a mirror records: whether it is due.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};

use crate::api::conditions::{RECONCILING, find, reasons};
use crate::api::{ImageMirror, Phase, REQUESTED_AT_ANNOTATION};
use crate::schedule::{Candidate, open_request, open_reset};

/// What the status of a mirror says of its last pass, whichever kind of mirror it is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MirrorRecord<'a> {
    pub(crate) conditions: &'a [Condition],
    pub(crate) observed_generation: Option<i64>,
    pub(crate) phase: Option<Phase>,
    pub(crate) handled_request: Option<&'a str>,
    pub(crate) handled_reset: Option<&'a str>,
    pub(crate) last_sync: Option<Timestamp>,
}

impl<'a> MirrorRecord<'a> {
    /// Returns what is known of the mirror with this metadata.
    pub(crate) fn candidate(self, metadata: &'a ObjectMeta) -> Candidate<'a> {
        let annotations = metadata.annotations.as_ref();
        let reconciling = find(self.conditions, RECONCILING);
        Candidate {
            uid: metadata.uid.as_deref().unwrap_or_default(),
            generation: metadata.generation,
            observed_generation: self.observed_generation,
            request: open_request(annotations, REQUESTED_AT_ANNOTATION, self.handled_request),
            reset: open_reset(annotations, self.handled_reset),
            in_progress: reconciling.is_some_and(|condition| condition.reason == reasons::PROGRESSING),
            completed: self.phase == Some(Phase::Completed),
            once: false,
            last: self.last_sync,
            awaited: None,
        }
    }
}

impl<'a> From<&'a ImageMirror> for Candidate<'a> {
    fn from(mirror: &'a ImageMirror) -> Self {
        let record = mirror.status.as_ref().map(|status| MirrorRecord {
            conditions: &status.conditions,
            observed_generation: status.observed_generation,
            phase: status.phase,
            handled_request: status.last_handled_requested_at.as_deref(),
            handled_reset: status.last_handled_reset.as_deref(),
            last_sync: status.last_sync_time.as_ref().map(|time| time.0),
        });
        record.unwrap_or_default().candidate(&mirror.metadata)
    }
}
