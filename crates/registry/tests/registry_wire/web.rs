//! Documents that are no registry's.

use imgop_fakes::{ScriptedRegistry, reply, settings};
use imgop_registry::{Registries, WebRequest};

fn request(server: &ScriptedRegistry) -> WebRequest {
    let url = format!("http://{}/repos/a/b/releases", server.address).parse().unwrap();
    WebRequest { url, accept: "application/json", etag: None, token: None, max_bytes: 16 }
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
