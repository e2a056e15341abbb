//! To whom a credential is shown, and how.

use imgop_registry::{Access, Credential, Reason, Registries, Tls};

use imgop_fakes::{ScriptedRegistry, Seen, TokenRegistry, json, reply};
use imgop_fakes::{basic, names, settings};

/// `user:hunter2` as Basic authorization.
const BASIC: &str = "Basic dXNlcjpodW50ZXIy";

fn wants_basic(seen: &Seen) -> axum::response::Response {
    if seen.header("authorization") == Some(BASIC) {
        json(200, r#"{"tags":["v1"]}"#)
    } else {
        reply(401, &[("www-authenticate", r#"Basic realm="registry""#)], "")
    }
}

#[tokio::test]
async fn a_password_is_sent_only_after_the_registry_asked_for_it_and_then_always() {
    let registry = ScriptedRegistry::start(wants_basic).await;
    let registries = Registries::new(settings());
    let client = registries.repository(&registry.repository("a"), &basic("user", "hunter2"));
    assert_eq!(names(&client.tags().await.unwrap()), ["v1"]);
    registries.repository(&registry.repository("b"), &basic("user", "hunter2")).tags().await.unwrap();
    let shown: Vec<_> =
        registry.seen().iter().map(|s| s.header("authorization").map(str::to_owned)).collect();
    assert_eq!(shown, [None, Some(BASIC.to_owned()), Some(BASIC.to_owned())]);
}

#[tokio::test]
async fn a_wrong_password_is_sent_once() {
    let registry = ScriptedRegistry::start(wants_basic).await;
    let client = Registries::new(settings()).repository(&registry.repository("a"), &basic("user", "old"));
    let error = client.tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Unauthorized);
    assert_eq!(registry.seen().len(), 2);
}

#[tokio::test]
async fn without_a_credential_there_is_one_request_and_a_clear_error() {
    let registry = ScriptedRegistry::start(wants_basic).await;
    let client = Registries::new(settings()).repository(&registry.repository("a"), &Access::default());
    let error = client.tags().await.unwrap_err();
    assert!(
        error.to_string().contains("wants a credential, or there is no such repository (HTTP 401)"),
        "{error}"
    );
    assert_eq!(registry.seen().len(), 1);
}

#[tokio::test]
async fn a_registry_that_wants_nothing_is_shown_nothing() {
    let registry = ScriptedRegistry::start(|_| json(200, r#"{"tags":["v1"]}"#)).await;
    let client = Registries::new(settings()).repository(&registry.repository("a"), &basic("user", "hunter2"));
    client.tags().await.unwrap();
    assert_eq!(registry.seen()[0].header("authorization"), None);
}

#[tokio::test]
async fn with_tokens_the_password_goes_to_the_token_server_alone() {
    let fake = TokenRegistry::start().await;
    let client =
        Registries::new(settings()).repository(&fake.registry.repository("a"), &basic("user", "hunter2"));
    client.tags().await.unwrap();
    let shown = |path: &str| {
        let seen = fake.registry.seen();
        let of = seen.iter().filter(|s| s.target.starts_with(path)).filter_map(|s| s.header("authorization"));
        of.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(shown("/token"), [BASIC]);
    assert!(shown("/v2/").iter().all(|value| value.starts_with("Bearer token-")));
}

#[tokio::test]
async fn a_registry_token_is_shown_as_it_is() {
    let registry = ScriptedRegistry::start(|seen| {
        if seen.header("authorization") == Some("Bearer mine") {
            return json(200, r#"{"tags":["v1"]}"#);
        }
        let bearer = format!(r#"Bearer realm="http://{}/token""#, seen.header("host").unwrap());
        reply(401, &[("www-authenticate", &bearer)], "")
    })
    .await;
    let access = Access { credential: Some(Credential::RegistryToken("mine".into())), ..Access::default() };
    let client = Registries::new(settings()).repository(&registry.repository("a"), &access);
    assert_eq!(names(&client.tags().await.unwrap()), ["v1"]);
    assert_eq!(registry.seen().len(), 2);
}

#[tokio::test]
async fn errors_repeat_no_secret_even_if_the_server_does() {
    let registry = ScriptedRegistry::start(|seen| {
        let shown = seen.header("authorization").unwrap_or_default();
        let message = format!("no: {shown} hunter2 see https://user:hunter2@h.example/x?token=abc\u{1b}[31m");
        let body = format!(r#"{{"errors":[{{"code":"DENIED","message":{message:?}}}]}}"#)
            .replace("\\u{1b}", "\\u001b");
        reply(if shown.is_empty() { 401 } else { 403 }, &[("www-authenticate", "Basic realm=x")], body)
    })
    .await;
    let client = Registries::new(settings()).repository(&registry.repository("a"), &basic("user", "hunter2"));
    let error = client.tags().await.unwrap_err();
    assert_eq!((error.reason(), error.code()), (&Reason::Forbidden, Some("DENIED")));
    for text in [error.to_string(), format!("{error:?}"), format!("{client:?}")] {
        for secret in ["hunter2", "dXNlcjpodW50ZXIy", "token=abc", "\u{1b}", "\\u{1b}"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    assert!(error.to_string().contains("no: Basic *** *** see https://h.example/x"), "{error}");
}

#[tokio::test]
async fn a_ca_bundle_that_is_none_is_said_before_anything_is_sent() {
    let registry = ScriptedRegistry::start(|_| json(200, r#"{"tags":[]}"#)).await;
    let tls = Tls::Verify { extra_ca_pem: Some(b"no certificate".to_vec()) };
    let client = Registries::new(settings())
        .repository(&registry.repository("a"), &Access { tls, ..Access::default() });
    let error = client.tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Settings);
    assert!(registry.seen().is_empty());
}

#[tokio::test]
async fn a_token_that_a_registry_sends_back_is_not_repeated() {
    let registry = ScriptedRegistry::start(|seen| {
        if seen.target.starts_with("/token") {
            return json(200, r#"{"token":"a.short-token"}"#);
        }
        match seen.header("authorization") {
            None => {
                let realm = format!(r#"Bearer realm="http://{}/token""#, seen.header("host").unwrap());
                reply(401, &[("www-authenticate", &realm)], "")
            }
            Some(shown) => {
                let message = format!("no right with {shown}");
                let error = serde_json::json!({"errors": [{"code": shown, "message": message}]});
                json(403, error.to_string())
            }
        }
    })
    .await;
    let client = Registries::new(settings()).repository(&registry.repository("a"), &Access::default());
    let error = client.tags().await.unwrap_err();
    assert!(error.to_string().ends_with("no right with Bearer *** (HTTP 403)"), "{error}");
    assert_eq!(error.code(), Some("Bearer ***"));
}
