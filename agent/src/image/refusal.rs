//! What a look comes to when it cannot go on: which condition, and when to look again.

use std::time::Duration;

use imgop_core::api::Side;
use imgop_core::api::conditions::reasons;
use imgop_core::copy::ObserveError;
use imgop_core::copy::Readiness;
use imgop_registry::{Reason, RegistryError, Unreachable};
use kube::runtime::controller::Action;

use super::access::AccessError;
use super::aws;
use super::jobs::JobError;
use super::memory::Blocked;
use super::reconcile::{ApiError, LOOK_AT_SECRETS, LOOK_FOR_PLACE, Look, Looked};
use super::schedule;

/// How long a registry that refuses is left alone while the Secrets stay as they are.
const LEAVE_ALONE: Duration = Duration::from_mins(10);

impl Look<'_> {
    /// Nothing is asked of any registry for a namespace that nobody enabled.
    pub(super) fn not_enabled(&mut self) -> Looked {
        let how = self.context.how_to_enable(self.image);
        let message =
            format!("the agent may not make Jobs in this namespace (looked at again every 30 s); {how}");
        self.memory.next_look = Some(schedule::later(self.now, LOOK_AT_SECRETS));
        let said = Readiness::stalled(reasons::NAMESPACE_NOT_ENABLED, message);
        Looked::readiness(said, self.open_request(), LOOK_AT_SECRETS)
    }

    pub(super) fn access_failed(&mut self, error: AccessError) -> Result<Looked, ApiError> {
        let (reason, message) = match error {
            AccessError::Api { error, .. } | AccessError::Rights { error } => return Err(error.into()),
            AccessError::Aws { ref error, .. } if error.is_transient() => {
                let wait = self.look_again();
                let said = Readiness::retrying(reasons::REGISTRY_UNREACHABLE, error.to_string());
                return Ok(Looked::readiness(said, self.open_request(), wait));
            }
            AccessError::Aws { .. } => (reasons::REGISTRY_UNAUTHORIZED, error.to_string()),
            AccessError::AwsNotEnabled => {
                let how = self.context.how_to_enable_aws(self.image);
                (reasons::NAMESPACE_NOT_ENABLED, format!("{error}; {how}"))
            }
            AccessError::Missing { .. } | AccessError::Unusable { .. } => {
                (reasons::SECRET_UNUSABLE, error.to_string())
            }
            AccessError::Forbidden { .. } => {
                let how = self.context.how_to_enable(self.image);
                (reasons::NAMESPACE_NOT_ENABLED, format!("{error}; {how}"))
            }
        };
        // Who mends the Secret should not wait for what we remember of it.
        self.context.secrets.forget(self.image.metadata.namespace.as_deref().unwrap_or_default());
        self.memory.next_look = Some(schedule::later(self.now, LOOK_AT_SECRETS));
        Ok(Looked::readiness(Readiness::stalled(reason, message), self.open_request(), LOOK_AT_SECRETS))
    }

    pub(super) fn observe_failed(&mut self, error: ObserveError, secrets: Vec<String>) -> Looked {
        let request = self.open_request();
        match error {
            ObserveError::Registry { side, error } => self.registry_failed(side, &error, secrets),
            ObserveError::TooManyTags { .. } | ObserveError::TooManyReferrers { .. } => {
                let wait = self.look_again();
                Looked::readiness(
                    Readiness::stalled(reasons::TOO_MANY_TAGS, error.to_string()),
                    request,
                    wait,
                )
            }
            ObserveError::TooSlow { .. } => {
                let wait = self.look_again();
                Looked::readiness(
                    Readiness::retrying(reasons::REGISTRY_UNREACHABLE, error.to_string()),
                    request,
                    wait,
                )
            }
            ObserveError::Naming(_) => {
                let wait = self.look_again();
                Looked::readiness(Readiness::stalled(reasons::INVALID_SPEC, error.to_string()), request, wait)
            }
        }
    }

    /// A refusal ends in Stalled and leaves the registry alone; anything else is tried again.
    pub(super) fn registry_failed(
        &mut self,
        side: Side,
        error: &RegistryError,
        secrets: Vec<String>,
    ) -> Looked {
        let request = self.open_request();
        let reason = match error.reason() {
            Reason::Unauthorized | Reason::Forbidden => {
                let message = format!("{side}: {error}; {}", self.about_credentials(side));
                self.memory.blocked =
                    Some(Blocked { secrets, until: schedule::later(self.now, LEAVE_ALONE) });
                self.memory.next_look = Some(schedule::later(self.now, LOOK_AT_SECRETS));
                let said = Readiness::stalled(reasons::REGISTRY_UNAUTHORIZED, message);
                return Looked::readiness(said, request, LOOK_AT_SECRETS);
            }
            Reason::Refused | Reason::Settings => {
                let wait = self.look_again();
                let said = Readiness::stalled(reasons::INVALID_SPEC, format!("{side}: {error}"));
                return Looked::readiness(said, request, wait);
            }
            Reason::RepositoryNotFound => reasons::REPOSITORY_NOT_FOUND,
            Reason::RateLimited { retry_after } => {
                let wait =
                    self.look_again().max(retry_after.unwrap_or_default().min(Duration::from_hours(1)));
                self.memory.next_look = Some(schedule::later(self.now, wait));
                let said = Readiness::retrying(reasons::REGISTRY_RATE_LIMITED, format!("{side}: {error}"));
                return Looked::readiness(said, request, wait);
            }
            _ => reasons::REGISTRY_UNREACHABLE,
        };
        let wait = self.look_again();
        let advice = advice(side, error.reason());
        let message = format!("{side}: {error}{advice}");
        // Where there is a field to set, nothing changes before somebody sets it.
        let said = if advice.is_empty() { Readiness::retrying } else { Readiness::stalled };
        Looked::readiness(said(reason, message), request, wait)
    }

    /// Which credentials a registry refused, or where to name some.
    fn about_credentials(&self, side: Side) -> String {
        let spec = &self.image.spec;
        let secret = match side {
            Side::Source => spec.source.credentials.as_ref(),
            Side::Destination => spec.destination.credentials.as_ref(),
        };
        if aws::is_wanted(self.image, side) {
            return format!("the credentials are those of the agent's AWS identity (spec.{side}.useAwsIRSA)");
        }
        match secret {
            Some(named) => {
                format!(
                    "the credentials are those of Secret {:?} (spec.{side}.credentials)",
                    named.secret_name
                )
            }
            None => format!("name a Secret with credentials in spec.{side}.credentials"),
        }
    }

    pub(super) fn job_failed(&mut self, error: JobError) -> Result<Looked, ApiError> {
        let reason = match error {
            JobError::Api(error) => return Err(error.into()),
            JobError::NamespaceEnds => return Ok(Looked::nothing(Action::await_change())),
            JobError::Ending(_) => return Ok(Looked::nothing(Action::requeue(LOOK_FOR_PLACE))),
            JobError::NotEnabled(_) => reasons::NAMESPACE_NOT_ENABLED,
            JobError::Refused(_) => reasons::JOB_REFUSED,
            JobError::Aws(_) => reasons::REGISTRY_UNAUTHORIZED,
            JobError::NameTaken(_) | JobError::SecretTaken(_) => reasons::NAME_CONFLICT,
        };
        let wait = if reason == reasons::NAMESPACE_NOT_ENABLED { LOOK_AT_SECRETS } else { self.look_again() };
        self.memory.next_look = Some(schedule::later(self.now, wait));
        Ok(Looked::readiness(Readiness::stalled(reason, error.to_string()), self.open_request(), wait))
    }
}

