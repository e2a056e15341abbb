//! What a pass reports when it cannot go on, and when the next one is.

use std::time::Duration;

use imgop_core::api::conditions::reasons;
use imgop_core::api::{Image, Side};
use imgop_core::copy::{ObserveError, SpecError};
use imgop_core::readiness::Readiness;
use imgop_core::time::saturating_add;
use imgop_registry::{Reason, RegistryError, Unreachable};

use super::findings::{Conclusion, Findings};
use super::memory::{Blocked, Memory};
use super::{Pass, SECRET_INTERVAL, SHORT_INTERVAL};
use crate::cluster::api_error::ApiError;
use crate::cluster::rights::Right;
use crate::config::refused_keys::RefusedKey;
use crate::jobs::JobError;
use crate::metrics::OfKind;
use crate::registry_access::advice::{about_connection, about_credentials};
use crate::registry_access::{AccessError, EnsureError, JobSecretError, RepositoryError};

/// How long a registry that refuses is left alone while the Secrets stay as they are.
const REFUSED_BACKOFF: Duration = Duration::from_mins(10);
/// The longest that a registry may ask to be left alone.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Why a pass ends before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    /// It is to be tried again a little later, and nothing is to be reported of it.
    #[error("postponed for {0:?}")]
    Postponed(Duration),
    /// The spec cannot be acted on.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The template of its Jobs gives what administrators refuse.
    #[error(transparent)]
    RefusedKey(#[from] RefusedKey),
    /// No administrator has enabled the namespace, or not all of it.
    #[error("the agent may not {0} in this namespace")]
    MissingRight(Right),
    /// A Secret or the AWS identity cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The registries could not be observed.
    #[error("{error}")]
    Observe {
        /// Why.
        error: ObserveError,
        /// With what.
        with: AskedWith,
    },
    /// A registry refuses what is to be done for the tags.
    #[error("{side}: {error}")]
    Registry {
        /// Which.
        side: Side,
        /// Why.
        error: RegistryError,
        /// With what it was asked.
        with: AskedWith,
    },
    /// The repository of the destination is not as the spec says.
    #[error("destination: {0}")]
    Repository(#[from] Box<RepositoryError>),
    /// The Secret of a Job cannot be written.
    #[error(transparent)]
    JobSecret(#[from] JobSecretError),
    /// A Job cannot be created.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The API server did not do what was asked.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// With what registries were asked.
#[derive(Debug, Default)]
pub(super) struct AskedWith {
    /// The Secrets that were read.
    pub secrets: Vec<String>,
    /// The sides with credentials that are lent, unless the spec names some.
    pub lent: Vec<Side>,
}

impl From<EnsureError> for Halt {
    fn from(error: EnsureError) -> Self {
        match error {
            EnsureError::Access(error) => Self::Access(error),
            EnsureError::Aws(error) => Self::Repository(error),
        }
    }
}

impl Pass<'_> {
    /// Returns the end of a pass that could not go on. What only the API server can help is an error, which
    /// the controller tries again with growing pauses.
    pub(super) fn halted(&self, halt: Halt, memory: &mut Memory) -> Result<Conclusion, ApiError> {
        let message = halt.to_string();
        match halt {
            Halt::Api(error) => Err(error),
            Halt::Postponed(wait) => Ok(Conclusion::unchanged(wait)),
            Halt::Spec(_) | Halt::RefusedKey(_) => {
                Ok(self.report(Readiness::stalled(reasons::INVALID_SPEC, message), None))
            }
            Halt::MissingRight(right) => {
                let how = self.agent().rights.how_to_grant(right, self.namespace());
                let message = format!("{message} (checked again every 30 s); {how}");
                Ok(self.report_missing_right(message, memory))
            }
            Halt::Access(error) => self.access_failed(error, memory),
            Halt::Observe { error, with } => Ok(self.observe_failed(error, with, memory)),
            Halt::Registry { side, error, with } => Ok(self.registry_failed(side, &error, with, memory)),
            Halt::Repository(error) => {
                let reason = if error.is_transient() {
                    reasons::REGISTRY_UNREACHABLE
                } else {
                    reasons::REPOSITORY_NOT_READY
                };
                Ok(self.report_and_retry(Readiness::retrying(reason, message), memory))
            }
            Halt::JobSecret(error) => self.job_secret_failed(error, memory),
            Halt::Job(error) => self.job_failed(error, memory),
        }
    }

    fn report(&self, readiness: Readiness, wait: impl Into<Option<Duration>>) -> Conclusion {
        let findings = Findings::of(readiness, self.requests.clone());
        Conclusion { findings: Some(findings), wait: wait.into() }
    }

    /// Reports a failure that a user may end at any moment.
    fn report_until_changed(
        &self,
        reason: &'static str,
        message: impl Into<String>,
        memory: &mut Memory,
    ) -> Conclusion {
        let wait = memory.schedule.wait(SECRET_INTERVAL, self.now);
        self.report(Readiness::stalled(reason, message), wait)
    }

    fn report_missing_right(&self, message: String, memory: &mut Memory) -> Conclusion {
        self.report_until_changed(reasons::NAMESPACE_NOT_ENABLED, message, memory)
    }

    /// Reports a failure that is tried again with growing pauses.
    fn report_and_retry(&self, readiness: Readiness, memory: &mut Memory) -> Conclusion {
        let wait = memory.schedule.retry_later(self.now);
        self.report(readiness, wait)
    }

    fn access_failed(&self, error: AccessError, memory: &mut Memory) -> Result<Conclusion, ApiError> {
        let mut message = error.to_string();
        let Some((reason, right)) = error.reason_and_right() else {
            return match error {
                AccessError::Api(error) => Err(error),
                _ => Ok(Conclusion::unchanged(SHORT_INTERVAL)),
            };
        };
        match error {
            AccessError::Aws { error, .. } if error.is_transient() => {
                return Ok(self.report_and_retry(Readiness::retrying(reason, error.to_string()), memory));
            }
            AccessError::Policy(_) => {
                return Ok(self.report_and_retry(Readiness::retrying(reason, message), memory));
            }
            _ => {}
        }
        if let Some(right) = right {
            let how = self.agent().rights.how_to_grant(right, self.namespace());
            message = format!("{message}; {how}");
        }
        Ok(self.report_until_changed(reason, message, memory))
    }

    fn observe_failed(&self, error: ObserveError, with: AskedWith, memory: &mut Memory) -> Conclusion {
        let message = error.to_string();
        let readiness = match error {
            ObserveError::Registry { side, error } => {
                self.images.counters.not_looked(&self.image.spec, side, 1);
                return self.registry_failed(side, &error, with, memory);
            }
            ObserveError::TooManyTags { .. }
            | ObserveError::TooManyNamed { .. }
            | ObserveError::TooManyReferrers { .. } => Readiness::stalled(reasons::TOO_MANY_TAGS, message),
            ObserveError::TooSlow { .. } => {
                let message =
                    format!("{message}; long tag lists have longer with REGISTRY_LIST_TIMEOUT of the agent");
                Readiness::retrying(reasons::REGISTRY_UNREACHABLE, message)
            }
            ObserveError::Naming(_) => Readiness::stalled(reasons::INVALID_SPEC, message),
        };
        self.report_and_retry(readiness, memory)
    }

    /// A refusal ends in Stalled and leaves the registry alone; anything else is tried again.
    fn registry_failed(
        &self,
        side: Side,
        error: &RegistryError,
        with: AskedWith,
        memory: &mut Memory,
    ) -> Conclusion {
        let message = format!("{side}: {error}");
        let readiness = match error.reason() {
            Reason::Unauthorized | Reason::Forbidden => {
                let (secrets, until) = (with.secrets, saturating_add(self.now, REFUSED_BACKOFF));
                memory.blocked = Some(Blocked { secrets, until });
                let (endpoint, is_lent) = (self.image.spec.endpoint(side), with.lent.contains(&side));
                let message = format!("{message}; {}", about_credentials(side.as_str(), endpoint, is_lent));
                return self.report_until_changed(reasons::REGISTRY_UNAUTHORIZED, message, memory);
            }
            Reason::RateLimited { retry_after } => {
                let wanted = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
                let wait = memory.schedule.retry_later(self.now).max(wanted);
                let readiness = Readiness::retrying(reasons::REGISTRY_RATE_LIMITED, message);
                return self.report(readiness, memory.schedule.wait(wait, self.now));
            }
            Reason::Refused | Reason::Settings => Readiness::stalled(reasons::INVALID_SPEC, message),
            Reason::RepositoryNotFound => {
                let message = format!("{message}; check the name in spec.{side}.name");
                Readiness::retrying(reasons::REPOSITORY_NOT_FOUND, message)
            }
            reason => match about_connection(side.as_str(), reason, self.image.spec.endpoint(side)) {
                // Nothing changes before the field that is named is set.
                Some(advice) => {
                    Readiness::stalled(reasons::REGISTRY_UNREACHABLE, format!("{message}{advice}"))
                }
                // It may be that only the DNS is out of order, or the name of a token server.
                None if *reason == Reason::Unreachable(Unreachable::Dns) => {
                    let message =
                        format!("{message}; check the name in spec.{side}.name, and the DNS of the cluster");
                    Readiness::retrying(reasons::REGISTRY_UNREACHABLE, message)
                }
                None => Readiness::retrying(reasons::REGISTRY_UNREACHABLE, message),
            },
        };
        self.report_and_retry(readiness, memory)
    }

    fn job_secret_failed(&self, error: JobSecretError, memory: &mut Memory) -> Result<Conclusion, ApiError> {
        if matches!(error, JobSecretError::MissingRight(_)) {
            return Ok(self.report_missing_right(error.to_string(), memory));
        }
        let readiness = error.readiness()?;
        Ok(readiness
            .map_or(Conclusion::unchanged(None), |readiness| self.report_and_retry(readiness, memory)))
    }

    fn job_failed(&self, error: JobError, memory: &mut Memory) -> Result<Conclusion, ApiError> {
        let message = error.to_string();
        let readiness = match error {
            JobError::Api(error) => return Err(error),
            JobError::NamespaceTerminating => return Ok(Conclusion::unchanged(None)),
            JobError::StillDeleting(_) => {
                return Ok(Conclusion::unchanged(SHORT_INTERVAL));
            }
            JobError::MissingRight(_) => return Ok(self.report_missing_right(message, memory)),
            JobError::Refused(_) => Readiness::stalled(reasons::JOB_REFUSED, message),
            JobError::Failing(_) => {
                self.agent().metrics.api_failures.get_or_create(&OfKind::of::<Image>()).inc();
                Readiness::retrying(reasons::JOB_REFUSED, message)
            }
            JobError::NameTaken(_) => Readiness::stalled(reasons::NAME_CONFLICT, message),
        };
        Ok(self.report_and_retry(readiness, memory))
    }
}
