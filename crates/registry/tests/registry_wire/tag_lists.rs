//! Tag lists of one page, honest and hostile ones.

use std::collections::HashMap;

use imgop_registry::{Access, Reason, Registries, Settings};

use imgop_fakes::{ScriptedRegistry, json, reply};
use imgop_fakes::{client, names, plain, settings};

#[tokio::test]
async fn b7_a_registry_of_no_known_vendor_is_listed() {
    let registry = ScriptedRegistry::start(|_| json(200, r#"{"name":"team/app","tags":["v2","v1"]}"#)).await;
    let tags = client(&registry.repository("team/app")).tags().await.unwrap();
    assert_eq!(names(&tags), ["v1", "v2"]);
    assert_eq!(registry.lines(), ["GET /v2/team/app/tags/list?n=1000"]);
    assert!(registry.seen()[0].header("user-agent").unwrap().starts_with("imgop/"));
}

#[tokio::test]
async fn b7_a_registry_with_a_port_and_a_deep_path_is_listed() {
    let registry = ScriptedRegistry::start(|_| json(200, r#"{"tags":["v1"]}"#)).await;
    let host = format!("registry.corp.example:{}", registry.address.port());
    let addresses = HashMap::from([("registry.corp.example".to_owned(), registry.address)]);
    let registries = Registries::new(Settings { addresses, ..settings() });
    let repository = format!("{host}/a/b/c/d").parse().unwrap();
    let tags = registries.repository(&repository, &plain(Access::default())).tags().await.unwrap();
    assert_eq!(names(&tags), ["v1"]);
    assert_eq!(registry.seen()[0].header("host"), Some(host.as_str()));
}

#[tokio::test]
async fn docker_hub_is_asked_at_its_api_host_and_for_no_pages() {
    let registry = ScriptedRegistry::start(|_| json(200, r#"{"tags":["1.27"]}"#)).await;
    let addresses = HashMap::from([("registry-1.docker.io".to_owned(), registry.address)]);
    let registries = Registries::new(Settings { addresses, ..settings() });
    let client = registries.repository(&"nginx".parse().unwrap(), &plain(Access::default()));
    assert_eq!(names(&client.tags().await.unwrap()), ["1.27"]);
    assert_eq!(registry.lines(), ["GET /v2/library/nginx/tags/list"]);
    assert_eq!(registry.seen()[0].header("host"), Some("registry-1.docker.io"));
}

/// rancher/image-mirror makes an empty tag of a release without a match.
#[tokio::test]
async fn image_mirror_empty_lists_are_no_tags_and_an_empty_name_is_none() {
    for body in [r#"{"name":"a","tags":[]}"#, r#"{"name":"a","tags":null}"#, r#"{"name":"a","tags":[""]}"#] {
        let registry = ScriptedRegistry::start(move |_| json(200, body)).await;
        assert!(client(&registry.repository("a")).tags().await.unwrap().is_empty(), "{body}");
    }
    for body in ["", "{}", "[]", r#"{"tags":{}}"#] {
        let registry = ScriptedRegistry::start(move |_| json(200, body)).await;
        let error = client(&registry.repository("a")).tags().await.unwrap_err();
        assert_eq!(*error.reason(), Reason::Protocol, "{body:?} says nothing of the tags");
    }
}

#[tokio::test]
async fn null_is_an_empty_list() {
    let registry = ScriptedRegistry::start(|_| json(200, r#"{"name":"a","tags":null}"#)).await;
    assert!(client(&registry.repository("a")).tags().await.unwrap().is_empty());
}

#[tokio::test]
async fn names_that_are_no_tags_are_dropped_and_duplicates_are_one() {
    let body = r#"{"tags":["v1","$(id)","--all","v1","a b","../x","","v2"]}"#;
    let registry = ScriptedRegistry::start(move |_| json(200, body)).await;
    assert_eq!(names(&client(&registry.repository("a")).tags().await.unwrap()), ["v1", "v2"]);
}

#[tokio::test]
async fn b8_garbage_is_an_error_value_that_names_the_repository() {
    for body in [
        "<html><title>secret intranet page</title></html>",
        r#"{"tags":["a","b"#,
        r#"{"tags":["a",7]}"#,
        r#"{"errors":[{"code":"UNKNOWN","message":"200 and yet no"}]}"#,
        "",
        "\u{feff}{}",
    ] {
        let registry =
            ScriptedRegistry::start(move |_| reply(200, &[("content-type", "text/html")], body)).await;
        let repository = registry.repository("team/app");
        let error = client(&repository).tags().await.unwrap_err();
        assert_eq!(*error.reason(), Reason::Protocol, "{body}");
        assert!(error.is_retryable());
        assert!(error.to_string().contains(&repository.to_string()), "{error}");
        assert!(!error.to_string().contains("intranet"), "{error}");
        assert_eq!(registry.seen().len(), 1);
    }
}

#[tokio::test]
async fn lists_beyond_the_caps_are_errors_that_say_the_number() {
    let registry = ScriptedRegistry::start(|_| json(200, r#"{"tags":["1","2","3","4","5"]}"#)).await;
    let repository = registry.repository("a");
    let few_tags = Registries::new(Settings { max_tags: 4, ..settings() });
    let error = few_tags.repository(&repository, &Access::default()).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::TooLarge { limit: 4 });
    assert!(error.to_string().contains("more than 4 tags"), "{error}");

    let few_bytes = Registries::new(Settings { max_list_bytes: 20, ..settings() });
    let error = few_bytes.repository(&repository, &Access::default()).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::TooLarge { limit: 20 });
    assert!(error.to_string().contains("more than 20 bytes"), "{error}");
}

#[tokio::test]
async fn an_absent_repository_is_distinguished_from_a_server_that_is_no_registry() {
    let body = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}"#;
    let registry = ScriptedRegistry::start(move |_| json(404, body)).await;
    let error = client(&registry.repository("a")).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::RepositoryNotFound);
    assert_eq!((error.status(), error.code()), (Some(404), Some("NAME_UNKNOWN")));
    assert!(error.to_string().ends_with("repository name not known to registry (HTTP 404)"), "{error}");

    let web_server = ScriptedRegistry::start(|_| reply(404, &[], "<html>Not Found</html>")).await;
    let error = client(&web_server.repository("a")).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Protocol);
}

#[tokio::test]
async fn requests_are_counted_by_host_and_status() {
    let registry = ScriptedRegistry::with_answers(vec![|| json(500, ""), || {
        reply(
            200,
            &[
                ("ratelimit-limit", "100;w=21600"),
                ("ratelimit-remaining", "76;w=21600"),
                ("docker-ratelimit-source", "192.0.2.1"),
            ],
            r#"{"tags":[]}"#,
        )
    }])
    .await;
    let registries = Registries::new(settings());
    registries.repository(&registry.repository("a"), &Access::default()).tags().await.unwrap();
    let host = registry.address.to_string();
    let counts: Vec<_> = registries.requests().into_iter().map(|c| (c.host, c.status, c.count)).collect();
    assert_eq!(counts, [(host.clone(), Some(200), 1), (host.clone(), Some(500), 1)]);
    let limit = registries.rate_limits()[&host];
    assert_eq!((limit.limit, limit.remaining), (Some(100), 76));
}
