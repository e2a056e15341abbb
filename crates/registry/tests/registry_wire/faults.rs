//! Servers that are ill, and connections that break.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use imgop_registry::{Access, Reason, Registries, RegistryError, Settings, Unreachable};

use imgop_fakes::{FaultyRegistry, ScriptedRegistry, json, reply};
use imgop_fakes::{basic, client, names, settings};

async fn tags_of(registry: &FaultyRegistry, settings: Settings) -> RegistryError {
    let registries = Registries::new(settings);
    registries.repository(&registry.repository("a"), &Access::default()).tags().await.unwrap_err()
}

#[tokio::test]
async fn b8_a_registry_that_is_off_is_an_error_value() {
    let repository = FaultyRegistry::absent().await;
    let error = client(&repository).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::Connect));
    assert_eq!((error.status(), error.is_retryable()), (None, true));
    assert!(error.to_string().starts_with(&format!("cannot list the tags of {repository}: ")), "{error}");
}

#[tokio::test]
async fn b8_what_is_not_http_is_an_error_value() {
    for bytes in [&b""[..], b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200", b"\x15\x03\x01\x00\x02\x02\x16"] {
        let registry = FaultyRegistry::sending(bytes).await;
        let error = tags_of(&registry, settings()).await;
        assert!(matches!(error.reason(), Reason::Unreachable(Unreachable::Interrupted)), "{error}");
    }
}

#[tokio::test]
async fn b8_an_answer_that_breaks_off_is_asked_for_again_and_then_an_error_value() {
    let registry =
        FaultyRegistry::sending(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"tags\":[\"a\",\"b\"]}")
            .await;
    let error = tags_of(&registry, settings()).await;
    assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::Interrupted));
    assert_eq!(registry.connections(), 4);

    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n13\r\n{\"tags\":[\"a\",\"b\"]}\r\n";
    let error = tags_of(&FaultyRegistry::sending(chunked).await, settings()).await;
    assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::Interrupted));
}

#[tokio::test]
async fn b8_a_registry_that_falls_silent_is_an_error_value() {
    let silent = Settings { read_timeout: Duration::from_millis(50), retries: 1, ..settings() };
    for bytes in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"tags\""] {
        let registry = FaultyRegistry::hanging_after(bytes).await;
        let error = tags_of(&registry, silent.clone()).await;
        assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::Timeout), "{error}");
        // It has never answered, so it is not tried again: others wait for their turn.
        assert_eq!(registry.connections(), 1);
    }
}

