//! Why a registry could not be asked what it has, and what helps.

use imgop_core::api::EndpointRef;
use imgop_core::api::conditions::reasons;
use imgop_core::build::ImageReference;
use imgop_core::text::shorten;
use imgop_core::workloads::WorkloadRequest;
use imgop_registry::oci::ManifestError;
use imgop_registry::reference::{RegistryHost, Repository};
use imgop_registry::{Reason, RegistryError};

use super::halt::Halt;
use super::{Pass, SHORT_INTERVAL};
use crate::cluster::api_error::ApiError;
use crate::registry_access::advice::{about_connection, about_credentials};
use crate::registry_access::{AccessError, PolicyFault};

/// Where the spec says how registries are reached: those that images come from, and the one that they go to.
pub(super) const SOURCES: &str = "sources[]";
pub(super) const DESTINATION: &str = "destination";
/// Bytes of a message, which events and conditions quote, and of what a registry answered at least.
const MAX_BYTES: usize = 500;
const MIN_ANSWER_BYTES: usize = 200;

/// A registry that could not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unasked {
    /// One of [`reasons`].
    pub reason: &'static str,
    /// Which one it is.
    pub host: RegistryHost,
    /// What it answered, and the field that helps.
    pub message: String,
}

/// Why it is not known what a registry has.
#[derive(Debug)]
pub(super) enum NotKnown {
    /// It could not be asked.
    Unasked(Unasked),
    /// It is not known what administrators have granted, so nothing else can be asked either.
    Policy(PolicyFault),
    /// The API server did not do what was asked.
    Api(ApiError),
}

impl NotKnown {
    /// Returns why the registry could not be asked. What concerns all registries ends the pass: what only the API server can
    /// help, and that it is not known what is granted.
    pub(super) fn unasked(self) -> Result<Unasked, Halt> {
        match self {
            Self::Unasked(unasked) => Ok(unasked),
            // It is known in a moment.
            Self::Policy(PolicyFault::Pending) => Err(Halt::Postponed(SHORT_INTERVAL)),
            Self::Policy(fault) => Err(fault.into()),
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
    /// However long the answer is, the advice is whole.
    fn new(reason: &'static str, host: &RegistryHost, answer: &str, advice: &str) -> Self {
        let room = MAX_BYTES.saturating_sub(advice.len()).max(MIN_ANSWER_BYTES);
        let message = format!("{}{advice}", shorten(answer, room));
        Self { reason, host: host.clone(), message }
    }

    /// Returns what is said of a repository that images come from.
    pub(super) fn source(
        request: &WorkloadRequest,
        repository: &Repository,
        is_lent: bool,
        error: &RegistryError,
    ) -> Self {
        let name = repository.to_string();
        Self::of(error, &advice(error, SOURCES, request.source_endpoint(&name), is_lent))
    }

    /// Returns what is said of an image that its source does not have.
    pub(super) fn absent(reference: &ImageReference) -> Self {
        let host = reference.repository.host();
        Self::new(reasons::TAG_NOT_FOUND, host, &format!("there is no {reference}"), "")
    }

    /// Returns what is said of an image whose manifest cannot be read.
    pub(super) fn unreadable(reference: &ImageReference, error: &ManifestError) -> Self {
        let host = reference.repository.host();
        Self::new(reasons::FORMAT_UNSUPPORTED, host, &format!("{reference}: {error}"), "")
    }

    fn of(error: &RegistryError, advice: &str) -> Self {
        let reason = match error.reason() {
            Reason::Unauthorized | Reason::Forbidden => reasons::REGISTRY_UNAUTHORIZED,
            Reason::RateLimited { .. } => reasons::REGISTRY_RATE_LIMITED,
            Reason::Refused | Reason::Settings => reasons::INVALID_SPEC,
            Reason::RepositoryNotFound => reasons::REPOSITORY_NOT_FOUND,
            _ => reasons::REGISTRY_UNREACHABLE,
        };
        Self::new(reason, error.repository().host(), &error.to_string(), advice)
    }
}

/// Returns which field helps where a login or a connection is refused; nothing where none does.
fn advice(error: &RegistryError, field: &str, endpoint: EndpointRef<'_>, is_lent: bool) -> String {
    match error.reason() {
        Reason::Unauthorized | Reason::Forbidden => {
            format!("; {}", about_credentials(field, endpoint, is_lent))
        }
        reason => about_connection(field, reason, endpoint).unwrap_or_default(),
    }
}

/// Returns who helps with a registry that images go to and that is not the one of the spec's destination.
fn advice_elsewhere(request: &WorkloadRequest, host: &RegistryHost, is_lent: bool) -> String {
    let what = if is_lent { "correct what is lent for it" } else { "lend a login for it, or say its TLS," };
    format!(
        "; spec.destination says how {} is reached, and not {host}: an administrator can {what} in a RegistryAccess",
        request.destination
    )
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
        let (host, endpoint) = (repository.host(), self.destination_endpoint(request, repository));
        let advice = advice(error, DESTINATION, endpoint, is_lent);
        if advice.is_empty() || request.destination.has_host(host) {
            Unasked::of(error, &advice)
        } else {
            Unasked::of(error, &advice_elsewhere(request, host, is_lent))
        }
    }

    /// Returns what follows where it is not known how the registry of a repository is reached, or it may not be.
    pub(super) fn without_access(&self, repository: &Repository, error: AccessError) -> NotKnown {
        let message = error.to_string();
        let Some((reason, right)) = error.reason_and_right() else {
            return match error {
                AccessError::Api(error) => error.into(),
                _ => NotKnown::Policy(PolicyFault::Pending),
            };
        };
        if let AccessError::Policy(fault) = error {
            return NotKnown::Policy(fault);
        }
        let how = right.map(|right| self.agent().rights.how_to_grant(right, self.namespace()));
        let how = how.map(|how| format!("; {how}")).unwrap_or_default();
        Unasked::new(reason, repository.host(), &message, &how).into()
    }
}
