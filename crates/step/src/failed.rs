//! Why a container of a build failed.

use std::fmt;
use std::io;
use std::path::Path;

use imgop_core::build::BuildFailure;
use imgop_core::build::step::{FailedStep, StepFailure};

/// Why a container failed: a reason of the resource's conditions, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failed {
    /// The reason.
    pub reason: BuildFailure,
    /// What failed and what to do.
    pub message: String,
    /// The step of the Dockerfile that failed.
    pub step: Option<FailedStep>,
    /// The exit code of a RUN.
    pub exit_code: Option<i32>,
    /// The last lines of output, newest last.
    pub last_lines: Vec<String>,
}

impl Failed {
    /// Returns a failure without a step.
    pub fn new(reason: BuildFailure, message: impl fmt::Display) -> Self {
        let message = message.to_string();
        Self { reason, message, step: None, exit_code: None, last_lines: Vec::new() }
    }

    /// Returns what follows from an error of the operating system at a file of the pod.
    pub fn at(what: &str, path: &Path, error: &io::Error) -> Self {
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return Self::out_of_disk(format!("{}: {error}", path.display()));
        }
        // Nothing of the inputs decides this: the volumes of the pod are not as they must be.
        Self::new(BuildFailure::PodNotStarted, format!("cannot {what} {}: {error}", path.display()))
    }

    /// Returns whether a layer could not be kept in the cache: of all registries Buildah asks only that one while it
    /// builds.
    pub fn is_of_cache(&self) -> bool {
        self.reason == BuildFailure::RegistryUnreachable
    }

    /// Returns that the volume of the build is full.
    pub fn out_of_disk(detail: impl fmt::Display) -> Self {
        Self::new(BuildFailure::OutOfDisk, format!("no space is left ({detail}); raise storage.sizeLimit"))
    }
}

impl From<Failed> for StepFailure {
    fn from(failed: Failed) -> Self {
        let Failed { reason, message, step, exit_code, last_lines } = failed;
        Self { reason, message, step, exit_code, last_lines }
    }
}
