//! The report of a container, written once.

use std::fs;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use imgop_core::build::step::{StepReport, place};

/// Writes the report of this container. Of several reports the first counts.
#[derive(Debug, Default)]
pub struct Reporter {
    is_written: Mutex<bool>,
}

impl Reporter {
    /// Writes a report to where Kubernetes looks for it, unless there is one. What another thread writes is written
    /// when this returns.
    pub fn write(&self, report: &StepReport) {
        let mut is_written = self.is_written.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *is_written, true) {
            return;
        }
        if let Err(error) = fs::write(place::TERMINATION_MESSAGE, report.to_message()) {
            let _ = writeln!(std::io::stderr(), "cannot write {}: {error}", place::TERMINATION_MESSAGE);
        }
    }
}
