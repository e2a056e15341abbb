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
    assert_eq!(registry.seen().len(), 11);
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
    assert_eq!(*error.reason(), Reason::Protocol, "its own page repeats itself");
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

/// Pages as Nexus groups make them: `n` names after `last`, and no `Link`.
fn without_links(all: &[String], seen: &Seen) -> Response {
    let n: usize = seen.query("n").map_or(1000, |n| n.parse().unwrap());
    let after = seen.query("last").map_or(0, |last| all.iter().position(|tag| tag == last).unwrap() + 1);
    let tags: Vec<String> = all[after..].iter().take(n).map(|tag| format!("{tag:?}")).collect();
    json(200, format!(r#"{{"name":"a/b","tags":[{}]}}"#, tags.join(",")))
}

#[tokio::test]
async fn a_full_page_without_a_link_is_followed_by_the_names_after_its_last() {
    for (number, requests) in [(999, 1), (1000, 2), (1001, 2), (1500, 2), (2000, 3), (2500, 3)] {
        let all: Vec<String> = (0..number).map(|i| format!("v{i:04}")).collect();
        let registry = ScriptedRegistry::start({
            let all = all.clone();
            move |seen| without_links(&all, seen)
        })
        .await;
        let tags = client(&registry.repository("a/b")).tags().await.unwrap();
        assert_eq!(tags.len(), number);
        assert_eq!(registry.seen().len(), requests, "{:?}", registry.lines());
    }
}

#[tokio::test]
async fn a_registry_without_pages_that_repeats_its_whole_list_is_asked_once_more() {
    let tags: Vec<String> = (0..1_500).map(|i| format!("\"v{i:04}\"")).collect();
    let body = format!(r#"{{"tags":[{}]}}"#, tags.join(","));
    let registry = ScriptedRegistry::start(move |_| json(200, body.clone())).await;
    assert_eq!(client(&registry.repository("a/b")).tags().await.unwrap().len(), 1_500);
    assert_eq!(registry.seen().len(), 2);
}

#[tokio::test]
async fn of_a_link_only_the_query_counts_and_the_rest_stays_as_it_was_asked_for() {
    for link in [
        "/v2/docker-local/a/b/tags/list?last=a&n=1000",
        "/v2/b/tags/list?last=a&n=1000",
        "/repository/group/v2/a/b/tags/list?last=a&n=1000",
        "http://inner.corp:8081/v2/a/b/tags/list?last=a&n=1000",
        "https://user:pw@evil.example/v2/a/b/tags/list?last=a&n=1000#x",
    ] {
        let registry = ScriptedRegistry::start(move |seen| match seen.target.as_str() {
            "/v2/a/b/tags/list?n=1000" => page(r#""a""#, &format!(r#"<{link}>; rel="next""#)),
            "/v2/a/b/tags/list?last=a&n=1000" => json(200, r#"{"tags":["b"]}"#),
            _ => json(404, "{}"),
        })
        .await;
        let tags = client(&registry.repository("a/b")).tags().await.unwrap();
        assert_eq!(names(&tags), ["a", "b"], "{link}");
    }
}

#[tokio::test]
async fn pages_without_a_new_tag_are_passed_over() {
    for pages in [
        vec![r#""1.0.0""#, r#""sha256:aaaa""#, r#""1.0.1""#],
        vec![r#""1.0.0""#, "", r#""1.0.1""#],
        vec![r#""1.0.0""#, "", r#""1.0.1""#, r#""1.0.0""#, r#""1.0.0""#, r#""1.0.1""#],
    ] {
        let registry = ScriptedRegistry::start(move |seen| {
            let at: usize = seen.query("page").map_or(0, |page| page.parse().unwrap());
            if at + 1 == pages.len() {
                return json(200, format!(r#"{{"tags":[{}]}}"#, pages[at]));
            }
            page(pages[at], &format!(r#"</v2/a/b/tags/list?page={}>; rel="next""#, at + 1))
        })
        .await;
        let tags = client(&registry.repository("a/b")).tags().await.unwrap();
        assert_eq!(names(&tags), ["1.0.0", "1.0.1"]);
    }
}

#[tokio::test]
async fn a_registry_that_cannot_process_a_number_of_names_is_asked_without_one() {
    for status in [400, 416, 422] {
        let registry = ScriptedRegistry::start(move |seen| match seen.query("n") {
            Some(_) => json(status, r#"{"errors":[{"code":"UNSUPPORTED"}]}"#),
            None => json(200, r#"{"tags":["a"]}"#),
        })
        .await;
        let tags = client(&registry.repository("a/b")).tags().await.unwrap();
        assert_eq!(names(&tags), ["a"], "{status}");
    }
}

#[tokio::test]
async fn a_later_page_that_fails_is_named_and_says_nothing_of_tls() {
    let registry = ScriptedRegistry::start(|seen| match seen.query("last") {
        None => page(r#""a""#, r#"</v2/a/b/tags/list?last=a>; rel="next""#),
        Some(_) => reply(400, &[("content-type", "text/html")], "<html>400</html>"),
    })
    .await;
    let error = client(&registry.repository("a/b")).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Rejected, "{error}");
    assert!(error.to_string().contains("page 2 of the tag list"), "{error}");
}

#[tokio::test]
async fn each_limit_of_a_tag_list_names_the_setting_that_raises_it() {
    let registry = ScriptedRegistry::start(|_| {
        let next = fastrand::u64(..);
        page(&format!(r#""{next}""#), &format!(r#"</v2/a/b/tags/list?last={next}>; rel="next""#))
    })
    .await;
    for (settings, raise) in [
        (Settings { max_pages: 5, ..settings() }, "raise REGISTRY_MAX_TAG_PAGES"),
        (Settings { max_tags: 5, ..settings() }, "raise REGISTRY_MAX_TAGS"),
        (Settings { max_list_bytes: 200, ..settings() }, "raise REGISTRY_MAX_TAG_LIST_BYTES"),
    ] {
        let client = Registries::new(settings).repository(&registry.repository("a/b"), &Access::default());
        let error = client.tags().await.unwrap_err();
        assert!(matches!(error.reason(), Reason::TooLarge { .. }), "{error}");
        assert!(error.to_string().contains(raise), "{error}");
    }
}

#[tokio::test]
async fn twenty_thousand_tags_are_listed_a_hundred_a_page() {
    let all: Vec<String> = (0..20_100).map(|i| format!("v{i:05}")).collect();
    let registry = ScriptedRegistry::start({
        let all = all.clone();
        move |seen| {
            let after = seen.query("last").map_or(0, |last| last[1..].parse::<usize>().unwrap() + 1);
            let tags: Vec<String> = all[after..].iter().take(100).map(|tag| format!("{tag:?}")).collect();
            let link = all
                .get(after + 100)
                .map(|_| format!(r#"</v2/a/b/tags/list?last={}&n=100>; rel="next""#, all[after + 99]));
            let body = format!(r#"{{"tags":[{}]}}"#, tags.join(","));
            link.map_or_else(|| json(200, body.clone()), |link| reply(200, &[("link", &link)], body.clone()))
        }
    })
    .await;
    assert_eq!(client(&registry.repository("a/b")).tags().await.unwrap().len(), 20_100);
}

#[tokio::test]
async fn many_pages_of_names_that_are_no_tags_are_passed_over() {
    for links in [true, false] {
        let registry = ScriptedRegistry::start(move |seen| {
            let last = seen.query("last").map(|last| last.replace("%3A", ":"));
            let from =
                last.map_or(0, |last| last.trim_start_matches("sha256:").parse::<usize>().unwrap() + 1);
            if from == 12_000 {
                return json(200, r#"{"tags":["v1"]}"#);
            }
            let names: Vec<String> = (from..from + 1000).map(|n| format!("sha256:{n}")).collect();
            let next = format!("<?last=sha256:{}>; rel=next", from + 999);
            let headers = [("link", next.as_str())];
            let body = serde_json::json!({ "tags": names }).to_string();
            reply(200, if links { &headers } else { &[] }, body)
        })
        .await;
        assert_eq!(names(&client(&registry.repository("a/b")).tags().await.unwrap()), ["v1"], "{links}");
    }
}
