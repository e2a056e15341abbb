//! What to set where a registry refuses a connection or credentials. Fields are named as in the spec.

use imgop_core::api::EndpointRef;
use imgop_registry::{Reason, Unreachable};

/// Returns which credentials a registry refused, or where to name some. `is_lent` says that where the spec names none an
/// administrator lends some, by a RegistryAccess or by the agent's own variables: of what is theirs a tenant learns no name.
pub fn about_credentials(field: &str, endpoint: EndpointRef<'_>, is_lent: bool) -> String {
    if endpoint.use_aws_irsa {
        return format!("the credentials are those of the agent's AWS identity (spec.{field}.useAwsIRSA)");
    }
    match endpoint.credentials {
        Some(named) => {
            let secret = &named.secret_name;
            format!("the credentials are those of Secret {secret:?} (spec.{field}.credentials)")
        }
        None if is_lent => format!(
            "the credentials are those that an administrator lends for this registry (by a RegistryAccess, or by CREDS_* in \
             the agent's environment): only an administrator can correct them, or name a Secret of your own in \
             spec.{field}.credentials"
        ),
        None => format!("name a Secret with credentials in spec.{field}.credentials"),
    }
}

/// Returns what to set where the connection itself is refused; none where the spec is not the cause.
pub fn about_connection(field: &str, reason: &Reason, endpoint: EndpointRef<'_>) -> Option<String> {
    match (reason, endpoint.tls.ca_secret_name.as_deref()) {
        (Reason::Unreachable(Unreachable::Tls), Some(secret)) => Some(format!(
            "; Secret {secret:?} (spec.{field}.tls.caSecretName) does not hold the CA of this registry: put its \
             certificate there under the key ca.crt"
        )),
        (Reason::Unreachable(Unreachable::Tls), None) => Some(format!(
            "; name a Secret with the certificate of its CA (key ca.crt) in spec.{field}.tls.caSecretName, or set \
             spec.{field}.tls.mode to SkipVerify"
        )),
        (Reason::Unreachable(Unreachable::NoTls), _) => {
            Some(format!(" If so, set spec.{field}.tls.mode to PlainHTTP"))
        }
        (Reason::Unreachable(Unreachable::WantsTls), _) => {
            Some(format!("; if so, leave spec.{field}.tls.mode out"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::api::{Credentials, Tls, TlsMode};

    use super::*;

    fn advice(field: &str, how: Unreachable, ca: Option<&str>) -> String {
        let tls = Tls { mode: TlsMode::Verify, ca_secret_name: ca.map(str::to_owned) };
        let endpoint = EndpointRef { name: "", credentials: None, use_aws_irsa: false, tls: &tls };
        about_connection(field, &Reason::Unreachable(how), endpoint).unwrap_or_default()
    }

    #[test]
    fn credentials_that_are_refused_are_said_to_be_whose_they_are() {
        let (tls, own) = (Tls::default(), Credentials { secret_name: "push".to_owned() });
        let said = |credentials, is_lent| {
            let endpoint = EndpointRef { name: "", credentials, use_aws_irsa: false, tls: &tls };
            about_credentials("destination", endpoint, is_lent)
        };
        insta::assert_snapshot!(said(None, false), @"name a Secret with credentials in spec.destination.credentials");
        insta::assert_snapshot!(said(None, true), @"the credentials are those that an administrator lends for this registry (by a RegistryAccess, or by CREDS_* in the agent's environment): only an administrator can correct them, or name a Secret of your own in spec.destination.credentials");
        insta::assert_snapshot!(said(Some(&own), true), @r#"the credentials are those of Secret "push" (spec.destination.credentials)"#);
    }

    #[test]
    fn a_connection_that_is_not_trusted_comes_with_the_field_to_set() {
        insta::assert_snapshot!(advice("source", Unreachable::Tls, None), @"; name a Secret with the certificate of its CA (key ca.crt) in spec.source.tls.caSecretName, or set spec.source.tls.mode to SkipVerify");
        insta::assert_snapshot!(advice("destination", Unreachable::NoTls, None), @" If so, set spec.destination.tls.mode to PlainHTTP");
        insta::assert_snapshot!(advice("source", Unreachable::WantsTls, None), @"; if so, leave spec.source.tls.mode out");
        assert_eq!(advice("source", Unreachable::Connect, None), "");
    }

    #[test]
    fn a_secret_whose_ca_does_not_fit_is_named() {
        insta::assert_snapshot!(advice("destination", Unreachable::Tls, Some("corp-ca")), @r#"; Secret "corp-ca" (spec.destination.tls.caSecretName) does not hold the CA of this registry: put its certificate there under the key ca.crt"#);
    }
}
