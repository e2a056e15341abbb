//! Where images of a namespace go that name no registry as their destination, whatever kind of resource they are of.
//!
//! An administrator says it: for the namespaces that a `RegistryAccess` selects, or in a setting of the agent for all
//! others. A resource's own fields go before it, one by one. Pure: agent and plugin come to the same answer.

mod complete;
mod prefix;

use std::fmt;

use imgop_registry::reference::EcrHost;

use crate::access::PolicyError;
use crate::api::{Credentials, DefaultDestination, Tls};

pub use complete::{
    Completed, Completion, IncompleteDestination, OpenDestination, WithDestination, as_reported, complete,
};
pub use prefix::{DestinationPrefix, PrefixError};

/// The default destination of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// Where destinations begin.
    pub prefix: DestinationPrefix,
    /// A Secret of the namespace.
    pub credentials: Option<Credentials>,
    /// Whether credentials come from AWS.
    pub use_aws_irsa: bool,
    /// How the connection is secured.
    pub tls: Option<Tls>,
    /// Who says so.
    pub origin: Origin,
}

/// Where a default comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The `RegistryAccess` of this name.
    RegistryAccess(String),
    /// The agent's setting for all namespaces.
    Setting,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RegistryAccess(name) => write!(f, "RegistryAccess/{name}"),
            Self::Setting => f.write_str("DESTINATION_DEFAULT_REGISTRY"),
        }
    }
}

/// Why a namespace has no usable default.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefaultsError {
    /// Two administrators' words contradict each other.
    #[error(
        "RegistryAccess {0:?} and RegistryAccess {1:?} give this namespace different default destinations; an \
         administrator must take spec.defaultDestination out of one of them or narrow its namespaceSelector"
    )]
    Conflict(String, String),
    /// What administrators wrote is not known.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// What an administrator wrote cannot be used.
    #[error("spec.defaultDestination of RegistryAccess {0:?} cannot be used: {1}")]
    Invalid(String, InvalidDefaults),
}

/// Why a default cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDefaults {
    /// Nothing can be below the prefix.
    #[error("prefix: {0}")]
    Prefix(#[from] PrefixError),
    /// AWS gives no tokens for this registry.
    #[error("useAwsIRSA goes with registries of Amazon ECR only, and {0} is none")]
    NoEcr(String),
    /// There must be one credential.
    #[error("useAwsIRSA does not go with credentials; leave one of them out")]
    TwoCredentials,
}

impl Defaults {
    /// Reads what an administrator wrote.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn read(written: &DefaultDestination, origin: Origin) -> Result<Self, InvalidDefaults> {
        let DefaultDestination { prefix, credentials, use_aws_irsa, tls } = written;
        let prefix: DestinationPrefix = prefix.parse()?;
        if *use_aws_irsa && credentials.is_some() {
            return Err(InvalidDefaults::TwoCredentials);
        }
        if *use_aws_irsa && EcrHost::of(prefix.host()).is_none() {
            return Err(InvalidDefaults::NoEcr(prefix.host().to_string()));
        }
        let (credentials, tls) = (credentials.clone(), tls.clone());
        Ok(Self { prefix, credentials, use_aws_irsa: *use_aws_irsa, tls, origin })
    }

    /// Returns the default of a namespace: that of the `RegistryAccesses` that select it, which are given with their
    /// names, else that of all namespaces.
    ///
    /// # Errors
    /// If they contradict each other, or one cannot be used: never is another one taken in its place.
    pub fn of_namespace<'a>(
        selecting: impl IntoIterator<Item = (&'a str, &'a DefaultDestination)>,
        of_all: Option<&Self>,
    ) -> Result<Option<Self>, DefaultsError> {
        let mut selecting: Vec<(&str, &DefaultDestination)> = selecting.into_iter().collect();
        selecting.sort_unstable_by_key(|(name, _)| *name);
        let Some((name, written)) = selecting.first() else { return Ok(of_all.cloned()) };
        let read = |name: &str, written: &DefaultDestination| {
            Self::read(written, Origin::RegistryAccess(name.to_owned()))
                .map_err(|error| DefaultsError::Invalid(name.to_owned(), error))
        };
        let first = read(name, written)?;
        for (other, written) in &selecting[1..] {
            let second = Self { origin: first.origin.clone(), ..read(other, written)? };
            if second != first {
                return Err(DefaultsError::Conflict((*name).to_owned(), (*other).to_owned()));
            }
        }
        Ok(Some(first))
    }
}

#[cfg(test)]
mod tests;
