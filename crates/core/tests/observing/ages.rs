//! How old images are: what they say themselves, what a registry says of the push, and what is made of
//! it where `select.minAge` is set.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use imgop_core::api::{Destination, ImageSpec, Mode, Select, Source};
use imgop_core::copy::{CopyRequest, FirstSeen, Observed};
use imgop_core::copy::{Known, Limits, Sides, observe};
use imgop_registry::reference::Digest;
use imgop_registry::{Access, BulkApi, BulkKind, Registries, Settings};
use jiff::Timestamp;

use imgop_fakes::{DatedImages, DockerHub, ScriptedRegistry, json, plain, settings, tags};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A request for `1.x` with `minAge: 3d`, to a destination that has nothing.
struct Case {
    source: ScriptedRegistry,
    request: CopyRequest,
    sides: Sides,
}

fn spec(source: String, destination: &ScriptedRegistry) -> ImageSpec {
    ImageSpec::new(
        Mode::Recurrent,
        Source {
            select: Some(Select { min_age: Some("3d".into()), ..Select::default() }),
            ..Source::new(source, "1.x")
        },
        Destination::new(destination.repository("app").to_string()),
    )
}

async fn case(content: DatedImages) -> Case {
    let (source, destination) = (content.start().await, DatedImages::default().start().await);
    let request = CopyRequest::parse(&spec(source.repository("app").to_string(), &destination)).unwrap();
    let registries = Registries::new(settings());
    let sides = Sides {
        source: registries.repository(&request.source, &Access::default()),
        destination: Some(registries.repository(&request.destination, &Access::default())),
    };
    Case { source, request, sides }
}

impl Case {
    async fn observe(&self, now: &str, first_seen: &[(&str, &Digest, &str)]) -> Observed {
        let first_seen = first_seen.iter().map(|(tag, digest, at)| {
            (tag.parse().unwrap(), FirstSeen { digest: (*digest).clone(), at: time(at) })
        });
        let known = Known { first_seen: first_seen.collect(), now: time(now), ..Known::default() };
        observe(&self.sides, &self.request, &known, Limits::default()).await.unwrap()
    }
}

/// The tags that are copied, and those that wait until when.
fn selected_and_waiting(observed: &Observed) -> (Vec<String>, Vec<String>) {
    let copied = observed.tags.iter().map(|tag| tag.source_ref.to_string()).collect();
    let waiting =
        observed.waiting.iter().map(|waiting| format!("{} until {}", waiting.tag, waiting.until)).collect();
    (copied, waiting)
}

