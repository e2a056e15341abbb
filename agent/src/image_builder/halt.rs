//! Why a pass ends before its end, and what is reported then.

use std::time::Duration;

use imgop_core::api::EndpointRef;
use imgop_core::api::conditions::reasons;
use imgop_core::build::{BuildFailure, Retry, SpecError};
use imgop_core::readiness::Readiness;
use imgop_core::time::saturating_add;
use imgop_registry::{Reason, RegistryError};

use super::access::GET_SECRETS;
use super::memory::{Blocked, Memory};
use super::{Conclusion, Pass, SHORT_INTERVAL, SLOW_INTERVAL, recheck_pause};
use crate::cluster::api_error::ApiError;
use crate::cluster::rights::Right;
use crate::config::refused_keys::RefusedKey;
use crate::jobs::JobError;
use crate::registry_access::advice::{about_connection, about_credentials};
use crate::registry_access::{AccessError, EnsureError, JobSecretError, PolicyFault};

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
    /// No administrator has enabled builds in the namespace, or not all that they need.
    #[error("the agent may not {0} in this namespace")]
    MissingRight(Right),
    /// A Secret or the AWS identity cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Nothing can be built, or the image cannot be published.
    #[error("{0}")]
    Build(Box<Refusal>),
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

/// Why nothing can be built, found out without a pod.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(super) struct Refusal {
    /// The reason.
    pub failure: BuildFailure,
    /// What is wrong and what to do.
    pub message: String,
    /// How long a registry asks to be left alone.
    pub retry_after: Option<Duration>,
    /// Whether nothing changes before the field is set that the message names.
    pub is_settings: bool,
    /// The Secrets that a registry refused.
    pub secrets: Option<Vec<String>>,
    /// Whether it ends the running build: another try would end alike.
    pub ends_build: bool,
}

impl Halt {
    /// Returns the halt of a failure of a build.
    pub(super) fn of(failure: BuildFailure, message: impl Into<String>) -> Self {
        Self::Build(Box::new(Refusal {
            failure,
            message: message.into(),
            retry_after: None,
            is_settings: false,
            secrets: None,
            ends_build: false,
        }))
    }

    /// Returns the halt of a failure that ends the running build.
    pub(super) fn ending(failure: BuildFailure, message: String) -> Self {
        match Self::of(failure, message) {
            Self::Build(refusal) => Self::Build(Box::new(Refusal { ends_build: true, ..*refusal })),
            other => other,
        }
    }

    /// Returns the halt of a Secret that cannot be used.
    pub(super) fn secret(message: String) -> Self {
        Self::of(BuildFailure::SecretUnusable, message)
    }

    /// Returns this halt, which is over as soon as any of these Secrets is another one, if it is for a Secret.
    pub(super) fn until_one_changes(mut self, secrets: &[String]) -> Self {
        if let Self::Build(refusal) = &mut self
            && refusal.secrets.is_some()
        {
            refusal.secrets = Some(secrets.to_vec());
        }
        self
    }

    /// Returns this halt with more to its message, if it is of a build.
    pub(super) fn with_note(mut self, note: &str) -> Self {
        if let Self::Build(refusal) = &mut self {
            refusal.message.push_str(note);
        }
        self
    }

    /// Returns the halt of credentials of git that cannot be used.
    pub(super) fn source_unauthorized(message: String) -> Self {
        Self::of(BuildFailure::SourceUnauthorized, message)
    }

    /// Returns the halt of a registry that does not do what is asked. `field` is where the spec says how it is reached.
    pub(super) fn registry(
        field: &str,
        endpoint: EndpointRef<'_>,
        error: &RegistryError,
        secrets: &[String],
    ) -> Self {
        let message = format!("{field}: {error}");
        let (failure, message, is_settings) = match error.reason() {
            Reason::Unauthorized | Reason::Forbidden => {
                // Builds are lent none.
                let message = format!("{message}; {}", about_credentials(field, endpoint, false));
                (BuildFailure::RegistryUnauthorized, message, false)
            }
            Reason::RateLimited { .. } => (BuildFailure::RegistryRateLimited, message, false),
            reason => match about_connection(field, reason, endpoint) {
                Some(advice) => (BuildFailure::RegistryUnreachable, format!("{message}{advice}"), true),
                None => (BuildFailure::RegistryUnreachable, message, false),
            },
        };
        let retry_after = match error.reason() {
            Reason::RateLimited { retry_after } => *retry_after,
            _ => None,
        };
        let secrets = (failure == BuildFailure::RegistryUnauthorized).then(|| secrets.to_vec());
        let ends_build = false;
        Self::Build(Box::new(Refusal { failure, message, retry_after, is_settings, secrets, ends_build }))
    }
}

impl From<EnsureError> for Halt {
    fn from(error: EnsureError) -> Self {
        match error {
            EnsureError::Access(error) => Self::Access(error),
            EnsureError::Aws(error) if error.is_transient() => {
                Self::of(BuildFailure::RegistryUnreachable, format!("image: {error}"))
            }
            EnsureError::Aws(error) => Self::of(BuildFailure::RepositoryNotReady, format!("image: {error}")),
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
            Halt::MissingRight(right) => Ok(self.lacks_right(right, &message, memory)),
            Halt::Access(error) => self.access_failed(error, memory),
            Halt::Build(refusal) => Ok(self.refused(&refusal, memory)),
            Halt::JobSecret(error) => self.job_secret_failed(error, memory),
            Halt::Job(error) => self.job_failed(error, memory),
        }
    }

