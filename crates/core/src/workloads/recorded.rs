//! What the object of a WorkloadMirror records: whether it is due.

use crate::api::WorkloadMirror;
use crate::inventory::MirrorRecord;
use crate::schedule::Candidate;

impl<'a> From<&'a WorkloadMirror> for Candidate<'a> {
    fn from(mirror: &'a WorkloadMirror) -> Self {
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