#[tokio::test]
async fn a_tag_that_is_too_young_is_excluded_with_the_time_when_it_is_taken() {
    let mut content = DatedImages::default();
    let (old, young) =
        (content.image("a", r#""2026-11-01T00:00:00Z""#), content.image("b", r#""2026-11-20T00:00:00Z""#));
    let case = case(content.tagged("1.0", old).tagged("1.1", young)).await;
    let observed = case.observe("2026-11-21T12:00:00Z", &[]).await;
    assert_eq!(
        selected_and_waiting(&observed),
        (vec!["1.0".into()], vec!["1.1 until 2026-11-23T00:00:00Z".into()])
    );
    assert_eq!(observed.excluded.len(), 1);
    insta::assert_snapshot!(observed.excluded[0].reason, @"it is younger than 3d (select.minAge); taken from 2026-11-23T00:00:00Z if it still has the same content");
    let later = case.observe("2026-11-23T00:00:00Z", &[]).await;
    assert_eq!(selected_and_waiting(&later), (vec!["1.1".into(), "1.0".into()], Vec::new()));
    let gets = case.source.lines().iter().filter(|line| line.contains("/blobs/")).count();
    assert_eq!(gets, 2, "each configuration once");
}

#[tokio::test]
async fn where_the_image_says_nothing_useful_it_counts_when_it_was_first_seen() {
    for created in [r#""1970-01-01T00:00:00Z""#, r#""2099-01-01T00:00:00Z""#, r#""soon""#, "null", "7"] {
        let mut content = DatedImages::default();
        let digest = content.image("a", created);
        let case = case(content.tagged("1.0", digest.clone())).await;
        let waiting = |until: &str| (Vec::<String>::new(), vec![format!("1.0 until {until}")]);
        let first = case.observe("2026-11-21T12:00:00Z", &[]).await;
        assert_eq!(selected_and_waiting(&first), waiting("2026-11-24T12:00:00Z"), "{created}");
        let seen = [("1.0", &digest, "2026-11-21T12:00:00Z")];
        assert_eq!(
            selected_and_waiting(&case.observe("2026-11-24T11:59:59Z", &seen).await),
            waiting("2026-11-24T12:00:00Z")
        );
        assert_eq!(
            selected_and_waiting(&case.observe("2026-11-24T12:00:00Z", &seen).await),
            (vec!["1.0".into()], Vec::new())
        );
        let other = Digest::of(b"what it was before");
        let moved = [("1.0", &other, "2026-11-01T12:00:00Z")];
        let again = case.observe("2026-11-22T12:00:00Z", &moved).await;
        assert_eq!(
            selected_and_waiting(&again),
            waiting("2026-11-25T12:00:00Z"),
            "a tag that moved begins anew"
        );
    }
}

#[tokio::test]
async fn what_the_destination_has_and_digests_are_not_judged_and_cost_nothing() {
    let mut content = DatedImages::default();
    let digest = content.image("a", r#""2026-11-21T00:00:00Z""#);
    let content = content.tagged("1.0", digest);
    let mut case = case(content.clone()).await;
    let destination = content.start().await;
    let request = CopyRequest::parse(&spec(case.source.repository("app").to_string(), &destination)).unwrap();
    case.sides.destination =
        Some(Registries::new(settings()).repository(&request.destination, &Access::default()));
    let observed = case.observe("2026-11-21T12:00:00Z", &[]).await;
    assert_eq!(selected_and_waiting(&observed), (vec!["1.0".into()], Vec::new()));
    let lines = case.source.lines();
    assert!(lines.iter().all(|line| line.starts_with("HEAD ") || line.contains("/tags/list")), "{lines:?}");
}

/// A request of a fake Docker Hub, and its two sides.
fn at_hub(hub: &DockerHub, spec: &ImageSpec) -> (CopyRequest, Sides) {
    let request = CopyRequest::parse(spec).unwrap();
    let base = format!("http://{}/", hub.website.address);
    let registries = Registries::new(Settings {
        addresses: HashMap::from([(request.source.host().api_host().to_owned(), hub.registry.address)]),
        bulk_apis: [(request.source.host().clone(), BulkApi { kind: BulkKind::DockerHub, base })].into(),
        ..settings()
    });
    let sides = Sides {
        source: registries.repository(&request.source, &plain(Access::default())),
        destination: Some(registries.repository(&request.destination, &Access::default())),
    };
    (request, sides)
}

#[tokio::test]
async fn the_push_that_a_bulk_api_tells_counts_and_costs_no_pull() {
    let everything = tags((0..20).map(|n| format!("1.{n}")));
    let hub = DockerHub::start(everything).await;
    let destination = DatedImages::default().start().await;
    let (request, sides) = at_hub(&hub, &spec("docker.io/team/app".into(), &destination));
    for (now, young) in [("2026-09-03T00:00:00Z", 20), ("2026-09-04T10:00:00Z", 0)] {
        let known = Known { now: time(now), ..Known::default() };
        let observed = observe(&sides, &request, &known, Limits::default()).await.unwrap();
        assert_eq!((observed.waiting.len(), observed.tags.len()), (young, 20 - young), "{now}");
        assert!(observed.waiting.iter().all(|waiting| waiting.since == time("2026-09-01T10:00:00Z")));
    }
    assert_eq!(hub.pulls(), 0);
}

#[tokio::test]
async fn the_push_counts_where_one_tag_is_to_be_judged_and_is_asked_once() {
    let hub = DockerHub::start(tags((0..20).map(|n| format!("1.{n}")))).await;
    let mut there = DatedImages::default();
    let image = there.image("a", "null");
    for n in (0..20).filter(|n| *n != 7) {
        there = there.tagged(&format!("1.{n}"), image.clone());
    }
    let destination = there.start().await;
    let mut spec = spec("docker.io/team/app".into(), &destination);
    for (version, mode) in [("1.7", Mode::Recurrent), ("1.x", Mode::OnceByTag)] {
        (spec.source.version, spec.mode) = (version.into(), mode);
        let (request, sides) = at_hub(&hub, &spec);
        // All but one were copied long ago.
        let already_synced = (0..20).filter(|n| *n != 7).map(|n| format!("1.{n}").parse().unwrap()).collect();
        let mut known = Known { now: time("2026-09-03T00:00:00Z"), already_synced, ..Known::default() };
        let asked = hub.website.seen().len();
        let observed = observe(&sides, &request, &known, Limits::default()).await.unwrap();
        assert_eq!(observed.waiting.len(), 1, "{version}");
        assert_eq!(observed.waiting[0].since, time("2026-09-01T10:00:00Z"), "{version}");
        let first = &observed.waiting[0];
        known.first_seen =
            [(first.tag.clone(), FirstSeen { digest: first.digest.clone(), at: first.since })].into();
        observe(&sides, &request, &known, Limits::default()).await.unwrap();
        assert_eq!(hub.website.seen().len(), asked + 1, "{version}: what is known is not asked again");
        known.now = time("2026-09-04T10:00:00Z");
        let observed = observe(&sides, &request, &known, Limits::default()).await.unwrap();
        assert!(observed.waiting.is_empty(), "{version}");
    }
    assert_eq!(hub.pulls(), 0, "the image was not asked");
}

#[tokio::test]
async fn a_tag_of_which_the_api_tells_what_it_was_before_is_new_whatever_the_image_says() {
    let hub = DockerHub::telling(tags(["1.7".to_owned()]), 1000, |_, _| Some(Digest::of(b"before"))).await;
    let destination = DatedImages::default().start().await;
    let (request, sides) = at_hub(&hub, &spec("docker.io/team/app".into(), &destination));
    let known = Known { now: time("2026-11-21T12:00:00Z"), ..Known::default() };
    let observed = observe(&sides, &request, &known, Limits::default()).await.unwrap();
    assert_eq!(selected_and_waiting(&observed), (Vec::new(), vec!["1.7 until 2026-11-24T12:00:00Z".into()]));
    assert_eq!(hub.pulls(), 0, "the image is not asked");
}

/// A source and a destination of which each may fail for a while.
async fn failing(content: DatedImages, there: DatedImages) -> (Case, Arc<AtomicBool>, Arc<AtomicBool>) {
    let serve = async |content: DatedImages| {
        let fails = Arc::new(AtomicBool::new(false));
        let says = fails.clone();
        let registry = ScriptedRegistry::start(move |seen| {
            if says.load(Ordering::Relaxed) && seen.target.contains("/manifests/") {
                return json(503, "{}");
            }
            content.answer(seen)
        })
        .await;
        (registry, fails)
    };
    let ((source, source_fails), (destination, destination_fails)) =
        (serve(content).await, serve(there).await);
    let request = CopyRequest::parse(&spec(source.repository("app").to_string(), &destination)).unwrap();
    let registries = Registries::new(settings());
    let sides = Sides {
        source: registries.repository(&request.source, &Access::default()),
        destination: Some(registries.repository(&request.destination, &Access::default())),
    };
    (Case { source, request, sides }, source_fails, destination_fails)
}

/// What an agent remembers of an observation.
async fn again(case: &Case, now: &str, before: &Observed) -> Observed {
    let seen: Vec<(String, Digest, String)> =
        before.since().map(|w| (w.tag.to_string(), w.digest.clone(), w.since.to_string())).collect();
    let seen: Vec<(&str, &Digest, &str)> =
        seen.iter().map(|(tag, digest, at)| (tag.as_str(), digest, at.as_str())).collect();
    case.observe(now, &seen).await
}

#[tokio::test]
async fn a_registry_that_does_not_answer_once_begins_no_wait_anew() {
    let (mut content, mut there) = (DatedImages::default(), DatedImages::default());
    let (digest, old) = (content.image("a", "null"), there.image("b", "null"));
    let (case, source, destination) = failing(content.tagged("1.0", digest), there.tagged("1.0", old)).await;
    let first = case.observe("2026-11-21T12:00:00Z", &[]).await;
    for fails in [source, destination] {
        fails.store(true, Ordering::Relaxed);
        let hiccup = again(&case, "2026-11-22T12:00:00Z", &first).await;
        assert!(hiccup.waiting.is_empty(), "it is not known: {hiccup:?}");
        let late = again(&case, "2026-11-25T12:00:00Z", &hiccup).await;
        assert_eq!(late.since().count(), 1, "it is old enough by now, and still not known");
        fails.store(false, Ordering::Relaxed);
        let second = again(&case, "2026-11-23T12:00:00Z", &hiccup).await;
        assert_eq!(second.waiting[0].until, time("2026-11-24T12:00:00Z"));
        let third = again(&case, "2026-11-25T12:00:00Z", &late).await;
        assert_eq!(selected_and_waiting(&third), (vec!["1.0".into()], Vec::new()));
        let fourth = again(&case, "2026-11-25T13:00:00Z", &third).await;
        assert_eq!(
            selected_and_waiting(&fourth),
            (vec!["1.0".into()], Vec::new()),
            "a copy that failed waits no second time"
        );
    }
}

#[tokio::test]
async fn what_is_remembered_goes_once_the_tag_is_taken_or_moves() {
    let (mut content, other) = (DatedImages::default(), Digest::of(b"what it was before"));
    let digest = content.image("a", r#""2024-11-21T00:00:00Z""#);
    let content = content.tagged("1.0", digest.clone());
    let (case, ..) = failing(content.clone(), DatedImages::default()).await;
    let moved = case.observe("2026-11-21T12:00:00Z", &[("1.0", &other, "2026-11-01T12:00:00Z")]).await;
    assert_eq!(moved.since().count(), 0);
    let gone = case.observe("2026-11-21T12:00:00Z", &[("1.1", &digest, "2026-11-01T12:00:00Z")]).await;
    assert_eq!(gone.since().count(), 0);
    let (case, ..) = failing(content.clone(), content).await;
    let taken = case.observe("2026-11-21T12:00:00Z", &[("1.0", &digest, "2026-11-01T12:00:00Z")]).await;
    assert_eq!(taken.since().count(), 0);
}

#[tokio::test]
async fn a_tag_that_moved_and_is_too_young_is_selected_and_waits() {
    let (mut content, mut there) = (DatedImages::default(), DatedImages::default());
    let (digest, old) = (content.image("a", "null"), there.image("b", "null"));
    let (case, ..) = failing(content.tagged("1.0", digest), there.tagged("1.0", old)).await;
    let observed = case.observe("2026-11-21T12:00:00Z", &[]).await;
    assert_eq!(
        selected_and_waiting(&observed),
        (vec!["1.0".into()], vec!["1.0 until 2026-11-24T12:00:00Z".into()])
    );
    assert!(observed.excluded.is_empty());
}
