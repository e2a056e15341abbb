//! Registries that are slow, or never come to an end: all waits have one.

use std::collections::HashMap;
use std::time::Duration;

use imgop_registry::reference::ManifestRef;
use imgop_registry::{Access, Reason, Registries, Settings, Tls, Unreachable};

use imgop_fakes::FaultyRegistry;
use imgop_fakes::settings;

const MOMENT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_registry_that_drips_is_given_up_though_it_is_never_silent() {
    let drip = Duration::from_millis(5);
    for head in [
        &b"HTTP/1.1 200 OK\r\nx-pad: "[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{\"tags\":[\"",
    ] {
        let registry = FaultyRegistry::dripping(head, b'a', drip).await;
        // Each byte comes in time; all of them would not.
        let slow = Settings { read_timeout: Duration::from_mins(1), request_timeout: MOMENT, ..settings() };
        let client = Registries::new(slow).repository(&registry.repository("a"), &Access::default());
        let error = client.tags().await.unwrap_err();
        assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::Timeout), "{error}");
        assert!(registry.connections() <= 1, "the time for one request is that for all its attempts");
    }
}

#[tokio::test]
async fn a_tls_handshake_without_an_answer_times_out() {
    let registry = FaultyRegistry::hanging_after(b"").await;
    let addresses = HashMap::from([("registry.corp.test".to_owned(), registry.address())]);
    let settings = Settings { addresses, connect_timeout: MOMENT, retries: 0, ..settings() };
    let access = Access { tls: Tls::SkipVerify, ..Access::default() };
    let client = Registries::new(settings).repository(&"registry.corp.test/a".parse().unwrap(), &access);
    let error = client.head(&ManifestRef::Tag("v1".parse().unwrap())).await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::Timeout), "{error}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn one_name_without_an_end_is_cut_at_the_cap_and_not_kept() {
    let registry =
        FaultyRegistry::dripping(b"HTTP/1.1 200 OK\r\n\r\n{\"tags\":[\"", b'a', Duration::ZERO).await;
    let registries = Registries::new(Settings { max_list_bytes: 10_000, ..settings() });
    let error =
        registries.repository(&registry.repository("a"), &Access::default()).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::TooLarge { limit: 10_000 }, "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_registry_that_has_never_answered_is_asked_once() {
    let registry = FaultyRegistry::hanging_after(b"").await;
    let settings = Settings { read_timeout: MOMENT, retries: 3, ..settings() };
    let client = Registries::new(settings).repository(&registry.repository("a"), &Access::default());
    let error = client.head(&ManifestRef::Tag("v1".parse().unwrap())).await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::Timeout), "{error}");
    assert_eq!(registry.connections(), 1);
}
