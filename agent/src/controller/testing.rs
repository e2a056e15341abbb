//! What tests of kinds run whole passes with, in place of watches and turns.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt as _;

use super::{Objects, Reconcile, Runner, Slot};
use crate::cluster::api_error::ApiError;

/// A controller of one object, from the start of a process.
pub struct Passes<R: Reconcile> {
    runner: Runner<R>,
    slot: Slot<R>,
}

impl<R: Reconcile> Passes<R> {
    /// Returns one that remembers nothing.
    pub fn new(kind: R) -> Self {
        Self { runner: Runner::new(kind, Objects::new([])), slot: Slot::default() }
    }

    /// Returns the kind.
    pub fn kind(&self) -> &R {
        &self.runner.kind
    }

    /// Makes a pass over an object as the watch shows it, and writes what it reports. Returns after what time the next
    /// one is due; none waits for a change.
    pub async fn pass(&mut self, object: &R::Kind, now: Timestamp) -> Result<Option<Duration>, ApiError> {
        let next = self.runner.pass(object, &mut self.slot, now).await;
        self.kind().agent().jobs.end_pass(&object.uid().unwrap_or_default());
        next
    }
}