#[tokio::test]
async fn a_list_as_a_whole_has_an_end_too() {
    let registry = ScriptedRegistry::start(|_| {
        let next = fastrand::u64(..);
        let link = format!(r#"</v2/a/tags/list?last={next}>; rel="next""#);
        reply(200, &[("link", &link)], format!(r#"{{"tags":["{next}"]}}"#))
    })
    .await;
    let registries = Registries::new(Settings { list_timeout: Duration::ZERO, ..settings() });
    let error =
        registries.repository(&registry.repository("a"), &Access::default()).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::Timeout));
    assert_eq!(registry.seen().len(), 1);
}

#[tokio::test]
async fn a_registry_that_is_ill_for_a_moment_is_asked_again() {
    for answer in [|| json(500, ""), || json(502, ""), || json(503, ""), || json(504, ""), || json(408, "")] {
        let registry = ScriptedRegistry::with_answers(vec![answer, || json(200, r#"{"tags":["v1"]}"#)]).await;
        assert_eq!(names(&client(&registry.repository("a")).tags().await.unwrap()), ["v1"]);
        assert_eq!(registry.seen().len(), 2);
    }
}

#[tokio::test]
async fn a_registry_that_stays_ill_is_an_error_and_never_an_empty_list() {
    let registry = ScriptedRegistry::start(|_| json(503, "<html>upstream</html>")).await;
    let error = client(&registry.repository("a")).tags().await.unwrap_err();
    assert_eq!((error.reason(), error.status()), (&Reason::Unavailable, Some(503)));
    assert!(error.is_retryable());
    assert_eq!(registry.seen().len(), 4);
}

#[tokio::test]
async fn a_no_is_not_asked_for_twice() {
    for (status, reason) in [
        (403, Reason::Forbidden),
        (418, Reason::Rejected),
        (501, Reason::Unavailable),
        (204, Reason::Protocol),
    ] {
        let registry = ScriptedRegistry::start(move |_| json(status, "")).await;
        let error = client(&registry.repository("a")).tags().await.unwrap_err();
        assert_eq!((error.reason(), error.status()), (&reason, Some(status)));
        assert_eq!(registry.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_registry_that_is_down_is_tried_now_and_then_and_not_by_everybody() {
    let registry = ScriptedRegistry::start(|_| json(500, "")).await;
    let registries = Registries::new(settings());
    for i in 0..50 {
        let client = registries.repository(&registry.repository(&format!("r{i}")), &Access::default());
        let error = client.tags().await.unwrap_err();
        assert_eq!((error.reason(), error.status()), (&Reason::Unavailable, Some(500)), "{i}");
    }
    assert_eq!(registry.seen().len(), 5 * 4, "five whole failures, and then silence");

    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    let lists = (0..50).map(|i| {
        let client = registries.repository(&registry.repository(&format!("r{i}")), &Access::default());
        async move { client.tags().await }
    });
    assert!(join_all(lists).await.iter().all(Result::is_err));
    assert_eq!(registry.seen().len(), 5 * 4 + 1, "one of them tried");
}

#[tokio::test]
async fn a_server_that_answers_more_than_is_read_is_not_ill() {
    let mut answers: Vec<fn() -> axum::response::Response> = vec![|| json(500, ""); 4];
    answers
        .extend([|| json(200, "x".repeat(2_000)), || reply(307, &[("location", "https://a.example/")], "")]);
    answers.extend(vec![(|| json(500, "")) as fn() -> _; 4]);
    answers.push(|| json(200, r#"{"tags":["v1"]}"#));
    let registry = ScriptedRegistry::with_answers(answers).await;
    let registries = Registries::new(Settings { retries: 0, max_list_bytes: 1_000, ..settings() });
    let client = registries.repository(&registry.repository("a"), &Access::default());
    for _ in 0..10 {
        assert!(client.tags().await.is_err());
    }
    assert_eq!(names(&client.tags().await.unwrap()), ["v1"]);
}

#[tokio::test]
async fn what_a_server_says_to_one_is_not_shown_to_others() {
    let registry = ScriptedRegistry::start(|_| {
        json(503, r#"{"errors":[{"code":"TEAM_A","message":"no disk for team-a/secret-project"}]}"#)
    })
    .await;
    let registries = Registries::new(settings());
    let client = |path: &str, access| registries.repository(&registry.repository(path), &access);
    for path in ["team-a/1", "team-a/2", "team-a/3", "team-a/4", "team-a/5"] {
        let error = client(path, basic("a", "hunter2")).tags().await.unwrap_err();
        assert!(error.to_string().contains("no disk"), "{error}");
    }
    let error = client("team-b/x", Access::default()).tags().await.unwrap_err();
    let host = registry.address;
    assert_eq!(
        error.to_string(),
        format!(
            "cannot list the tags of {host}/team-b/x: {host} is out of order; it fails repeatedly, so requests to it \
             are suspended (HTTP 503)"
        )
    );
    assert_eq!((error.reason(), error.code()), (&Reason::Unavailable, None));
}

#[tokio::test]
async fn a_registry_that_has_recovered_is_used_again() {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = down.clone();
    let registry = ScriptedRegistry::start(move |_| {
        if is_down.load(Ordering::Relaxed) { json(503, "") } else { json(200, r#"{"tags":["v1"]}"#) }
    })
    .await;
    let registries = Registries::new(settings());
    let client = registries.repository(&registry.repository("a"), &Access::default());
    for _ in 0..6 {
        assert!(client.tags().await.is_err());
    }
    down.store(false, Ordering::Relaxed);
    assert!(client.tags().await.unwrap_err().to_string().contains("requests to it are suspended"));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    assert_eq!(names(&client.tags().await.unwrap()), ["v1"]);
    assert_eq!(names(&client.tags().await.unwrap()), ["v1"]);
}

#[tokio::test]
async fn a_long_error_page_is_cut_and_the_status_kept() {
    let registry = ScriptedRegistry::start(|_| json(403, "x".repeat(1 << 20))).await;
    let error = client(&registry.repository("a")).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Forbidden);
}
