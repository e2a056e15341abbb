//! What the object of a WorkloadMirror records: whether it is due.

use crate::api::WorkloadMirror;
use crate::schedule::Candidate;

impl<'a> From<&'a WorkloadMirror> for Candidate<'a> {
    fn from(mirror: &'a WorkloadMirror) -> Self {
        Self::of(mirror, mirror.status.as_ref().and_then(|status| status.last_sync_time.as_ref()))
    }
}
