//! `WorkloadMirror`: what workloads use, kept as Images.

mod facts;

use imgop_core::api::conditions::reasons;
use imgop_core::api::{MirrorFailure, WorkloadMirror, WorkloadMode};
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
        let failing = match self.spec.mode {
            WorkloadMode::Observe => not_seen(&status.failing),
            WorkloadMode::Active | WorkloadMode::Plan => failing(&status.failing),
        };
        let sections = [conflicts(&status.conflicts, status.conflict_count), failing];
        sections.into_iter().flatten().collect()
    }

    fn state(&self) -> ReconcileState<'_> {
        ReconcileState::of(self)
    }
}

/// Returns the Images that mode Observe would make and could not compare, if any. They are not there to be described.
fn not_seen(failing: &[MirrorFailure]) -> Option<Table> {
    let mut table = Table::new(["FAILING-IMAGE", "REASON", "TAG", "MESSAGE"]);
    for image in failing {
        let tag = image.tag.clone().unwrap_or_else(none);
        table.row([image.image.clone(), image.reason.clone(), tag, message_of(&image.reason).to_owned()]);
    }
    (!failing.is_empty()).then_some(table)
}

/// Returns what mode Observe means by a reason: its status has no message.
pub fn message_of(reason: &str) -> &'static str {
    match reason {
        reasons::TAG_NOT_FOUND => "the source does not have it",
        reasons::REGISTRY_UNREACHABLE => "source or destination did not say what it has of it",
        _ => "a registry could not be asked; the condition says why for the first of them",
    }
}

#[cfg(test)]
mod tests;
