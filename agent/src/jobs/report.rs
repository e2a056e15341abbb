//! What became of a Job and its containers, read from it and its pods. What that means is for its kind to say.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// A Job, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct JobReport {
    /// The Job's name.
    pub name: String,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Its annotations that kinds read.
    pub annotations: BTreeMap<String, String>,
    /// How it stands.
    pub state: JobState,
    /// What became of its containers, by name. Those that pods do not tell of are not here: see
    /// [`JobReport::container`].
    containers: BTreeMap<String, ContainerState>,
}

/// How a Job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// It runs, or waits to run.
    Unfinished,
    /// Its pod does not start, or cannot be created; why. It is to be deleted: it holds a place.
    Stuck(String),
    /// Our containers have ended, and others that were injected keep it from ending. It is to be deleted.
    Abandoned,
    /// It has ended.
    Finished,
}

/// What became of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// It runs, or waits to run, or it is not known yet how it ended.
    Running,
    /// It has ended.
    Ended(ContainerEnd),
    /// It has ended well, as the Job says; its pod is gone.
    Completed,
    /// Its pod does not start; why.
    NotStarted {
        /// For people.
        message: String,
        /// When that was found.
        at: Timestamp,
    },
    /// Its pod ended before it began: a container before it failed, or the node went away.
    Interrupted {
        /// When.
        at: Timestamp,
    },
    /// The Job ran into its deadline.
    DeadlineExceeded {
        /// When.
        at: Timestamp,
    },
    /// The Job failed, and its pod is gone.
    PodGone {
        /// When the Job failed.
        at: Timestamp,
    },
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerEnd {
    /// Its exit code.
    pub exit_code: i32,
    /// Kubernetes' word for it, such as `OOMKilled`.
    pub reason: String,
    /// What it left in its termination log, or the end of its output.
    pub message: String,
    /// When; never in the future, whatever the node's clock says.
    pub at: Timestamp,
}

impl JobReport {
    /// Returns what became of a container.
    pub fn container(&self, name: &str) -> ContainerState {
        self.containers.get(name).cloned().unwrap_or(ContainerState::Running)
    }

    /// Returns whether the Job is to be deleted because it holds a place and nothing more will come of it.
    pub fn is_to_be_deleted(&self) -> bool {
        matches!(self.state, JobState::Stuck(_) | JobState::Abandoned)
    }
}
