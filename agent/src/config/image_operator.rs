//! The variables and flags of image-operator, in the spelling of each of its versions, that are no settings of the agent
//! under their own name. Each becomes a setting, or is answered with one line of the log that says what replaced it: an
//! existing Deployment starts, and nothing in it is ignored silently.

use std::ffi::OsString;
use std::fmt;

/// What a variable or a flag became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    /// The setting of this flag, unless that is given.
    Setting(&'static str),
    /// What this says.
    Replaced(&'static str),
    /// A part of the [credentials](super::given_credentials) that the agent reads when it starts.
    Credentials,
}

use Became::{Credentials, Replaced, Setting};

const NO_GRAPHQL: &str = "there is no GraphQL API, no UI and no process without the agent; kubectl imgop list and describe \
                          show what they showed, and -o json is for programs";
const LISTS_ARE_BOUNDED: &str = "tags of ECR Public are listed as those of every registry; REGISTRY_MAX_TAGS and \
                                 REGISTRY_MAX_TAG_PAGES bound it";
const BY_WORKLOAD_MIRRORS: &str = "a WorkloadMirror with the trigger PullFailure copies what pods cannot pull; kubectl imgop \
                                   migrate image-operator makes one of these variables";
const PULLS_ARE_COUNTED: &str = "what Docker Hub still allows is read from its answers, always; PULL_RESERVE pulls are left \
                                 to others";
const TLS_IS_VERIFIED: &str = "certificates are verified unless tls.mode says SkipVerify, in a spec or in the RegistryAccess \
                               of that registry alone";
const JOBS_RUN_BESIDE: &str = "Jobs of builds run in the namespace of their ImageBuilder";
const ANY_IMAGE_DOES: &str =
    "tokens of AWS are given to Jobs as files, so that they need no image of their own: SKOPEO_IMAGE";
const ONE_ADDRESS: &str = "/metrics, /livez and /readyz are at the address of LISTEN";
const NO_CERTIFICATE: &str = "/metrics is served without TLS at the address of LISTEN";
const LOGGED_AS_JSON: &str =
    "the log is JSON, a line each; RUST_LOG says how much of it is written, such as info or debug";

/// What each variable became.
pub const VARIABLES: [(&str, Became); 23] = [
    ("API_AWS_PAGE_ITEMS_COUNT", Replaced(LISTS_ARE_BOUNDED)),
    ("API_AWS_PAGE_MAX", Replaced(LISTS_ARE_BOUNDED)),
    ("AVOID_OPERATOR", Replaced(NO_GRAPHQL)),
    ("BUILDAH_JOB_NAMESPACE", Replaced(JOBS_RUN_BESIDE)),
    ("BUILD_JOB_NAMESPACE", Replaced(JOBS_RUN_BESIDE)),
    ("CREDS_DESTINATION_PASSWORD", Credentials),
    ("CREDS_DESTINATION_REGISTRY", Credentials),
    ("CREDS_DESTINATION_USERNAME", Credentials),
    ("CREDS_SOURCE_PASSWORD", Credentials),
    ("CREDS_SOURCE_REGISTRY", Credentials),
    ("CREDS_SOURCE_USERNAME", Credentials),
    ("DISABLE_DEST_TLS_VERIFICATION", Replaced(TLS_IS_VERIFIED)),
    ("DISABLE_SRC_TLS_VERIFICATION", Replaced(TLS_IS_VERIFIED)),
    ("FEATURE_COPY_ON_THE_FLY", Replaced(BY_WORKLOAD_MIRRORS)),
    ("FEATURE_COPY_ON_THE_FLY_ENABLED", Replaced(BY_WORKLOAD_MIRRORS)),
    ("FEATURE_COPY_ON_THE_FLY_NAMESPACES_ALLOWED", Replaced(BY_WORKLOAD_MIRRORS)),
    ("FEATURE_DOCKERHUB_RATE_LIMIT", Replaced(PULLS_ARE_COUNTED)),
    ("FEATURE_DOCKERHUB_RATE_LIMIT_ENABLED", Replaced(PULLS_ARE_COUNTED)),
    ("FEATURE_DOCKERHUB_RATE_LIMIT_FREQUENCY_SECOND", Replaced(PULLS_ARE_COUNTED)),
    ("GRAPHQL_API_ENABLED", Replaced(NO_GRAPHQL)),
    ("PULL_JOB_NAMESPACE", Setting("--job-namespace")),
    ("SKOPEO_IMAGE_AWS_IRSA", Replaced(ANY_IMAGE_DOES)),
    ("SUCCEEDED_JOB_DELETION_DELAY_SECONDS", Setting("--job-deletion-delay-seconds")),
];

/// What each flag became, and whether it is a switch, whose value must stand behind `=`.
pub const FLAGS: [(&str, bool, Became); 9] = [
    ("enable-http2", true, Replaced(NO_CERTIFICATE)),
    ("health-probe-bind-address", false, Replaced(ONE_ADDRESS)),
    ("metrics-bind-address", false, Replaced(ONE_ADDRESS)),
    ("metrics-secure", true, Replaced(NO_CERTIFICATE)),
    ("zap-devel", true, Replaced(LOGGED_AS_JSON)),
    ("zap-encoder", false, Replaced(LOGGED_AS_JSON)),
    ("zap-log-level", false, Replaced(LOGGED_AS_JSON)),
    ("zap-stacktrace-level", false, Replaced(LOGGED_AS_JSON)),
    ("zap-time-encoding", false, Replaced(LOGGED_AS_JSON)),
];

/// That a variable or a flag has another meaning here, or none. It never holds a value, which may be a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The variable, or the flag with its dashes.
    pub name: String,
    /// What replaced it.
    pub replaced_by: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of image-operator is not used: {}", self.name, self.replaced_by)
    }
}

