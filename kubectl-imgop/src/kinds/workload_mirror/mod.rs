//! `WorkloadMirror`: what workloads use, kept as Images.

mod facts;

use imgop_core::api::WorkloadMirror;
use jiff::Timestamp;

use super::Kind;
use super::image_mirror::{conflicts, failing};
use super::progress::ReconcileState;
use crate::output::age::since;
use crate::output::table::Table;
use crate::output::text::none;

impl Kind for WorkloadMirror {
    const SHORT_NAMES: &'static [&'static str] = &["swm"];
    const COLUMNS: &'static [&'static str] =
        &["WORKLOADS", "IMAGES", "READY", "REASON", "SYNCED", "LAST-CHANGE"];
    const WIDE_COLUMNS: &'static [&'static str] = &["DESTINATION"];
    const CHILDREN: Option<&'static str> = Some("Images");

    fn cells(&self, now: Timestamp) -> Vec<String> {
        let status = self.status.as_ref();
        let [ready, reason] = self.state().ready_cells();
        let counts = status.and_then(|status| status.counts);
        let number = |number: Option<u32>| number.map_or_else(none, |number| number.to_string());
        vec![
            number(counts.map(|counts| counts.workloads)),
            number(counts.map(|counts| counts.images)),
            ready,
            reason,
            status.and_then(|status| status.progress.clone()).unwrap_or_else(none),
            since(status.and_then(|status| status.last_sync_time.as_ref()), now),
        ]
    }

    fn wide_cells(&self, _: Timestamp) -> Vec<String> {
        vec![self.spec.destination.repository.clone()]
    }

    fn facts(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        facts::facts(self, now)
    }

    fn problems(&self, _: Timestamp) -> Vec<Table> {
        let Some(status) = &self.status else { return Vec::new() };
        let sections = [conflicts(&status.conflicts, status.conflict_count), failing(&status.failing)];
        sections.into_iter().flatten().collect()
    }

    fn state(&self) -> ReconcileState<'_> {
        ReconcileState::of(self)
    }
}

#[cfg(test)]
mod tests;
