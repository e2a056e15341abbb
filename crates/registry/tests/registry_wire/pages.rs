//! Tag lists of more than one page.

use axum::response::Response;
use imgop_registry::{Access, Reason, Registries, Settings};

use imgop_fakes::{ScriptedRegistry, Seen, json, reply};
use imgop_fakes::{client, names, settings};

fn page(tags: &str, link: &str) -> Response {
    reply(200, &[("link", link)], format!(r#"{{"name":"a/b","tags":[{tags}]}}"#))
}

/// Pages as distribution makes them: `n` names after `last`.
fn distribution(all: &[String], seen: &Seen) -> Response {
    let n: usize = seen.query("n").map_or(100, |n| n.parse().unwrap());
    let after = seen.query("last").map_or(0, |last| all.iter().position(|tag| tag == last).unwrap() + 1);
    let end = usize::min(after + n, all.len());
    let tags: Vec<String> = all[after..end].iter().map(|tag| format!("{tag:?}")).collect();
    let body = format!(r#"{{"name":"a/b","tags":[{}]}}"#, tags.join(","));
    if end == all.len() {
        return json(200, body);
    }
    let link = format!(r#"</v2/a/b/tags/list?last={}&n={n}>; rel="next""#, all[end - 1]);
    reply(200, &[("link", &link)], body)
}

#[tokio::test]
async fn b9_more_than_a_thousand_tags_are_all_seen() {
    let all: Vec<String> = (0..2_645).map(|i| format!("v{i:04}")).collect();
    let registry = ScriptedRegistry::start({
        let all = all.clone();
        move |seen| distribution(&all, seen)
    })
    .await;
    let tags = client(&registry.repository("a/b")).tags().await.unwrap();
    assert_eq!(names(&tags), all);
    assert_eq!(
        registry.lines(),
        [
            "GET /v2/a/b/tags/list?n=1000",
            "GET /v2/a/b/tags/list?last=v0999&n=1000",
            "GET /v2/a/b/tags/list?last=v1999&n=1000",
        ]
    );
}

#[tokio::test]
async fn cursors_are_sent_back_as_they_came_whether_relative_or_absolute() {
    let registry = ScriptedRegistry::start(|seen| {
        let host = seen.header("host").unwrap();
        match seen.target.as_str() {
            "/v2/a/b/tags/list?n=1000" => page(r#""a""#, r#"<?next_page=gAAA%2B%2F==&x>; rel="next""#),
            "/v2/a/b/tags/list?next_page=gAAA%2B%2F==&x" => page(
                r#""b""#,
                &format!(r#"<http://{host}/v2/a/b/tags/list?last=b;c>; rel="prev next"; title="x""#),
            ),
            "/v2/a/b/tags/list?last=b;c" => json(200, r#"{"tags":["c"]}"#),
            _ => json(500, "{}"),
        }
    })
    .await;
    let tags = client(&registry.repository("a/b")).tags().await.unwrap();
    assert_eq!(names(&tags), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_page_that_fails_fails_the_list_and_never_makes_it_smaller() {
    for status in [301, 401, 403, 404, 418, 500] {
        let registry = ScriptedRegistry::start(move |seen| match seen.query("last") {
            None => page(r#""a""#, r#"</v2/a/b/tags/list?last=a>; rel="next""#),
            Some("a") => page(r#""b""#, r#"</v2/a/b/tags/list?last=b>; rel="next""#),
            _ => json(status, r#"{"errors":[{"code":"X","message":"no"}]}"#),
        })
        .await;
        let error = client(&registry.repository("a/b")).tags().await.unwrap_err();
        assert_ne!(*error.reason(), Reason::RepositoryNotFound, "the repository was there a page ago");
        assert_eq!(error.status(), Some(status));
    }
}

#[tokio::test]
async fn pages_in_a_circle_end_with_an_error() {
    let registry = ScriptedRegistry::start(|seen| match seen.query("last") {
        Some("a") => page(r#""b""#, r#"</v2/a/b/tags/list?n=1000>; rel="next""#),
        _ => page(r#""a""#, r#"</v2/a/b/tags/list?last=a>; rel="next""#),
    })
    .await;
    let error = client(&registry.repository("a/b")).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Protocol);
    assert_eq!(registry.seen().len(), 2);
}

#[tokio::test]
async fn endless_pages_without_new_tags_end_with_an_error() {
    let registry = ScriptedRegistry::start(|_| {
        page(r#""a""#, &format!(r#"</v2/a/b/tags/list?last={}>; rel="next""#, fastrand::u64(..)))
    })
    .await;
    let error = client(&registry.repository("a/b")).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Protocol);
    assert_eq!(registry.seen().len(), 2);
}

#[tokio::test]
async fn endless_pages_with_new_tags_end_at_the_cap() {
    let registry = ScriptedRegistry::start(|_| {
        let next = fastrand::u64(..);
        page(&format!(r#""{next}""#), &format!(r#"</v2/a/b/tags/list?last={next}>; rel="next""#))
    })
    .await;
    let registries = Registries::new(Settings { max_pages: 5, ..settings() });
    let client = registries.repository(&registry.repository("a/b"), &Access::default());
    let error = client.tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::TooLarge { limit: 5 });
    assert!(error.to_string().contains("more than 5 pages"), "{error}");
    assert_eq!(registry.seen().len(), 5);
}

#[tokio::test]
async fn bytes_are_counted_over_all_pages() {
    let registry = ScriptedRegistry::start(|_| {
        let next = fastrand::u64(..);
        let link = format!(r#"</v2/a/b/tags/list?last={next}>; rel="next""#);
        reply(200, &[("link", &link)], format!(r#"{{"pad":"{}","tags":["{next}"]}}"#, "x".repeat(1000)))
    })
    .await;
    let registries = Registries::new(Settings { max_list_bytes: 2_500, ..settings() });
    let client = registries.repository(&registry.repository("a/b"), &Access::default());
    let error = client.tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::TooLarge { limit: 2_500 });
    assert_eq!(registry.seen().len(), 3);
}

#[tokio::test]
async fn a_next_page_on_another_host_is_not_asked_for() {
    let canary = ScriptedRegistry::start(|_| json(200, r#"{"tags":["evil"]}"#)).await;
    let link = format!("<http://{}/v2/a/b/tags/list?last=a>; rel=next", canary.address);
    let registry = ScriptedRegistry::start(move |_| page(r#""a""#, &link)).await;
    let error = client(&registry.repository("a/b")).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Refused);
    assert!(error.to_string().contains(&canary.address.to_string()), "{error}");
    assert!(canary.seen().is_empty());
}

#[tokio::test]
async fn a_link_that_cannot_be_read_is_an_error() {
    let registry = ScriptedRegistry::start(|_| page(r#""a""#, "see page two")).await;
    let error = client(&registry.repository("a/b")).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Protocol);
}

#[tokio::test]
async fn a_registry_that_refuses_pages_of_a_thousand_is_asked_without_a_number() {
    let registry = ScriptedRegistry::start(|seen| match seen.query("n") {
        Some(_) => json(400, r#"{"errors":[{"code":"PAGINATION_NUMBER_INVALID"}]}"#),
        None => json(200, r#"{"tags":["a"]}"#),
    })
    .await;
    let tags = client(&registry.repository("a/b")).tags().await.unwrap();
    assert_eq!(names(&tags), ["a"]);
}
