//! Registries and proxies that compress without having been asked to.

use std::io::Write as _;

use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use imgop_fakes::{INDEX, ScriptedRegistry, client, names, reply};
use imgop_registry::Reason;
use imgop_registry::reference::{Digest, ManifestRef};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn compressed(media_type: &str, text: &[u8]) -> Response {
    reply(200, &[("content-type", media_type), ("content-encoding", "gzip")], gzip(text))
}

#[tokio::test]
async fn what_was_compressed_unasked_is_read_and_its_digest_is_that_of_the_content() {
    const BODY: &[u8] = br#"{"schemaVersion":2,"manifests":[]}"#;
    let registry = ScriptedRegistry::start(|seen| {
        if seen.target.contains("/tags/") {
            return compressed("application/json", br#"{"tags":["v1"]}"#);
        }
        compressed(INDEX, BODY)
    })
    .await;
    let client = client(&registry.repository("app"));
    assert_eq!(names(&client.tags().await.unwrap()), ["v1"]);
    let manifest = client.manifest(&ManifestRef::Digest(Digest::of(BODY))).await.unwrap().unwrap();
    assert_eq!(manifest.bytes, BODY);
    assert!(registry.seen().iter().all(|seen| seen.header("accept-encoding").is_none()));
}

#[tokio::test]
async fn what_is_much_larger_than_it_looks_is_refused() {
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 1 << 20);
    let registry = ScriptedRegistry::start(move |_| {
        reply(200, &[("content-type", INDEX), ("content-encoding", "gzip")], bomb.clone())
    })
    .await;
    let client = client(&registry.repository("app"));
    let error = client.manifest(&ManifestRef::Digest(Digest::of(b"x"))).await.unwrap_err();
    assert_eq!(*error.reason(), Reason::TooLarge { limit: 4 << 20 }, "{error}");
}

#[tokio::test]
async fn what_is_no_gzip_although_it_says_so_is_an_error() {
    for body in [&b"plain"[..], &gzip(b"{}")[..8]] {
        let body = body.to_vec();
        let registry =
            ScriptedRegistry::start(move |_| reply(200, &[("content-encoding", "gzip")], body.clone())).await;
        let error = client(&registry.repository("app")).tags().await.unwrap_err();
        assert_eq!(*error.reason(), Reason::Protocol, "{error}");
        assert!(error.to_string().contains("is no gzip, which it claims to be"), "{error}");
    }
}

#[tokio::test]
async fn an_error_that_cannot_be_decoded_is_the_error_that_its_status_says() {
    let registry = ScriptedRegistry::start(|_| reply(403, &[("content-encoding", "gzip")], "denied")).await;
    let error = client(&registry.repository("app")).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Forbidden, "{error}");
}
