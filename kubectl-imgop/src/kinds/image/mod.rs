//! `Image`: a copy of tags from one repository to another.

mod checks;
mod columns;
mod derived_name;
mod facts;
mod jobs;
mod past_syncs;
mod prune_text;
mod spec_text;

use imgop_core::api::Image;
use imgop_core::api::conditions::reasons;
use imgop_core::default_destination::as_reported;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

use checks::Checks;
pub use derived_name::{derive, fingerprint};
pub use prune_text::prune;
pub use spec_text::narrowing;

use super::past_sync::{PastLayout, PastSync};
use super::progress::ReconcileState;
use super::{FailedTags, JobContainer, JobWords, Kind};
use crate::output::age::since;
use crate::output::table::Table;
use crate::output::text::none;

impl Kind for Image {
    const SHORT_NAMES: &'static [&'static str] = &["simg"];
    const COLUMNS: &'static [&'static str] = &["MODE", "SOURCE", "READY", "REASON", "SYNCED", "LAST-CHANGE"];
    const WIDE_COLUMNS: &'static [&'static str] = &["LAST-CHECK", "NEXT-CHECK", "DESTINATION"];
    const PAST: PastLayout = past_syncs::LAYOUT;
    const JOB_WORDS: JobWords = JobWords { column: "TAGS", doing: "copying", in_sequence: false, kept: None };
    const BEYOND_RETRIES: &'static [&'static str] =
        &[reasons::PLATFORM_NOT_FOUND, reasons::FORMAT_UNSUPPORTED, reasons::TAGS_TOO_YOUNG];

    fn cells(&self, now: Timestamp) -> Vec<String> {
        columns::cells(self, now)
    }

    fn wide_cells(&self, now: Timestamp) -> Vec<String> {
        let checks = Checks::of(self, now);
        let last_sync = self.status.as_ref().and_then(|status| status.last_sync_time.as_ref());
        let last = checks.and_then(|checks| checks.last_cell(now)).unwrap_or_else(|| since(last_sync, now));
        let next = checks.map_or_else(none, |checks| checks.cell(now));
        vec![last, next, spec_text::destination(&as_reported(self.clone()).spec)]
    }

    fn facts(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        facts::facts(self, now)
    }

    fn problems(&self, now: Timestamp) -> Vec<Table> {
        let Some(status) = &self.status else { return Vec::new() };
        facts::failures(status, now).into_iter().chain(facts::waiting(status, now)).collect()
    }

    fn history(&self) -> Vec<PastSync> {
        self.status.as_ref().map(past_syncs::past_syncs).unwrap_or_default()
    }

    fn failed_tags(&self) -> Option<FailedTags> {
        let Some(status) = &self.status else { return Some(FailedTags::default()) };
        let named = status.failures.iter().map(|failure| failure.tag.clone()).collect();
        Some(FailedTags { named, others: status.unrecorded_failures() })
    }

    fn state(&self) -> ReconcileState<'_> {
        ReconcileState::of(self)
    }

    fn containers(job: &Job) -> Option<Vec<JobContainer>> {
        jobs::containers(job)
    }
}