/// What to set where the connection itself is refused, on either side.
fn advice(side: Side, reason: &Reason) -> String {
    match reason {
        Reason::Unreachable(Unreachable::Tls) => format!(
            "; name a Secret with the certificate of its CA (key ca.crt) in spec.{side}.tls.caSecretName, or set \
             spec.{side}.tls.mode to SkipVerify"
        ),
        Reason::Unreachable(Unreachable::NoTls) => {
            format!(" If so, set spec.{side}.tls.mode to PlainHTTP")
        }
        Reason::Unreachable(Unreachable::WantsTls) => {
            format!("; if so, leave spec.{side}.tls.mode out")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_not_trusted_comes_with_the_field_to_set() {
        let advice = |side, how| advice(side, &Reason::Unreachable(how));
        insta::assert_snapshot!(advice(Side::Source, Unreachable::Tls), @"; name a Secret with the certificate of its CA (key ca.crt) in spec.source.tls.caSecretName, or set spec.source.tls.mode to SkipVerify");
        insta::assert_snapshot!(advice(Side::Destination, Unreachable::NoTls), @" If so, set spec.destination.tls.mode to PlainHTTP");
        insta::assert_snapshot!(advice(Side::Source, Unreachable::WantsTls), @"; if so, leave spec.source.tls.mode out");
        assert_eq!(advice(Side::Source, Unreachable::Connect), "");
    }
}
