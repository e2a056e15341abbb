//! Tag lists that several Images share: how many requests that leaves, and what is asked all the same.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use imgop_core::api::{Destination, ImageSpec, Mode, Source};
use imgop_core::copy::{CopyRequest, TagState};
use imgop_core::copy::{Known, Limits, Sides, observe};
use imgop_registry::reference::{Digest, ManifestRef};
use imgop_registry::{Access, Manifest, Registries, Settings};

use imgop_fakes::{ScriptedRegistry, json, reply};
use imgop_fakes::{basic, settings};

const SHARED: Duration = Duration::from_mins(1);

fn sharing(tag_list_ttl: Duration) -> Registries {
    Registries::new(Settings { tag_list_ttl, ..settings() })
}

/// A fake registry whose every repository holds these tags, each with its name as its content.
/// More may come later.
async fn registry(tags: &[&str]) -> (ScriptedRegistry, Arc<Mutex<Vec<String>>>) {
    let tags: Arc<Mutex<Vec<String>>> = Arc::new(Mutex::new(tags.iter().map(ToString::to_string).collect()));
    let there = tags.clone();
    let registry = ScriptedRegistry::start(move |seen| {
        let mut tags = there.lock().unwrap();
        if let Some((_, tag)) = seen.target.split_once("/manifests/")
            && seen.method == "PUT"
        {
            tags.push(tag.to_owned());
            return reply(201, &[], "");
        }
        if seen.target.contains("/tags/list") {
            return json(200, serde_json::json!({ "tags": *tags }).to_string());
        }
        match tags.iter().find(|tag| seen.target.ends_with(&format!("/manifests/{tag}"))) {
            Some(tag) => reply(200, &[("docker-content-digest", Digest::of(tag.as_bytes()).as_str())], ""),
            None => json(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#),
        }
    })
    .await;
    (registry, tags)
}

/// The Image that copies one tag, which never moves, into the repository `app`.
fn one_tag(source: &ScriptedRegistry, destination: &ScriptedRegistry, tag: &str, moves: bool) -> CopyRequest {
    CopyRequest::parse(&ImageSpec::new(
        Mode::Recurrent,
        Source {
            immutable_tags: if moves { vec![] } else { vec!["*".into()] },
            ..Source::new(source.repository("app").to_string(), tag)
        },
        Destination::new(destination.repository("app").to_string()),
    ))
    .unwrap()
}

async fn state(registries: &Registries, request: &CopyRequest, known: &Known) -> TagState {
    let sides = Sides {
        source: registries.repository(&request.source, &Access::default()),
        destination: Some(registries.repository(&request.destination, &Access::default())),
    };
    observe(&sides, request, known, Limits::default()).await.unwrap().tags[0].state()
}

fn count(registry: &ScriptedRegistry, what: &str) -> usize {
    registry.lines().iter().filter(|line| line.contains(what)).count()
}

#[tokio::test]
async fn images_of_one_tag_each_that_never_moves_cost_one_list_together() {
    let tags: Vec<String> = (0..30).map(|n| format!("1.{n}")).collect();
    let names: Vec<&str> = tags.iter().map(String::as_str).collect();
    let ((source, _), (destination, _)) = (registry(&names).await, registry(&names).await);
    let registries = sharing(SHARED);
    let requests: Vec<_> = names.iter().map(|tag| one_tag(&source, &destination, tag, false)).collect();
    let known = Known::default();
    for found in join_all(requests.iter().map(|request| state(&registries, request, &known))).await {
        assert_eq!(found, TagState::AlreadySynced);
    }
    assert_eq!(source.seen().len(), 0);
    assert_eq!(destination.lines(), ["GET /v2/app/tags/list?n=1000"]);
}

#[tokio::test]
async fn images_of_one_tag_each_that_may_move_cost_one_list_together_and_one_head_each() {
    let ((source, _), (destination, _)) = (registry(&["1", "2"]).await, registry(&["1", "2"]).await);
    let registries = sharing(SHARED);
    for tag in ["1", "2"] {
        let at_destination = [(tag.parse().unwrap(), Digest::of(tag.as_bytes()))].into();
        let known = Known { at_destination, ..Known::default() };
        let request = one_tag(&source, &destination, tag, true);
        assert_eq!(state(&registries, &request, &known).await, TagState::UpToDate);
    }
    assert_eq!((count(&source, "HEAD "), source.seen().len()), (2, 2));
    assert_eq!((count(&destination, "/tags/list"), destination.seen().len()), (1, 1));
}

#[tokio::test]
async fn a_tag_that_an_older_list_lacks_is_asked_for() {
    let ((source, _), (destination, there)) = (registry(&["1", "2", "3"]).await, registry(&["1"]).await);
    let (registries, known) = (sharing(SHARED), Known::default());
    let state = async |tag| state(&registries, &one_tag(&source, &destination, tag, false), &known).await;
    assert_eq!(state("2").await, TagState::Missing);
    assert_eq!(count(&destination, "HEAD "), 0, "its own list is enough");
    there.lock().unwrap().push("2".into());
    assert_eq!(state("2").await, TagState::AlreadySynced, "a Job has just copied it");
    assert_eq!(state("3").await, TagState::Missing);
    assert_eq!((count(&destination, "/tags/list"), count(&destination, "HEAD ")), (1, 2));
}

#[tokio::test]
async fn a_tag_that_this_process_has_set_is_seen_at_once_by_the_next_pass() {
    let ((source, _), (destination, _)) = (registry(&["1", "2"]).await, registry(&["1"]).await);
    let (registries, known) = (sharing(SHARED), Known::default());
    let state = async |tag| state(&registries, &one_tag(&source, &destination, tag, false), &known).await;
    assert_eq!(state("1").await, TagState::AlreadySynced);
    let manifest = Manifest::new("application/vnd.oci.image.index.v1+json", "{}".into());
    let client = registries.repository(&destination.repository("app"), &basic("me", "secret"));
    client.put_manifest(&ManifestRef::Tag("2".parse().unwrap()), &manifest).await.unwrap();
    assert_eq!(state("2").await, TagState::AlreadySynced);
    assert_eq!(
        (count(&destination, "/tags/list"), count(&destination, "HEAD ")),
        (2, 0),
        "a new list names it"
    );
    assert_eq!(state("1").await, TagState::AlreadySynced);
    assert_eq!(count(&destination, "/tags/list"), 2, "and serves the others");
}

/// The Image that copies the newest tag onto one, or all tags.
fn pattern(source: &ScriptedRegistry, destination: &ScriptedRegistry, fixed: Option<&str>) -> CopyRequest {
    let mut spec = ImageSpec::new(
        Mode::Recurrent,
        Source::new(source.repository("app").to_string(), "*"),
        Destination::new(destination.repository("app").to_string()),
    );
    if let Some(fixed) = fixed {
        spec.source.select.get_or_insert_default().latest = Some(1);
        spec.destination.version = Some(fixed.to_owned());
    }
    CopyRequest::parse(&spec).unwrap()
}

#[tokio::test]
async fn many_images_of_one_source_list_it_once() {
    let (source, _) = registry(&["1.0", "2.0"]).await;
    let (destination, _) = registry(&[]).await;
    let registries = sharing(SHARED);
    let request = pattern(&source, &destination, None);
    let known = Known::default();
    join_all((0..20).map(|_| state(&registries, &request, &known))).await;
    assert_eq!(count(&source, "/tags/list"), 1);
}

#[tokio::test]
async fn one_list_that_is_read_twice_does_not_move_a_tag_backwards() {
    let (source, tags) = registry(&["1.0", "2.0"]).await;
    let (destination, _) = registry(&["stable"]).await;
    let registries = sharing(SHARED);
    let request = pattern(&source, &destination, Some("stable"));
    let newer = Known { newest: Some("3.0".parse().unwrap()), ..Known::default() };
    // Others have just listed it, without its newest tag, which is there again.
    registries.repository(&request.source, &Access::default()).listed_tags().await.unwrap();
    tags.lock().unwrap().push("3.0".to_owned());
    assert_eq!(state(&registries, &request, &newer).await, TagState::Differs);
    assert_eq!(count(&source, "/tags/list"), 2);
    assert_eq!(count(&source, "/manifests/2.0"), 0);
}
