//! What to set where a registry refuses a connection or credentials. Fields are named as in the spec.

use imgop_core::api::EndpointRef;
use imgop_registry::reference::RegistryHost;
use imgop_registry::{Reason, Unreachable};

/// The field of an ImageBuilder with the registries that base images come from: a list, in which this one may be
/// missing.
const REGISTRIES: &str = "registries";

/// Returns the whole entry of a registry in that list.
fn entry(host: &RegistryHost, setting: &str) -> String {
    format!("spec.registries: [{{host: \"{host}\", {setting}}}]")
}

/// Returns which credentials a registry refused, or where to name some.
pub fn about_credentials(field: &str, host: &RegistryHost, endpoint: EndpointRef<'_>) -> String {
    if endpoint.use_aws_irsa {
        return format!("the credentials are those of the agent's AWS identity (spec.{field}.useAwsIRSA)");
    }
    match endpoint.credentials {
        Some(named) => {
            let secret = &named.secret_name;
            format!("the credentials are those of Secret {secret:?} (spec.{field}.credentials)")
        }
        None if field == REGISTRIES => {
            format!("name a Secret with credentials: {}", entry(host, "credentials: {secretName: NAME}"))
        }
        None => format!("name a Secret with credentials in spec.{field}.credentials"),
    }
}

/// Returns what to set where the connection itself is refused; none where the spec is not the cause.
pub fn about_connection(
    field: &str,
    host: &RegistryHost,
    reason: &Reason,
    endpoint: EndpointRef<'_>,
) -> Option<String> {
    match (reason, endpoint.tls.ca_secret_name.as_deref()) {
        (Reason::Unreachable(Unreachable::Tls), Some(secret)) => Some(format!(
            "; Secret {secret:?} (spec.{field}.tls.caSecretName) does not hold the CA of this registry: put its \
             certificate there under the key ca.crt"
        )),
        (Reason::Unreachable(Unreachable::Tls), None) if field == REGISTRIES => Some(format!(
            "; name a Secret with the certificate of its CA (key ca.crt): {}, or set tls: {{mode: SkipVerify}} there",
            entry(host, "tls: {caSecretName: NAME}")
        )),
        (Reason::Unreachable(Unreachable::NoTls), _) if field == REGISTRIES => {
            Some(format!(" If so, set {}", entry(host, "tls: {mode: PlainHTTP}")))
        }
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
    use imgop_core::api::{Tls, TlsMode};
    use imgop_registry::reference::Repository;

    use super::*;

    fn advice(field: &str, how: Unreachable, ca: Option<&str>) -> String {
        let tls = Tls { mode: TlsMode::Verify, ca_secret_name: ca.map(str::to_owned) };
        let endpoint = EndpointRef { name: "", credentials: None, use_aws_irsa: false, tls: &tls };
        let repository: Repository = "registry.corp:5000/a".parse().unwrap();
        about_connection(field, repository.host(), &Reason::Unreachable(how), endpoint).unwrap_or_default()
    }

    #[test]
    fn a_connection_that_is_not_trusted_comes_with_the_field_to_set() {
        insta::assert_snapshot!(advice("source", Unreachable::Tls, None), @"; name a Secret with the certificate of its CA (key ca.crt) in spec.source.tls.caSecretName, or set spec.source.tls.mode to SkipVerify");
        insta::assert_snapshot!(advice("destination", Unreachable::NoTls, None), @" If so, set spec.destination.tls.mode to PlainHTTP");
        insta::assert_snapshot!(advice("registries", Unreachable::NoTls, None), @r#" If so, set spec.registries: [{host: "registry.corp:5000", tls: {mode: PlainHTTP}}]"#);
        insta::assert_snapshot!(advice("source", Unreachable::WantsTls, None), @"; if so, leave spec.source.tls.mode out");
        assert_eq!(advice("source", Unreachable::Connect, None), "");
    }

    #[test]
    fn a_secret_whose_ca_does_not_fit_is_named() {
        insta::assert_snapshot!(advice("destination", Unreachable::Tls, Some("corp-ca")), @r#"; Secret "corp-ca" (spec.destination.tls.caSecretName) does not hold the CA of this registry: put its certificate there under the key ca.crt"#);
    }
}
