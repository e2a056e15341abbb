//! A registry that shows some tags and denies others, as where a scanner has found something in them.

use imgop_core::api::{Destination, ImageSpec, Mode, Referrers, Source};
use imgop_core::copy::{
    AsksForRepository, CopyRequest, Known, Limits, ObserveError, Observed, ObservedTag, Sides, TagState,
    observe,
};
use imgop_fakes::{ScriptedRegistry, client, json, reply};
use imgop_registry::reference::Digest;

use super::observing::registry;

/// Has these tags, lists them if it may, and denies those that begin with `2`.
async fn denying(tags: &'static [&'static str], lists: bool) -> ScriptedRegistry {
    ScriptedRegistry::start(move |seen| {
        if seen.target.contains("/tags/list") {
            let list = serde_json::json!({ "name": "app", "tags": tags }).to_string();
            return if lists { json(200, list) } else { json(403, "{}") };
        }
        let tag = seen.target.rsplit('/').next().unwrap_or_default();
        let digest = Digest::of(tag.as_bytes());
        match tag {
            _ if tag.starts_with('2') => json(403, r#"{"errors":[{"code":"DENIED"}]}"#),
            _ if tags.contains(&tag) => reply(200, &[("docker-content-digest", digest.as_str())], ""),
            _ => json(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#),
        }
    })
    .await
}

async fn observed(
    source: &ScriptedRegistry,
    destination: &ScriptedRegistry,
    version: &str,
) -> Result<Observed, ObserveError> {
    observed_with(&Known::default(), source, destination, version).await
}

async fn observed_with(
    known: &Known,
    source: &ScriptedRegistry,
    destination: &ScriptedRegistry,
    version: &str,
) -> Result<Observed, ObserveError> {
    let spec = ImageSpec::new(
        Mode::Recurrent,
        Source::new(source.repository("app").to_string(), version),
        Destination::new(destination.repository("app").to_string()),
    );
    let request = CopyRequest::parse(&spec).unwrap();
    let sides = Sides {
        source: client(&source.repository("app")),
        destination: Some(client(&destination.repository("app"))),
    };
    observe(&sides, &request, known, Limits::default()).await
}

fn states(observed: &Observed) -> Vec<(String, TagState)> {
    observed.tags.iter().map(|tag| (tag.source_ref.to_string(), tag.state())).collect()
}

#[tokio::test]
async fn one_denied_tag_of_a_listed_source_is_its_own_failure() {
    let (source, destination) = (denying(&["1.0", "2.0"], true).await, denying(&[], true).await);
    let observed = observed(&source, &destination, "x.0").await.unwrap();
    let expected = [("2.0".to_owned(), TagState::NotChecked), ("1.0".to_owned(), TagState::Missing)];
    assert_eq!(states(&observed), expected);
    assert!(observed.tags[0].unknown_because().unwrap().contains("denies access"));
}

#[tokio::test]
async fn one_denied_tag_of_a_destination_that_shows_another_is_its_own_failure() {
    let tags = &["1.0", "2.0"];
    let source = ScriptedRegistry::start(move |seen| {
        if seen.target.contains("/tags/list") {
            return json(200, serde_json::json!({ "name": "app", "tags": tags }).to_string());
        }
        let tag = seen.target.rsplit('/').next().unwrap_or_default();
        reply(200, &[("docker-content-digest", Digest::of(tag.as_bytes()).as_str())], "")
    })
    .await;
    let destination = denying(tags, false).await;
    let shown = observed(&source, &destination, "x.0").await.unwrap();
    let expected = [("2.0".to_owned(), TagState::NotChecked), ("1.0".to_owned(), TagState::UpToDate)];
    assert_eq!(states(&shown), expected);
    // Where nothing is shown, the credential lacks the right.
    let error = observed(&source, &destination, "2.0").await.unwrap_err();
    assert!(matches!(error, ObserveError::Registry { .. }), "{error}");
}

#[tokio::test]
async fn one_denied_tag_that_was_copied_before_is_its_own_failure_also_where_its_referrers_are_sought() {
    let tags = &["1.0", "2.0"];
    let (source, destination) = (denying(tags, true).await, denying(tags, true).await);
    let mut spec = ImageSpec::new(
        Mode::OnceByTag,
        Source::new(source.repository("app").to_string(), "x.0"),
        Destination::new(destination.repository("app").to_string()),
    );
    spec.referrers = Referrers::All;
    let request = CopyRequest::parse(&spec).unwrap();
    let sides = Sides {
        source: client(&source.repository("app")),
        destination: Some(client(&destination.repository("app"))),
    };
    // Of neither the content is asked for but to find what refers to it.
    let already_synced = tags.iter().map(|tag| tag.parse().unwrap()).collect();
    let known = Known { already_synced, ..Known::default() };
    let observed = observe(&sides, &request, &known, Limits::default()).await.unwrap();
    let why = |tag: &ObservedTag| tag.unknown_because().map(ToString::to_string);
    let found: Vec<_> = observed.tags.iter().map(|tag| (tag.source_ref.to_string(), why(tag))).collect();
    let [(two, Some(why)), (one, None)] = &found[..] else { panic!("{found:?}") };
    assert_eq!((one.as_str(), two.as_str()), ("1.0", "2.0"));
    assert!(why.contains("denies access"), "{why}");
}

#[tokio::test]
async fn a_tag_in_dockers_old_format_has_a_state_of_its_own_and_says_why() {
    let source = ScriptedRegistry::start(|seen| {
        let tag = seen.target.rsplit('/').next().unwrap_or_default();
        let digest = Digest::of(tag.as_bytes());
        let media_type = match tag {
            "1.0" => "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "2.0" => "application/vnd.docker.distribution.manifest.v2+json",
            _ => return json(200, r#"{"tags":["1.0","2.0"]}"#),
        };
        reply(200, &[("docker-content-digest", digest.as_str()), ("content-type", media_type)], "")
    })
    .await;
    let destination = ScriptedRegistry::start(|seen| {
        if seen.target.contains("/tags/list") {
            return json(404, r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#);
        }
        json(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#)
    })
    .await;
    let observed = observed(&source, &destination, "x.0").await.unwrap();
    let expected = [("2.0".to_owned(), TagState::Missing), ("1.0".to_owned(), TagState::FormatUnsupported)];
    assert_eq!(states(&observed), expected);
    let why = observed.tags[1].unsupported_because().unwrap();
    assert!(why.contains("1.0: it is in Docker's old format (schema 1)"), "{why}");
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_known_where_tags_are_listed_and_none_is_there() {
    let source = registry(&[("1.0", "a"), ("1.1", "b"), ("1.2", "c")]).await;
    let absent = ScriptedRegistry::start(|_| json(404, r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#)).await;
    let is_new = async |destination: &ScriptedRegistry, version: &str| {
        observed(&source, destination, version).await.unwrap().destination_is_new
    };
    assert!(is_new(&absent, "1.x").await);
    assert!(!is_new(&registry(&[]).await, "1.x").await, "it is there and has no tags");
    assert!(!is_new(&absent, "1.0").await, "of one tag no list is asked for");
}

#[tokio::test]
async fn what_all_tags_of_a_destination_show_is_known_where_each_that_it_lists_was_asked_for() {
    let source = registry(&[("1.0", "a"), ("1.1", "b"), ("1.2", "c")]).await;
    let is_known = async |there: &[(&str, &str)]| {
        observed(&source, &registry(there).await, "1.x").await.unwrap().destination_is_known
    };
    assert!(is_known(&[("1.0", "a"), ("1.1", "other")]).await);
    assert!(is_known(&[]).await);
    assert!(!is_known(&[("1.0", "a"), ("latest", "a")]).await, "what the other one shows was not asked");
}

#[tokio::test]
async fn of_one_tag_a_list_is_asked_for_only_where_it_is_to_be_copied_and_who_copies_asks_less_then() {
    let source = registry(&[("1.0", "a")]).await;
    let absent = || ScriptedRegistry::start(|_| json(404, r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#));
    let asking = Known { asks_for_repository: AsksForRepository::IfAbsent, ..Known::default() };
    let look = async |destination: &ScriptedRegistry, version: &str| {
        let observed = observed_with(&asking, &source, destination, version).await.unwrap();
        (observed.destination_is_new, destination.count("GET /v2/app/tags/list"))
    };
    assert_eq!(look(&absent().await, "1.0").await, (true, 1));
    assert_eq!(look(&registry(&[("2.0", "b")]).await, "1.0").await, (false, 1), "it has another tag");
    assert_eq!(look(&registry(&[("1.0", "b")]).await, "1.0").await, (false, 0), "the tag is there");
    assert_eq!(look(&absent().await, "3.0").await, (false, 0), "there is nothing to copy");
}