/// The arguments that the agent reads, and what is to be said of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translated {
    /// The agent's own.
    pub arguments: Vec<OsString>,
    /// What is logged.
    pub notices: Vec<Notice>,
}

/// Takes image-operator's flags from these arguments, and adds the settings that its variables became. A variable that is
/// empty, or switches off what is not there, says nothing.
pub fn translate(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<String>,
) -> Translated {
    let mut translated = without_flags(arguments);
    for (name, became) in VARIABLES {
        let value = variable(name).filter(|value| !value.is_empty());
        match (became, value) {
            (Setting(flag), Some(value)) if !is_given(flag, &translated.arguments, &variable) => {
                translated.arguments.push(format!("{flag}={value}").into());
            }
            (Setting(flag), Some(_)) => {
                let replaced_by = format!("{} is set too, and counts", variable_of(flag));
                translated.notices.push(Notice { name: name.to_owned(), replaced_by });
            }
            (Replaced(by), Some(value)) if !is_off(&value) => {
                translated.notices.push(Notice { name: name.to_owned(), replaced_by: by.to_owned() });
            }
            _ => {}
        }
    }
    translated
}

/// Takes out the flags, as the library reads them that image-operator was written with: with one dash or two.
fn without_flags(arguments: impl IntoIterator<Item = OsString>) -> Translated {
    let mut translated = Translated { arguments: Vec::new(), notices: Vec::new() };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let text = argument.to_str().unwrap_or_default();
        let bare = text.strip_prefix("--").or_else(|| text.strip_prefix('-')).unwrap_or_default();
        let (name, value) = bare.split_once('=').map_or((bare, None), |(name, value)| (name, Some(value)));
        let Some((name, is_switch, became)) = FLAGS.iter().find(|(flag, _, _)| *flag == name) else {
            translated.arguments.push(argument);
            continue;
        };
        if value.is_none() && !is_switch {
            // Its value is the next argument.
            arguments.next();
        }
        if let Replaced(by) = became
            && !value.is_some_and(is_off)
        {
            translated.notices.push(Notice { name: format!("--{name}"), replaced_by: (*by).to_owned() });
        }
    }
    translated
}

fn is_off(value: &str) -> bool {
    value == "false"
}

