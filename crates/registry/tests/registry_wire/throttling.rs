//! Registries that want fewer requests, and how many they get.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use imgop_registry::{Access, Reason, Registries, RequestLimit, RequestLimits, Settings};
use tokio::sync::Barrier;

use imgop_fakes::{ScriptedRegistry, json, reply};
use imgop_fakes::{basic, client, names, settings};

#[tokio::test]
async fn a_429_is_waited_out() {
    let registry = ScriptedRegistry::with_answers(vec![
        || reply(429, &[("retry-after", "0")], ""),
        || reply(429, &[], ""),
        || json(200, r#"{"tags":["v1"]}"#),
    ])
    .await;
    assert_eq!(names(&client(&registry.repository("a")).tags().await.unwrap()), ["v1"]);
    assert_eq!(registry.seen().len(), 3);
}

/// rancher/image-mirror tries again after 500, 502, 503 and 504, and not after 429.
#[tokio::test]
async fn image_mirror_a_429_between_two_pages_is_waited_out_and_the_list_is_whole() {
    let registry = ScriptedRegistry::with_answers(vec![
        || reply(200, &[("link", r#"</v2/a/tags/list?n=1000&last=v1>; rel="next""#)], r#"{"tags":["v1"]}"#),
        || reply(429, &[("retry-after", "0")], ""),
        || json(200, r#"{"tags":["v2"]}"#),
    ])
    .await;
    assert_eq!(names(&client(&registry.repository("a")).tags().await.unwrap()), ["v1", "v2"]);
    assert_eq!(registry.seen().len(), 3);
}

#[tokio::test]
async fn image_mirror_a_429_that_stays_between_two_pages_is_an_error_and_no_shorter_list() {
    let registry = ScriptedRegistry::with_answers(vec![
        || reply(200, &[("link", r#"</v2/a/tags/list?n=1000&last=v1>; rel="next""#)], r#"{"tags":["v1"]}"#),
        || reply(429, &[("retry-after", "0")], ""),
    ])
    .await;
    let error = client(&registry.repository("a")).tags().await.unwrap_err();
    assert!(matches!(error.reason(), Reason::RateLimited { .. }), "{error}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_long_pause_is_left_to_the_caller_and_no_request_is_sent_meanwhile() {
    let registry = ScriptedRegistry::start(|_| {
        let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"pull rate limit reached"}]}"#;
        reply(429, &[("retry-after", "1200")], body)
    })
    .await;
    let registries = Registries::new(settings());
    let a = registries.repository(&registry.repository("a"), &Access::default());
    let error = a.tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::RateLimited { retry_after: Some(Duration::from_mins(20)) });
    assert_eq!((error.code(), error.is_retryable()), (Some("TOOMANYREQUESTS"), true));
    assert_eq!(registry.seen().len(), 1);

    let b = registries.repository(&registry.repository("b"), &Access::default());
    let error = b.tags().await.unwrap_err();
    assert!(
        matches!(error.reason(), Reason::RateLimited { retry_after: Some(left) } if left.as_secs() > 1100)
    );
    assert_eq!(registry.seen().len(), 1, "the pause counts for the whole registry");

    let u = registries.repository(&registry.repository("b"), &basic("u", "p"));
    assert!(u.tags().await.is_err());
    assert!(u.tags().await.is_err());
    assert_eq!(registry.seen().len(), 2, "and not for another account, which has its own");
    let v = registries.repository(&registry.repository("b"), &basic("v", "p"));
    assert!(v.tags().await.is_err());
    assert_eq!(registry.seen().len(), 3, "nor that of one account for the next");
}

#[tokio::test]
async fn a_burst_of_429s_means_fewer_requests_at_a_time() {
    // What a host receives at once before anything is known of it.
    const BURST: usize = 6;
    let (count, under_way, most) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let barrier = Arc::new(Barrier::new(BURST));
    let registry = {
        let most = most.clone();
        ScriptedRegistry::start_async(move |_| {
            let (count, under_way) = (count.clone(), under_way.clone());
            let (most, barrier) = (most.clone(), barrier.clone());
            async move {
                if count.fetch_add(1, Ordering::SeqCst) < BURST {
                    barrier.wait().await;
                    return reply(429, &[], "");
                }
                most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                }
                under_way.fetch_sub(1, Ordering::SeqCst);
                json(200, r#"{"tags":[]}"#)
            }
        })
        .await
    };
    let registries = Registries::new(Settings { concurrency_per_registry: BURST, ..settings() });
    let lists = (0..BURST).map(|i| {
        let client = registries.repository(&registry.repository(&format!("r{i}")), &Access::default());
        async move { client.tags().await }
    });
    assert!(join_all(lists).await.iter().all(Result::is_ok));
    // Half of six, and one more after three went well.
    assert!(most.load(Ordering::SeqCst) <= 4, "{most:?}");
}

#[tokio::test]
async fn absurd_pauses_are_an_hour_at_most() {
    let registry = ScriptedRegistry::start(|_| reply(429, &[("retry-after", "1000000000")], "")).await;
    let error = client(&registry.repository("a")).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::RateLimited { retry_after: Some(Duration::from_hours(1)) });
}

#[tokio::test]
async fn a_429_without_an_end_is_an_error_after_the_retries() {
    let registry = ScriptedRegistry::start(|_| reply(429, &[("retry-after", "-7")], "")).await;
    let error = client(&registry.repository("a")).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::RateLimited { retry_after: None });
    assert_eq!(registry.seen().len(), 4);
}

#[tokio::test]
async fn as_many_requests_as_allowed_are_under_way_and_never_more() {
    const ALLOWED: usize = 3;
    let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    // No request gets an answer before three are made at once.
    let barrier = Arc::new(Barrier::new(ALLOWED));
    let registry = {
        let most = most.clone();
        ScriptedRegistry::start_async(move |_| {
            let (under_way, most, barrier) = (under_way.clone(), most.clone(), barrier.clone());
            async move {
                most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                barrier.wait().await;
                under_way.fetch_sub(1, Ordering::SeqCst);
                json(200, r#"{"tags":[]}"#)
            }
        })
        .await
    };
    let registries = Registries::new(Settings { concurrency_per_registry: ALLOWED, ..settings() });
    let lists = (0..ALLOWED * 10).map(|i| {
        let client = registries.repository(&registry.repository(&format!("r{i}")), &Access::default());
        async move { client.tags().await }
    });
    assert!(join_all(lists).await.iter().all(Result::is_ok));
    assert_eq!(most.load(Ordering::SeqCst), ALLOWED);
}

#[tokio::test]
async fn a_registry_that_an_administrator_limits_has_no_more_requests_at_once() {
    const ALLOWED: usize = 2;
    let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let registry = {
        let most = most.clone();
        ScriptedRegistry::start_async(move |_| {
            let (under_way, most) = (under_way.clone(), most.clone());
            async move {
                most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                }
                under_way.fetch_sub(1, Ordering::SeqCst);
                json(200, r#"{"tags":[]}"#)
            }
        })
        .await
    };
    let request_limits = RequestLimits::new(|_, _| {
        Some(RequestLimit { registry: "limited".to_owned(), concurrent_requests: ALLOWED })
    });
    let registries = Registries::new(Settings { concurrency_per_registry: 8, request_limits, ..settings() });
    let lists = (0..ALLOWED * 10).map(|i| {
        let client = registries.repository(&registry.repository(&format!("r{i}")), &Access::default());
        async move { client.tags().await }
    });
    assert!(join_all(lists).await.iter().all(Result::is_ok));
    assert!(most.load(Ordering::SeqCst) <= ALLOWED, "{most:?}");
}

#[tokio::test]
async fn a_registry_that_allows_only_one_request_at_a_time_is_served_to_the_end() {
    let under_way = Arc::new(AtomicUsize::new(0));
    let registry = ScriptedRegistry::start_async(move |_| {
        let under_way = under_way.clone();
        async move {
            let others = under_way.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            under_way.fetch_sub(1, Ordering::SeqCst);
            if others > 0 { reply(429, &[], "") } else { json(200, r#"{"tags":[]}"#) }
        }
    })
    .await;
    let registries = Registries::new(Settings { retries: 20, ..settings() });
    let lists = (0..40).map(|i| {
        let client = registries.repository(&registry.repository(&format!("r{i}")), &Access::default());
        async move { client.tags().await }
    });
    assert!(join_all(lists).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn those_who_queued_when_the_pause_began_wait_too() {
    let registry = ScriptedRegistry::start(|_| reply(429, &[("retry-after", "600")], "")).await;
    let registries = Registries::new(Settings { concurrency_per_registry: 2, ..settings() });
    let lists = (0..50).map(|i| {
        let client = registries.repository(&registry.repository(&format!("r{i}")), &Access::default());
        async move { client.tags().await.unwrap_err() }
    });
    for error in join_all(lists).await {
        assert!(matches!(error.reason(), Reason::RateLimited { retry_after: Some(_) }), "{error}");
    }
    assert!(registry.seen().len() <= 2, "{}", registry.seen().len());
}

#[tokio::test]
async fn a_rate_limit_that_is_told_by_its_code_alone_is_one() {
    for status in [400, 403] {
        let registry = ScriptedRegistry::start(move |_| {
            let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#;
            reply(status, &[("retry-after", "7")], body)
        })
        .await;
        let error = client(&registry.repository("a")).tags().await.unwrap_err();
        let retry_after = Some(Duration::from_secs(7));
        assert_eq!(*error.reason(), Reason::RateLimited { retry_after }, "{error}");
        assert!(error.to_string().contains("wants fewer requests: slow down"), "{error}");
    }
}

#[tokio::test]
async fn a_limit_on_requests_is_no_limit_on_pulls() {
    for (limit, remaining) in
        [("60", "0"), ("60;w=60", "0;w=60"), ("100, 100;w=1", "0"), ("5000;w=86400", "0;w=86400")]
    {
        let registry = ScriptedRegistry::start(move |_| {
            reply(200, &[("ratelimit-limit", limit), ("ratelimit-remaining", remaining)], r#"{"tags":[]}"#)
        })
        .await;
        let registries = Registries::new(settings());
        let client = registries.repository(&registry.repository("a"), &Access::default());
        client.tags().await.unwrap();
        assert!(!client.counts_pulls() && client.reserve_pulls(100).is_ok(), "{remaining}");
        assert!(registries.rate_limits().is_empty(), "{remaining}");
    }
}

#[tokio::test]
async fn a_503_with_a_pause_is_waited_out_or_left_to_the_caller() {
    let registry = ScriptedRegistry::with_answers(vec![|| reply(503, &[("retry-after", "0")], ""), || {
        json(200, r#"{"tags":["v1"]}"#)
    }])
    .await;
    assert_eq!(names(&client(&registry.repository("a")).tags().await.unwrap()), ["v1"]);
    let registry = ScriptedRegistry::start(|_| reply(503, &[("retry-after", "1200")], "")).await;
    let client = client(&registry.repository("a"));
    assert_eq!(*client.tags().await.unwrap_err().reason(), Reason::Unavailable);
    assert!(matches!(
        client.tags().await.unwrap_err().reason(),
        Reason::RateLimited { retry_after: Some(_) }
    ));
    assert_eq!(registry.seen().len(), 1, "nothing is sent before the pause is over");
}
