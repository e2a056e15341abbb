//! `ImageMirror`: an inventory, kept as Images.

mod facts;

use imgop_core::api::ImageMirror;
use jiff::Timestamp;

pub(super) use facts::{conflicts, failing};

use super::Kind;
use super::progress::ReconcileState;
use crate::output::age::since;
use crate::output::table::Table;
use crate::output::text::none;

impl Kind for ImageMirror {
    const SHORT_NAMES: &'static [&'static str] = &["simirror"];
    const COLUMNS: &'static [&'static str] =
        &["ENTRIES", "IMAGES", "READY", "REASON", "SYNCED", "LAST-CHANGE"];
    const WIDE_COLUMNS: &'static [&'static str] = &["TARGETS"];
    const CHILDREN: Option<&'static str> = Some("Images");

    fn cells(&self, now: Timestamp) -> Vec<String> {
        let status = self.status.as_ref();
        let [ready, reason] = self.state().ready_cells();
        let tags = status.and_then(|status| status.tags);
        vec![
            status.and_then(|status| status.entries).map_or_else(none, |entries| entries.to_string()),
            status.and_then(|status| status.progress.clone()).unwrap_or_else(none),
            ready,
            reason,
            tags.map_or_else(none, |tags| format!("{}/{}", tags.synced + tags.kept, tags.matched)),
            since(status.and_then(|status| status.last_sync_time.as_ref()), now),
        ]
    }

    fn wide_cells(&self, _: Timestamp) -> Vec<String> {
        let targets: Vec<&str> = self.spec.targets.iter().map(|target| target.repository.as_str()).collect();
        vec![if targets.is_empty() { none() } else { targets.join(",") }]
    }

    fn facts(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        facts::facts(self, now)
    }

    fn problems(&self, _: Timestamp) -> Vec<Table> {
        let Some(status) = &self.status else { return Vec::new() };
        let sections = [
            conflicts(&status.conflicts, status.conflict_count),
            failing(&status.failing),
            facts::proposals(status),
            facts::failed_updates(status),
        ];
        sections.into_iter().flatten().collect()
    }

    fn state(&self) -> ReconcileState<'_> {
        ReconcileState::of(self)
    }
}

#[cfg(test)]
mod tests;
