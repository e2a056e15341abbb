//! Digests of many tags at once, counted request by request: Docker Hub, Quay, ECR Public.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use imgop_core::api::{Destination, ImageSpec, Mode, Source};
use imgop_core::copy::{CopyRequest, Observed, TagState};
use imgop_core::copy::{Known, Limits, Sides, observe};
use imgop_registry::reference::Digest;
use imgop_registry::{Access, BulkApi, BulkKind, Registries, Settings};

use imgop_fakes::{
    DockerHub, EcrPublic, Quay, ScriptedRegistry, Tags, distribution, numbered_tags, plain, settings,
};

/// A source with a bulk API, a destination, and a request for what `version` selects.
pub struct Case {
    request: CopyRequest,
    sides: Sides,
    destination: ScriptedRegistry,
}

impl Case {
    /// The registry of `source` is at `registry`, its bulk API at `api`.
    pub async fn new(
        (source, kind, version): (&str, BulkKind, &str),
        (registry, api): (SocketAddr, SocketAddr),
        access: Access,
        at_destination: Tags,
    ) -> Self {
        let addresses = (registry, api);
        Self::waiting(Duration::from_secs(20), (source, kind, version), addresses, access, at_destination)
            .await
    }

    /// The same for a bulk API that is given this time.
    pub async fn waiting(
        bulk_timeout: Duration,
        (source, kind, version): (&str, BulkKind, &str),
        (registry, api): (SocketAddr, SocketAddr),
        access: Access,
        at_destination: Tags,
    ) -> Self {
        let destination =
            ScriptedRegistry::start(move |seen| distribution(&at_destination, "app", seen)).await;
        let spec = ImageSpec::new(
            Mode::Recurrent,
            Source::new(source, version),
            Destination::new(destination.repository("app").to_string()),
        );
        let request = CopyRequest::parse(&spec).unwrap();
        let host = request.source.host().clone();
        // Where both are one, they have one name.
        let base = if api == registry { format!("http://{host}/") } else { format!("http://{api}/") };
        let registries = Registries::new(Settings {
            addresses: HashMap::from([(host.api_host().to_owned(), registry)]),
            bulk_apis: [(host, BulkApi { kind, base })].into(),
            bulk_timeout,
            ..settings()
        });
        let sides = Sides {
            source: registries.repository(&request.source, &plain(access)),
            destination: Some(registries.repository(&request.destination, &Access::default())),
        };
        Self { request, sides, destination }
    }

    pub async fn hub(hub: &DockerHub, version: &str, at_destination: Tags) -> Self {
        let source = ("docker.io/team/app", BulkKind::DockerHub, version);
        let addresses = (hub.registry.address, hub.website.address);
        Self::new(source, addresses, Access::default(), at_destination).await
    }

    /// Observes with the destination's digests known, as the agent does.
    pub async fn observe(&self, at_destination: &Tags) -> Observed {
        let known = at_destination.iter().map(|(tag, digest)| (tag.parse().unwrap(), digest.clone()));
        let known = Known { at_destination: known.collect(), ..Known::default() };
        let limits = Limits { max_tags: 10_000, ..Limits::default() };
        observe(&self.sides, &self.request, &known, limits).await.unwrap()
    }
}

/// How many tags are in a state, all of them being in it.
pub fn all(observed: &Observed, state: TagState) -> usize {
    let wrong: Vec<_> = observed.tags.iter().filter(|tag| tag.state() != state).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    observed.tags.len()
}

pub fn heads(registry: &ScriptedRegistry) -> usize {
    registry.lines().iter().filter(|line| line.starts_with("HEAD ")).count()
}

#[tokio::test]
async fn a_no_op_of_100_tags_of_300_on_docker_hub_costs_two_requests_and_no_pull() {
    let matching = numbered_tags("1.0.", 100);
    let hub = DockerHub::start([numbered_tags("2.0.", 200), matching.clone()].concat()).await;
    let case = Case::hub(&hub, "1.0.x", matching.clone()).await;
    let observed = case.observe(&matching).await;
    assert_eq!((all(&observed, TagState::UpToDate), observed.listed), (100, Some(300)));
    assert_eq!(hub.registry.lines(), ["GET /v2/team/app/tags/list"]);
    assert_eq!(case.destination.lines(), ["GET /v2/app/tags/list?n=1000"]);
    assert_eq!(hub.website.lines(), ["GET /v2/repositories/team/app/tags?page_size=100&page=1&name=1.0."]);
    assert_eq!(hub.pulls(), 0);
}

#[tokio::test]
async fn tags_with_and_without_a_v_are_read_in_as_many_pages_as_there_are() {
    let matching = [numbered_tags("1.0.", 50), numbered_tags("v1.0.", 50)].concat();
    let hub = DockerHub::start([matching.clone(), numbered_tags("2.0.", 200)].concat()).await;
    let case = Case::hub(&hub, "1.0.x", matching.clone()).await;
    assert_eq!(all(&case.observe(&matching).await, TagState::UpToDate), 100);
    // All of them are on the first of three pages, so the others are not read.
    assert_eq!((hub.website.seen().len(), heads(&hub.registry), hub.pulls()), (1, 0, 0));
    let hub = DockerHub::start([numbered_tags("2.0.", 200), matching.clone()].concat()).await;
    let case = Case::hub(&hub, "1.0.x", matching.clone()).await;
    assert_eq!(all(&case.observe(&matching).await, TagState::UpToDate), 100);
    assert_eq!((hub.website.seen().len(), heads(&hub.registry), hub.pulls()), (3, 0, 0));
}

