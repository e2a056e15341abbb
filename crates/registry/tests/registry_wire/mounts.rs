//! Blobs that are mounted from another repository of a registry instead of being sent.

use imgop_registry::reference::{Digest, Repository};
use imgop_registry::{Reason, Registries};

use imgop_fakes::{ScriptedRegistry, Seen, json, reply};
use imgop_fakes::{basic, client, settings};

fn layer() -> Digest {
    Digest::of(b"layer")
}

fn post(to: &str, from: &str) -> String {
    let digest = layer().as_str().replace(':', "%3A");
    format!("POST /v2/{to}/blobs/uploads/?mount={digest}&from={}", from.replace('/', "%2F"))
}

/// Says to every POST that an upload has begun at `upload`.
async fn that_begins_uploads(upload: &'static str) -> ScriptedRegistry {
    ScriptedRegistry::start(move |seen| match seen.method.as_str() {
        "POST" => reply(202, &[("location", upload)], ""),
        _ => reply(204, &[], ""),
    })
    .await
}

#[tokio::test]
async fn a_blob_that_another_repository_holds_is_mounted_with_one_request() {
    let registry = ScriptedRegistry::start(|_| reply(201, &[("location", "/v2/b/blobs/x")], "")).await;
    let to = client(&registry.repository("b"));
    assert!(to.mount_blob(&layer(), &registry.repository("team/a")).await.unwrap());
    assert_eq!(registry.lines(), [post("b", "team/a")]);
    assert!(registry.seen()[0].body.is_empty());
    assert_eq!(registry.seen()[0].header("content-length"), Some("0"));
}

#[tokio::test]
async fn an_upload_that_begins_instead_is_cancelled() {
    let registry = that_begins_uploads("/v2/b/blobs/uploads/1?_state=s").await;
    let to = client(&registry.repository("b"));
    assert!(!to.mount_blob(&layer(), &registry.repository("a")).await.unwrap());
    assert_eq!(registry.lines(), [post("b", "a"), "DELETE /v2/b/blobs/uploads/1?_state=s".to_owned()]);
}

