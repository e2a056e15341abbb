//! HTTPS registries: which certificates are taken, and which redirects.

use std::collections::HashMap;
use std::net::SocketAddr;

use axum::response::Response;
use imgop_fakes::{Certificate, ScriptedRegistry, Seen, basic, json, names, reply, settings};
use imgop_registry::{Access, Reason, Registries, RepositoryClient, Settings, Tls, Unreachable};

const HOST: &str = "registry.corp.test";
const UPSTREAM: &str = "europe-west1-docker.pkg.dev";

fn access(tls: Tls) -> Access {
    Access { tls, ..Access::default() }
}

fn trusting(certificate: &[u8]) -> Tls {
    Tls::Verify { extra_ca_pem: Some(certificate.to_vec()) }
}

fn registries(hosts: &[(&str, SocketAddr)]) -> Registries {
    let addresses: HashMap<_, _> =
        hosts.iter().map(|(name, address)| ((*name).to_owned(), *address)).collect();
    Registries::new(Settings { addresses, ..settings() })
}

fn at(registries: &Registries, repository: &str, access: &Access) -> RepositoryClient {
    registries.repository(&repository.parse().unwrap(), access)
}

#[tokio::test]
async fn a_certificate_counts_only_for_those_who_trust_it() {
    let (registry, certificate) =
        ScriptedRegistry::start_tls(&[HOST], |_| json(200, r#"{"tags":["v1"]}"#)).await;
    let registries = registries(&[(HOST, registry.address)]);
    let repository = format!("{HOST}/a");
    for tls in [trusting(&certificate), Tls::SkipVerify] {
        assert_eq!(names(&at(&registries, &repository, &access(tls)).tags().await.unwrap()), ["v1"]);
    }
    assert_eq!(registry.seen().len(), 2);
    // What one resource trusts is nothing to another one.
    let error = at(&registries, &repository, &access(Tls::default())).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::Tls), "{error}");
    assert_eq!(registry.seen().len(), 2);
    let unanswered = registries.requests().into_iter().find(|count| count.status.is_none()).unwrap();
    assert_eq!(unanswered.count, 1, "an untrusted certificate is not tried again");
}

#[tokio::test]
async fn a_registry_on_this_machine_whose_certificate_is_to_be_checked_is_never_asked_without_tls() {
    let (tls, _) = ScriptedRegistry::start_tls(&["127.0.0.1"], |_| json(200, "{}")).await;
    let plain = ScriptedRegistry::start(|_| json(200, "{}")).await;
    for (address, failed) in [(tls.address, Unreachable::Tls), (plain.address, Unreachable::NoTls)] {
        let (registries, repository) = (registries(&[]), format!("{address}/a"));
        let error = at(&registries, &repository, &access(Tls::VerifyEverywhere)).tags().await.unwrap_err();
        assert_eq!(*error.reason(), Reason::Unreachable(failed), "{error}");
    }
    assert!(tls.seen().is_empty() && plain.seen().is_empty());
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let (registry, certificate) = ScriptedRegistry::start_tls(&["other.test"], |_| json(200, "{}")).await;
    let registries = registries(&[(HOST, registry.address)]);
    let error =
        at(&registries, &format!("{HOST}/a"), &access(trusting(&certificate))).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::Tls));
    assert!(error.to_string().contains("certificate not valid for name"), "{error}");
}

#[tokio::test]
async fn a_plain_registry_that_is_spoken_to_in_tls_is_named_as_such() {
    let registry = ScriptedRegistry::start(|_| json(200, "{}")).await;
    let registries = registries(&[(HOST, registry.address)]);
    let error = at(&registries, &format!("{HOST}/a"), &access(Tls::SkipVerify)).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::NoTls));
    assert!(error.to_string().ends_with("does it speak plain HTTP?"), "{error}");
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_not_followed() {
    let (registry, certificate) = ScriptedRegistry::start_tls(&[HOST], |_| {
        reply(307, &[("location", "http://registry.corp.test/v2/")], "")
    })
    .await;
    let registries = registries(&[(HOST, registry.address)]);
    let error =
        at(&registries, &format!("{HOST}/a"), &access(trusting(&certificate))).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Refused);
    assert_eq!(registry.seen().len(), 1);
}

/// The fake of registry.k8s.io: it wants a password, and redirects to its upstream.
fn kubernetes(seen: &Seen, upstream: fn(&Seen) -> Response) -> Response {
    if seen.header("host") != Some("registry.k8s.io") {
        return upstream(seen);
    }
    if seen.header("authorization").is_none() {
        return reply(401, &[("www-authenticate", "Basic realm=x")], "");
    }
    let path = seen.target.split('?').next().unwrap().strip_prefix("/v2").unwrap();
    let target = format!("https://{UPSTREAM}/v2/k8s-artifacts-prod/images{path}?rid=1");
    reply(307, &[("location", &target)], "")
}

