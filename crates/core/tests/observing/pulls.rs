//! Docker Hub counts pulls: what is left of them is not all used up.

use std::collections::HashMap;
use std::time::Duration;

use imgop_registry::reference::ManifestRef;
use imgop_registry::{Access, Reason, Registries, RepositoryClient, Settings};

use crate::bulk::{Case, heads, line};
use imgop_fakes::DockerHub;
use imgop_fakes::{basic, plain, settings};

const HOST: &str = "registry-1.docker.io";

async fn hub() -> (DockerHub, Registries) {
    let hub = DockerHub::start(line("1.0.", 3)).await;
    let addresses = HashMap::from([(HOST.to_owned(), hub.registry.address)]);
    let registries = Registries::new(Settings { addresses, ..settings() });
    (hub, registries)
}

fn app(registries: &Registries, access: Access) -> RepositoryClient {
    registries.repository(&"docker.io/team/app".parse().unwrap(), &plain(access))
}

fn tag() -> ManifestRef {
    ManifestRef::Tag("1.0.0".parse().unwrap())
}

#[tokio::test]
async fn within_the_reserve_no_manifest_is_read_and_heads_go_on() {
    let (hub, registries) = hub().await;
    let client = app(&registries, Access::default());
    hub.leave(9);
    assert!(client.head(&tag()).await.unwrap().is_some());
    let pulls = hub.pulls();
    let error = client.manifest(&tag()).await.unwrap_err();
    let Reason::RateLimited { retry_after: Some(left) } = error.reason() else { panic!("{error}") };
    assert!(*left > Duration::from_hours(5), "{left:?}");
    assert_eq!(
        error.to_string(),
        "cannot read the manifest of docker.io/team/app:1.0.0: \
         registry-1.docker.io has 9 pulls left, 10 are kept in reserve"
    );
    assert!(client.head(&tag()).await.unwrap().is_some());
    assert_eq!((hub.pulls() - pulls, heads(&hub.registry)), (0, 2));
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
    client.head(&tag()).await.unwrap();
    assert!(client.counts_pulls());
    let short = client.reserve_pulls(3).unwrap_err();
    assert_eq!((short.remaining, short.reserve), (12, 10));
    hub.leave(13);
    client.head(&tag()).await.unwrap();
    assert!(client.reserve_pulls(3).is_ok());
    assert!(client.reserve_pulls(1).is_err(), "those of the copy before count already");
}

#[tokio::test]
async fn the_pulls_of_one_account_are_not_those_of_another() {
    let (hub, registries) = hub().await;
    let (anonymous, user) = (app(&registries, Access::default()), app(&registries, basic("u", "p")));
    hub.leave(1);
    anonymous.head(&tag()).await.unwrap();
    hub.leave(50);
    user.head(&tag()).await.unwrap();
    assert!(anonymous.reserve_pulls(1).is_err() && user.reserve_pulls(1).is_ok());
}

#[tokio::test]
async fn a_no_op_within_the_reserve_costs_no_pull_and_is_no_failure() {
    let tags = line("1.0.", 3);
    let hub = DockerHub::answering(tags.clone(), |_| imgop_fakes::json(500, "")).await;
    hub.leave(0);
    let pulls = hub.pulls();
    let case = Case::hub(&hub, "1.0.x", tags.clone()).await;
    let observed = case.observe(&tags).await;
    assert!(observed.tags.iter().all(|tag| tag.source.digest().is_some()));
    assert_eq!(hub.pulls(), pulls);
}
