use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgop_core::access::PolicyError;
use imgop_core::api::{Credentials, RegistryAction, Tls as TlsSpec};
use imgop_registry::credentials::{CA_KEY, DOCKER_CONFIG_KEY};
use imgop_registry::{Credential, Tls};
use serde_json::json;

use super::testing::Resolving;
use super::*;
use crate::cluster::Freshness;
use crate::cluster::fixtures::{api_server, refusal};
use crate::cluster::secrets::MAX_VALUE_BYTES;

/// An owner of this UID, in namespace `team-a`.
pub fn owner(uid: &str) -> Owner {
    Owner {
        api_version: "skopeo.io/v1alpha1".into(),
        kind: "Image".into(),
        namespace: "team-a".into(),
        name: "argocd".into(),
        uid: uid.into(),
    }
}

/// What comes of a side that names Secret `target` for its credentials and `ca` for its certificates.
async fn resolved(host: &str, tls: TlsSpec, use_aws_irsa: bool) -> Result<Resolved, AccessError> {
    let (client, _) = api_server(|path| {
        let config = json!({"auths": {"quay.io": {"username": "u", "password": "p"}}}).to_string();
        let secret = |name: &str, data| {
            (200, json!({"metadata": {"name": name, "resourceVersion": "7"}, "data": data}).to_string())
        };
        match path.rsplit('/').next().unwrap_or_default() {
            "target" => secret("target", json!({DOCKER_CONFIG_KEY: STANDARD.encode(config)})),
            "ca" => secret("ca", json!({CA_KEY: STANDARD.encode("PEM")})),
            "empty" => secret("empty", json!({})),
            "long" => secret("long", json!({CA_KEY: STANDARD.encode("x".repeat(MAX_VALUE_BYTES + 1))})),
            "hidden" => refusal(403, "Forbidden", "User \"agent\" cannot get resource \"secrets\""),
            last if last.starts_with("selfsubjectaccessreviews") => {
                (201, json!({"metadata": {}, "spec": {}, "status": {"allowed": false}}).to_string())
            }
            _ => refusal(404, "NotFound", "not found"),
        }
    });
    let resolving = Resolving::new(&client, &[]);
    let repository = format!("{host}/a/b").parse().unwrap();
    let named = Credentials { secret_name: "target".into() };
    let endpoint = EndpointRef { name: "", credentials: Some(&named), use_aws_irsa, tls: &tls };
    let of = EndpointUse {
        namespace: "team-a",
        field: "source",
        repository: &repository,
        endpoint,
        action: RegistryAction::Pull,
        lending: Lending::All,
    };
    resolving.resolver().resolve(of, Freshness::Cached).await
}

fn verified_by(secret: &str) -> TlsSpec {
    TlsSpec { mode: TlsMode::Verify, ca_secret_name: Some(secret.to_owned()) }
}

#[tokio::test]
async fn credentials_and_certificates_are_those_of_the_secrets_that_the_spec_names() {
    let found = resolved("quay.io", verified_by("ca"), false).await.unwrap();
    assert!(matches!(found.access.credential, Some(Credential::Basic { username, .. }) if username == "u"));
    assert_eq!(found.access.tls, Tls::Verify { extra_ca_pem: Some(b"PEM".to_vec()) });
    assert_eq!(found.versions.all(), ["target/7", "ca/7"]);
    let plain = TlsSpec { mode: TlsMode::PlainHttp, ca_secret_name: None };
    assert_eq!(resolved("quay.io", plain, false).await.unwrap().access.tls, Tls::PlainHttp);
}

#[tokio::test]
async fn what_is_wrong_with_a_secret_is_said_with_the_field_that_names_it() {
    let error = async |host, tls| resolved(host, tls, false).await.unwrap_err().to_string();
    assert_eq!(
        error("ghcr.io", TlsSpec::default()).await,
        "spec.source.credentials.secretName names Secret \"target\": it holds no credential for ghcr.io"
    );
    assert_eq!(
        error("quay.io", verified_by("empty")).await,
        "spec.source.tls.caSecretName names Secret \"empty\": it has no key ca.crt"
    );
    assert_eq!(
        error("quay.io", verified_by("none")).await,
        "spec.source.tls.caSecretName names Secret \"none\", which does not exist in this namespace; create it, or correct the name"
    );
    assert_eq!(
        error("quay.io", verified_by("long")).await,
        "spec.source.tls.caSecretName names Secret \"long\": its key ca.crt has 524289 bytes; at most 524288 are \
         read, so name a Secret with what this registry needs alone"
    );
    assert_eq!(
        error("quay.io", verified_by("../../pods/x")).await,
        "spec.source.tls.caSecretName names Secret \"../../pods/x\": no Secret can have this name: lower-case \
         letters, digits, - and . only"
    );
    assert_eq!(error("quay.io", verified_by("hidden")).await, "the agent may not read Secret \"hidden\"");
}

#[tokio::test]
async fn the_agents_aws_identity_is_not_used_where_it_is_not_lent() {
    let error = resolved("quay.io", TlsSpec::default(), true).await.unwrap_err();
    assert!(matches!(error, AccessError::AwsNotEnabled));
}

#[test]
fn why_an_endpoint_is_not_reached_has_a_reason_and_a_right_where_the_agent_lacks_one() {
    let name = || "push".to_owned();
    let not_enabled = |right| Some((reasons::NAMESPACE_NOT_ENABLED, Some(right)));
    assert_eq!(AccessError::AwsNotEnabled.reason_and_right(), not_enabled(Right::USE_AWS));
    let forbidden = AccessError::Forbidden { secret: name() };
    assert_eq!(forbidden.reason_and_right(), not_enabled(Right::GET_SECRETS));
    let missing = AccessError::Missing { field: name(), secret: name() };
    assert_eq!(missing.reason_and_right(), Some((reasons::SECRET_UNUSABLE, None)));
    let unreadable = PolicyFault::Unreadable(PolicyError::Unreadable(Vec::new()));
    assert_eq!(AccessError::from(unreadable).reason_and_right(), Some((reasons::ACCESS_UNKNOWN, None)));
    assert_eq!(AccessError::from(PolicyFault::Pending).reason_and_right(), None);
}

#[test]
fn a_new_token_is_no_other_secret() {
    let digest = |secrets: &[&str], tokens: &[&str]| {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Versions { secrets: texts(secrets), tokens: texts(tokens) }.digest()
    };
    assert_eq!(digest(&["ca/1"], &["image 12:00"]), digest(&["ca/1"], &["image 12:10"]));
    assert_ne!(digest(&["ca/1"], &[]), digest(&["ca/2"], &[]));
}