#[tokio::test]
async fn b7_the_kubernetes_registry_which_redirects_everything_is_listed() {
    let (registry, certificate) = ScriptedRegistry::start_tls(&["registry.k8s.io", UPSTREAM], |seen| {
        kubernetes(seen, |seen| match seen.query("last") {
            None => reply(200, &[("link", "<?last=3.9>; rel=next")], r#"{"tags":["3.9"]}"#),
            Some(_) => json(200, r#"{"tags":["3.10"]}"#),
        })
    })
    .await;
    let registries = registries(&[("registry.k8s.io", registry.address), (UPSTREAM, registry.address)]);
    let secret = Access { tls: trusting(&certificate), ..basic("user", "hunter2") };
    assert_eq!(
        names(&at(&registries, "registry.k8s.io/pause", &secret).tags().await.unwrap()),
        ["3.10", "3.9"]
    );
    let seen = registry.seen();
    let lines: Vec<_> = seen.iter().map(|s| format!("{} {}", s.header("host").unwrap(), s.target)).collect();
    assert_eq!(
        lines,
        [
            "registry.k8s.io /v2/pause/tags/list?n=1000",
            "registry.k8s.io /v2/pause/tags/list?n=1000",
            "europe-west1-docker.pkg.dev /v2/k8s-artifacts-prod/images/pause/tags/list?rid=1",
            "europe-west1-docker.pkg.dev /v2/k8s-artifacts-prod/images/pause/tags/list?last=3.9",
        ]
    );
    assert!(seen[1].header("authorization").is_some());
    assert!(
        seen[2..].iter().all(|seen| seen.header("authorization").is_none()),
        "the password stays with its registry"
    );
}

#[tokio::test]
async fn the_challenge_of_another_host_is_not_answered() {
    let (registry, certificate) = ScriptedRegistry::start_tls(&["registry.k8s.io", UPSTREAM], |seen| {
        kubernetes(seen, |_| {
            reply(401, &[("www-authenticate", r#"Bearer realm="https://registry.k8s.io/token""#)], "")
        })
    })
    .await;
    let registries = registries(&[("registry.k8s.io", registry.address), (UPSTREAM, registry.address)]);
    let secret = Access { tls: trusting(&certificate), ..basic("user", "hunter2") };
    let error = at(&registries, "registry.k8s.io/pause", &secret).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Unauthorized);
    assert_eq!(registry.seen().len(), 3);
}

#[tokio::test]
async fn a_challenge_learned_without_verification_is_not_used_with_it() {
    // An attacker who can pose as the registry for a client that verifies nothing …
    let (registry, certificate) =
        ScriptedRegistry::start_tls(&[HOST], |seen| match seen.header("authorization") {
            None if seen.target.contains("/lure/") => {
                reply(401, &[("www-authenticate", "Basic realm=x")], "")
            }
            _ => json(200, r#"{"tags":[]}"#),
        })
        .await;
    let registries = registries(&[(HOST, registry.address)]);
    let careless = Access { tls: Tls::SkipVerify, ..basic("tenant", "x") };
    at(&registries, &format!("{HOST}/lure"), &careless).tags().await.unwrap();
    // … does not get the password of one who does.
    let careful = Access { tls: trusting(&certificate), ..basic("corp", "hunter2") };
    at(&registries, &format!("{HOST}/a"), &careful).tags().await.unwrap();
    assert_eq!(registry.seen().last().unwrap().header("authorization"), None);
}

async fn showing(certificate: Certificate, name: &str) -> (ScriptedRegistry, Vec<u8>) {
    ScriptedRegistry::start_showing(certificate, &[name], |_| json(200, r#"{"tags":["v1"]}"#)).await
}

#[tokio::test]
async fn a_certificate_that_was_given_is_trusted_whoever_signed_it() {
    for certificate in [Certificate::SelfSigned, Certificate::Ca, Certificate::Issued] {
        let (registry, pem) = showing(certificate, HOST).await;
        let registries = registries(&[(HOST, registry.address)]);
        let client = at(&registries, &format!("{HOST}/a"), &access(trusting(&pem)));
        assert_eq!(names(&client.tags().await.unwrap()), ["v1"], "{certificate:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_was_given_counts_for_its_names_and_its_time_alone() {
    let (shown, words) = (Certificate::Ca, "certificate not valid for name");
    for (certificate, name, words) in [(shown, "other.test", words), (Certificate::Expired, HOST, "expired")]
    {
        let (registry, pem) = showing(certificate, name).await;
        let registries = registries(&[(HOST, registry.address)]);
        let client = at(&registries, &format!("{HOST}/a"), &access(trusting(&pem)));
        let error = client.tags().await.unwrap_err();
        assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::Tls), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn another_certificate_than_the_one_that_was_given_is_not_trusted() {
    for certificate in [Certificate::Ca, Certificate::Issued] {
        let (registry, _) = showing(certificate, HOST).await;
        let (_, other) = showing(certificate, HOST).await;
        let registries = registries(&[(HOST, registry.address)]);
        let client = at(&registries, &format!("{HOST}/a"), &access(trusting(&other)));
        let error = client.tags().await.unwrap_err();
        assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::Tls), "{certificate:?}: {error}");
    }
}