/// Returns whether a setting is given by its flag or by its variable.
fn is_given(flag: &str, arguments: &[OsString], variable: &impl Fn(&str) -> Option<String>) -> bool {
    let is_flag = |argument: &OsString| {
        let text = argument.to_str().unwrap_or_default();
        text.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    arguments.iter().any(is_flag) || variable(&variable_of(flag)).is_some()
}

/// Returns the variable of a flag.
fn variable_of(flag: &str) -> String {
    flag.trim_start_matches('-').replace('-', "_").to_uppercase()
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::config::Config;
    use crate::config::given_credentials::GivenCredentials;

    /// All variables of the code of image-operator, and those of its documents and its chart.
    const OF_IMAGE_OPERATOR: &str = "
        API_AWS_PAGE_ITEMS_COUNT API_AWS_PAGE_MAX AVOID_OPERATOR BUILD_JOB_NAMESPACE BUILDAH_IMAGE
        BUILDAH_JOB_NAMESPACE BUILDAH_PRIVILEGED_CONTAINER BUILDAH_VERSION CREDS_DESTINATION_PASSWORD
        CREDS_DESTINATION_USERNAME CREDS_SOURCE_PASSWORD CREDS_SOURCE_USERNAME DESTINATION_DEFAULT_AWS_IRSA_USAGE
        DESTINATION_DEFAULT_REGISTRY DISABLE_DEST_TLS_VERIFICATION DISABLE_SRC_TLS_VERIFICATION FEATURE_COPY_ON_THE_FLY
        FEATURE_COPY_ON_THE_FLY_ENABLED FEATURE_COPY_ON_THE_FLY_NAMESPACES_ALLOWED FEATURE_DOCKERHUB_RATE_LIMIT_ENABLED
        FEATURE_DOCKERHUB_RATE_LIMIT_FREQUENCY_SECOND GRAPHQL_API_ENABLED JOB_DELETION_DELAY_SECONDS PULL_JOB_NAMESPACE
        SKOPEO_IMAGE SKOPEO_IMAGE_AWS_IRSA SKOPEO_VERSION SUCCEEDED_JOB_DELETION_DELAY_SECONDS";

    fn translated(arguments: &[&str], variables: &[(&str, &str)]) -> Translated {
        let variable = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        translate(arguments.iter().map(OsString::from), variable)
    }

    fn said(arguments: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
        translated(arguments, variables).notices.into_iter().map(|notice| notice.name).collect()
    }

    #[test]
    fn each_variable_of_image_operator_is_a_setting_or_is_answered_with_what_replaced_it() {
        let page = include_str!("../../../docs/registry-access.md");
        let command = Config::command();
        let settings: Vec<&str> =
            command.get_arguments().filter_map(|setting| setting.get_env()?.to_str()).collect();
        for name in OF_IMAGE_OPERATOR.split_whitespace() {
            let became = VARIABLES.iter().find(|(variable, _)| *variable == name).map(|(_, became)| *became);
            let is_handled = match became {
                None => settings.contains(&name),
                Some(Replaced(_)) => said(&[], &[(name, "true")]) == [name],
                Some(Setting(flag)) => settings.contains(&variable_of(flag).as_str()),
                Some(Credentials) => GivenCredentials::VARIABLES.as_flattened().contains(&name),
            };
            assert!(is_handled, "{name}");
            assert!(page.contains(&format!("`{name}`")), "docs/registry-access.md lacks {name}");
        }
        for (name, became) in VARIABLES {
            assert!(!settings.contains(&name), "{name} is a setting by itself");
            let by_registry = matches!(became, Credentials) && name.ends_with("_REGISTRY");
            assert!(
                by_registry || name == "FEATURE_DOCKERHUB_RATE_LIMIT" || OF_IMAGE_OPERATOR.contains(name),
                "{name}"
            );
        }
    }

    #[test]
    fn b3_the_older_name_of_the_deletion_delay_is_the_same_setting_unless_the_newer_one_is_given() {
        let older = [("SUCCEEDED_JOB_DELETION_DELAY_SECONDS", "30")];
        let delay = |arguments: &[&str], variables: &[(&str, &str)]| {
            let required = ["x", "--watch-namespaces=*", "--skopeo-image=a:1"];
            let all = translated(&[&required[..], arguments].concat(), variables).arguments;
            Config::try_parse_from(all)
                .map(|config| config.job_deletion_delay_seconds)
                .map_err(|e| e.to_string())
        };
        assert_eq!(delay(&[], &older), Ok(30));
        assert_eq!(delay(&["--job-deletion-delay-seconds=5"], &older), Ok(5));
        assert_eq!(delay(&["--job-deletion-delay-seconds", "5"], &older), Ok(5));
        let both = [older[0], ("JOB_DELETION_DELAY_SECONDS", "7")];
        assert_eq!(said(&[], &both), ["SUCCEEDED_JOB_DELETION_DELAY_SECONDS"]);
        assert!(delay(&[], &[(older[0].0, "soon")]).is_err());
    }

    #[test]
    fn the_flags_of_image_operator_are_taken_out_and_answered() {
        let given = [
            "imgop-agent",
            "--metrics-bind-address=:8080",
            "-health-probe-bind-address",
            ":8081",
            "--metrics-secure=false",
            "--zap-log-level",
            "debug",
            "--watch-namespaces=*",
        ];
        let Translated { arguments, notices } = translated(&given, &[]);
        assert_eq!(arguments, ["imgop-agent", "--watch-namespaces=*"]);
        let names: Vec<String> = notices.iter().map(|notice| notice.name.clone()).collect();
        assert_eq!(names, ["--metrics-bind-address", "--health-probe-bind-address", "--zap-log-level"]);
        for (flag, _, _) in FLAGS {
            assert_eq!(said(&[&format!("--{flag}=x")], &[]), [format!("--{flag}")]);
        }
        let own = ["imgop-agent", "--max-jobs", "5", "--leader-elect"];
        assert_eq!(translated(&own, &[]).arguments, own);
    }

    #[test]
    fn what_is_empty_or_off_says_nothing_and_no_value_is_ever_shown() {
        let off = [("GRAPHQL_API_ENABLED", "false"), ("BUILD_JOB_NAMESPACE", "")];
        assert_eq!(said(&[], &off), [""; 0]);
        let all: Vec<(&str, &str)> = VARIABLES.iter().map(|(name, _)| (*name, "hunter2")).collect();
        let shown = translated(&[], &all).notices.iter().map(ToString::to_string).collect::<String>();
        assert!(!shown.contains("hunter2"), "{shown}");
        insta::assert_snapshot!(translated(&[], &[("AVOID_OPERATOR", "true")]).notices[0], @"AVOID_OPERATOR of image-operator is not used: there is no GraphQL API, no UI and no process without the agent; kubectl imgop list and describe show what they showed, and -o json is for programs");
    }
}
