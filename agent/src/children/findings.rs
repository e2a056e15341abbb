//! What a pass over an object found out about it and its Images, and how the pass ended.

use std::time::Duration;

use imgop_core::readiness::Readiness;

use super::Requests;

/// What a pass found out. `O` is what the kind alone knows.
#[derive(Debug, Clone)]
pub(crate) struct Findings<O> {
    /// Conditions, phase and progress.
    pub readiness: Readiness,
    /// What is known of the Images, and of what they are made from; none where that was not looked at.
    pub observed: Option<O>,
    /// What was handed on.
    pub handled: Requests,
    /// Whether what made the object due has come to its end.
    pub has_ended: bool,
    /// The generation that the conditions are of, if it is another one than the spec's.
    pub generation: Option<i64>,
}

impl<O> Findings<O> {
    /// Returns what is reported where nothing was looked at.
    pub fn of(readiness: Readiness, handled: Requests) -> Self {
        Self { readiness, observed: None, handled, has_ended: false, generation: None }
    }
}

/// How a pass ends: with what is reported, and when the next one is.
#[derive(Debug)]
pub(crate) struct Conclusion<O> {
    /// What is reported; none leaves the status as it is.
    pub findings: Option<Findings<O>>,
    /// When the next pass is; none waits for a change.
    pub wait: Option<Duration>,
    /// Whether the pass came to the end of a look at the object.
    pub has_looked: bool,
}

impl<O> Conclusion<O> {
    /// Leaves the status as it is.
    pub fn unchanged(wait: Duration) -> Self {
        Self { findings: None, wait: Some(wait), has_looked: false }
    }
}
