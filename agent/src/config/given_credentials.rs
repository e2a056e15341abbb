//! Credentials of registries from the variables of image-operator: `CREDS_SOURCE_*` and `CREDS_DESTINATION_*`. They are read
//! once, when the agent starts, and never shown.

use imgop_core::api::RegistryAction;
use imgop_registry::Credential;
use imgop_registry::reference::{ReferenceError, RegistryHost};
use secrecy::SecretString;

/// A user and a password for a registry. `Debug` never shows the password.
#[derive(Debug, Clone)]
pub struct GivenCredentials {
    /// What the names of its variables begin with.
    pub variables: &'static str,
    /// Whether they are for sources or for destinations.
    pub action: RegistryAction,
    /// The registry.
    pub registry: RegistryHost,
    /// What authenticates there.
    pub credential: Credential,
}

/// Why credentials of the variables cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GivenCredentialsError {
    /// They would be sent to every registry.
    #[error(
        "{0}_USERNAME and {0}_PASSWORD name no registry: set {0}_REGISTRY to the one that they are for, such as quay.io, or \
         take them away and name their Secret in a RegistryAccess"
    )]
    NoRegistry(&'static str),
    /// Half of them is missing.
    #[error("{given} is set and {missing} is not: set both, or neither")]
    Half {
        /// The variable that is set.
        given: String,
        /// The one that is not.
        missing: String,
    },
    /// There is no such registry.
    #[error("{variable}: {error}; give a registry, without a path, such as quay.io")]
    Registry {
        /// The variable.
        variable: String,
        /// Why.
        error: ReferenceError,
    },
}

/// What the names of the variables of a side begin with, and what they are for.
const SIDES: [(&str, RegistryAction); 2] =
    [("CREDS_SOURCE", RegistryAction::Pull), ("CREDS_DESTINATION", RegistryAction::Push)];

