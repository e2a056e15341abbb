//! Documents that are no registry's.

use std::collections::HashMap;

use imgop_fakes::{ScriptedRegistry, reply, settings};
use imgop_registry::{Access, Allowances, PrivateAddresses, Registries, Settings, WebRequest};
use url::Url;

fn request(server: &ScriptedRegistry) -> WebRequest {
    let url = format!("http://{}/repos/a/b/releases", server.address).parse().unwrap();
    WebRequest { url, accept: "application/json", etag: None, token: None, max_bytes: 16, named_by: None }
}

#[tokio::test]
async fn a_document_comes_with_its_headers_and_what_is_known_is_not_sent_again() {
    let server = ScriptedRegistry::start(|seen| {
        assert_eq!(seen.header("accept"), Some("application/json"));
        match seen.header("if-none-match") {
            Some("\"1\"") => reply(304, &[("etag", "\"1\"")], ""),
            _ => reply(200, &[("etag", "\"1\""), ("link", "<x>; rel=\"next\"")], "[]"),
        }
    })
    .await;
    let registries = Registries::new(settings());
    let first = registries.web(&request(&server)).await.unwrap();
    assert_eq!((first.status, first.body.as_slice(), first.header("etag")), (200, &b"[]"[..], Some("\"1\"")));
    assert_eq!(first.header("link"), Some("<x>; rel=\"next\""));
    let known = WebRequest { etag: Some("\"1\"".to_owned()), ..request(&server) };
    assert_eq!(registries.web(&known).await.unwrap().status, 304);
}

#[tokio::test]
async fn a_token_goes_to_the_host_that_is_asked_and_to_no_other_one() {
    let other = ScriptedRegistry::start(|seen| {
        reply(200, &[], format!("{}", seen.header("authorization").is_some()))
    })
    .await;
    let elsewhere = format!("http://{}/", other.address);
    let server = ScriptedRegistry::start(move |seen| {
        assert_eq!(seen.header("authorization"), Some("Bearer secret"));
        reply(302, &[("location", &elsewhere)], "")
    })
    .await;
    let asked = WebRequest { token: Some("secret".to_owned().into()), ..request(&server) };
    let error = Registries::new(settings()).web(&asked).await.unwrap_err().to_string();
    assert!(!error.contains("secret") && !error.contains("/repos/"), "{error}");
}

#[tokio::test]
async fn a_document_that_is_too_large_is_an_error() {
    let server = ScriptedRegistry::start(|_| reply(200, &[], "x".repeat(17))).await;
    assert!(Registries::new(settings()).web(&request(&server)).await.is_err());
}

#[tokio::test]
async fn what_a_document_names_may_be_redirected_to_another_host_which_gets_no_query_or_credential_and_is_not_private()
 {
    let store = ScriptedRegistry::start(|_| reply(200, &[], "archive")).await;
    let elsewhere = "http://store.example.net/object".to_owned();
    let (private, here) = ("http://10.0.0.7:9200/_x".to_owned(), format!("http://{}/object", store.address));
    let releases = ScriptedRegistry::start(move |seen| {
        let place = match seen.target.as_str() {
            "/private" => &private,
            "/here" => &here,
            _ => &elsewhere,
        };
        reply(302, &[("location", place)], "")
    })
    .await;
    let addresses = HashMap::from([
        ("store.example.net".to_owned(), store.address),
        ("releases.example.org".to_owned(), releases.address),
    ]);
    let private_addresses = PrivateAddresses::Registries;
    let registries = Registries::new(Settings { addresses, private_addresses, ..settings() });
    let at = |path: &str| format!("http://releases.example.org/{path}").parse::<Url>().unwrap();
    let named =
        |path: &str| WebRequest { url: at(path), named_by: Some(at("charts/")), ..request(&releases) };
    assert_eq!(registries.web(&named("a.tgz")).await.unwrap().body, b"archive");
    assert!(registries.web(&WebRequest { named_by: None, ..named("a.tgz") }).await.is_err(), "a spec's own");
    for path in ["private", "here"] {
        assert!(registries.web(&named(path)).await.is_err(), "{path}");
    }
    let seen: Vec<_> = store.seen().into_iter().map(|seen| (seen.line(), seen.headers)).collect();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].1.get("authorization").is_none());
}

#[tokio::test]
async fn what_a_document_names_elsewhere_is_at_no_private_address_and_not_without_the_tls_of_the_document() {
    let internal = ScriptedRegistry::start(|_| reply(200, &[], "secret")).await;
    let registries = Registries::new(settings());
    let named_by = |from: &str| WebRequest { named_by: Some(from.parse().unwrap()), ..request(&internal) };
    assert!(registries.web(&named_by("http://charts.example.com/")).await.is_err());
    assert!(
        registries.web(&named_by("http://127.0.0.1:1/")).await.is_err(),
        "another port is another program"
    );
    let error = registries.web(&named_by("https://charts.example.com/")).await.unwrap_err().to_string();
    assert!(error.contains("without TLS"), "{error}");
    let access = Access { allowances: Allowances::foreign(), ..Access::default() };
    let client = registries.repository(&internal.repository("app"), &access);
    assert!(client.tags().await.is_err(), "a registry is no exception");
    assert_eq!(internal.seen().len(), 0);
    assert_eq!(registries.web(&request(&internal)).await.unwrap().body, b"secret");
}
