//! `ImageBuilder`: an image that is built from a Dockerfile.

mod builds;
mod facts;
mod jobs;
mod spec_text;

use imgop_core::api::conditions::reasons;
use imgop_core::api::{BuildResult, ImageBuilder, ImageBuilderStatus};
use imgop_core::build::BuildFailure;
use imgop_core::default_destination::as_reported;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

use super::past_sync::{PastLayout, PastSync};
use super::progress::{QuotedFailure, ReconcileState};
use super::{JobContainer, JobWords, KeptJobs, Kind};
use crate::output::age::since;
use crate::output::table::Table;
use crate::output::text::none;

impl Kind for ImageBuilder {
    const SHORT_NAMES: &'static [&'static str] = &["imgb"];
    const COLUMNS: &'static [&'static str] = &["IMAGE", "READY", "REASON", "BUILD", "LAST-BUILD"];
    const WIDE_COLUMNS: &'static [&'static str] = &["COMMIT", "DIGEST"];
    const PAST: PastLayout = builds::LAYOUT;
    const JOB_WORDS: JobWords = JobWords {
        column: "PLATFORM",
        doing: "building",
        in_sequence: true,
        kept: Some(KeptJobs {
            succeeded: "successfulBuildsHistoryLimit",
            others: "failedBuildsHistoryLimit",
        }),
    };
    const BEYOND_RETRIES: &'static [&'static str] = &[
        reasons::PLATFORM_NOT_FOUND,
        BuildFailure::BaseImageNotFound.as_str(),
        BuildFailure::RevisionNotFound.as_str(),
        BuildFailure::PlatformUnavailable.as_str(),
        CANCELLED,
    ];

    fn cells(&self, now: Timestamp) -> Vec<String> {
        let status = self.status.as_ref();
        let [ready, reason] = self.state().ready_cells();
        vec![
            format!("{}:{}", as_reported(self.clone()).spec.image.name, self.spec.image.version),
            ready,
            reason,
            status.and_then(progress).unwrap_or_else(none),
            since(status.and_then(|status| status.last_build_time.as_ref()), now),
        ]
    }

    fn wide_cells(&self, _: Timestamp) -> Vec<String> {
        let status = self.status.as_ref();
        let source = status.and_then(|status| status.source.as_ref());
        let commit = source.and_then(|source| source.commit.as_deref());
        let image = status.and_then(|status| status.image.as_ref());
        vec![
            commit.map_or_else(none, |commit| commit.chars().take(12).collect()),
            image.map_or_else(none, |image| image.digest.clone()),
        ]
    }

    fn facts(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        facts::facts(self, now)
    }

    fn problems(&self, now: Timestamp) -> Vec<Table> {
        self.status.as_ref().map(|status| facts::tables(status, now)).unwrap_or_default()
    }

    fn history(&self) -> Vec<PastSync> {
        self.status.as_ref().map(builds::past_builds).unwrap_or_default()
    }

    fn state(&self) -> ReconcileState<'_> {
        ReconcileState::of(self)
    }

    fn quoted_failure(&self) -> Option<QuotedFailure> {
        builds::quoted_failure(self)
    }

    fn containers(job: &Job) -> Option<Vec<JobContainer>> {
        jobs::containers(job)
    }

    fn run_of(job: &Job) -> Option<u64> {
        jobs::part(job).map(|part| part.number)
    }
}

/// The reason of a build that a user ended.
const CANCELLED: &str = "Cancelled";

/// Whether no build runs, and the last one was ended by a user.
fn is_cancelled(status: &ImageBuilderStatus) -> bool {
    let last = status.history.last();
    status.build.is_none() && last.is_some_and(|last| last.result == BuildResult::Cancelled)
}

/// Returns the number of the last build and what became of it. Its phases are those of every kind: that a user ended it
/// is FAILED there.
fn progress(status: &ImageBuilderStatus) -> Option<String> {
    let progress = status.progress.as_deref()?;
    match progress.split_once('/') {
        Some((number, _)) if is_cancelled(status) => Some(format!("{number}/CANCELLED")),
        _ => Some(progress.to_owned()),
    }
}
