mod given;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgop_core::api::{Credentials, RegistryAccess, Tls as TlsSpec};
use imgop_registry::Credential;
use serde_json::{Value, json};

use super::*;
use crate::cluster::fixtures::{Asked, api_server, refusal};
use crate::registry_access::testing::Resolving;

const HOST: &str = "registry.example.com";

/// What an Image of team a names.
#[derive(Default)]
struct Named {
    credentials: Option<Credentials>,
    tls: TlsSpec,
    aws: bool,
}

/// What becomes of a repository of namespace `team-a` under one object with these fields; and what was asked for it.
async fn resolve(
    fields: Value,
    named: &Named,
    action: RegistryAction,
    lending: Lending,
) -> (Result<Resolved, AccessError>, Asked) {
    let mut spec = json!({ "hosts": [HOST], "aliases": ["r.corp"], "repositories": ["team-a/"],
        "actions": ["Pull", "Push"], "namespaceSelector": { "matchLabels": { "team": "a" } } });
    for (key, value) in fields.as_object().unwrap() {
        spec[key] = value.clone();
    }
    let (client, asked) = api_server(|path| {
        let secret = |data: Value| {
            (200, json!({ "metadata": { "name": "x", "resourceVersion": "7" }, "data": data }).to_string())
        };
        let config = |user: &str| {
            let config = json!({ "auths": { HOST: { "username": user, "password": "p" } } }).to_string();
            json!({ DOCKER_CONFIG_KEY: STANDARD.encode(config) })
        };
        match path.split('?').next().unwrap_or_default() {
            "GET /api/v1/namespaces/team-a" => {
                (200, json!({ "metadata": { "name": "team-a", "labels": { "team": "a" } } }).to_string())
            }
            "GET /api/v1/namespaces/imgop-system/secrets/shared" => secret(config("shared")),
            "GET /api/v1/namespaces/imgop-system/secrets/basic" => {
                secret(json!({ "username": STANDARD.encode("basic"), "password": STANDARD.encode("p") }))
            }
            "GET /api/v1/namespaces/imgop-system/secrets/token" => {
                let config = json!({ "auths": { HOST: { "registrytoken": "t" } } }).to_string();
                secret(json!({ DOCKER_CONFIG_KEY: STANDARD.encode(config) }))
            }
            "GET /api/v1/namespaces/imgop-system/secrets/ca" => {
                secret(json!({ CA_KEY: STANDARD.encode("PEM") }))
            }
            "GET /api/v1/namespaces/team-a/secrets/own" => secret(config("own")),
            path if path.ends_with("selfsubjectaccessreviews") => {
                (201, json!({ "metadata": {}, "spec": {}, "status": { "allowed": false } }).to_string())
            }
            _ => refusal(404, "NotFound", "not found"),
        }
    });
    let granted = RegistryAccess::new("granted", serde_json::from_value(spec).unwrap());
    let resolving = Resolving::new(&client, &[granted]);
    let repository = format!("{HOST}/team-a/app").parse().unwrap();
    let (credentials, tls) = (named.credentials.as_ref(), &named.tls);
    let endpoint = EndpointRef { name: "", credentials, use_aws_irsa: named.aws, tls };
    let (namespace, field) = ("team-a", "destination");
    let of = EndpointUse { namespace, field, repository: &repository, endpoint, action, lending };
    (resolving.resolver().resolve(of, Freshness::Cached).await, asked)
}

async fn pushed(fields: Value, named: &Named) -> Result<Resolved, AccessError> {
    resolve(fields, named, RegistryAction::Push, Lending::All).await.0
}

fn user(resolved: &Resolved) -> &str {
    match &resolved.access.credential {
        Some(Credential::Basic { username, .. }) => username,
        _ => "-",
    }
}

fn own() -> Named {
    Named { credentials: Some(Credentials { secret_name: "own".into() }), ..Named::default() }
}

