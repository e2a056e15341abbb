//! What the object of an ImageMirror records: whether it is due.

use crate::api::conditions::{RECONCILING, find, reasons};
use crate::api::{ImageMirror, Phase, REQUESTED_AT_ANNOTATION};
use crate::schedule::{Candidate, open_request, open_reset};

impl<'a> From<&'a ImageMirror> for Candidate<'a> {
    fn from(mirror: &'a ImageMirror) -> Self {
        let (metadata, status) = (&mirror.metadata, mirror.status.as_ref());
        let annotations = metadata.annotations.as_ref();
        let handled = status.and_then(|status| status.last_handled_requested_at.as_deref());
        let reconciling = status.and_then(|status| find(&status.conditions, RECONCILING));
        Self {
            uid: metadata.uid.as_deref().unwrap_or_default(),
            generation: metadata.generation,
            observed_generation: status.and_then(|status| status.observed_generation),
            request: open_request(annotations, REQUESTED_AT_ANNOTATION, handled),
            reset: open_reset(annotations, status.and_then(|status| status.last_handled_reset.as_deref())),
            in_progress: reconciling.is_some_and(|condition| condition.reason == reasons::PROGRESSING),
            completed: status.is_some_and(|status| status.phase == Some(Phase::Completed)),
            once: false,
            last: status.and_then(|status| status.last_sync_time.as_ref()).map(|time| time.0),
            awaited: None,
        }
    }
}
