//! An Image as a row of a list.

use imgop_core::api::Image;
use jiff::Timestamp;

use super::spec_text::{mode, source};
use crate::kinds::Kind as _;
use crate::output::age::since;
use crate::output::text::none;

/// Returns the cells of its columns.
pub fn cells(image: &Image, now: Timestamp) -> Vec<String> {
    let status = image.status.as_ref();
    let [ready, reason] = image.state().ready_cells();
    vec![
        mode(image.spec.mode).to_owned(),
        source(&image.spec),
        ready,
        reason,
        status.and_then(|status| status.progress.clone()).unwrap_or_else(none),
        since(status.and_then(|status| status.last_sync_time.as_ref()), now),
    ]
}