#[tokio::test]
async fn b9_of_1500_tags_those_beyond_the_window_are_asked_for_one_by_one() {
    let everything = numbered_tags("1.0.", 1500);
    let hub = DockerHub::start(everything.clone()).await;
    let case = Case::hub(&hub, "1.0.x", everything.clone()).await;
    assert_eq!(all(&case.observe(&everything).await, TagState::UpToDate), 1500);
    assert_eq!((hub.website.seen().len(), heads(&hub.registry), hub.pulls()), (10, 500, 0));
}

#[tokio::test]
async fn where_it_saves_nothing_the_api_is_not_asked() {
    let everything = [numbered_tags("1.0.", 1), numbered_tags("2.0.", 900)].concat();
    for (version, at_destination) in [
        ("1.0.0", numbered_tags("1.0.", 1)), // one tag
        ("1.0.x", numbered_tags("1.0.", 1)), // a pattern that selects one
        ("2.0.x", Tags::new()),              // nothing to compare with: each is copied, and asked for first
        ("2.0.x", numbered_tags("2.0.", 1)), // little to compare with
    ] {
        let hub = DockerHub::start(everything.clone()).await;
        let case = Case::hub(&hub, version, at_destination.clone()).await;
        case.observe(&at_destination).await;
        assert!(hub.website.seen().is_empty(), "{version}");
    }
}

#[tokio::test]
async fn an_api_that_lags_behind_never_moves_a_tag_backwards() {
    let tags = numbered_tags("1.0.", 10);
    let old = Digest::of(b"what it was last week");
    let hub = DockerHub::telling(tags.clone(), 1000, move |name, digest| {
        Some(if name == "1.0.7" { old.clone() } else { digest.clone() })
    })
    .await;
    let case = Case::hub(&hub, "1.0.x", tags.clone()).await;
    assert_eq!(all(&case.observe(&tags).await, TagState::UpToDate), 10);
    let lines = hub.registry.lines();
    assert_eq!(lines, ["GET /v2/team/app/tags/list", "HEAD /v2/team/app/manifests/1.0.7"]);
}

#[tokio::test]
async fn a_tag_that_moved_or_is_missing_is_asked_of_the_registry_before_it_is_copied() {
    let tags = numbered_tags("1.0.", 10);
    let hub = DockerHub::start(tags.clone()).await;
    let mut at_destination = tags[1..].to_vec();
    at_destination[0].1 = Digest::of(b"old");
    let case = Case::hub(&hub, "1.0.x", at_destination.clone()).await;
    let observed = case.observe(&at_destination).await;
    let count = |state| observed.tags.iter().filter(|tag| tag.state() == state).count();
    let counts = [TagState::Missing, TagState::Differs, TagState::UpToDate].map(count);
    assert_eq!(counts, [1, 1, 8]);
    assert_eq!((hub.website.seen().len(), heads(&hub.registry)), (1, 2));
}

#[tokio::test]
async fn a_preview_of_what_a_pattern_means_takes_the_digests_as_they_are_told() {
    let hub = DockerHub::start(numbered_tags("1.0.", 200)).await;
    let mut case = Case::hub(&hub, "1.0.x", Tags::new()).await;
    case.sides.destination = None;
    let observed = case.observe(&Tags::new()).await;
    assert!(observed.tags.iter().all(|tag| tag.source.digest().is_some()));
    assert_eq!((observed.tags.len(), hub.website.seen().len(), heads(&hub.registry)), (200, 2, 0));
}

#[tokio::test]
async fn quay_is_asked_for_active_tags_that_contain_what_is_selected() {
    let matching = numbered_tags("v2.13.", 150);
    let quay = Quay::start([numbered_tags("v2.12.", 400), matching.clone()].concat()).await;
    let source = ("quay.io/team/app", BulkKind::Quay, "v2.13.x");
    let addresses = (quay.host.address, quay.host.address);
    let case = Case::new(source, addresses, Access::default(), matching.clone()).await;
    assert_eq!(all(&case.observe(&matching).await, TagState::UpToDate), 150);
    let page = |n: usize| {
        format!(
            "GET /api/v1/repository/team/app/tag/?onlyActiveTags=true&limit=100&page={n}&filter_tag_name=like%3Av2.13."
        )
    };
    assert_eq!(quay.host.lines(), ["GET /v2/team/app/tags/list?n=1000".to_owned(), page(1), page(2)]);
}

#[tokio::test]
async fn b8_short_and_deep_paths_of_ecr_public_work() {
    for (alias, repository) in [("nginx", "nginx"), ("aws", "a/b/c/d")] {
        let tags = numbered_tags("1.0.", 2500);
        let ecr = EcrPublic::start(alias, repository, tags.clone()).await;
        let name = format!("public.ecr.aws/{alias}/{repository}");
        let addresses = (ecr.registry.address, ecr.gallery.address);
        let source = (name.as_str(), BulkKind::EcrPublic, "1.0.x");
        let case = Case::new(source, addresses, Access::default(), tags.clone()).await;
        assert_eq!(all(&case.observe(&tags).await, TagState::UpToDate), 2500);
        // A full page without a Link is asked on, once.
        assert_eq!((ecr.gallery.seen().len(), ecr.registry.seen().len()), (3, 2));
    }
}

#[tokio::test]
async fn b8_a_path_of_one_part_on_ecr_public_is_asked_for_tag_by_tag() {
    let tags = numbered_tags("1.0.", 10);
    let listed = tags.clone();
    let registry = ScriptedRegistry::start(move |seen| distribution(&listed, "nginx", seen)).await;
    let source = ("public.ecr.aws/nginx", BulkKind::EcrPublic, "1.0.x");
    let addresses = (registry.address, registry.address);
    let case = Case::new(source, addresses, Access::default(), tags.clone()).await;
    assert_eq!(all(&case.observe(&tags).await, TagState::UpToDate), 10);
    assert_eq!((registry.seen().len(), heads(&registry)), (11, 10));
}
