//! What users ask for beside the spec: a build, another try of what failed, the end of the running build.

use std::time::Duration;

use imgop_core::api::{
    BuildResult, CANCEL_REQUESTED_AT_ANNOTATION, ImageBuilder, ImageBuilderStatus, REQUESTED_AT_ANNOTATION,
};
use imgop_core::build::Asked;
use imgop_core::schedule::{Candidate, open_request, open_reset};
use jiff::Timestamp;

use super::memory::Memory;
use super::{Conclusion, Pass};

/// The tokens of the requests that a pass acts on.
pub(super) struct Requests {
    /// Of a build.
    pub build: Option<String>,
    /// Of another try of what failed.
    pub reset: Option<String>,
    /// Of the end of the running build.
    pub cancel: Option<String>,
}

impl Requests {
    /// Returns what is acted on now.
    pub fn of(builder: &ImageBuilder, status: &ImageBuilderStatus, memory: &Memory, now: Timestamp) -> Self {
        let (candidate, schedule) = (open(builder, status), &memory.schedule);
        let annotations = builder.metadata.annotations.as_ref();
        let cancelled = status.last_handled_cancel_requested_at.as_deref();
        let cancel = open_request(annotations, CANCEL_REQUESTED_AT_ANNOTATION, cancelled);
        // What is to end is not tried again in the same pass.
        let reset = schedule.reset(&candidate, now).filter(|_| cancel.is_none());
        Self {
            build: schedule.request(&candidate, now).map(str::to_owned),
            reset: reset.map(str::to_owned),
            cancel: cancel.map(str::to_owned),
        }
    }
}

/// Returns the requests that were not acted on yet. While an ImageBuilder is suspended nothing is tried again: its reset
/// waits until it is resumed.
fn open<'a>(builder: &'a ImageBuilder, status: &ImageBuilderStatus) -> Candidate<'a> {
    let annotations = builder.metadata.annotations.as_ref();
    let handled = status.last_handled_requested_at.as_deref();
    let reset = open_reset(annotations, status.last_handled_reset.as_deref());
    Candidate {
        request: open_request(annotations, REQUESTED_AT_ANNOTATION, handled),
        reset: reset.filter(|_| !builder.spec.suspend),
        ..Candidate::default()
    }
}

impl Pass<'_> {
    /// Returns this status with the token of the request that this pass acts on.
    pub(super) fn handled(&self, mut status: ImageBuilderStatus) -> ImageBuilderStatus {
        if self.request_token.is_some() {
            status.last_handled_requested_at.clone_from(&self.request_token);
        }
        status
    }

    /// Returns whether a build was requested and did not begin yet.
    pub(super) fn is_requested(&self) -> bool {
        self.request_token.is_some() || self.status.request_pending
    }

    /// Returns this end of a pass with the request acted on: the running build is what was asked for, unless it failed
    /// in this pass.
    pub(super) fn acknowledged(&self, conclusion: Conclusion) -> Conclusion {
        if !self.is_requested() || conclusion.ended == Some(BuildResult::Failed) {
            return conclusion;
        }
        let status = conclusion.status.unwrap_or_else(|| self.status.clone());
        let status = ImageBuilderStatus { request_pending: false, ..self.handled(status) };
        Conclusion { status: Some(status), is_progress: false, ..conclusion }
    }

    /// Returns this end of a pass with the request noted, of which the build was not able to begin.
    pub(super) fn still_requested(&self, conclusion: Conclusion) -> Conclusion {
        if self.request_token.is_none() {
            return conclusion;
        }
        let status = conclusion.status.unwrap_or_else(|| self.status.clone());
        let status = ImageBuilderStatus { request_pending: true, ..self.handled(status) };
        Conclusion { status: Some(status), is_progress: false, ..conclusion }
    }

    /// Returns what a user asks for.
    pub(super) fn asked(&self) -> Asked {
        if self.is_requested() {
            Asked::Build
        } else if self.reset_token.is_some() {
            Asked::Retry
        } else {
            Asked::Nothing
        }
    }

    /// Returns whether a build is to begin that a user asks for: a new one, or another try of one that failed.
    pub(super) fn is_to_build(&self) -> bool {
        let last = self.status.history.last().filter(|_| self.status.build.is_none());
        let has_failed = last.is_some_and(|last| last.result == BuildResult::Failed);
        self.is_requested() || self.reset_token.is_some() && has_failed
    }

    /// Remembers until when failures are tried again at once, if a user asks for it.
    pub(super) fn begin_reset(&self, memory: &mut Memory) {
        if self.reset_token.is_some() {
            (memory.reset_at, memory.schedule.last_request) = (Some(self.now), Some(self.now));
        }
    }

    /// Returns this end of a pass with the reset acted on, if it reports anything. A build that failed in this pass is
    /// what is to be tried again in the next one.
    pub(super) fn acted_on_reset(&self, mut conclusion: Conclusion) -> Conclusion {
        if conclusion.ended == Some(BuildResult::Failed) {
            return conclusion;
        }
        if let (Some(token), Some(status)) = (&self.reset_token, &mut conclusion.status) {
            status.last_handled_reset = Some(token.clone());
            conclusion.is_progress = false;
        }
        conclusion
    }

    /// Returns how long a request that was made must wait.
    pub(super) fn request_delay(&self, memory: &Memory) -> Option<Duration> {
        let open = open(self.builder, &self.status);
        let is_waiting = open.request.is_some() && self.request_token.is_none()
            || open.reset.is_some() && self.reset_token.is_none();
        memory.schedule.request_delay(self.now).filter(|_| is_waiting)
    }
}