#[tokio::test]
async fn what_names_no_credentials_gets_those_that_an_administrator_lends_it() {
    for (secret, expected) in [("shared", "shared"), ("basic", "basic")] {
        let resolved = pushed(json!({ "secretName": secret }), &Named::default()).await.unwrap();
        assert_eq!((user(&resolved), resolved.is_lent), (expected, true));
    }
    let resolved = pushed(json!({ "secretName": "shared" }), &own()).await.unwrap();
    assert_eq!((user(&resolved), resolved.is_lent), ("own", false), "the spec goes first");
    let tls = json!({ "caSecretName": "ca" });
    let resolved = pushed(json!({ "secretName": "shared", "tls": tls }), &own()).await.unwrap();
    assert_eq!((user(&resolved), resolved.is_lent), ("own", true), "the certificates are lent");
    assert_eq!(resolved.access.tls, Tls::Verify { extra_ca_pem: Some(b"PEM".to_vec()) });
    let own_tls = Named { tls: TlsSpec { mode: TlsMode::SkipVerify, ca_secret_name: None }, ..own() };
    let resolved = pushed(json!({ "tls": { "mode": "PlainHTTP" } }), &own_tls).await.unwrap();
    assert_eq!((resolved.access.tls, resolved.is_lent), (Tls::SkipVerify, false), "the spec goes first");
}

#[tokio::test]
async fn a_namespace_that_is_not_selected_may_pull_with_its_own_secret_and_not_push() {
    let others = json!({ "secretName": "shared", "tokenServers": ["auth.example.org"],
        "namespaceSelector": { "matchLabels": { "team": "b" } } });
    let error = pushed(others.clone(), &own()).await.unwrap_err().to_string();
    insta::assert_snapshot!(error, @"spec.destination: an administrator has decided which namespaces may write to registry.example.com/team-a/, and this one is none of them; name another destination, or have it selected by the RegistryAccess for that");
    for (named, expected) in [(own(), "own"), (Named::default(), "-")] {
        let (resolved, asked) = resolve(others.clone(), &named, RegistryAction::Pull, Lending::All).await;
        let resolved = resolved.unwrap();
        assert_eq!((user(&resolved), resolved.is_lent), (expected, false));
        assert_eq!(resolved.access.allowances, Allowances::default());
        assert!(asked.lock().unwrap().iter().all(|line| !line.contains("imgop-system")), "{asked:?}");
    }
}

#[tokio::test]
async fn a_tenant_says_neither_how_lent_credentials_are_sent_nor_learns_the_name_of_their_secret() {
    let plain = Named { tls: TlsSpec { mode: TlsMode::PlainHttp, ca_secret_name: None }, ..Named::default() };
    let error = pushed(json!({ "secretName": "shared" }), &plain).await.unwrap_err();
    assert!(matches!(error, AccessError::TlsOfLent { .. }), "{error}");
    let error = pushed(json!({ "secretName": "missing-of-team-x" }), &Named::default()).await.unwrap_err();
    insta::assert_snapshot!(error, @"spec.destination: what an administrator lends for registry.example.com cannot be used: its Secret does not exist");
    // A Job could be given it in an argument alone.
    let error = pushed(json!({ "secretName": "token" }), &Named::default()).await.unwrap_err();
    assert!(error.to_string().contains("its Secret holds a bearer token"), "{error}");
}

#[tokio::test]
async fn builds_are_lent_where_a_registry_may_be_and_no_credential() {
    let fields = json!({ "secretName": "shared", "tls": { "mode": "SkipVerify" }, "addresses": ["10.0.0.0/8"],
        "tokenServers": ["auth.example.org"] });
    let (resolved, _) = resolve(fields, &Named::default(), RegistryAction::Push, Lending::Reach).await;
    let resolved = resolved.unwrap();
    assert_eq!((user(&resolved), resolved.is_lent), ("-", false));
    assert_eq!(resolved.access.tls, Tls::default());
    let ranges = vec!["10.0.0.0/8".parse().unwrap()];
    assert_eq!(resolved.access.allowances, Allowances::new(vec!["auth.example.org".to_owned()], ranges));
}

#[tokio::test]
async fn the_aws_identity_is_only_lent_by_what_administrators_alone_can_write() {
    let asking = Named { aws: true, ..Named::default() };
    let error = pushed(json!({ "secretName": "shared" }), &asking).await.unwrap_err();
    assert!(matches!(error, AccessError::AwsNotEnabled), "{error}");
    // The registry is none of ECR's, so there is no token; and no right is asked for.
    let aws = json!({ "aws": { "identity": "Agent" } });
    let (resolved, asked) = resolve(aws.clone(), &asking, RegistryAction::Push, Lending::All).await;
    assert!(resolved.unwrap().is_lent);
    assert!(asked.lock().unwrap().iter().all(|line| !line.contains("selfsubjectaccessreviews")));
    let (refused, _) = resolve(aws, &asking, RegistryAction::Push, Lending::Reach).await;
    assert!(matches!(refused, Err(AccessError::AwsNotEnabled)), "a build would have it in its own namespace");
}