#[tokio::test]
async fn nothing_is_deleted_elsewhere_whatever_the_registry_says() {
    let other = ScriptedRegistry::start(|_| reply(204, &[], "")).await;
    let upload = format!("http://{}/v2/b/blobs/uploads/1", other.address).leak();
    for location in [upload, "/v2/b/manifests/latest", "http://[::"] {
        let registry = that_begins_uploads(location).await;
        let to = client(&registry.repository("b"));
        assert!(!to.mount_blob(&layer(), &registry.repository("a")).await.unwrap());
        assert_eq!(registry.lines(), [post("b", "a")], "{location}");
    }
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn other_registries_are_never_asked() {
    let registry = ScriptedRegistry::start(|_| reply(201, &[], "")).await;
    let to = client(&registry.repository("b"));
    let elsewhere: Repository = "quay.io/team/a".parse().unwrap();
    assert!(!to.mount_blob(&layer(), &elsewhere).await.unwrap());
    assert!(!to.mount_blob(&layer(), &registry.repository("b")).await.unwrap(), "it is there already");
    assert!(registry.seen().is_empty());
}

#[tokio::test]
async fn a_registry_that_never_mounts_is_left_alone_after_five_tries() {
    let refusing = ScriptedRegistry::start(|_| json(403, r#"{"errors":[{"code":"DENIED"}]}"#)).await;
    let registries = Registries::new(settings());
    let to = registries.repository(&refusing.repository("b"), &basic("u", "p"));
    for _ in 0..5 {
        let error = to.mount_blob(&layer(), &refusing.repository("a")).await.unwrap_err();
        assert_eq!(*error.reason(), Reason::Forbidden);
        let begins = format!("cannot mount {} into {}: ", layer(), refusing.repository("b"));
        assert!(error.to_string().starts_with(&begins), "{error}");
    }
    assert!(!to.mount_blob(&layer(), &refusing.repository("a")).await.unwrap());
    let also = registries.repository(&refusing.repository("c"), &basic("u", "p"));
    assert!(!also.mount_blob(&layer(), &refusing.repository("a")).await.unwrap());
    assert_eq!(refusing.seen().len(), 5);
    let other = registries.repository(&refusing.repository("b"), &basic("other", "p"));
    assert!(other.mount_blob(&layer(), &refusing.repository("a")).await.is_err());
    assert_eq!(refusing.seen().len(), 6, "another credential may have other rights");
}

/// A registry that mounts for whoever has a token.
async fn with_tokens() -> ScriptedRegistry {
    ScriptedRegistry::start(|seen: &Seen| {
        if seen.target.starts_with("/token") {
            return json(200, r#"{"token":"t"}"#);
        }
        if seen.header("authorization") == Some("Bearer t") {
            return reply(201, &[], "");
        }
        let realm = format!(r#"Bearer realm="http://{}/token",service="s""#, seen.header("host").unwrap());
        reply(401, &[("www-authenticate", &realm)], "")
    })
    .await
}

#[tokio::test]
async fn a_token_server_that_never_lets_us_mount_is_left_alone_after_five_tries() {
    for status in [401, 403] {
        let registry = ScriptedRegistry::start(move |seen: &Seen| {
            if seen.target.starts_with("/token") {
                return json(status, "");
            }
            let realm = format!(r#"Bearer realm="http://{}/token""#, seen.header("host").unwrap());
            reply(401, &[("www-authenticate", &realm)], "")
        })
        .await;
        let to = Registries::new(settings()).repository(&registry.repository("b"), &basic("u", "p"));
        for _ in 0..5 {
            assert!(to.mount_blob(&layer(), &registry.repository("a")).await.is_err());
        }
        let asked = registry.seen().len();
        assert!(!to.mount_blob(&layer(), &registry.repository("a")).await.unwrap());
        assert_eq!(registry.seen().len(), asked, "{status}");
    }
}

#[tokio::test]
async fn the_token_is_for_both_repositories() {
    let registry = with_tokens().await;
    let registries = Registries::new(settings());
    let to = registries.repository(&registry.repository("b"), &basic("u", "p"));
    assert!(to.mount_blob(&layer(), &registry.repository("a")).await.unwrap());
    let scopes = "scope=repository%3Ab%3Apull%2Cpush&scope=repository%3Aa%3Apull";
    assert_eq!(registry.lines(), [post("b", "a"), format!("GET /token?service=s&{scopes}"), post("b", "a")]);

    let token = imgop_registry::Credential::IdentityToken("refresh".into());
    let access = imgop_registry::Access { credential: Some(token), ..Default::default() };
    let to = registries.repository(&registry.repository("b"), &access);
    assert!(to.mount_blob(&layer(), &registry.repository("a")).await.unwrap());
    let posted = registry.seen().into_iter().find(|seen| seen.line() == "POST /token").unwrap();
    let form = std::str::from_utf8(&posted.body).unwrap().to_owned();
    assert!(form.contains("&scope=repository%3Ab%3Apull%2Cpush+repository%3Aa%3Apull&"), "{form}");
}

#[tokio::test]
async fn accounts_differ_by_registry_credential_and_transport() {
    let registries = Registries::new(settings());
    let of = |name: &str, access| registries.repository(&name.parse().unwrap(), &access).account();
    let same = of("r.example.com/a", basic("u", "p"));
    assert_eq!(same, of("r.example.com/b", basic("u", "p")));
    assert_ne!(same, of("other.example.com/a", basic("u", "p")));
    assert_ne!(same, of("r.example.com/a", basic("u", "q")));
    assert_ne!(same, of("r.example.com/a", imgop_fakes::plain(basic("u", "p"))));
    assert!(!format!("{same:?}").contains("\"p\""));
}