    /// Returns the end of a pass with this readiness, and nothing else that is new. A build that was requested is still
    /// to begin.
    pub(super) fn report(&self, readiness: Readiness, wait: impl Into<Option<Duration>>) -> Conclusion {
        let mut status = self.handled(self.status.clone());
        status.request_pending = self.is_to_build();
        let status = self.with_readiness(status, readiness);
        Conclusion { status: Some(status), ended: None, is_progress: false, wait: wait.into() }
    }

    fn lacks_right(&self, right: Right, message: &str, memory: &mut Memory) -> Conclusion {
        let how = self.agent().rights.how_to_grant(right, self.namespace());
        let message = format!("{message} (checked again every 30 s); {how}");
        let wait = self.hold(memory, SLOW_INTERVAL);
        self.report(Readiness::stalled(reasons::NAMESPACE_NOT_ENABLED, message), wait)
    }

    /// Begins nothing by itself for this long, which it returns.
    pub(super) fn hold(&self, memory: &mut Memory, wait: Duration) -> Duration {
        memory.held_until = Some(saturating_add(self.now, wait));
        memory.schedule.wait(wait, self.now)
    }

    fn access_failed(&self, error: AccessError, memory: &mut Memory) -> Result<Conclusion, ApiError> {
        let message = error.to_string();
        let failure = match error {
            AccessError::Api(error) => return Err(error),
            AccessError::OpenDestination(_) => {
                let wait = self.hold(memory, SLOW_INTERVAL);
                return Ok(self.report(Readiness::stalled(reasons::INVALID_SPEC, message), wait));
            }
            AccessError::AwsNotEnabled => return Ok(self.lacks_right(Right::USE_AWS, &message, memory)),
            AccessError::Forbidden { .. } => return Ok(self.lacks_right(GET_SECRETS, &message, memory)),
            AccessError::Aws { error, .. } if error.is_transient() => BuildFailure::RegistryUnreachable,
            AccessError::Aws { .. } => BuildFailure::RegistryUnauthorized,
            AccessError::Missing { .. }
            | AccessError::Unusable { .. }
            | AccessError::LentUnusable { .. }
            | AccessError::TlsOfLent { .. } => BuildFailure::SecretUnusable,
            AccessError::DestinationNotAllowed { .. } | AccessError::CreationNotAllowed { .. } => {
                BuildFailure::DestinationNotAllowed
            }
            AccessError::Policy(PolicyFault::Pending) => return Ok(Conclusion::unchanged(SHORT_INTERVAL)),
            AccessError::Policy(_) => BuildFailure::AccessUnknown,
        };
        match Halt::of(failure, message) {
            Halt::Build(refusal) => Ok(self.refused(&refusal, memory)),
            _ => Ok(Conclusion::unchanged(SHORT_INTERVAL)),
        }
    }

    /// Reports what keeps a build from beginning, and when it is checked again.
    fn refused(&self, refusal: &Refusal, memory: &mut Memory) -> Conclusion {
        let Refusal { failure, message, retry_after, is_settings, secrets, .. } = refusal;
        let reason = failure.as_str();
        if *failure == BuildFailure::ContextInvalid || failure.retry() == Retry::OnSecret {
            // Whoever corrects a Secret or a ConfigMap should not wait.
            let since = memory.blocked.as_ref().map_or(self.now, |blocked| blocked.since);
            let (secrets, until) = (secrets.clone(), self.blocked_until());
            memory.blocked = Some(Blocked { secrets, since, until });
            let wait = self.hold(memory, recheck_pause(since, self.now));
            return self.report(Readiness::stalled(reason, message), wait);
        }
        memory.blocked = None;
        match failure.retry() {
            Retry::Backoff if !is_settings => {
                let wanted = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
                let wait = memory.schedule.retry_later(self.now).max(wanted);
                self.report(Readiness::retrying(reason, message), self.hold(memory, wait))
            }
            retry => {
                let wait = self.check_interval(retry);
                self.report(Readiness::stalled(reason, message), self.hold(memory, wait))
            }
        }
    }

    fn job_secret_failed(&self, error: JobSecretError, memory: &mut Memory) -> Result<Conclusion, ApiError> {
        let Some(readiness) = error.readiness()? else { return Ok(Conclusion::unchanged(None)) };
        let wait = memory.schedule.retry_later(self.now);
        Ok(self.report(readiness, self.hold(memory, wait)))
    }

    fn job_failed(&self, error: JobError, memory: &mut Memory) -> Result<Conclusion, ApiError> {
        let message = error.to_string();
        let readiness = match error {
            JobError::Api(error) => return Err(error),
            JobError::NamespaceTerminating => return Ok(Conclusion::unchanged(None)),
            JobError::StillDeleting(_) => return Ok(Conclusion::unchanged(SHORT_INTERVAL)),
            JobError::MissingRight(_) => {
                return Ok(self.lacks_right(Right::CREATE_JOBS, &message, memory));
            }
            JobError::Refused(_) => Readiness::stalled(reasons::JOB_REFUSED, message),
            JobError::Failing(_) => Readiness::retrying(reasons::JOB_REFUSED, message),
            JobError::NameTaken(_) => Readiness::stalled(reasons::NAME_CONFLICT, message),
        };
        let wait = memory.schedule.retry_later(self.now);
        Ok(self.report(readiness, self.hold(memory, wait)))
    }
}
