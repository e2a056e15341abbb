//! Looking up, reading and writing manifests.

use std::sync::LazyLock;

use axum::response::Response;
use bytes::Bytes;
use imgop_registry::reference::{Digest, ManifestRef};
use imgop_registry::{Access, Manifest, Reason, Registries, Settings, WriteGate};

use imgop_fakes::{ScriptedRegistry, Seen, TokenRegistry, json, reply};
use imgop_fakes::{basic, client, settings};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const BODY: &str = r#"{"schemaVersion":2,"manifests":[]}"#;
static DIGEST: LazyLock<Digest> = LazyLock::new(|| Digest::of(BODY.as_bytes()));

fn v1() -> ManifestRef {
    ManifestRef::Tag("v1".parse().unwrap())
}

fn by_digest() -> ManifestRef {
    ManifestRef::Digest(DIGEST.clone())
}

fn manifest() -> Manifest {
    Manifest::new(OCI_INDEX, Bytes::from_static(BODY.as_bytes()))
}

fn honest(_: &Seen) -> Response {
    let headers = [("content-type", OCI_INDEX), ("docker-content-digest", DIGEST.as_str())];
    reply(200, &headers, BODY)
}

fn claiming(digest: &str) -> Response {
    reply(200, &[("content-type", OCI_INDEX), ("docker-content-digest", digest)], BODY)
}

#[tokio::test]
async fn looking_up_a_tag_is_one_head_and_no_pull() {
    let registry = ScriptedRegistry::start(honest).await;
    let found = client(&registry.repository("a")).head(&v1()).await.unwrap().unwrap();
    assert_eq!(
        (&found.digest, found.media_type.as_str(), found.size),
        (&*DIGEST, OCI_INDEX, Some(BODY.len() as u64))
    );
    assert_eq!(registry.lines(), ["HEAD /v2/a/manifests/v1"]);
}

#[tokio::test]
async fn head_and_get_accept_the_same_types() {
    let registry = ScriptedRegistry::start(honest).await;
    let client = client(&registry.repository("a"));
    client.head(&v1()).await.unwrap();
    let read = client.manifest(&by_digest()).await.unwrap().unwrap();
    assert_eq!(read, manifest());
    let seen = registry.seen();
    assert_eq!(seen[1].line(), format!("GET /v2/a/manifests/{}", *DIGEST));
    assert_eq!(seen[0].header("accept"), seen[1].header("accept"));
    assert!(seen[0].header("accept").unwrap().starts_with(OCI_INDEX));
}

#[tokio::test]
async fn a_registry_that_tells_no_digest_is_asked_for_the_manifest() {
    let registry = ScriptedRegistry::start(|_| reply(200, &[("content-type", OCI_INDEX)], BODY)).await;
    let client = client(&registry.repository("a"));
    assert_eq!(client.head(&v1()).await.unwrap().unwrap().digest, *DIGEST);
    assert_eq!(registry.lines(), ["HEAD /v2/a/manifests/v1", "GET /v2/a/manifests/v1"]);
    // Asked for by digest, the digest is known.
    assert_eq!(client.head(&by_digest()).await.unwrap().unwrap().digest, *DIGEST);
    assert_eq!(registry.seen().len(), 3);
}

#[tokio::test]
async fn what_is_not_there_is_none() {
    let body = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
    let registry = ScriptedRegistry::start(move |_| json(404, body)).await;
    let client = client(&registry.repository("a"));
    assert_eq!(client.head(&v1()).await.unwrap(), None);
    assert_eq!(client.manifest(&v1()).await.unwrap(), None);
}

#[tokio::test]
async fn a_lying_digest_is_refused() {
    let other = Digest::of(b"other");
    let claim = other.to_string();
    let registry = ScriptedRegistry::start(move |_| claiming(&claim)).await;
    let client = client(&registry.repository("a"));
    let error = client.manifest(&v1()).await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Protocol);
    assert!(
        error.to_string().contains(other.as_str()) && error.to_string().contains(DIGEST.as_str()),
        "{error}"
    );
    assert_eq!(*client.head(&by_digest()).await.unwrap_err().reason(), Reason::Protocol);
    // By tag and without the bytes nothing can be compared: a HEAD is a hint.
    assert_eq!(client.head(&v1()).await.unwrap().unwrap().digest, other);
}

