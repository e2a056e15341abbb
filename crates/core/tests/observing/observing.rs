//! What an observation asks: no more than it must, and both programs ask the same.

use std::collections::BTreeMap;

use imgop_core::api::{Destination, ImageSpec, Mode, Source};
use imgop_core::copy::{CopyRequest, Observed, TagState};
use imgop_core::copy::{Known, Limits, ObserveError, Sides, observe};
use imgop_core::selection::Exclusion;
use imgop_registry::reference::Digest;
use imgop_registry::{Access, Registries};

use imgop_fakes::settings;
use imgop_fakes::{ScriptedRegistry, json, reply};

/// A fake registry with one repository, `app`, that holds these tags with these contents.
pub async fn registry(tags: &[(&str, &str)]) -> ScriptedRegistry {
    let tags: BTreeMap<String, Digest> =
        tags.iter().map(|(tag, content)| ((*tag).to_owned(), Digest::of(content.as_bytes()))).collect();
    ScriptedRegistry::start(move |seen| {
        if seen.target.starts_with("/v2/app/tags/list") {
            let names: Vec<&String> = tags.keys().collect();
            return json(200, serde_json::json!({"name": "app", "tags": names}).to_string());
        }
        let tag = seen.target.strip_prefix("/v2/app/manifests/").unwrap_or_default();
        let by_digest = || tags.values().find(|digest| digest.as_str() == tag);
        match tags.get(tag).or_else(by_digest) {
            Some(digest) => reply(
                200,
                &[
                    ("docker-content-digest", digest.as_str()),
                    ("content-type", "application/vnd.oci.image.index.v1+json"),
                ],
                "",
            ),
            None => json(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#),
        }
    })
    .await
}

struct Case {
    source: ScriptedRegistry,
    destination: ScriptedRegistry,
    request: CopyRequest,
    sides: Sides,
}

async fn case(
    source: &[(&str, &str)],
    destination: &[(&str, &str)],
    version: &str,
    edit: impl FnOnce(&mut ImageSpec),
) -> Case {
    let (source, destination) = (registry(source).await, registry(destination).await);
    let mut spec = spec(&source, &destination, version);
    edit(&mut spec);
    let request = CopyRequest::parse(&spec).unwrap();
    let registries = Registries::new(settings());
    let sides = Sides {
        source: registries.repository(&request.source, &Access::default()),
        destination: Some(registries.repository(&request.destination, &Access::default())),
    };
    Case { source, destination, request, sides }
}

/// A spec that copies this version of `app` in mode Recurrent.
pub fn spec(source: &ScriptedRegistry, destination: &ScriptedRegistry, version: &str) -> ImageSpec {
    ImageSpec::new(
        Mode::Recurrent,
        Source::new(source.repository("app").to_string(), version),
        Destination::new(destination.repository("app").to_string()),
    )
}

impl Case {
    async fn observe(&self, known: &Known) -> Observed {
        observe(&self.sides, &self.request, known, Limits::default()).await.unwrap()
    }

    /// How many lists and HEADs each side had.
    fn asked(&self) -> [(usize, usize); 2] {
        [&self.source, &self.destination].map(|side| {
            let lines = side.lines();
            let lists = lines.iter().filter(|l| l.contains("/tags/list")).count();
            let heads = lines.iter().filter(|l| l.starts_with("HEAD ")).count();
            assert_eq!(lists + heads, lines.len(), "{lines:?}");
            (lists, heads)
        })
    }
}

fn states(observed: &Observed) -> Vec<(String, TagState)> {
    observed.tags.iter().map(|t| (t.source_ref.to_string(), t.state())).collect()
}

/// What the destination answered, as the agent remembers it.
fn answers(observed: &Observed) -> Known {
    let at_destination = observed
        .tags
        .iter()
        .filter_map(|t| Some((t.destination_tag.clone(), t.destination.digest()?.clone())))
        .collect();
    Known { at_destination, ..Known::default() }
}

const FIVE: [(&str, &str); 5] = [("1.0", "a"), ("1.1", "b"), ("1.2", "c"), ("1.3", "d"), ("2.0", "e")];

#[tokio::test]
async fn one_tag_costs_one_head_a_side_and_no_list() {
    let case = case(&FIVE, &FIVE[..1], "1.0", |_| {}).await;
    assert_eq!(states(&case.observe(&Known::default()).await), [("1.0".into(), TagState::UpToDate)]);
    assert_eq!(case.asked(), [(0, 1), (0, 1)]);
}

#[tokio::test]
async fn tags_that_the_destinations_list_lacks_are_not_asked_for_there() {
    let case = case(&FIVE, &[("1.0", "a"), ("1.1", "other")], "1.x", |_| {}).await;
    let observed = case.observe(&Known::default()).await;
    let expected = [
        ("1.3", TagState::Missing),
        ("1.2", TagState::Missing),
        ("1.1", TagState::Differs),
        ("1.0", TagState::UpToDate),
    ];
    assert_eq!(states(&observed), expected.map(|(tag, state)| (tag.to_owned(), state)));
    assert_eq!(case.asked(), [(1, 4), (1, 2)]);
}

#[tokio::test]
async fn a_no_op_costs_one_list_a_side_and_one_head_a_tag() {
    let case = case(&FIVE, &FIVE, "1.x", |_| {}).await;
    let known = answers(&case.observe(&Known::default()).await);
    assert_eq!(case.asked(), [(1, 4), (1, 4)]);
    let again = case.observe(&known).await;
    assert!(again.tags.iter().all(|t| t.state() == TagState::UpToDate));
    assert_eq!(case.asked(), [(2, 8), (2, 4)], "the second time no tag is asked for at the destination");
}

#[tokio::test]
async fn a_tag_that_vanished_from_the_destination_is_noticed_at_once() {
    let case = case(&FIVE, &FIVE[..3], "1.x", |_| {}).await;
    let everything = Known {
        at_destination: FIVE.iter().map(|(t, c)| (t.parse().unwrap(), Digest::of(c.as_bytes()))).collect(),
        already_synced: FIVE.iter().map(|(t, _)| t.parse().unwrap()).collect(),
        ..Known::default()
    };
    let observed = case.observe(&everything).await;
    assert_eq!(states(&observed)[0], ("1.3".into(), TagState::Missing));
    assert!(states(&observed)[1..].iter().all(|(_, state)| *state == TagState::AlreadySynced));
    assert_eq!(case.asked(), [(1, 1), (1, 0)], "only what vanished is asked for at the source");
}

#[tokio::test]
async fn of_tags_that_never_move_only_the_destinations_list_is_needed() {
    let immutable = |spec: &mut ImageSpec| spec.source.immutable_tags = vec!["x.x".into()];
    let case = case(&FIVE, &FIVE, "1.x", immutable).await;
    let observed = case.observe(&Known::default()).await;
    assert!(observed.tags.iter().all(|t| t.state() == TagState::AlreadySynced));
    assert_eq!(case.asked(), [(1, 0), (1, 0)]);
}

#[tokio::test]
async fn without_a_record_what_the_destination_has_of_tags_that_are_copied_once_counts_as_copied() {
    let moved = FIVE.map(|(tag, _)| (tag, "what it showed before"));
    let without_record = Known { has_no_record: true, ..Known::default() };
    let once = case(&FIVE, &moved[..3], "1.x", |spec| spec.mode = Mode::OnceByTag).await;
    let observed = states(&once.observe(&without_record).await);
    let counted = |state: TagState| observed.iter().filter(|(_, found)| *found == state).count();
    assert_eq!((counted(TagState::AlreadySynced), counted(TagState::Missing)), (3, 1), "{observed:?}");
    assert_eq!(once.asked(), [(1, 1), (1, 0)], "only what is missing is asked for");
    let recurrent = case(&FIVE, &moved, "1.x", |spec| spec.mode = Mode::Recurrent).await;
    let observed = states(&recurrent.observe(&without_record).await);
    assert!(observed.iter().all(|(_, state)| *state == TagState::Differs), "{observed:?}");
    let fixed = case(&FIVE, &[("stable", "a")], "1.3", |spec| {
        spec.mode = Mode::OnceByTag;
        spec.destination.version = Some("stable".into());
    });
    let observed = fixed.await.observe(&without_record).await;
    assert_eq!(observed.tags[0].state(), TagState::Differs, "another tag may have been put there");
}

#[tokio::test]
async fn one_tag_that_never_moves_is_asked_for_at_the_destination_only() {
    let immutable = |spec: &mut ImageSpec| spec.source.immutable_tags = vec!["*".into()];
    let there = case(&FIVE, &FIVE, "1.0", immutable).await;
    assert_eq!(states(&there.observe(&Known::default()).await), [("1.0".into(), TagState::AlreadySynced)]);
    assert_eq!(there.asked(), [(0, 0), (0, 1)]);
    let missing = case(&FIVE, &[], "1.0", immutable).await;
    assert_eq!(states(&missing.observe(&Known::default()).await), [("1.0".into(), TagState::Missing)]);
    assert_eq!(missing.asked(), [(0, 1), (0, 1)]);
}

#[tokio::test]
async fn one_over_long_tag_does_not_stop_the_others() {
    let long = format!("1{}", ".0".repeat(60));
    let case = case(&[("1.0", "a"), (&long, "b")], &[], ">=1", |spec| {
        spec.destination.version = Some("mirror-of-{tag}".into());
    })
    .await;
    let observed = case.observe(&Known::default()).await;
    assert_eq!(states(&observed), [("1.0".to_owned(), TagState::Missing)]);
    assert_eq!(observed.excluded[0].reason, Exclusion::TooLong);
}

#[tokio::test]
async fn more_tags_than_the_cap_are_refused_before_any_is_asked_for() {
    let case = case(&FIVE, &[], "1.x", |_| {}).await;
    let limits = Limits { max_tags: 3, ..Limits::default() };
    let error = observe(&case.sides, &case.request, &Known::default(), limits).await.unwrap_err();
    assert!(matches!(error, ObserveError::TooManyTags { count: 4, listed: 5, cap: 3, .. }), "{error}");
    assert_eq!(case.asked(), [(1, 0), (0, 0)]);
}

#[tokio::test]
async fn near_misses_are_counted_beyond_those_that_are_kept() {
    let tags = ["1.0", "1.1-a", "1.2-a", "1.3-a", "1.4-a"].map(|tag| (tag, "a"));
    let case = case(&tags, &[], "1.x", |_| {}).await;
    let limits = Limits { max_excluded: 1, ..Limits::default() };
    let observed = observe(&case.sides, &case.request, &Known::default(), limits).await.unwrap();
    assert_eq!((observed.excluded.len(), observed.excluded_beyond), (1, 3));
}

#[tokio::test]
async fn within_one_repository_no_tag_is_made_of_what_was_made_before() {
    let tags = [("1.0", "a"), ("latest", "b"), ("1.0-corp", "a"), ("corp", "c"), ("x-corp", "d")];
    let case = case(&tags, &[], "*", |spec| {
        // The same registry, written in another way.
        spec.destination.name = spec.source.name.replacen(':', ":0", 1);
        spec.destination.version = Some("{tag}-corp".into());
    })
    .await;
    let observed = case.observe(&Known::default()).await;
    let expected = [
        ("1.0", TagState::UpToDate),
        // Nothing is there that it could have been made of.
        ("x-corp", TagState::Missing),
        ("latest", TagState::Missing),
        ("corp", TagState::Missing),
    ];
    assert_eq!(states(&observed), expected.map(|(tag, state)| (tag.to_owned(), state)));
    let [made] = observed.excluded.as_slice() else { panic!("{:?}", observed.excluded) };
    assert_eq!(
        (made.tag.as_str(), made.reason.to_string().as_str()),
        ("1.0-corp", "destination.version makes it of 1.0")
    );
}

#[tokio::test]
async fn a_fixed_tag_goes_back_to_an_older_version_only_when_two_lists_agree() {
    let fixed = |spec: &mut ImageSpec| {
        spec.destination.version = Some("stable".into());
        spec.source.select = Some(imgop_core::api::Select { latest: Some(1), ..Default::default() });
    };
    let full = case(&FIVE, &[("stable", "e")], ">=1.0", fixed).await;
    let first = full.observe(&Known::default()).await;
    assert_eq!(states(&first), [("2.0".into(), TagState::UpToDate)]);
    // The newest tag vanishes from the list.
    let short = case(&FIVE[..4], &[("stable", "e")], ">=1.0", fixed).await;
    let known = Known { newest: first.newest, ..Known::default() };
    let second = short.observe(&known).await;
    assert_eq!(states(&second), [("2.0".into(), TagState::AlreadySynced)], "it stays");
    let known = Known { newest: second.newest, ..Known::default() };
    assert_eq!(states(&short.observe(&known).await), [("1.3".into(), TagState::Differs)]);
    assert_eq!(
        states(&short.observe(&Known::default()).await),
        [("1.3".into(), TagState::Differs)],
        "asked for"
    );
    let empty = case(&[], &[("stable", "e")], ">=1.0", fixed).await;
    let known = Known { newest: Some("2.0".parse().unwrap()), ..Known::default() };
    let none = empty.observe(&known).await;
    assert_eq!((states(&none), none.newest), (vec![("2.0".into(), TagState::AlreadySynced)], None));
}
