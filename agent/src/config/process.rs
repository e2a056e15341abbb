//! The settings of a process: its arguments and its environment, also in image-operator's words.

use std::ffi::OsString;

use clap::Parser as _;
use imgop_core::default_destination::InvalidDefaults;

use super::given_credentials::{GivenCredentials, GivenCredentialsError};
use super::image_operator::{Translated, translate};
use super::{Config, ProxyError};
use crate::notifications::{Webhook, WebhookError};

/// Why the agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A setting cannot be read, or help was asked for.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// Settings contradict each other.
    #[error("DESTINATION_DEFAULT_REGISTRY and DESTINATION_DEFAULT_AWS_IRSA_USAGE: {0}")]
    Defaults(#[from] InvalidDefaults),
    /// What Jobs have of the agent's proxies is not known.
    #[error(transparent)]
    Proxies(#[from] ProxyError),
    /// The webhook for notifications cannot be used.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// Credentials are not complete.
    #[error(transparent)]
    Credentials(#[from] GivenCredentialsError),
}

/// The settings, and what is to be logged of them.
#[derive(Debug)]
pub struct ProcessSettings {
    /// The settings.
    pub config: Config,
    /// Credentials for the agent's own namespace.
    pub given: Vec<GivenCredentials>,
    /// Where notifications go, if anywhere.
    pub webhook: Option<Webhook>,
    /// What is logged, a line each.
    pub notices: Vec<String>,
}

impl ProcessSettings {
    /// Reads the arguments, of which the first is the program, and the variables that they leave to the environment.
    ///
    /// # Errors
    /// If they cannot be read, or do not go together.
    pub fn read(
        arguments: impl IntoIterator<Item = OsString>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let Translated { arguments, notices } = translate(arguments, &variable);
        let config = Config::try_parse_from(arguments)?.with_proxies(&variable)?;
        let defaults = config.default_destination()?;
        let given =
            GivenCredentials::read(variable, defaults.as_ref().map(|defaults| defaults.prefix.host()))?;
        let of_given = given.iter().map(GivenCredentials::notice);
        let notices = notices.iter().map(ToString::to_string).chain(of_given).collect();
        let webhook = Webhook::new(&config.notifications)?;
        Ok(Self { config, given, webhook, notices })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARGUMENTS: [&str; 3] = ["imgop-agent", "--watch-namespaces=*", "--skopeo-image=skopeo:1"];

    fn read(arguments: &[&str], variables: &[(&str, &str)]) -> Result<ProcessSettings, String> {
        let arguments = ARGUMENTS.iter().chain(arguments).map(OsString::from);
        let variable = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        ProcessSettings::read(arguments, variable).map_err(|error| error.to_string())
    }

    #[test]
    fn the_deployment_of_image_operator_starts_and_each_thing_that_it_says_is_answered_once() {
        let chart = [
            ("CREDS_DESTINATION_USERNAME", "robot"),
            ("CREDS_DESTINATION_PASSWORD", "hunter2"),
            ("PULL_JOB_NAMESPACE", "image-operator"),
            ("FEATURE_COPY_ON_THE_FLY_ENABLED", "false"),
            ("SUCCEEDED_JOB_DELETION_DELAY_SECONDS", "10"),
        ];
        let given = ["--leader-elect=true", "--destination-default-registry=r.example.com/mirror"];
        let ProcessSettings { config, given: lent, notices, .. } = read(&given, &chart).unwrap();
        assert_eq!(config.job_deletion_delay_seconds, 10);
        let about: Vec<&str> = notices.iter().filter_map(|notice| notice.split(' ').next()).collect();
        assert_eq!(about, ["CREDS_DESTINATION_USERNAME"]);
        assert_eq!((lent.len(), config.lent_namespace()), (1, "image-operator"));
        assert!(notices.iter().all(|notice| !notice.contains("hunter2") && !notice.contains("robot")));
        insta::assert_snapshot!(notices[0], @"CREDS_DESTINATION_USERNAME and CREDS_DESTINATION_PASSWORD of image-operator are lent for r.example.com to what names no credentials in the agent's own namespace alone: for others, name their Secret in a RegistryAccess with hosts [r.example.com], repositories [/], actions [Push] and a namespaceSelector");
    }

    #[test]
    fn b14_the_namespaces_of_copies_on_the_fly_narrow_nothing_that_is_watched() {
        let on_the_fly = [
            ("FEATURE_COPY_ON_THE_FLY_ENABLED", "true"),
            ("FEATURE_COPY_ON_THE_FLY_NAMESPACES_ALLOWED", "team-a"),
        ];
        let ProcessSettings { config, notices, .. } = read(&[], &on_the_fly).unwrap();
        assert!(matches!(config.watch_namespaces, crate::config::Namespaces::All));
        assert!(notices.iter().any(|notice| notice.contains("FEATURE_COPY_ON_THE_FLY_NAMESPACES_ALLOWED")));
    }

    #[test]
    fn credentials_without_a_registry_keep_the_agent_from_starting() {
        let source = [("CREDS_SOURCE_USERNAME", "robot"), ("CREDS_SOURCE_PASSWORD", "hunter2")];
        let said = read(&[], &source).unwrap_err();
        assert!(said.contains("set CREDS_SOURCE_REGISTRY") && !said.contains("hunter2"), "{said}");
    }

    #[test]
    fn aws_for_a_default_registry_that_is_not_of_aws_keeps_the_agent_from_starting() {
        let aws =
            ["--destination-default-registry=r.example.com", "--destination-default-aws-irsa-usage=true"];
        let said = read(&aws, &[]).unwrap_err();
        assert!(
            said.starts_with("DESTINATION_DEFAULT_REGISTRY and DESTINATION_DEFAULT_AWS_IRSA_USAGE: "),
            "{said}"
        );
        assert!(read(&["--no-such-setting"], &[]).unwrap_err().contains("unexpected argument"));
    }
}
