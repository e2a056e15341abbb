//! What people read of a failure: the repository, what was asked, why not, the status.

use axum::response::Response;
use imgop_registry::reference::{Digest, ManifestRef, Repository};
use imgop_registry::{RegistryError, RepositoryClient};

use imgop_fakes::client;
use imgop_fakes::{FaultyRegistry, ScriptedRegistry, json, reply};

async fn list(client: &RepositoryClient) -> RegistryError {
    client.tags().await.unwrap_err()
}

/// The messages of failed lists, one a line.
async fn messages(answers: &[fn() -> Response]) -> String {
    let mut lines = String::new();
    for answer in answers {
        let answer = *answer;
        let registry = ScriptedRegistry::start(move |_| answer()).await;
        let repository = registry.repository("team/app");
        let error = list(&client(&repository)).await;
        lines.push_str(&said(&repository, &error));
        lines.push('\n');
    }
    lines
}

fn said(repository: &Repository, error: &RegistryError) -> String {
    error.to_string().replace(&repository.host().to_string(), "HOST")
}

#[tokio::test]
async fn refusals_name_the_repository_what_was_asked_and_the_status() {
    let lines = messages(&[
        || json(401, ""),
        || json(403, r#"{"errors":[{"code":"DENIED","message":"no"}]}"#),
        || json(404, r#"{"errors":[{"code":"NAME_UNKNOWN","message":"name unknown"}]}"#),
        || reply(404, &[], "<html>"),
        || json(405, r#"{"errors":[{"code":"UNSUPPORTED","message":"not here"}]}"#),
        || json(429, ""),
        || json(503, ""),
    ])
    .await;
    insta::assert_snapshot!(lines);
}

#[tokio::test]
async fn nonsense_is_reported_as_the_registrys_and_not_repeated() {
    let lines = messages(&[
        || json(200, r#"{"tags":["v1","v2"#),
        || json(200, "<html>"),
        || reply(200, &[("link", "page two")], r#"{"tags":["v1"]}"#),
        || reply(200, &[("link", "</v2/team/app/tags/list?n=1000>; rel=next")], r#"{"tags":["v1"]}"#),
        || reply(307, &[("location", "/v2/team/app/tags/list?n=1000")], ""),
        || reply(307, &[("location", "https://login.example.com/?next=1")], ""),
        || reply(302, &[], ""),
    ])
    .await;
    insta::assert_snapshot!(lines);
}

#[tokio::test]
async fn each_operation_is_named_in_its_error() {
    let registry = ScriptedRegistry::start(|_| json(403, "")).await;
    let repository = registry.repository("team/app");
    let client = client(&repository);
    let (tag, digest) = (ManifestRef::Tag("v1".parse().unwrap()), ManifestRef::Digest(Digest::of(b"index")));
    let errors = [
        client.tags().await.unwrap_err(),
        client.head(&tag).await.unwrap_err(),
        client.manifest(&digest).await.unwrap_err(),
    ];
    let lines: Vec<String> = errors.iter().map(|error| said(&repository, error)).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn a_registry_that_is_off_is_distinguished_from_one_that_hangs_up() {
    let absent = FaultyRegistry::absent().await;
    let hanging_up = FaultyRegistry::sending(b"").await.repository("a");
    let mut lines = Vec::new();
    for repository in [absent, hanging_up] {
        lines.push(said(&repository, &list(&client(&repository)).await));
    }
    assert!(lines[0].starts_with("cannot list the tags of HOST/a: no connection to the host: "), "{lines:?}");
    assert!(lines[1].starts_with("cannot list the tags of HOST/a: the connection broke: "), "{lines:?}");
}

#[tokio::test]
async fn hostile_names_are_never_tags_and_honest_ones_beside_them_stay() {
    let names = [
        "v1",
        "..",
        ".",
        "a/b",
        "a?b",
        "a#b",
        "a%2e",
        "a b",
        "a\tb",
        "a\nb",
        "a\u{0}b",
        "\u{202e}v1",
        "é",
        "-v",
        "--tag=x",
        ".hidden",
        "$(id)",
        "`id`",
        "a;b",
        "a'b",
        "a\"b",
        "a\\b",
        "a@sha256:0",
        "v2",
        &"a".repeat(128),
        &"a".repeat(129),
        &"a".repeat(100_000),
    ];
    let body = serde_json::json!({ "name": "team/app", "tags": names }).to_string();
    let registry = ScriptedRegistry::start(move |_| json(200, body.clone())).await;
    let tags = client(&registry.repository("team/app")).tags().await.unwrap();
    let kept: Vec<&str> = tags.iter().map(imgop_registry::reference::Tag::as_str).collect();
    assert_eq!(kept, [&"a".repeat(128), "v1", "v2"]);
}
