//! What a pass reports when it cannot go on, and when the next one is.

use std::time::Duration;

use imgop_core::api::conditions::reasons;
use imgop_core::readiness::Readiness;
use imgop_core::time::saturating_add;
use imgop_core::workloads::WorkloadSpecError;

use super::workloads::{Scope, list_right};
use super::{Conclusion, Memory, Pass, SHORT_INTERVAL};
use crate::children::{CORRECTION_INTERVAL, Findings, Requests};
use crate::cluster::api_error::ApiError;
use crate::cluster::rights::Right;
use crate::config::refused_keys::RefusedKey;
use crate::registry_access::PolicyFault;

/// How long the watches may take to list everything before that is said: a start of the API server takes less.
const LIST_TIME: Duration = Duration::from_mins(2);

/// Why a pass ends before its end. No Image is changed then.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    /// It is to be tried again a little later, and nothing is to be reported of it.
    #[error("postponed for {0:?}")]
    Postponed(Duration),
    /// The watches have not listed everything yet: this is the first that is missing.
    #[error("what runs is being listed")]
    NotListed(Scope),
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
        if !matches!(halt, Halt::NotListed(_) | Halt::Postponed(_) | Halt::Api(_)) {
            // The pass did not end for want of a list.
            memory.unlisted_since = None;
        }
        match halt {
            Halt::Api(error) => Err(error),
            Halt::Postponed(wait) => Ok(Conclusion::unchanged(wait)),
            Halt::NotListed(scope) => Ok(self.not_listed(&scope, message, memory)),
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

    /// Returns the end of a pass before everything was listed, of which this is missing.
    fn not_listed(&self, missing: &Scope, message: String, memory: &mut Memory) -> Conclusion {
        let since = *memory.unlisted_since.get_or_insert(self.now);
        let readiness = if self.now >= saturating_add(since, LIST_TIME) {
            let resource = list_right(missing.kind).resource;
            let place = match &missing.namespace {
                Some(namespace) => format!("namespace {namespace}"),
                None => "all namespaces".to_owned(),
            };
            Readiness::retrying(
                reasons::WORKLOADS_UNKNOWN,
                format!(
                    "the API server has not listed the {resource} of {place} for minutes (tried again all the time; the \
                     agent's log says why); no Image is changed"
                ),
            )
        } else if self.candidate.is_spec_new() {
            Readiness::progressing(message)
        } else {
            // A start changes nothing in what is known already.
            return Conclusion::unchanged(SHORT_INTERVAL);
        };
        let findings = Findings::of(readiness, Requests::default());
        Conclusion { findings: Some(findings), wait: Some(SHORT_INTERVAL), has_looked: false }
    }
}
