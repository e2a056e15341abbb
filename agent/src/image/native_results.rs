//! What the one container came to of a Job whose copies the agent's own program makes.

use imgop_copier::OpenUpload;
use imgop_core::api::FailureReason;
use imgop_core::copy::Outcome;

use super::job_results::{failed, of_text, without_end};
use crate::cluster::api_error::printable;
use crate::jobs::report::{ContainerEnd, ContainerState};
use crate::native_copy::{CopyReport, TERMINATED};

/// What became of its items, by their numbers.
pub(super) struct NativeResults {
    state: ContainerState,
    report: Option<CopyReport>,
}

impl NativeResults {
    /// Reads its state.
    pub fn of(state: ContainerState) -> Self {
        let report = match &state {
            ContainerState::Ended(end) => CopyReport::read(&end.message),
            _ => None,
        };
        Self { state, report }
    }

    /// Returns what became of an item.
    pub fn item(&self, number: usize) -> Outcome {
        match &self.state {
            ContainerState::Ended(end) => self.ended(end, u32::try_from(number).unwrap_or(u32::MAX)),
            state => without_end(state.clone(), "NATIVE_IMAGE"),
        }
    }

    fn ended(&self, end: &ContainerEnd, item: u32) -> Outcome {
        match &self.report {
            Some(report) if report.done.contains(item) => return Outcome::Succeeded,
            Some(report) if report.failure(item).is_some() => {
                return of_text(report.failure(item).unwrap_or_default(), end.at);
            }
            Some(report) if report.left.contains(item) => return Outcome::NotBegun { at: end.at },
            // The agent asks the destination.
            _ if end.exit_code == 0 => return Outcome::Succeeded,
            _ => {}
        }
        if end.reason == "OOMKilled" {
            return failed(
                FailureReason::OutOfMemory,
                "the copies ran out of memory; raise spec.jobTemplate.resources.limits.memory, or JOB_MEMORY_LIMIT of the agent",
                end.at,
            );
        }
        // What ends a pod from outside is no failure of what it copies.
        if end.is_disrupted || end.exit_code == i32::from(TERMINATED) {
            return Outcome::Interrupted { at: end.at };
        }
        let said = printable(&end.message);
        if self.report.is_none() && !said.is_empty() {
            return of_text(&said, end.at);
        }
        let message = format!("its container ended with exit code {} before it was copied", end.exit_code);
        failed(FailureReason::CopyFailed, message, end.at)
    }

    /// Returns the uploads that the next try may go on with.
    pub fn uploads(self) -> Vec<OpenUpload> {
        self.report.map(|report| report.uploads).unwrap_or_default()
    }
}
