//! Why a registry could not be asked what it has, and what helps.

use imgop_core::api::EndpointRef;
use imgop_core::api::conditions::reasons;
use imgop_core::text::shorten;
use imgop_core::workloads::WorkloadRequest;
use imgop_registry::reference::Repository;
use imgop_registry::{Reason, RegistryError};

use super::halt::Halt;
use super::{Pass, SHORT_INTERVAL};
use crate::cluster::api_error::ApiError;
use crate::cluster::rights::Right;
use crate::registry_access::advice::{about_connection, about_credentials};
use crate::registry_access::{AccessError, PolicyFault};

/// Where the spec says how registries are reached: those that images come from, and the one that they go to.
pub(super) const SOURCES: &str = "sources[]";
pub(super) const DESTINATION: &str = "destination";
/// Bytes of a message, which events and conditions quote.
const MAX_BYTES: usize = 500;

/// A registry that could not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unasked {
    /// One of [`reasons`].
    pub reason: &'static str,
    /// What it answered, and the field that helps.
    pub message: String,
}

/// Why it is not known what a registry has.
#[derive(Debug)]
pub(super) enum NotKnown {
    /// It could not be asked.
    Unasked(Unasked),
    /// What administrators have granted is known in a moment.
    Pending,
    /// The API server did not do what was asked.
    Api(ApiError),
}

impl NotKnown {
    /// Returns why the registry could not be asked. What only the API server can help ends the pass.
    pub(super) fn unasked(self) -> Result<Unasked, Halt> {
        match self {
            Self::Unasked(unasked) => Ok(unasked),
            Self::Pending => Err(Halt::Postponed(SHORT_INTERVAL)),
            Self::Api(error) => Err(error.into()),
        }
    }
}

impl From<Unasked> for NotKnown {
    fn from(unasked: Unasked) -> Self {
        Self::Unasked(unasked)
    }
}

impl From<ApiError> for NotKnown {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl Unasked {
    fn new(reason: &'static str, message: &str) -> Self {
        Self { reason, message: shorten(message, MAX_BYTES).into_owned() }
    }

    /// Returns what is said of a repository that images come from.
    pub(super) fn source(
        request: &WorkloadRequest,
        repository: &Repository,
        is_lent: bool,
        error: &RegistryError,
    ) -> Self {
        let name = repository.to_string();
        Self::of(error, SOURCES, request.source_endpoint(&name), is_lent)
    }

    fn of(error: &RegistryError, field: &str, endpoint: EndpointRef<'_>, is_lent: bool) -> Self {
        let (reason, advice) = match error.reason() {
            Reason::Unauthorized | Reason::Forbidden => {
                (reasons::REGISTRY_UNAUTHORIZED, format!("; {}", about_credentials(field, endpoint, is_lent)))
            }
            Reason::RateLimited { .. } => (reasons::REGISTRY_RATE_LIMITED, String::new()),
            Reason::Refused | Reason::Settings => (reasons::INVALID_SPEC, String::new()),
            Reason::RepositoryNotFound => (reasons::REPOSITORY_NOT_FOUND, String::new()),
            reason => {
                let advice = about_connection(field, reason, endpoint);
                (reasons::REGISTRY_UNREACHABLE, advice.unwrap_or_default())
            }
        };
        Self::new(reason, &format!("{error}{advice}"))
    }
}

impl Pass<'_> {
    /// Returns what is said of a repository that images go to.
    pub(super) fn destination_unasked(
        &self,
        request: &WorkloadRequest,
        repository: &Repository,
        is_lent: bool,
        error: &RegistryError,
    ) -> Unasked {
        Unasked::of(error, DESTINATION, self.destination_endpoint(request, repository), is_lent)
    }

    /// Returns what follows where it is not known how a registry is reached, or it may not be.
    pub(super) fn without_access(&self, error: AccessError) -> NotKnown {
        let message = error.to_string();
        let (reason, right) = match error {
            AccessError::Api(error) => return error.into(),
            AccessError::Policy(PolicyFault::Pending) => return NotKnown::Pending,
            AccessError::Policy(_) => (reasons::ACCESS_UNKNOWN, None),
            AccessError::Aws { error, .. } if error.is_transient() => (reasons::REGISTRY_UNREACHABLE, None),
            AccessError::Aws { .. } => (reasons::REGISTRY_UNAUTHORIZED, None),
            AccessError::Missing { .. } | AccessError::Unusable { .. } | AccessError::LentUnusable { .. } => {
                (reasons::SECRET_UNUSABLE, None)
            }
            AccessError::DestinationNotAllowed { .. } | AccessError::CreationNotAllowed { .. } => {
                (reasons::DESTINATION_NOT_ALLOWED, None)
            }
            AccessError::TlsOfLent { .. } | AccessError::OpenDestination(_) => (reasons::INVALID_SPEC, None),
            AccessError::AwsNotEnabled => (reasons::NAMESPACE_NOT_ENABLED, Some(Right::USE_AWS)),
            AccessError::Forbidden { .. } => (reasons::NAMESPACE_NOT_ENABLED, Some(Right::GET_SECRETS)),
        };
        let how = right.map(|right| self.agent().rights.how_to_grant(right, self.namespace()));
        let how = how.map(|how| format!("; {how}")).unwrap_or_default();
        Unasked::new(reason, &format!("{message}{how}")).into()
    }
}
