//! Docker Hub's meter: what counts as a pull, and what is done about it.

use std::collections::HashMap;

use imgop_core::copy::TagState;
use imgop_registry::reference::ManifestRef;
use imgop_registry::{Access, Reason, Registries, RepositoryClient, Settings};

use crate::bulk::{Case, all, heads, line};
use imgop_fakes::{DockerHub, json};
use imgop_fakes::{plain, settings};

fn at(hub: &DockerHub) -> (Registries, RepositoryClient) {
    let addresses = HashMap::from([("registry-1.docker.io".to_owned(), hub.registry.address)]);
    let registries = Registries::new(Settings { addresses, ..settings() });
    let client = registries.repository(&"team/app".parse().unwrap(), &plain(Access::default()));
    (registries, client)
}

fn tag(name: &str) -> ManifestRef {
    ManifestRef::Tag(name.parse().unwrap())
}

#[tokio::test]
async fn m8_a_no_op_counts_no_pull_whether_the_website_answers_or_not() {
    let tags = line("1.0.", 120); // more than the pulls of six hours
    let with = DockerHub::start(tags.clone()).await;
    let without = DockerHub::answering(tags.clone(), |_| json(403, "{}")).await;
    for (hub, asked) in [(with, 0), (without, 120)] {
        let case = Case::hub(&hub, "1.0.x", tags.clone()).await;
        assert_eq!(all(&case.observe(&tags).await, TagState::UpToDate), 120);
        assert_eq!((heads(&hub.registry), hub.pulls()), (asked, 0));
    }
}

#[tokio::test]
async fn what_is_left_is_read_from_answers_that_cost_nothing() {
    let hub = DockerHub::start(line("1.0.", 2)).await;
    let (registries, client) = at(&hub);
    let left = || {
        let limit = registries.rate_limits()["registry-1.docker.io"];
        (limit.limit, limit.remaining, hub.pulls())
    };
    client.head(&tag("1.0.0")).await.unwrap();
    assert_eq!(left(), (Some(100), 100, 0));
    // The manifest of this fake is empty: it is the meter that counts.
    assert!(client.manifest(&tag("1.0.0")).await.is_err());
    assert_eq!(left(), (Some(100), 99, 1));
}

#[tokio::test]
async fn a_pull_too_many_is_told_as_such_and_heads_still_work() {
    let hub = DockerHub::start(line("1.0.", 2)).await;
    hub.leave(0); // others of the same network have pulled
    let (_, client) = at(&hub);
    let error = client.manifest(&tag("1.0.0")).await.unwrap_err();
    assert!(matches!(error.reason(), Reason::RateLimited { .. }), "{error}");
    assert_eq!((error.status(), error.code()), (Some(429), Some("TOOMANYREQUESTS")));
    assert!(error.to_string().contains("unauthenticated pull rate limit"), "{error}");
    assert!(client.head(&tag("1.0.1")).await.unwrap().is_some());
}
