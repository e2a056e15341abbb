//! Tokens: fetched when needed, once, and not longer used than they live.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use imgop_registry::{Access, Credential, Reason, Registries};

use imgop_fakes::{ScriptedRegistry, TokenRegistry, json, reply};
use imgop_fakes::{basic, names, settings};

#[tokio::test]
async fn the_challenge_is_remembered_and_no_ping_precedes_requests() {
    let fake = TokenRegistry::start().await;
    let registries = Registries::new(settings());
    let a = registries.repository(&fake.registry.repository("a"), &Access::default());
    assert_eq!(names(&a.tags().await.unwrap()), ["v1"]);
    a.tags().await.unwrap();
    let b = registries.repository(&fake.registry.repository("b"), &Access::default());
    b.tags().await.unwrap();
    let host = fake.registry.address;
    let service = host.to_string().replace(':', "%3A");
    assert_eq!(
        fake.registry.lines(),
        [
            "GET /v2/a/tags/list?n=1000".to_owned(),
            format!("GET /token?service={service}&scope=repository%3Aa%3Apull"),
            "GET /v2/a/tags/list?n=1000".to_owned(),
            // A second list of the same repository: one request.
            "GET /v2/a/tags/list?n=1000".to_owned(),
            // Another repository: its token first, and no 401.
            format!("GET /token?service={service}&scope=repository%3Ab%3Apull"),
            "GET /v2/b/tags/list?n=1000".to_owned(),
        ]
    );
}