#[tokio::test]
async fn other_bytes_than_the_digest_says_are_refused_without_any_claim() {
    let registry =
        ScriptedRegistry::start(|_| reply(200, &[("content-type", OCI_INDEX)], r#"{"manifests":[1]}"#)).await;
    let error = client(&registry.repository("a")).manifest(&by_digest()).await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Protocol);
}

#[tokio::test]
async fn malformed_digests_are_errors() {
    for claim in ["sha256:../../blobs", "sha512:00", "", "latest"] {
        let registry = ScriptedRegistry::start(move |_| claiming(claim)).await;
        let client = client(&registry.repository("a"));
        assert_eq!(*client.head(&v1()).await.unwrap_err().reason(), Reason::Protocol, "{claim}");
        assert_eq!(*client.manifest(&v1()).await.unwrap_err().reason(), Reason::Protocol, "{claim}");
    }
}

#[tokio::test]
async fn manifests_of_unknown_types_and_too_large_ones_are_errors() {
    let registry = ScriptedRegistry::start(|_| reply(200, &[("content-type", "text/html")], "<html>")).await;
    let repository = registry.repository("a");
    assert_eq!(*client(&repository).manifest(&v1()).await.unwrap_err().reason(), Reason::Protocol);
    assert_eq!(*client(&repository).head(&v1()).await.unwrap_err().reason(), Reason::Protocol);

    let large = ScriptedRegistry::start(honest).await;
    let registries = Registries::new(Settings { max_manifest_bytes: 10, ..settings() });
    let client = registries.repository(&large.repository("a"), &Access::default());
    let error = client.manifest(&v1()).await.unwrap_err();
    assert_eq!(*error.reason(), Reason::TooLarge { limit: 10 });
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_manifest_is_written_as_it_is_with_the_right_to_push() {
    let registry = ScriptedRegistry::start(|seen| {
        if seen.target.starts_with("/token") {
            return json(200, r#"{"token":"t"}"#);
        }
        if seen.header("authorization") != Some("Bearer t") {
            let realm = format!(r#"Bearer realm="http://{}/token""#, seen.header("host").unwrap());
            return reply(401, &[("www-authenticate", &realm)], "");
        }
        reply(201, &[("docker-content-digest", DIGEST.as_str())], "")
    })
    .await;
    let client = Registries::new(settings()).repository(&registry.repository("a"), &basic("u", "p"));
    client.put_manifest(&v1(), &manifest()).await.unwrap();
    let seen = registry.seen();
    assert_eq!(seen[1].query("scope"), Some("repository%3Aa%3Apull%2Cpush"));
    assert_eq!(seen[2].line(), "PUT /v2/a/manifests/v1");
    assert_eq!((seen[2].header("content-type"), &seen[2].body[..]), (Some(OCI_INDEX), BODY.as_bytes()));
}

#[tokio::test]
async fn reading_and_writing_use_tokens_of_their_own() {
    let fake = TokenRegistry::start().await;
    let client = Registries::new(settings()).repository(&fake.registry.repository("a"), &basic("u", "p"));
    client.tags().await.unwrap();
    client.put_manifest(&v1(), &manifest()).await.unwrap();
    client.tags().await.unwrap();
    assert_eq!(fake.tokens_asked(), 2);
}

#[tokio::test]
async fn a_registry_that_stores_something_else_is_an_error() {
    let registry = ScriptedRegistry::start(|_| {
        reply(201, &[("docker-content-digest", Digest::of(b"other").as_str())], "")
    })
    .await;
    let error = client(&registry.repository("a")).put_manifest(&v1(), &manifest()).await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Protocol);
}

#[tokio::test]
async fn a_refused_write_says_the_registrys_own_code() {
    let body = r#"{"errors":[{"code":"TAG_INVALID","message":"the tag is immutable"}]}"#;
    let registry = ScriptedRegistry::start(move |_| json(400, body)).await;
    let error = client(&registry.repository("a")).put_manifest(&v1(), &manifest()).await.unwrap_err();
    assert_eq!((error.reason(), error.code()), (&Reason::Rejected, Some("TAG_INVALID")));
    assert!(!error.is_retryable());
    assert_eq!(registry.seen().len(), 1);
}

#[tokio::test]
async fn a_manifest_is_never_written_under_another_digest_or_to_another_address() {
    let registry = ScriptedRegistry::start(|_| reply(307, &[("location", "/v2/b/manifests/v1")], "")).await;
    let client = client(&registry.repository("a"));
    let wrong = ManifestRef::Digest(Digest::of(b"other"));
    assert!(client.put_manifest(&wrong, &manifest()).await.is_err());
    assert!(registry.seen().is_empty());
    let error = client.put_manifest(&v1(), &manifest()).await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Refused);
    assert_eq!(registry.seen().len(), 1);
}

#[tokio::test]
async fn where_head_is_not_supported_the_manifest_is_read() {
    for status in [400, 403, 405, 501] {
        let registry = ScriptedRegistry::start(move |seen| match seen.method.as_str() {
            "HEAD" => reply(status, &[], ""),
            _ => honest(seen),
        })
        .await;
        let found = client(&registry.repository("a")).head(&v1()).await.unwrap().unwrap();
        assert_eq!((&found.digest, found.size), (&*DIGEST, Some(BODY.len() as u64)), "{status}");
    }
}

#[tokio::test]
async fn where_head_is_not_supported_what_get_says_is_reported() {
    for status in [400, 403, 405, 501] {
        let registry = ScriptedRegistry::start(move |seen| match (seen.method.as_str(), &*seen.target) {
            ("HEAD", _) => reply(status, &[], ""),
            (_, "/v2/a/manifests/v1") => json(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#),
            _ => json(403, r#"{"errors":[{"code":"DENIED","message":"not for you"}]}"#),
        })
        .await;
        let (absent, refused) = (v1(), by_digest());
        let client = client(&registry.repository("a"));
        assert_eq!(client.head(&absent).await.unwrap(), None, "{status}");
        let error = client.head(&refused).await.unwrap_err();
        let reported = (error.reason(), error.code(), error.status());
        assert_eq!(reported, (&Reason::Forbidden, Some("DENIED"), Some(403)), "HEAD: {status}");
        assert!(error.to_string().contains("not for you"), "{error}");
    }
}

#[tokio::test]
async fn the_page_of_a_web_server_is_no_absent_tag() {
    let web_server =
        ScriptedRegistry::start(|_| reply(404, &[("content-type", "text/html")], "<html>")).await;
    let client = client(&web_server.repository("a"));
    for error in [client.head(&v1()).await.unwrap_err(), client.manifest(&v1()).await.unwrap_err()] {
        assert_eq!(*error.reason(), Reason::Protocol);
        assert!(error.to_string().contains("is its name right?"), "{error}");
    }
}

#[tokio::test]
async fn a_manifest_without_a_media_type_is_known_by_its_content() {
    let image = r#"{"schemaVersion":2,"config":{"digest":"DIGEST","size":1},"layers":[]}"#;
    let image = image.replace("DIGEST", DIGEST.as_str());
    let registry = ScriptedRegistry::start(move |seen| {
        let body = if seen.target.ends_with("/v1") { BODY.to_owned() } else { image.clone() };
        reply(200, &[("content-type", "application/octet-stream")], body)
    })
    .await;
    let client = client(&registry.repository("a"));
    assert!(client.manifest(&v1()).await.unwrap().unwrap().is_index());
    let image = client.manifest(&ManifestRef::Tag("v2".parse().unwrap())).await.unwrap().unwrap();
    assert_eq!(image.media_type, "application/vnd.oci.image.manifest.v1+json");
}

#[tokio::test]
async fn a_referrers_api_that_redirects_to_another_host_is_none() {
    let elsewhere = ScriptedRegistry::start(|_| json(404, "")).await;
    let location = format!("http://{}/packages", elsewhere.address);
    let registry = ScriptedRegistry::start(move |_| reply(303, &[("location", &location)], "")).await;
    let client = client(&registry.repository("a"));
    assert_eq!(client.referrers(&DIGEST).await.unwrap(), None);
    assert_eq!(client.referrers(&DIGEST).await.unwrap(), None);
    assert_eq!((registry.seen().len(), elsewhere.seen().len()), (1, 0));
}

#[tokio::test]
async fn a_manifest_in_dockers_old_format_is_known_as_such_by_head_and_by_get() {
    for media_type in [
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.docker.distribution.manifest.v1+json",
    ] {
        let registry = ScriptedRegistry::start(move |_| {
            let headers = [("content-type", media_type), ("docker-content-digest", DIGEST.as_str())];
            reply(200, &headers, BODY)
        })
        .await;
        let client = client(&registry.repository("a"));
        let found = client.head(&v1()).await.unwrap().unwrap();
        assert!(found.check_format().unwrap_err().to_string().contains("schema 1"));
        let error = client.manifest(&v1()).await.unwrap_err();
        assert_eq!((error.reason(), error.is_retryable()), (&Reason::Schema1, false), "{error}");
    }
    let registry = ScriptedRegistry::start(|_| json(200, r#"{"schemaVersion":1,"fsLayers":[]}"#)).await;
    let error = client(&registry.repository("a")).head(&v1()).await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Schema1, "{error}");
}

#[tokio::test]
async fn a_process_that_may_not_write_any_more_reads_and_sends_nothing_that_writes() {
    let registry = ScriptedRegistry::start(honest).await;
    let write_gate = WriteGate::new(|| false);
    let registries = Registries::new(Settings { write_gate, ..settings() });
    let client = registries.repository(&registry.repository("a"), &Access::default());
    let error = client.put_manifest(&v1(), &manifest()).await.unwrap_err();
    assert!(error.to_string().contains("does not hold the lease"), "{error}");
    assert!(client.head(&v1()).await.unwrap().is_some());
    assert!(registry.seen().iter().all(|seen| seen.method != "PUT"), "{:?}", registry.lines());
}