impl GivenCredentials {
    /// The variables.
    pub const VARIABLES: [[&'static str; 3]; 2] = [
        ["CREDS_SOURCE_REGISTRY", "CREDS_SOURCE_USERNAME", "CREDS_SOURCE_PASSWORD"],
        ["CREDS_DESTINATION_REGISTRY", "CREDS_DESTINATION_USERNAME", "CREDS_DESTINATION_PASSWORD"],
    ];

    /// Reads the credentials for sources and those for destinations. The latter are for the default destination's
    /// registry, unless they say for which.
    ///
    /// # Errors
    /// If they do not say for which registry, or half of them is missing: the agent then does not start.
    pub fn read(
        variable: impl Fn(&str) -> Option<String>,
        default_destination: Option<&RegistryHost>,
    ) -> Result<Vec<Self>, GivenCredentialsError> {
        let [source, destination] = [(0, None), (1, default_destination)]
            .map(|(side, default)| Self::of_side(SIDES[side], Self::VARIABLES[side], &variable, default));
        Ok(source?.into_iter().chain(destination?).collect())
    }

    /// Returns what is logged: to whom they are lent, and what takes their place.
    pub fn notice(&self) -> String {
        let Self { variables, action, registry, .. } = self;
        format!(
            "{variables}_USERNAME and {variables}_PASSWORD of image-operator are lent for {registry} to what names no \
             credentials in the agent's own namespace alone: for others, name their Secret in a RegistryAccess with hosts \
             [{registry}], repositories [/], actions [{action:?}] and a namespaceSelector"
        )
    }

    fn of_side(
        (variables, action): (&'static str, RegistryAction),
        names: [&'static str; 3],
        variable: &impl Fn(&str) -> Option<String>,
        default: Option<&RegistryHost>,
    ) -> Result<Option<Self>, GivenCredentialsError> {
        let [registry, username, password] =
            names.map(|name| variable(name).filter(|value| !value.is_empty()));
        let half = |given: &str, missing: &str| GivenCredentialsError::Half {
            given: given.to_owned(),
            missing: missing.to_owned(),
        };
        let (username, password) = match (username, password) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(half(names[1], names[2])),
            (None, Some(_)) => return Err(half(names[2], names[1])),
            (Some(username), Some(password)) => (username, SecretString::from(password)),
        };
        let registry = match (registry, default) {
            (Some(written), _) => written
                .parse()
                .map_err(|error| GivenCredentialsError::Registry { variable: names[0].to_owned(), error })?,
            (None, Some(default)) => default.clone(),
            (None, None) => return Err(GivenCredentialsError::NoRegistry(variables)),
        };
        Ok(Some(Self { variables, action, registry, credential: Credential::Basic { username, password } }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)], default: Option<&str>) -> Result<Vec<String>, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let default = default.map(|host| host.parse::<RegistryHost>().unwrap());
        let read = GivenCredentials::read(variable, default.as_ref()).map_err(|error| error.to_string())?;
        Ok(read.iter().map(|given| format!("{:?} {}", given.action, given.registry)).collect())
    }

    const SOURCE: [(&str, &str); 2] = [("CREDS_SOURCE_USERNAME", "u"), ("CREDS_SOURCE_PASSWORD", "hunter2")];
    const DESTINATION: [(&str, &str); 2] =
        [("CREDS_DESTINATION_USERNAME", "u"), ("CREDS_DESTINATION_PASSWORD", "hunter2")];

    #[test]
    fn credentials_without_a_registry_are_refused_with_the_variable_to_set() {
        insta::assert_snapshot!(read(&SOURCE, Some("r.example.com")).unwrap_err(), @"CREDS_SOURCE_USERNAME and CREDS_SOURCE_PASSWORD name no registry: set CREDS_SOURCE_REGISTRY to the one that they are for, such as quay.io, or take them away and name their Secret in a RegistryAccess");
        assert!(read(&DESTINATION, None).unwrap_err().contains("set CREDS_DESTINATION_REGISTRY"));
        let of_source = [&SOURCE[..], &[("CREDS_SOURCE_REGISTRY", "quay.io")]].concat();
        assert_eq!(read(&of_source, None), Ok(vec!["Pull quay.io".into()]));
    }

    #[test]
    fn the_default_destinations_registry_is_that_of_the_destinations_credentials_unless_they_name_another() {
        assert_eq!(
            read(&DESTINATION, Some("r.example.com:5000")),
            Ok(vec!["Push r.example.com:5000".into()])
        );
        let named = [&DESTINATION[..], &[("CREDS_DESTINATION_REGISTRY", "s.example.com")]].concat();
        assert_eq!(read(&named, Some("r.example.com")), Ok(vec!["Push s.example.com".into()]));
    }

    #[test]
    fn half_of_them_or_a_path_is_refused_and_what_is_empty_is_not_set() {
        insta::assert_snapshot!(read(&SOURCE[..1], None).unwrap_err(), @"CREDS_SOURCE_USERNAME is set and CREDS_SOURCE_PASSWORD is not: set both, or neither");
        assert!(read(&SOURCE[1..], None).unwrap_err().starts_with("CREDS_SOURCE_PASSWORD is set and"));
        let with_path = [&SOURCE[..], &[("CREDS_SOURCE_REGISTRY", "quay.io/team")]].concat();
        assert!(read(&with_path, None).unwrap_err().starts_with("CREDS_SOURCE_REGISTRY: "));
        let empty = [("CREDS_SOURCE_USERNAME", ""), ("CREDS_SOURCE_PASSWORD", "")];
        assert_eq!(read(&empty, None), Ok(Vec::new()));
    }

    #[test]
    fn no_password_is_shown() {
        let variable =
            |name: &str| Some(if name.ends_with("REGISTRY") { "quay.io" } else { "hunter2" }.to_owned());
        let read = GivenCredentials::read(variable, None).unwrap();
        assert!(!format!("{read:?}").contains("hunter2"));
    }
}