#[tokio::test]
async fn many_who_need_the_same_token_fetch_it_once() {
    let fake = TokenRegistry::start().await;
    let registries = Registries::new(settings());
    let client = registries.repository(&fake.registry.repository("a"), &Access::default());
    for listed in join_all((0..50).map(|_| client.tags())).await {
        assert_eq!(names(&listed.unwrap()), ["v1"]);
    }
    assert_eq!(fake.tokens_asked(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_runs_out() {
    let fake = TokenRegistry::start().await;
    let registries = Registries::new(settings());
    let client = registries.repository(&fake.registry.repository("a"), &Access::default());
    let later = async |seconds| {
        // The clock stands still only while it is moved: the sockets need a running one.
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
    };
    client.tags().await.unwrap();
    later(230).await;
    client.tags().await.unwrap();
    assert_eq!(fake.tokens_asked(), 1, "the token lives for 300 seconds");
    later(15).await;
    client.tags().await.unwrap();
    assert_eq!(fake.tokens_asked(), 2, "at 80 % of its life it is renewed");
    assert_eq!(fake.shown().iter().filter(|shown| shown.is_none()).count(), 1, "there was no second 401");
}

#[tokio::test]
async fn a_revoked_token_is_replaced_once() {
    let fake = TokenRegistry::start().await;
    let registries = Registries::new(settings());
    let client = registries.repository(&fake.registry.repository("a"), &Access::default());
    client.tags().await.unwrap();
    fake.revoke();
    assert_eq!(names(&client.tags().await.unwrap()), ["v1"]);
    assert_eq!(fake.tokens_asked(), 2);
}

#[tokio::test]
async fn a_registry_that_refuses_its_own_fresh_token_is_not_asked_again() {
    let registry = ScriptedRegistry::start(|seen| {
        if seen.target.starts_with("/token") {
            return json(200, r#"{"access_token":"t","expires_in":"600"}"#);
        }
        let realm = format!(r#"Bearer realm="http://{}/token""#, seen.header("host").unwrap());
        reply(401, &[("www-authenticate", &realm)], "")
    })
    .await;
    let client = Registries::new(settings()).repository(&registry.repository("a"), &basic("u", "p"));
    let error = client.tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Unauthorized);
    assert!(!error.is_retryable());
    assert_eq!(registry.seen().len(), 3, "{:?}", registry.lines());
    assert_eq!(registry.seen()[2].header("authorization"), Some("Bearer t"));
}

#[tokio::test]
async fn a_registry_that_changes_its_mind_all_the_time_is_left_alone() {
    let registry = ScriptedRegistry::start(|seen| {
        if seen.target.starts_with("/token") {
            return json(200, format!(r#"{{"token":"{}"}}"#, fastrand::u64(..)));
        }
        let host = seen.header("host").unwrap();
        let basic_next = seen.header("authorization").is_some_and(|shown| shown.len() > "Bearer mine".len());
        let bearer = format!(r#"Bearer realm="http://{host}/token?{}""#, fastrand::u64(..));
        let challenge = if basic_next { "Basic realm=x" } else { &bearer };
        reply(401, &[("www-authenticate", challenge)], "")
    })
    .await;
    let client = Registries::new(settings()).repository(&registry.repository("a"), &basic("u", "p"));
    assert_eq!(*client.tags().await.unwrap_err().reason(), Reason::Unauthorized);
    assert!(registry.seen().len() <= 6, "{:?}", registry.lines());

    let before = registry.seen().len();
    let access = Access { credential: Some(Credential::RegistryToken("mine".into())), ..Access::default() };
    let client = Registries::new(settings()).repository(&registry.repository("a"), &access);
    assert_eq!(*client.tags().await.unwrap_err().reason(), Reason::Unauthorized);
    assert!(registry.seen().len() <= before + 3, "{:?}", registry.lines());
}

#[tokio::test]
async fn harbors_basic_challenge_for_an_old_token_still_means_a_new_token() {
    let revoked = Arc::new(AtomicBool::new(false));
    let is_revoked = revoked.clone();
    let registry = ScriptedRegistry::start(move |seen| {
        let host = seen.header("host").unwrap();
        let revoked = is_revoked.load(Ordering::Relaxed);
        if seen.target.starts_with("/token") {
            return json(200, if revoked { r#"{"token":"new"}"# } else { r#"{"token":"old"}"# });
        }
        match seen.header("authorization") {
            Some("Bearer new") => json(200, r#"{"tags":["v1"]}"#),
            Some("Bearer old") if !revoked => json(200, r#"{"tags":["v1"]}"#),
            Some(_) => reply(401, &[("www-authenticate", r#"Basic realm="harbor""#)], ""),
            None => {
                let bearer = format!(r#"Bearer realm="http://{host}/token",service="harbor-registry""#);
                reply(401, &[("www-authenticate", &bearer)], "")
            }
        }
    })
    .await;
    let client = Registries::new(settings()).repository(&registry.repository("a"), &basic("u", "p"));
    client.tags().await.unwrap();
    revoked.store(true, Ordering::Relaxed);
    client.tags().await.unwrap();
    let seen = registry.seen();
    let shown =
        seen.iter().filter(|s| s.target.starts_with("/v2/")).filter_map(|s| s.header("authorization"));
    assert!(shown.into_iter().all(|shown| shown.starts_with("Bearer ")));
}

#[tokio::test]
async fn different_credentials_never_share_a_token() {
    let fake = TokenRegistry::start().await;
    let registries = Registries::new(settings());
    let repository = fake.registry.repository("a");
    for access in
        [basic("alice", "x"), basic("bob", "x"), basic("alice", "y"), Access::default(), basic("bob", "x")]
    {
        registries.repository(&repository, &access).tags().await.unwrap();
    }
    assert_eq!(fake.tokens_asked(), 4);
}

#[tokio::test]
async fn an_identity_token_is_exchanged_in_a_post() {
    let fake = TokenRegistry::start().await;
    let access =
        Access { credential: Some(Credential::IdentityToken("refresh+me".into())), ..Access::default() };
    let client = Registries::new(settings()).repository(&fake.registry.repository("a"), &access);
    client.tags().await.unwrap();
    let seen = fake.registry.seen();
    assert_eq!(seen[1].line(), "POST /token");
    assert_eq!(seen[1].header("content-type"), Some("application/x-www-form-urlencoded"));
    let service = fake.registry.address.to_string().replace(':', "%3A");
    assert_eq!(
        std::str::from_utf8(&seen[1].body).unwrap(),
        format!(
            "grant_type=refresh_token&client_id=imgop&scope=repository%3Aa%3Apull&refresh_token=refresh%2Bme&service={service}"
        )
    );
}

#[tokio::test]
async fn an_identity_token_may_be_exchanged_for_an_access_token_alone() {
    let registry = ScriptedRegistry::start(|seen| {
        if seen.line() == "POST /token" {
            return json(200, r#"{"access_token":"t","expires_in":300}"#);
        }
        if seen.header("authorization") == Some("Bearer t") {
            return json(200, r#"{"tags":["v1"]}"#);
        }
        let realm = format!(r#"Bearer realm="http://{}/token",service="s""#, seen.header("host").unwrap());
        reply(401, &[("www-authenticate", &realm)], "")
    })
    .await;
    let access =
        Access { credential: Some(Credential::IdentityToken("refresh".into())), ..Access::default() };
    let client = Registries::new(settings()).repository(&registry.repository("a"), &access);
    assert_eq!(names(&client.tags().await.unwrap()), ["v1"]);
    assert_eq!(registry.count("POST /token"), 1, "{:?}", registry.lines());
}

#[tokio::test]
async fn a_refused_credential_never_turns_into_an_anonymous_request() {
    let fake = TokenRegistry::granting(|seen| match seen.header("authorization") {
        None => (200, r#""expires_in":300"#.to_owned()),
        Some(_) => (401, String::new()),
    })
    .await;
    let client = Registries::new(settings()).repository(&fake.registry.repository("a"), &basic("u", "wrong"));
    let error = client.tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Unauthorized);
    assert_eq!(fake.tokens_asked(), 1);
    assert_eq!(fake.shown(), [None]);
}

#[tokio::test]
async fn b8_garbage_from_a_token_server_is_an_error_value() {
    for body in ["<html>", "{}", r#"{"token":""}"#, r#"{"token":"a b\r\nX: y"}"#, r#"{"token":7}"#] {
        let registry = ScriptedRegistry::start(move |seen| {
            if seen.target.starts_with("/token") {
                return json(200, body);
            }
            let realm = format!(r#"Bearer realm="http://{}/token""#, seen.header("host").unwrap());
            reply(401, &[("www-authenticate", &realm)], "")
        })
        .await;
        let client = Registries::new(settings()).repository(&registry.repository("a"), &Access::default());
        assert_eq!(*client.tags().await.unwrap_err().reason(), Reason::Protocol, "{body}");
    }
}

#[tokio::test]
async fn an_empty_token_beside_an_access_token_and_odd_lifetimes_are_taken() {
    for fields in [
        r#""token":"","access_token":"t""#,
        r#""token":null,"access_token":"t""#,
        r#""token":"t","access_token":"""#,
        r#""token":"t","expires_in":0"#,
        r#""token":"t","expires_in":-1"#,
        r#""token":"t","expires_in":0.5"#,
        r#""token":"t","expires_in":null"#,
        r#""token":"t","expires_in":1e30"#,
    ] {
        let registry = ScriptedRegistry::start(move |seen| {
            if seen.target.starts_with("/token") {
                return json(200, format!("{{{fields}}}"));
            }
            if seen.header("authorization") == Some("Bearer t") {
                return json(200, r#"{"tags":["v1"]}"#);
            }
            let realm = format!(r#"Bearer realm="http://{}/token?a=b&c=""#, seen.header("host").unwrap());
            reply(401, &[("www-authenticate", &realm)], "")
        })
        .await;
        let client = Registries::new(settings()).repository(&registry.repository("a"), &Access::default());
        for _ in 0..2 {
            assert_eq!(names(&client.tags().await.unwrap()), ["v1"], "{fields}");
        }
        let tokens = registry.lines().into_iter().filter(|line| line.starts_with("GET /token"));
        // The query of the realm is kept. A lifetime that is none counts as a minute.
        assert_eq!(tokens.collect::<Vec<_>>(), ["GET /token?a=b&c=&scope=repository%3Aa%3Apull"], "{fields}");
    }
}
