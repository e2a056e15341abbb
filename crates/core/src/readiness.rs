//! What is reported of an object, whatever its kind: conditions as kstatus reads them, phase and progress.

use crate::api::Phase;
use crate::api::conditions::{NewCondition, READY, RECONCILING, STALLED, reasons};

/// The readiness of an object: conditions, phase and progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Ready always; Reconciling and Stalled only when true.
    pub conditions: Vec<NewCondition>,
    /// What became of the sync or the build.
    pub phase: Phase,
    /// How far it has come, in the words of its kind; `None` when that is not known.
    pub progress: Option<String>,
}

impl Readiness {
    /// Returns the readiness of an object that is as its spec asks.
    pub fn ready(message: impl Into<String>) -> Self {
        let (reason, message) = (reasons::SUCCEEDED, message.into());
        let ready = NewCondition { type_: READY, status: Some(true), reason, message };
        Self { conditions: vec![ready], phase: Phase::Completed, progress: None }
    }

    /// Returns the readiness of an object for which nothing more happens until something is changed.
    pub fn stalled(reason: &'static str, message: impl Into<String>) -> Self {
        Self::not_ready(Phase::Failed, reason, message, Some((STALLED, reason)))
    }

    /// Returns the readiness of an object that failed as a whole, and is tried again.
    pub fn retrying(reason: &'static str, message: impl Into<String>) -> Self {
        let also = Some((RECONCILING, reasons::PROGRESSING_WITH_RETRY));
        Self::not_ready(Phase::Failed, reason, message, also)
    }

    /// Returns the readiness of an object that is worked on.
    pub fn progressing(message: impl Into<String>) -> Self {
        let also = Some((RECONCILING, reasons::PROGRESSING));
        Self::not_ready(Phase::Running, reasons::PROGRESSING, message, also)
    }

    /// Adds something that is to be known besides to the messages of all conditions.
    pub fn add(&mut self, more: Option<String>) {
        let Some(more) = more else { return };
        for condition in &mut self.conditions {
            condition.message = format!("{}; {more}", condition.message);
        }
    }

    /// Returns the readiness of an object that is not ready for this reason. `also` is the other condition that is
    /// true, with its reason.
    pub fn not_ready(
        phase: Phase,
        reason: &'static str,
        message: impl Into<String>,
        also: Option<(&'static str, &'static str)>,
    ) -> Self {
        let message = message.into();
        let mut conditions =
            vec![NewCondition { type_: READY, status: Some(false), reason, message: message.clone() }];
        if let Some((type_, reason)) = also {
            conditions.push(NewCondition { type_, status: Some(true), reason, message });
        }
        Self { conditions, phase, progress: None }
    }
}
