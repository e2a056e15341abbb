//! What a registry's refusal means for somebody at a keyboard.

use imgop_core::api::Side;
use imgop_core::copy::ObserveError;
use imgop_registry::reference::RegistryHost;
use imgop_registry::{Reason, Unreachable};

use crate::cli_error::CliError;
use crate::output::wording::Wording;

/// Turns a failed observation into words and advice.
pub fn explain(error: &ObserveError, wording: Wording) -> CliError {
    let failed = CliError::failed(wording.of(&error.to_string()));
    match error {
        ObserveError::Registry { side, error } => {
            let host = error.repository().host();
            advice(*side, host, error.reason(), wording).into_iter().fold(failed, CliError::hinted)
        }
        ObserveError::TooManyTags { count, .. } => failed.hinted(format!(
            "the agent refuses it as well; to see the tags nevertheless: --max-tags {count}"
        )),
        ObserveError::TooManyReferrers { .. } | ObserveError::Naming(_) | ObserveError::TooSlow { .. } => {
            failed
        }
    }
}

fn advice(side: Side, host: &RegistryHost, reason: &Reason, wording: Wording) -> Vec<String> {
    let agents = |flag: &str, field: &str| match wording {
        Wording::Flags => format!("--{side}-{flag}"),
        Wording::Fields => format!("spec.{side}.{field}:"),
    };
    match reason {
        Reason::Unauthorized => vec![
            format!("for this machine: docker login {host}, or name a file with --authfile"),
            format!(
                "for the agent: kubectl create secret docker-registry NAME --docker-server={host} \
                 --docker-username=… --docker-password=…, then {} NAME",
                agents("credentials", "credentials.secretName")
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
            format!("trust the certificate of its CA, for this machine: --{side}-ca-file FILE"),
            format!(
                "for the agent: kubectl create secret generic NAME --from-file=ca.crt=FILE, then {} NAME",
                agents("ca-secret", "tls.caSecretName")
            ),
            format!(
                "to trust any certificate, in a network where nobody can pose as {host}: {} SkipVerify",
                agents("tls", "tls.mode")
            ),
        ],
        Reason::Unreachable(Unreachable::NoTls) => {
            let plain = format!("if {host} speaks plain HTTP: {} PlainHTTP", agents("tls", "tls.mode"));
            let port = format!("if it speaks HTTPS on another port, write that behind its name: {host}");
            if host.as_str().contains(':') { vec![plain] } else { vec![plain, port + ":PORT"] }
        }
        Reason::Unreachable(Unreachable::WantsTls) => {
            vec![format!("if {host} speaks HTTPS, leave out: {} PlainHTTP", agents("tls", "tls.mode"))]
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn advised(how: Unreachable, wording: Wording) -> String {
        let host = "registry.corp:5000/a".parse::<imgop_registry::reference::Repository>().unwrap();
        advice(Side::Source, host.host(), &Reason::Unreachable(how), wording).join("\n")
    }

    #[test]
    fn the_likeliest_cause_of_a_failed_connection_comes_first() {
        insta::assert_snapshot!(advised(Unreachable::NoTls, Wording::Flags), @"if registry.corp:5000 speaks plain HTTP: --source-tls PlainHTTP");
        insta::assert_snapshot!(advised(Unreachable::WantsTls, Wording::Fields), @"if registry.corp:5000 speaks HTTPS, leave out: spec.source.tls.mode: PlainHTTP");
        insta::assert_snapshot!(advised(Unreachable::Tls, Wording::Flags), @"
        trust the certificate of its CA, for this machine: --source-ca-file FILE
        for the agent: kubectl create secret generic NAME --from-file=ca.crt=FILE, then --source-ca-secret NAME
        to trust any certificate, in a network where nobody can pose as registry.corp:5000: --source-tls SkipVerify
        ");
        insta::assert_snapshot!(advised(Unreachable::Tls, Wording::Fields), @"
        trust the certificate of its CA, for this machine: --source-ca-file FILE
        for the agent: kubectl create secret generic NAME --from-file=ca.crt=FILE, then spec.source.tls.caSecretName: NAME
        to trust any certificate, in a network where nobody can pose as registry.corp:5000: spec.source.tls.mode: SkipVerify
        ");
    }
}
