//! Bulk APIs that refuse, lie or break off: every tag is seen all the same.

use std::time::Duration;

use axum::response::Response;
use imgop_core::copy::TagState;
use imgop_registry::{Access, BulkKind};

use crate::bulk::{Case, all, heads};
use imgop_fakes::basic;
use imgop_fakes::numbered_tags;
use imgop_fakes::{
    DockerHub, EcrPublic, FaultyRegistry, Quay, ScriptedRegistry, distribution, gallery_page, json, reply,
};

#[tokio::test]
async fn what_is_no_page_is_asked_of_the_registry_and_the_api_is_left_alone() {
    let answers: [fn() -> Response; 9] = [
        || json(200, r#"{"count":10,"next":null,"results":[{"name":"1.0.0","dig"#),
        || json(200, r#"{"message":"200 and yet no"}"#),
        || reply(200, &[("content-type", "text/html")], "<html>"),
        || json(401, "{}"),
        || json(403, r#"{"message":"forbidden"}"#),
        || json(404, r#"{"message":"object not found"}"#),
        || reply(429, &[("retry-after", "60")], "{}"),
        || json(500, ""),
        || reply(302, &[("location", "https://login.example.com/")], ""),
    ];
    for answer in answers {
        let tags = numbered_tags("1.0.", 10);
        let hub = DockerHub::answering(tags.clone(), move |_| answer()).await;
        let case = Case::hub(&hub, "1.0.x", tags.clone()).await;
        for round in 1..=2 {
            assert_eq!(all(&case.observe(&tags).await, TagState::UpToDate), 10);
            assert_eq!((hub.website.seen().len(), heads(&hub.registry)), (1, 10 * round));
        }
        assert_eq!(hub.pulls(), 0);
    }
}

#[tokio::test]
async fn an_api_that_is_silent_or_gone_is_not_waited_for_long() {
    let tags = numbered_tags("1.0.", 10);
    let silent = FaultyRegistry::hanging_after(b"HTTP/1.1 200 OK\r\n").await.repository("a");
    for api in [silent, FaultyRegistry::absent().await] {
        let hub = DockerHub::start(tags.clone()).await;
        let source = ("docker.io/team/app", BulkKind::DockerHub, "1.0.x");
        let addresses = (hub.registry.address, api.host().as_str().parse().unwrap());
        let soon = Duration::from_millis(300);
        let case = Case::waiting(soon, source, addresses, Access::default(), tags.clone()).await;
        assert_eq!(all(&case.observe(&tags).await, TagState::UpToDate), 10);
        assert_eq!(heads(&hub.registry), 10);
    }
}

#[tokio::test]
async fn an_api_that_wants_a_pause_or_is_ill_does_not_hold_back_the_registry_on_the_same_host() {
    let answers: [fn() -> Response; 2] = [|| reply(429, &[("retry-after", "600")], "{}"), || json(503, "")];
    for answer in answers {
        let tags = numbered_tags("1.0.", 10);
        let quay = Quay::answering(tags.clone(), move |_| answer()).await;
        let source = ("quay.io/team/app", BulkKind::Quay, "1.0.x");
        let addresses = (quay.host.address, quay.host.address);
        let case = Case::new(source, addresses, Access::default(), tags.clone()).await;
        assert_eq!(all(&case.observe(&tags).await, TagState::UpToDate), 10);
        assert_eq!((quay.host.seen().len(), heads(&quay.host)), (12, 10));
    }
}

#[tokio::test]
async fn b9_pages_before_a_refusal_count_and_the_refused_one_is_not_asked_for_again() {
    let tags = numbered_tags("1.0.", 1500);
    let hub = DockerHub::telling(tags.clone(), 500, |_, digest| Some(digest.clone())).await;
    let case = Case::hub(&hub, "1.0.x", tags.clone()).await;
    assert_eq!(all(&case.observe(&tags).await, TagState::UpToDate), 1500);
    assert_eq!((hub.website.seen().len(), heads(&hub.registry)), (6, 1000));
    assert_eq!(all(&case.observe(&tags).await, TagState::UpToDate), 1500);
    assert_eq!((hub.website.seen().len(), heads(&hub.registry)), (11, 2000));
    assert_eq!(hub.pulls(), 0);
}

#[tokio::test]
async fn a_tag_without_a_digest_is_asked_for() {
    let tags = numbered_tags("1.0.", 10);
    let hub =
        DockerHub::telling(tags.clone(), 1000, |name, digest| (name != "1.0.3").then(|| digest.clone()))
            .await;
    let case = Case::hub(&hub, "1.0.x", tags.clone()).await;
    assert_eq!(all(&case.observe(&tags).await, TagState::UpToDate), 10);
    assert_eq!(hub.registry.lines()[1..], ["HEAD /v2/team/app/manifests/1.0.3"]);
}

#[tokio::test]
async fn a_page_that_counts_more_or_fewer_tags_than_the_registry_hides_none() {
    let tags = numbered_tags("1.0.", 10);
    for body in [
        serde_json::json!({"count": 3, "next": null, "results": [
            {"name": "1.0.1", "digest": tags[1].1.as_str()}, {"name": "9.9.9", "digest": tags[1].1.as_str()},
        ]}),
        serde_json::json!({"count": 0, "next": null, "results": []}),
    ] {
        let known = body["results"].as_array().unwrap().len().min(1);
        let hub = DockerHub::answering(tags.clone(), move |_| json(200, body.to_string())).await;
        let case = Case::hub(&hub, "1.0.x", tags.clone()).await;
        let observed = case.observe(&tags).await;
        assert_eq!((all(&observed, TagState::UpToDate), observed.listed), (10, Some(10)));
        assert_eq!(heads(&hub.registry), 10 - known);
    }
}

#[tokio::test]
async fn tokens_of_ecr_public_that_go_round_in_circles_end() {
    let tags = numbered_tags("1.0.", 2500);
    let first = tags[..1000].to_vec();
    let ecr = EcrPublic::answering("nginx", "nginx", tags.clone(), move |seen| {
        let page = gallery_page(&first, "nginx", "nginx", seen);
        assert_eq!(page.status(), 200);
        json(200, r#"{"imageTagDetails":[],"nextToken":"token-0"}"#)
    })
    .await;
    let source = ("public.ecr.aws/nginx/nginx", BulkKind::EcrPublic, "1.0.x");
    let addresses = (ecr.registry.address, ecr.gallery.address);
    let case = Case::new(source, addresses, basic("AWS", "hunter2"), tags.clone()).await;
    assert_eq!(all(&case.observe(&tags).await, TagState::UpToDate), 2500);
    assert_eq!((ecr.gallery.seen().len(), heads(&ecr.registry)), (2, 2500));
}

#[tokio::test]
async fn credentials_of_the_registry_never_go_to_the_api() {
    let tags = numbered_tags("1.0.", 10);
    let hub = DockerHub::start(tags.clone()).await;
    let listed = tags.clone();
    let registry = ScriptedRegistry::start(move |seen| match seen.header("authorization") {
        Some(_) => distribution(&listed, "team/app", seen),
        None => reply(401, &[("www-authenticate", r#"Basic realm="hub""#)], ""),
    })
    .await;
    let source = ("docker.io/team/app", BulkKind::DockerHub, "1.0.x");
    let addresses = (registry.address, hub.website.address);
    let case = Case::new(source, addresses, basic("user", "hunter2"), tags.clone()).await;
    assert_eq!(all(&case.observe(&tags).await, TagState::UpToDate), 10);
    assert!(registry.seen().iter().any(|seen| seen.header("authorization").is_some()));
    let website = hub.website.seen();
    assert_eq!(website.len(), 1);
    assert!(website.iter().all(|seen| seen.header("authorization").is_none()));
}
