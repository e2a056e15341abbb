//! Registries that make their challenge late, again and again, or for no reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::response::Response;
use imgop_fakes::{ScriptedRegistry, Seen, basic, json, names, reply, settings};
use imgop_registry::reference::ManifestRef;
use imgop_registry::{Manifest, Reason, Registries, Settings, Unreachable};
use tokio::sync::Barrier;

fn bearer(seen: &Seen, rest: &str) -> Response {
    let realm = format!(r#"Bearer realm="http://{}/token"{rest}"#, seen.header("host").unwrap());
    reply(401, &[("www-authenticate", &realm)], "")
}

#[tokio::test]
async fn a_registry_that_names_another_scope_each_time_gets_a_bounded_number_of_requests() {
    let number = Arc::new(AtomicUsize::new(0));
    let registry = ScriptedRegistry::start(move |seen| {
        let number = number.fetch_add(1, Ordering::Relaxed);
        if number > 40 {
            return json(500, "");
        }
        if seen.target.starts_with("/token") {
            return json(200, format!(r#"{{"token":"t{number}"}}"#));
        }
        bearer(seen, &format!(r#",scope="repository:a{number}/app:pull""#))
    })
    .await;
    let client = Registries::new(settings()).push_target(&registry.repository("app"), &basic("u", "p"));
    assert_eq!(*client.tags().await.unwrap_err().reason(), Reason::Unauthorized);
    assert!(registry.seen().len() <= 10, "{:?}", registry.lines());
}

#[tokio::test]
async fn a_scope_that_is_too_long_to_be_one_is_not_asked_for() {
    let registry = ScriptedRegistry::start(|seen| {
        if seen.target.starts_with("/token") {
            return json(200, r#"{"token":"t"}"#);
        }
        bearer(seen, &format!(r#",scope="repository:{}/app:pull""#, "a".repeat(600)))
    })
    .await;
    let client = Registries::new(settings()).repository(&registry.repository("app"), &basic("u", "p"));
    assert_eq!(*client.tags().await.unwrap_err().reason(), Reason::Unauthorized);
    assert!(registry.lines().iter().all(|line| !line.contains("aaaa")), "{:?}", registry.lines());
}

/// A registry that answers 404 without a password and says only at the base of its API that it wants one;
/// the base fails as often as `failures` says.
async fn hiding(failures: usize) -> ScriptedRegistry {
    let pings = Arc::new(AtomicUsize::new(0));
    ScriptedRegistry::start(move |seen| match (seen.target.as_str(), seen.header("authorization")) {
        ("/v2/", _) if pings.fetch_add(1, Ordering::Relaxed) < failures => reply(503, &[], ""),
        ("/v2/", _) => reply(401, &[("www-authenticate", r#"Basic realm="x""#)], ""),
        (_, Some(_)) => json(200, r#"{"tags":["v1"]}"#),
        (_, None) => json(404, r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#),
    })
    .await
}

#[tokio::test]
async fn a_hidden_challenge_is_looked_for_again_after_a_failure() {
    let registry = hiding(1).await;
    let registries = Registries::new(Settings { retries: 0, ..settings() });
    let client = registries.repository(&registry.repository("app"), &basic("u", "p"));
    let error = client.tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Unavailable, "no failure looks like absence: {error}");
    assert_eq!(names(&client.tags().await.unwrap()), ["v1"]);
}

#[tokio::test]
async fn a_hidden_challenge_that_cannot_be_reached_is_an_error_and_no_absent_tag() {
    let registry = ScriptedRegistry::start_async(|seen| async move {
        if seen.target == "/v2/" {
            std::future::pending::<()>().await;
        }
        json(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#)
    })
    .await;
    let read_timeout = std::time::Duration::from_millis(200);
    let registries = Registries::new(Settings { retries: 0, read_timeout, ..settings() });
    let client = registries.repository(&registry.repository("app"), &basic("u", "p"));
    let error = client.head(&ManifestRef::Tag("v1".parse().unwrap())).await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::Timeout), "{error}");
}

#[tokio::test]
async fn two_first_calls_at_once_both_find_a_hidden_challenge() {
    let both = Arc::new(Barrier::new(2));
    let registry = ScriptedRegistry::start_async(move |seen| {
        let both = both.clone();
        async move {
            match (seen.target.as_str(), seen.header("authorization")) {
                ("/v2/", _) => reply(401, &[("www-authenticate", r#"Basic realm="x""#)], ""),
                (_, Some(_)) => json(200, r#"{"tags":["v1"]}"#),
                (_, None) => {
                    both.wait().await;
                    json(404, r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#)
                }
            }
        }
    })
    .await;
    let registries = Registries::new(settings());
    let (a, b) = (registry.repository("a"), registry.repository("b"));
    let (a, b) = (registries.repository(&a, &basic("u", "p")), registries.repository(&b, &basic("u", "p")));
    let (a, b) = tokio::join!(a.tags(), b.tags());
    assert_eq!((names(&a.unwrap()), names(&b.unwrap())), (vec!["v1"], vec!["v1"]));
    assert_eq!(registry.lines().iter().filter(|line| *line == "GET /v2/").count(), 1);
}

/// A registry that wants a token for one repository and none for the other, for which its token server
/// gives none.
async fn half_open() -> ScriptedRegistry {
    ScriptedRegistry::start(|seen| {
        if seen.target.starts_with("/token") {
            let is_closed = seen.target.contains("closed");
            return if is_closed { json(200, r#"{"token":"t"}"#) } else { json(403, "{}") };
        }
        match (seen.target.contains("/closed/"), seen.header("authorization")) {
            (true, None) => bearer(seen, ""),
            _ if seen.method == "PUT" => reply(201, &[], ""),
            _ => json(200, r#"{"tags":["v1"]}"#),
        }
    })
    .await
}

#[tokio::test]
async fn what_a_registry_serves_to_all_is_taken_where_its_token_server_refuses() {
    let registry = half_open().await;
    let registries = Registries::new(settings());
    for path in ["closed", "open"] {
        let client = registries.repository(&registry.repository(path), &basic("u", "p"));
        assert_eq!(names(&client.tags().await.unwrap()), ["v1"], "{path}");
    }
}

#[tokio::test]
async fn a_write_is_never_sent_without_its_authorization() {
    let registry = half_open().await;
    let registries = Registries::new(settings());
    registries.repository(&registry.repository("closed"), &basic("u", "p")).tags().await.unwrap();
    let open = registries.push_target(&registry.repository("open"), &basic("u", "p"));
    let image = br#"{"schemaVersion":2,"config":{"mediaType":"a/b","size":1,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"layers":[]}"#;
    let manifest = Manifest::new("application/vnd.oci.image.manifest.v1+json", image.to_vec().into());
    let error = open.put_manifest(&ManifestRef::Tag("v1".parse().unwrap()), &manifest).await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Forbidden);
    assert_eq!(registry.count("PUT "), 0, "{:?}", registry.lines());
}
