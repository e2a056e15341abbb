//! Docker Hub counts pulls: what counts as one, what is left, and the reserve that is kept.

use std::collections::HashMap;
use std::time::Duration;

use imgop_fakes::{DockerHub, basic, numbered_tags, plain, settings};
use imgop_registry::reference::ManifestRef;
use imgop_registry::{Access, Reason, Registries, RepositoryClient, Settings};

const HOST: &str = "registry-1.docker.io";

async fn hub() -> (DockerHub, Registries) {
    let hub = DockerHub::start(numbered_tags("1.0.", 3)).await;
    let registries = registries(&hub);
    (hub, registries)
}

fn registries(hub: &DockerHub) -> Registries {
    let addresses = HashMap::from([(HOST.to_owned(), hub.registry.address)]);
    Registries::new(Settings { addresses, ..settings() })
}

fn app(registries: &Registries, access: Access) -> RepositoryClient {
    registries.repository(&"docker.io/team/app".parse().unwrap(), &plain(access))
}

fn tag(name: &str) -> ManifestRef {
    ManifestRef::Tag(name.parse().unwrap())
}

#[tokio::test]
async fn within_the_reserve_no_manifest_is_read_and_heads_go_on() {
    let (hub, registries) = hub().await;
    let client = app(&registries, Access::default());
    hub.leave(9);
    assert!(client.head(&tag("1.0.0")).await.unwrap().is_some());
    let pulls = hub.pulls();
    let error = client.manifest(&tag("1.0.0")).await.unwrap_err();
    let Reason::RateLimited { retry_after: Some(left) } = error.reason() else { panic!("{error}") };
    assert!(*left > Duration::from_hours(5), "{left:?}");
    assert_eq!(
        error.to_string(),
        "cannot read the manifest of docker.io/team/app:1.0.0: \
         registry-1.docker.io has 9 pulls left, 10 are kept in reserve"
    );
    assert!(client.head(&tag("1.0.0")).await.unwrap().is_some());
    assert_eq!((hub.pulls() - pulls, hub.registry.count("HEAD ")), (0, 2));
    let limit = registries.rate_limits()[HOST];
    assert_eq!((limit.limit, limit.remaining, limit.is_short), (Some(100), 9, true));
}

#[tokio::test]
async fn a_head_that_tells_of_more_pulls_lets_copies_begin_again() {
    let (hub, registries) = hub().await;
    let client = app(&registries, Access::default());
    assert!(client.reserve_pulls(5).is_ok(), "nothing is known of a limit");
    assert!(!client.counts_pulls());
    hub.leave(12);
    client.head(&tag("1.0.0")).await.unwrap();
    assert!(client.counts_pulls());
    let short = client.reserve_pulls(3).unwrap_err();
    assert_eq!((short.remaining, short.reserve), (12, 10));
    hub.leave(13);
    client.head(&tag("1.0.0")).await.unwrap();
    assert!(client.reserve_pulls(3).is_ok());
    assert!(client.reserve_pulls(1).is_err(), "those of the copy before count already");
}

#[tokio::test]
async fn the_pulls_of_one_account_are_not_those_of_another() {
    let (hub, registries) = hub().await;
    let (anonymous, user) = (app(&registries, Access::default()), app(&registries, basic("u", "p")));
    hub.leave(1);
    anonymous.head(&tag("1.0.0")).await.unwrap();
    hub.leave(50);
    user.head(&tag("1.0.0")).await.unwrap();
    assert!(anonymous.reserve_pulls(1).is_err() && user.reserve_pulls(1).is_ok());
}

#[tokio::test]
async fn what_is_left_is_read_from_answers_that_cost_nothing() {
    let hub = DockerHub::start(numbered_tags("1.0.", 2)).await;
    let registries = registries(&hub);
    let client = app(&registries, Access::default());
    let left = || {
        let limit = registries.rate_limits()[HOST];
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
    let hub = DockerHub::start(numbered_tags("1.0.", 2)).await;
    hub.leave(0); // others of the same network have pulled
    let client = app(&registries(&hub), Access::default());
    let error = client.manifest(&tag("1.0.0")).await.unwrap_err();
    assert!(matches!(error.reason(), Reason::RateLimited { .. }), "{error}");
    assert_eq!((error.status(), error.code()), (Some(429), Some("TOOMANYREQUESTS")));
    assert!(error.to_string().contains("unauthenticated pull rate limit"), "{error}");
    assert!(client.head(&tag("1.0.1")).await.unwrap().is_some());
}
