//! What a pass reports when it cannot go on, and when the next one is.

use std::time::Duration;

use imgop_core::api::conditions::reasons;
use imgop_core::formats::FormatError;
use imgop_core::inventory::InventoryError;
use imgop_core::readiness::Readiness;

use super::{Conclusion, Memory, Pass};
use crate::cluster::api_error::ApiError;
use crate::cluster::rights::Right;
use crate::config::refused_keys::RefusedKey;

/// Why a pass ends before its end. No Image is changed then.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    /// It is to be tried again a little later, and nothing is to be reported of it.
    #[error("postponed for {0:?}")]
    Postponed(Duration),
    /// The fields that say when cannot be read.
    #[error(
        "spec.frequency, spec.schedule or spec.timeZone cannot be read: frequency is a time such as 1h30m, or schedule \
         has cron's five fields"
    )]
    Recurrence,
    /// The spec cannot be acted on.
    #[error("{0}")]
    Spec(InventoryError),
    /// The template of its Jobs gives what administrators refuse.
    #[error(transparent)]
    RefusedKey(#[from] RefusedKey),
    /// A file of the inventory cannot be used.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// No administrator has enabled the namespace, or not all of it.
    #[error("the agent may not {0} in this namespace")]
    MissingRight(Right),
    /// The API server did not do what was asked.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// Why an inventory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// There is no such ConfigMap.
    #[error("spec.from: there is no ConfigMap {0} in this namespace; create it, or name another one")]
    Missing(String),
    /// It lacks the key.
    #[error("spec.from: {file}: there is no such key; add it, or name one that is there: {keys}")]
    MissingKey {
        /// Which file.
        file: String,
        /// What there is.
        keys: String,
    },
    /// It is no text.
    #[error("spec.from: {0}: this is no text in UTF-8; save the file as UTF-8, without compression")]
    NoText(String),
    /// It is not of its format.
    #[error("{file}, {error}")]
    Format {
        /// Which file.
        file: String,
        /// What is wrong in it.
        error: FormatError,
    },
    /// Its entries, or those of the spec, cannot be used.
    #[error("{0}")]
    Inventory(InventoryError),
    /// The spec cannot be written as it was read.
    #[error("the spec cannot be written as JSON: {0}; this is a fault of the agent, please report it")]
    Spec(String),
}

/// What is said besides, where nothing is changed.
const NOTHING_CHANGED: &str = "no Image is changed until all of the inventory can be read";

impl Pass<'_> {
    /// Returns the end of a pass that could not go on. What only the API server can help is an error, which
    /// the controller tries again with growing pauses.
    pub(super) fn halted(&self, halt: Halt, memory: &mut Memory) -> Result<Conclusion, ApiError> {
        let message = halt.to_string();
        if !matches!(halt, Halt::Postponed(_) | Halt::Api(_)) {
            (memory.inventory, memory.looks.is_busy) = (None, false);
        }
        match halt {
            Halt::Api(error) => Err(error),
            Halt::Postponed(wait) => Ok(Conclusion::unchanged(wait)),
            Halt::Recurrence => Ok(self.halt(Readiness::stalled(reasons::INVALID_SPEC, message), None)),
            Halt::Spec(_) | Halt::RefusedKey(_) => {
                let message = format!("{message}; {NOTHING_CHANGED}");
                Ok(self.halt(Readiness::stalled(reasons::INVALID_SPEC, message), None))
            }
            Halt::Unreadable(_) => {
                let wait = memory.looks.schedule.retry_later(self.now);
                let message = format!("{message}; {NOTHING_CHANGED}");
                let readiness = Readiness::stalled(reasons::INVENTORY_UNREADABLE, message);
                Ok(self.halt(readiness, Some(wait)))
            }
            Halt::MissingRight(right) => {
                let right = (right, self.namespace());
                Ok(self.halt_without_right(&message, right, &mut memory.looks))
            }
        }
    }
}
