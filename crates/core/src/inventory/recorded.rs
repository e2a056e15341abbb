//! What the object of an ImageMirror records: whether it is due.

use crate::api::ImageMirror;
use crate::schedule::Candidate;

impl<'a> From<&'a ImageMirror> for Candidate<'a> {
    fn from(mirror: &'a ImageMirror) -> Self {
        Self::of(mirror, mirror.status.as_ref().and_then(|status| status.last_sync_time.as_ref()))
    }
}
