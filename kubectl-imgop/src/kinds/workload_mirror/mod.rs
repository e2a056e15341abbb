//! `WorkloadMirror`: what workloads use, kept as Images.

mod facts;

use imgop_core::api::{Phase, REQUESTED_AT_ANNOTATION, WorkloadMirror};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::Kind;
use super::image_mirror::{conflicts, failing};
use super::progress::ReconcileState;
use crate::output::age::since;
use crate::output::table::Table;

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
        let status = self.status.as_ref();
        ReconcileState {
            conditions: status.map_or(&[], |status| &status.conditions),
            observed_generation: status.and_then(|status| status.observed_generation),
            requested: self.annotations().get(REQUESTED_AT_ANNOTATION).map(String::as_str),
            handled: status.and_then(|status| status.last_handled_requested_at.as_deref()),
            is_suspended: self.spec.suspend,
            is_completed: status.is_some_and(|status| status.phase == Some(Phase::Completed)),
        }
    }
}

fn none() -> String {
    "<none>".to_owned()
}

#[cfg(test)]
mod tests;
