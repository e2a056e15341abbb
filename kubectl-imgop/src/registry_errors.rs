//! What a registry's refusal means for somebody at a keyboard.

use imgop_core::observe::{ObserveError, Side};
use imgop_core::reference::RegistryHost;
use imgop_core::registry::{Reason, Unreachable};

use crate::errors::CliError;

/// Turns a failed observation into words and advice.
pub fn explain(error: &ObserveError) -> CliError {
    let failed = CliError::failed(error.to_string());
    match error {
        ObserveError::Registry { side, error } => {
            let host = error.repository().host();
            advice(*side, host, error.reason()).into_iter().fold(failed, CliError::hinted)
        }
        ObserveError::TooManyTags { count, .. } => failed.hinted(format!(
            "the agent refuses it as well; to see the tags nevertheless: --max-tags {count}"
        )),
        ObserveError::Naming(_) | ObserveError::TooSlow { .. } => failed,
    }
}

fn advice(side: Side, host: &RegistryHost, reason: &Reason) -> Vec<String> {
    match reason {
        Reason::Unauthorized => vec![
            format!("for this machine: docker login {host}, or name a file with --authfile"),
            format!(
                "for the agent: kubectl create secret docker-registry NAME --docker-server={host} \
                 --docker-username=… --docker-password=…, then --{side}-credentials NAME"
            ),
        ],
        Reason::Forbidden => {
            let right = match side {
                Side::Source => "pull from",
                Side::Destination => "pull from and push to",
            };
            vec![format!("the account needs the right to {right} this repository")]
        }
        Reason::RepositoryNotFound => vec![
            "check the repository's name; some registries say this also when \
                                            credentials are missing"
                .to_owned(),
        ],
        Reason::RateLimited { retry_after } => {
            let when = retry_after.map(|wait| format!("it may be asked again in {} seconds", wait.as_secs()));
            let account = format!("log in to get a higher limit: docker login {host}");
            when.into_iter().chain([account]).collect()
        }
        Reason::Unreachable(Unreachable::Dns) => {
            vec!["check the registry's name; this machine must be able to look it up".to_owned()]
        }
        Reason::Unreachable(Unreachable::Tls) => vec![
            format!(
                "trust its certificate with --{side}-ca-file FILE (and --{side}-ca-secret NAME for the agent)"
            ),
            format!("if it speaks plain HTTP: --{side}-tls PlainHTTP"),
        ],
        Reason::Unreachable(_) | Reason::Unavailable => {
            vec![format!("check that {host} answers from this machine; the agent may reach it all the same")]
        }
        Reason::Rejected
        | Reason::Protocol
        | Reason::TooLarge { .. }
        | Reason::Refused
        | Reason::Settings => Vec::new(),
    }
}
