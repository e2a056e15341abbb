//! What a pass reports when it cannot go on, and when the next one is.

use std::time::Duration;

use imgop_core::api::conditions::reasons;
use imgop_core::readiness::Readiness;
use imgop_core::workloads::WorkloadSpecError;

use super::{Conclusion, Memory, Pass, SHORT_INTERVAL};
use crate::children::{CORRECTION_INTERVAL, Findings, Requests};
use crate::cluster::api_error::ApiError;
use crate::cluster::rights::Right;
use crate::config::refused_keys::RefusedKey;
use crate::registry_access::PolicyFault;

/// Why a pass ends before its end. No Image is changed then.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    /// It is to be tried again a little later, and nothing is to be reported of it.
    #[error("postponed for {0:?}")]
    Postponed(Duration),
    /// The watches have not listed everything yet.
    #[error("what runs is being listed")]
    NotListed,
    /// The spec cannot be acted on.
    #[error("{0}")]
    Spec(#[from] WorkloadSpecError),
    /// The template of its Jobs gives what administrators refuse.
    #[error(transparent)]
    RefusedKey(#[from] RefusedKey),
    /// No administrator has given the agent a right in a namespace, or in all of them where that is empty.
    #[error("the agent may not {0}")]
    MissingRight(Right, String),
    /// It is not known what administrators have granted.
    #[error("{0}; no Image is changed")]
    Policy(#[from] PolicyFault),
    /// The API server did not do what was asked.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl Pass<'_> {
    /// Returns the end of a pass that could not go on. What only the API server can help is an error, which
    /// the controller tries again with growing pauses.
    pub(super) fn halted(&self, halt: Halt, memory: &mut Memory) -> Result<Conclusion, ApiError> {
        let message = halt.to_string();
        if !matches!(halt, Halt::Postponed(_) | Halt::Api(_)) {
            memory.looks.is_busy = false;
        }
        match halt {
            Halt::Api(error) => Err(error),
            Halt::Postponed(wait) => Ok(Conclusion::unchanged(wait)),
            // A start changes nothing in what is known already.
            Halt::NotListed if !self.candidate.is_spec_new() => Ok(Conclusion::unchanged(SHORT_INTERVAL)),
            Halt::NotListed => {
                let findings = Findings::of(Readiness::progressing(message), Requests::default());
                Ok(Conclusion { findings: Some(findings), wait: Some(SHORT_INTERVAL), has_looked: false })
            }
            Halt::Spec(_) | Halt::RefusedKey(_) => {
                Ok(self.halt(Readiness::stalled(reasons::INVALID_SPEC, message), None))
            }
            Halt::Policy(_) => {
                let wait = memory.looks.schedule.wait(CORRECTION_INTERVAL, self.now);
                Ok(self.halt(Readiness::retrying(reasons::ACCESS_UNKNOWN, message), Some(wait)))
            }
            Halt::MissingRight(right, namespace) => {
                let message = format!("{message}; no Image is changed");
                Ok(self.halt_without_right(&message, (right, &namespace), &mut memory.looks))
            }
        }
    }
}
