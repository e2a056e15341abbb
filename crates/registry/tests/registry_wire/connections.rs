//! How many connections a registry sees, and in which HTTP.

use std::collections::HashMap;

use axum::http::Version;
use axum::response::Response;
use futures::future::join_all;
use imgop_registry::reference::{Digest, ManifestRef};
use imgop_registry::{Access, Registries, RepositoryClient, Settings, Tls};

use imgop_fakes::settings;
use imgop_fakes::{ScriptedRegistry, Seen, reply};

const HOST: &str = "registry.corp.test";
const HEADS: usize = 50;

fn answer(_: &Seen) -> Response {
    let digest = Digest::of(b"x");
    reply(200, &[("docker-content-digest", digest.as_str()), ("content-type", "x")], "")
}

fn behind_tls(registry: &ScriptedRegistry, certificate: Vec<u8>) -> RepositoryClient {
    let addresses = HashMap::from([(HOST.to_owned(), registry.address)]);
    let tls = Tls::Verify { extra_ca_pem: Some(certificate) };
    Registries::new(Settings { addresses, ..settings() })
        .repository(&format!("{HOST}/a").parse().unwrap(), &Access { tls, ..Access::default() })
}

/// One HEAD, and then many at once.
async fn look_up(client: &RepositoryClient) {
    let tag = ManifestRef::Tag("v1".parse().unwrap());
    assert!(client.head(&tag).await.unwrap().is_some());
    assert!(join_all((0..HEADS).map(|_| client.head(&tag))).await.iter().all(Result::is_ok));
}

fn versions(registry: &ScriptedRegistry) -> Vec<Version> {
    let mut versions: Vec<_> = registry.seen().iter().map(|seen| seen.version).collect();
    versions.dedup();
    versions
}

#[tokio::test]
async fn a_registry_that_offers_http2_gets_all_requests_over_one_connection() {
    let (registry, certificate) =
        ScriptedRegistry::start_offering(&["h2", "http/1.1"], &[HOST], answer).await;
    look_up(&behind_tls(&registry, certificate)).await;
    assert_eq!(versions(&registry), [Version::HTTP_2]);
    assert_eq!((registry.connections(), registry.seen().len()), (1, HEADS + 1));
}

#[tokio::test]
async fn a_registry_that_offers_http1_alone_gets_its_requests_over_few_connections() {
    let (registry, certificate) = ScriptedRegistry::start_offering(&["http/1.1"], &[HOST], answer).await;
    look_up(&behind_tls(&registry, certificate)).await;
    assert_eq!(versions(&registry), [Version::HTTP_11]);
    // As many as are asked at once, and some that are opened while another one comes free.
    assert!(registry.connections() < HEADS / 2, "{}", registry.connections());
}

#[tokio::test]
async fn requests_in_a_row_use_one_connection_in_plain_http_and_behind_tls() {
    let tag = ManifestRef::Tag("v1".parse().unwrap());
    let plain = ScriptedRegistry::start(answer).await;
    let client = imgop_fakes::client(&plain.repository("a"));
    for _ in 0..HEADS {
        client.head(&tag).await.unwrap();
    }
    assert_eq!((plain.connections(), plain.seen().len()), (1, HEADS));

    let (registry, certificate) = ScriptedRegistry::start_tls(&[HOST], answer).await;
    let client = behind_tls(&registry, certificate);
    for _ in 0..HEADS {
        client.head(&tag).await.unwrap();
    }
    assert_eq!((registry.connections(), registry.seen().len()), (1, HEADS));
}

#[tokio::test]
async fn two_repositories_with_two_passwords_share_a_connection() {
    let registry = ScriptedRegistry::start(answer).await;
    let registries = Registries::new(settings());
    let tag = ManifestRef::Tag("v1".parse().unwrap());
    for (path, user) in [("a", "alice"), ("b", "bob")] {
        let access = imgop_fakes::basic(user, "x");
        registries.repository(&registry.repository(path), &access).head(&tag).await.unwrap();
    }
    assert_eq!((registry.connections(), registry.seen().len()), (1, 2));
}
